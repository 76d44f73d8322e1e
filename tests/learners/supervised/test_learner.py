"""The supervised learner: a step by hand, what it skips, keeps and reports, and that it learns."""

import math

import numpy as np
import pytest
import torch

from agents import Classifier
from agents.classifier_config import ClassifierConfig
from agents.cores import CORES
from learners import TrainingDivergedError, checkpoint
from learners.supervised import SupervisedConfig, SupervisedLearner, evaluate, make_batch
from tests.learners.supervised.episodes import Ideal, N, classifier, episodes, ideal_episodes

DROPPING = {
    "backbone": {"channels": 32, "dropout": 0.2, "input_dropout": 0.1},
    "srwm": {"hidden_size": 8, "layers": 2, "heads": 2, "feedforward_factor": 2, "dropout": 0.2},
}


def learner(core="srwm", options=None, **config):
    return SupervisedLearner(classifier(core, **options or {}), SupervisedConfig(**config))


def batch(seed=0, size=6):
    return make_batch(episodes(seed, size))


def parameters(of):
    return {name: p.detach().clone() for name, p in of.classifier.named_parameters()}


def own_adam(values, gradients, rates):
    """Adam as its paper has it, after a step for each of the gradients (dicts) and rates."""
    first = {name: 0 for name in values}
    second = {name: 0 for name in values}
    for step, (rate, of_step) in enumerate(zip(rates, gradients, strict=True), 1):
        for name, gradient in of_step.items():
            first[name] = 0.9 * first[name] + 0.1 * gradient
            second[name] = 0.995 * second[name] + 0.005 * gradient**2
            mean, square = first[name] / (1 - 0.9**step), second[name] / (1 - 0.995**step)
            values[name] = values[name] - rate * mean / (square.sqrt() + 1e-9)
    return values


@pytest.mark.parametrize("prototype_cost", [0.0, 0.5])
def test_a_step_is_adam_on_the_mean_loss_of_the_scored_positions(prototype_cost):
    ours = learner(schedule="warmup", warmup_steps=2, prototype_cost=prototype_cost)
    ours.classifier.double()
    reference = classifier().double()
    start, gradients = parameters(ours), []
    for seed in range(3):
        one = batch(seed)
        reference.load_state_dict(ours.classifier.state_dict())
        output = reference(one.images, one.label_in)
        losses, right = [], []
        for t, b in one.scored.nonzero().tolist():
            truth = one.target[t, b]
            logits = output.logits[t, b]
            loss = -logits.log_softmax(-1)[truth]
            support = one.labelled[:, b].nonzero().flatten().tolist()
            assert len(support) == N
            distances = torch.zeros(N, dtype=torch.float64)
            for s in support:
                distances[one.target[s, b]] = (
                    (output.features[t, b] - output.features[s, b]).square().sum()
                )
            second = -(-distances).log_softmax(-1)[truth]
            losses.append((loss, second))
            right.append(logits.argmax() == truth)
        first, second = (torch.stack(part).mean() for part in zip(*losses, strict=True))
        total = first + prototype_cost * second
        found = torch.autograd.grad(total, list(reference.parameters()))
        gradients.append(dict(zip(start, found, strict=True)))
        metrics = ours.step(one)
        assert metrics["loss/total"] == pytest.approx(total.item(), rel=1e-9)
        assert metrics["loss/cross_entropy"] == pytest.approx(first.item(), rel=1e-9)
        assert metrics.get("loss/prototype", 0) == pytest.approx(
            second.item() if prototype_cost else 0, rel=1e-9
        )
        assert metrics["accuracy/train"] == pytest.approx(np.mean(right))
        assert metrics["accuracy/train/shot1"] == metrics["accuracy/train"]
        norm = math.sqrt(sum(x.square().sum().item() for x in found))
        assert metrics["learner/grad_norm"] == pytest.approx(norm, rel=1e-9)
    rates = [8**-0.5 * min(step**-0.5, step * 2**-1.5) for step in (1, 2, 3)]
    expected = own_adam(start, gradients, rates)
    for name, value in parameters(ours).items():
        # A convolution's bias before BatchNorm has a gradient of rounding alone, which Adam makes
        # larger; the other steps are of 0.1.
        noise = name.startswith("backbone.trunk") and name.endswith(".0.bias")
        torch.testing.assert_close(value, expected[name], rtol=1e-6, atol=1e-3 if noise else 1e-7)
    assert (ours.frames, ours.version, ours.skipped) == (3 * 7 * 6, 3, 0)


