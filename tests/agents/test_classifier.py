"""The few-shot network: its size, what it reads at each step, and what it keeps."""

import pytest
import torch
from pydantic import ValidationError
from torch import nn

from agents import Classifier, ClassifierConfig, make_classifier

T, B, N, SHAPE = 6, 3, 5, (16, 16, 1)
SMALL = {"hidden_size": 8, "layers": 2, "heads": 2, "feedforward_factor": 2}
CORES = ("lstm", "delta", "srwm", "fake_srwm", "sr_delta")


def config(core="srwm", **options):
    sections = {"lstm": {"hidden_size": 8}, "srwm": SMALL, "delta": SMALL}
    return ClassifierConfig.model_validate(
        {"core": core, "backbone": {"channels": 32}, **sections, **options}
    )


def make(core="srwm", unknown_label=False, **options):
    torch.manual_seed(0)
    return make_classifier(config(core, **options), SHAPE, N, unknown_label)


def episode(seed=0, labels=N):
    generator = torch.Generator().manual_seed(seed)
    images = torch.randint(256, (T, B, *SHAPE), generator=generator, dtype=torch.uint8)
    return images, torch.randint(labels, (T, B), generator=generator)


def test_the_papers_omniglot_model_has_its_number_of_parameters():
    published = {"input": "none", "query_scale": 1.0, "key_scale": 1.0}
    classifier = make_classifier(
        ClassifierConfig.model_validate({"srwm": published}), (28, 28, 1), 5
    )
    assert sum(parameter.numel() for parameter in classifier.parameters()) == 1_342_021
    # The rows of the learning rates have mean 0: 64 matrices of 4 x 16 numbers of deviation 1/4.
    for memory in classifier.core.memories:
        assert abs(memory.base[:, -4:].mean()) < 5 * 0.25 / (16 * 4 * 16) ** 0.5


@pytest.mark.parametrize("core", CORES)
@pytest.mark.parametrize("unknown_label", [False, True])
def test_shapes(core, unknown_label):
    output = make(core, unknown_label)(*episode(labels=N + unknown_label))
    assert output.logits.shape == (T, B, N)
    assert output.features.shape == (T, B, 32)
    assert output.logits.dtype == output.features.dtype == torch.float32


class Echo(nn.Module):
    """A core that hands out what it was given."""

    def __init__(self, size):
        super().__init__()
        self.output_size = size

    def initial_state(self, batch):
        return (torch.zeros(batch),)

    def forward(self, x, first, state):
        assert not first.any()
        self.seen = x
        return x, state


class Mean(nn.Module):
    """A backbone of two features: the mean and the largest pixel."""

    features = 2

    def forward(self, images):
        pixels = images.flatten(1).float()
        return torch.stack([pixels.mean(1), pixels.amax(1)], 1)


@pytest.mark.parametrize("previous", [False, True])
def test_a_step_reads_features_and_the_labels_one_hot(previous):
    core = Echo(2 + 2 * previous + N)
    images, label_in = episode()
    Classifier(Mean(), core, N, unknown_label=False, previous_image=previous)(images, label_in)
    pixels = images.double()
    for t in range(T):
        for b in range(B):
            expected = [pixels[t, b].mean().item(), pixels[t, b].max().item()]
            if previous and t:
                expected += [pixels[t - 1, b].mean().item(), pixels[t - 1, b].max().item()]
            elif previous:
                expected += [0, 0]
            expected += [float(label_in[t, b] == n) for n in range(N)]
            assert core.seen[t, b].tolist() == pytest.approx(expected)


def test_the_image_before_is_an_option_of_the_configuration():
    images, labels = episode()
    for previous in (False, True):
        classifier = make(previous_image=previous).eval()
        changed = images.clone()
        changed[0] = 255 - changed[0]
        with torch.no_grad():
            # The memory may know it too; the core's input does not, unless it is asked for.
            given, other = (
                classifier._inputs(classifier.encode(x), labels)[1] for x in (images, changed)
            )
        assert torch.equal(given, other) != previous


@pytest.mark.parametrize("core", CORES)
def test_each_sequence_starts_anew_and_never_looks_ahead(core):
    classifier = make(core).eval()
    images, labels = episode()
    with torch.no_grad():
        whole = classifier(images, labels).logits
        torch.testing.assert_close(classifier(images, labels).logits, whole)
        alone = torch.cat(
            [classifier(images[:, b : b + 1], labels[:, b : b + 1]).logits for b in range(B)], 1
        )
        torch.testing.assert_close(alone, whole, rtol=1e-4, atol=1e-5)
        short = classifier(images[:4], labels[:4]).logits
        torch.testing.assert_close(short, whole[:4], rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("core", "remembers"), [("srwm", True), ("fake_srwm", False)])
def test_only_a_memory_depends_on_earlier_labels(core, remembers):
    classifier = make(core).eval()
    images, labels = episode()
    other = labels.clone()
    other[0] = (labels[0] + 1) % N
    with torch.no_grad():
        change = (classifier(images, labels).logits - classifier(images, other).logits)[-1]
    assert bool(change.abs().max() > 1e-6) == remembers


def test_introspection_changes_nothing_and_is_that_of_evaluation():
    classifier = make(srwm={**SMALL, "dropout": 0.5}, backbone={"channels": 32, "dropout": 0.5})
    images, labels = episode()
    classifier(images, labels)  # running statistics that are not the initial ones
    before = {name: value.clone() for name, value in classifier.state_dict().items()}
    torch.manual_seed(3)
    random = torch.get_rng_state()
    layers = classifier.introspect(images, labels)
    assert torch.equal(random, torch.get_rng_state())
    assert all(torch.equal(before[name], value) for name, value in classifier.state_dict().items())
    assert classifier.training
    assert classifier.core.memories[0].training
    assert [layer.change.shape for layer in layers] == [(T, B, 2)] * 2
    again = classifier.eval().introspect(images, labels)
    assert torch.equal(layers[1].change, again[1].change)
    assert [set(blocks) for blocks in classifier.row_blocks()] == [{"y", "q", "k", "beta"}] * 2
    assert make("lstm").introspect(images, labels) == []


def test_the_backbone_computes_in_bfloat16_if_asked_to():
    images, labels = episode()
    exact, low = make().eval(), make(precision="bfloat16").eval()
    with torch.no_grad():
        expected, found = exact(images, labels).features, low(images, labels).features
    assert found.dtype == torch.float32
    assert not torch.equal(found, expected)
    torch.testing.assert_close(found, expected, rtol=0.05, atol=0.05)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda x, y: (x.float(), y), "not torch.uint8"),
        (lambda x, y: (x[0], y), r"\[3, 16, 16, 1\], not torch.uint8 \[T, B"),
        (lambda x, y: (x, y[:, :1]), r"label_in is \[6, 1\], but images are \[6, 3\]"),
    ],
)
def test_other_arguments_are_refused(change, message):
    with pytest.raises(ValueError, match=message):
        make()(*change(*episode()))


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ({"core": "srwn"}, "did you mean 'srwm'"),
        ({"core": "srwm_no_carry"}, "every sequence starts anew"),
        ({"core_options": {"a": 1}}, "does not read them"),
    ],
)
def test_a_wrong_section_is_refused(section, message):
    with pytest.raises(ValidationError, match=message):
        ClassifierConfig.model_validate(section)