def test_with_delayed_labels_prototypes_answer_only_for_classes_seen_before():
    ours = learner(prototype_cost=0.5)
    one = batch()
    everywhere = torch.ones_like(one.scored)
    seen = torch.stack([(one.target[:t] == one.target[t]).sum(0) for t in range(len(one.target))])
    one = one._replace(scored=everywhere, labelled=everywhere, seen=seen)
    with torch.no_grad():
        features = ours.classifier(one.images, one.label_in).features
    losses = []
    for t, b in (seen > 0).nonzero().tolist():
        odds = torch.zeros(N)
        for n in one.target[:t, b].unique().tolist():
            prototype = features[:t, b][one.target[:t, b] == n].mean(0)
            odds[n] = (-(features[t, b] - prototype).square().sum()).exp()
        losses.append(-(odds[one.target[t, b]] / odds.sum()).log().item())
    assert 0 < len(losses) < one.target.numel()
    metrics = ours.step(one)
    assert metrics["loss/prototype"] == pytest.approx(np.mean(losses), rel=1e-4)
    assert metrics["loss/total"] == pytest.approx(
        metrics["loss/cross_entropy"] + 0.5 * metrics["loss/prototype"]
    )


def test_pieces_add_up_their_gradients():
    whole = batch()
    pieces = learner(accumulate=3, batch_size=6)
    found = []
    for piece in whole.pieces(3):
        alone = learner()
        alone.classifier.load_state_dict(pieces.classifier.state_dict())
        alone.step(piece)
        found.append([parameter.grad for parameter in alone.classifier.parameters()])
    pieces.step(whole)
    for ours, parts in zip(pieces.classifier.parameters(), zip(*found, strict=True), strict=True):
        torch.testing.assert_close(ours.grad, sum(parts), rtol=1e-4, atol=1e-6)


def test_long_gradients_are_scaled_down():
    free, held = learner(), learner(max_grad_norm=0.01)
    assert free.step(batch())["learner/grad_norm"] == held.step(batch())["learner/grad_norm"] > 0.01
    norm = math.sqrt(sum(p.grad.square().sum() for p in held.classifier.parameters()))
    assert norm == pytest.approx(0.01, rel=1e-3)


def test_a_batch_that_is_not_finite_changes_nothing():
    ours = learner(max_skipped=2)
    ours.step(batch())
    before = {name: value.clone() for name, value in ours.classifier.state_dict().items()}
    weight = ours.classifier.head.weight
    kept = weight[0, 0].item()
    weight.data[0, 0] = torch.inf
    assert ours.step(batch(1))["learner/skipped"] == 1
    weight.data[0, 0] = kept
    for name, value in ours.classifier.state_dict().items():
        assert torch.equal(value, before[name]), name
    assert (ours.version, ours.frames) == (1, 2 * 7 * 6)
    ours.step(batch(2))
    weight.data[0, 0] = torch.nan
    ours.step(batch(3))
    with pytest.raises(TrainingDivergedError, match=r"last 2 batches .*learner\.learning_rate"):
        ours.step(batch(4))


@pytest.mark.parametrize("core", ["lstm", "srwm"])
def test_a_resumed_run_is_the_uninterrupted_one(core, tmp_path):
    """Bit for bit, with dropout and BatchNorm, through a checkpoint."""
    config = {"schedule": "warmup", "warmup_steps": 3}
    whole = learner(core, DROPPING, **config)
    for seed in range(2):
        whole.step(batch(seed))
    checkpoint.save(tmp_path / "000000000002", whole.state())
    last = [whole.step(batch(seed)) for seed in (2, 3)]

    resumed = learner(core, {**DROPPING, "seed": 5}, **config)
    torch.manual_seed(99)
    resumed.load(checkpoint.load(tmp_path / "000000000002"))
    again = [resumed.step(batch(seed)) for seed in (2, 3)]
    for ours, theirs in zip(last, again, strict=True):
        names = [name for name in ours if not name.startswith("time")]
        assert [ours[name] for name in names] == [theirs[name] for name in names]
    one, other = whole.classifier.state_dict(), resumed.classifier.state_dict()
    assert any("running_var" in name for name in one)
    assert [name for name in one if not torch.equal(one[name], other[name])] == []


def test_another_network_is_refused():
    with pytest.raises(ValueError, match=r"another network: core\."):
        learner("lstm").load(learner("srwm").state())


def test_the_memory_is_reported_now_and_then():
    ours = learner()
    names = [name for name in ours.step(batch()) if name.startswith("memory/")]
    assert "memory/layer2/head1/rate_beta" in names
    assert "memory/layer1/grad_k" in names
    assert not any(name.startswith("memory/") for name in ours.step(batch(1)))
    assert not any(name.startswith("memory/") for name in learner("lstm").step(batch()))


def test_an_evaluation_says_what_each_episode_got_right():
    ours = learner(options=DROPPING)
    ours.step(batch())
    before = {name: value.clone() for name, value in ours.classifier.state_dict().items()}
    batches = [batch(seed, size) for seed, size in ((1, 6), (2, 3))]
    found = ours.evaluate(iter(batches))
    assert ours.classifier.training
    assert all(torch.equal(before[n], v) for n, v in ours.classifier.state_dict().items())
    assert found.correct.shape == found.loss.shape == found.scored.shape == (7, 9)
    assert found.task.tolist() == [0] * 7

    ours.classifier.eval()
    column = 0
    for one in batches:
        for b in range(one.target.shape[1]):
            alone = one.columns(b, b + 1)
            with torch.no_grad():
                logits = ours.classifier(alone.images, alone.label_in).logits[:, 0]
            for t in range(7):
                truth = one.target[t, b].item()
                loss = -logits[t].log_softmax(-1)[truth].item()
                assert found.loss[t, column] == pytest.approx(loss, abs=1e-4)
                assert found.correct[t, column] == (logits[t].argmax().item() == truth)
                assert found.seen[t, column] == one.seen[t, b]
                assert found.scored[t, column] == one.scored[t, b]
            column += 1


@pytest.mark.parametrize("batches", [[], [batch(), make_batch(episodes(k_shot=2))]])
def test_batches_that_are_not_alike_are_no_evaluation(batches):
    with pytest.raises(ValueError, match="batches of one form"):
        evaluate(classifier(), batches)


@pytest.mark.slow
@pytest.mark.parametrize(("core", "learns"), [("srwm", True), ("fake_srwm", False)])
def test_a_memory_learns_to_learn_and_a_plain_layer_cannot(core, learns):
    """On ideal features: classes are new in each episode, so only the labels in it tell them."""
    torch.manual_seed(0)
    torch.set_num_threads(1)
    features = 16
    section = {"hidden_size": 64, "heads": 8, "layers": 2, "feedforward_factor": 2}
    config = ClassifierConfig.model_validate({"core": core, "srwm": section})
    network = Classifier(Ideal(features), CORES[core](config, features + N, 1), N, False)
    ours = SupervisedLearner(network, SupervisedConfig(learning_rate=2e-3))
    rng = np.random.default_rng(0)
    for _ in range(450):
        ours.step(make_batch(ideal_episodes(rng, 32, features, 5)))
    held_out = ours.evaluate([make_batch(ideal_episodes(rng, 500, features, 1))])
    accuracy = held_out.correct[held_out.scored].mean()
    # Chance is 0.2, with a standard error of 0.018.
    assert accuracy > 0.5 if learns else abs(accuracy - 0.2) < 0.07
