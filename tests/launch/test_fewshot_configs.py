"""The configurations of the paper's few-shot runs: as published, and each runs and resumes."""

from pathlib import Path

import pytest

from launch.config.source import load_any_config
from learners.supervised.schedule import learning_rate
from tests.envs.fewshot import tiny
from tests.launch.runs import main, rows

WRITERS = {
    "omniglot": tiny.write_omniglot,
    "miniimagenet": tiny.write_miniimagenet,
    "fc100": tiny.write_cifar,
}

# What the commands of the paper's code set: layers, feed-forward factor, dropout, dropout of the
# backbone, sequences of an update, learning rate (None: warm-up) and updates.
PUBLISHED = {
    "paper-omniglot-1shot": ("srwm", 2, 4, 0.0, 0.0, 128, 1e-3, 300_000),
    "paper-miniimagenet-1shot": ("srwm", 3, 4, 0.1, 0.1, 16, None, 600_000),
    "paper-miniimagenet-5shot": ("srwm", 3, 8, 0.1, 0.1, 16, None, 600_000),
    "paper-miniimagenet-1shot-delta": ("delta", 4, 8, 0.1, 0.3, 16, 1e-4, 600_000),
    "paper-miniimagenet-5shot-delta": ("delta", 4, 8, 0.0, 0.2, 16, 3e-4, 600_000),
    "paper-miniimagenet-1shot-lstm": ("lstm", 1, 0, 0.0, 0.1, 16, 3e-4, 1_200_000),
    "paper-miniimagenet-5shot-lstm": ("lstm", 1, 0, 0.0, 0.1, 16, 3e-4, 1_200_000),
    "paper-fc100-5shot": ("srwm", 3, 4, 0.1, 0.1, 16, None, 600_000),
    "paper-fc100-5shot-res12": ("srwm", 3, 4, 0.3, 0.3, 16, None, 600_000),
    "paper-fc100-5shot-delta": ("delta", 3, 8, 0.0, 0.2, 16, None, 600_000),
    "paper-sequential": ("srwm", 3, 1, 0.0, 0.0, 32, 3e-4, 238_266),
}


SEQUENCES = 2  # of an update here


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A folder with a tiny data set of each format, as `episodes.root` wants it."""
    root = tmp_path_factory.mktemp("data")
    for name, write in WRITERS.items():
        (root / name).mkdir()
        write(root / name)
    return root


@pytest.mark.parametrize("name", PUBLISHED)
def test_is_as_published(name):
    core, layers, factor, dropout, vision, batch, rate, updates = PUBLISHED[name]
    config = load_any_config(name)
    classifier, episodes, learner = config.classifier, config.episodes, config.learner
    assert (classifier.core, classifier.backbone.dropout) == (core, vision)
    if core == "lstm":
        assert classifier.lstm.hidden_size == 1024
    else:
        stack = getattr(classifier, core)
        assert (stack.hidden_size, stack.heads) == (256, 16)
        assert (stack.layers, stack.feedforward_factor, stack.dropout) == (layers, factor, dropout)
    if core == "srwm":
        srwm = classifier.srwm
        assert (srwm.input, srwm.query_scale, srwm.key_scale) == ("none", 1, 1)
        assert srwm.residual == "layernorm"
    assert (learner.batch_size, learner.prototype_cost, learner.max_grad_norm) == (batch, 0, None)
    # Vaswani et al. 2017, equation 3, with 5000 updates of warm-up and 256 units
    rates = [learning_rate(learner, 256, update) for update in (1, 5000, 600_000)]
    warmup = [1.767767e-7, 8.838835e-4, 8.068715e-5]
    assert rates == pytest.approx([rate] * 3 if rate else warmup, rel=1e-6)
    assert (episodes.n_way, episodes.n_query, episodes.unknown_label) == (5, 1, False)
    # A task of the sequential run loses up to 60 of its 75 images, 30 on average.
    length = 90 if len(episodes.tasks) == 2 else 6 if "1shot" in name else 26
    assert config.total_frames == updates * batch * length


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("name", PUBLISHED)
def test_starts_trains_and_resumes(name, data):
    episodes = load_any_config(name).episodes
    shots = min(episodes.k_shot, 2)  # a class has three images
    most = SEQUENCES * len(episodes.tasks) * (5 * shots + 1)  # images of an update
    overrides = {
        "episodes.root": data,
        "episodes.k_shot": shots,
        "learner.batch_size": SEQUENCES,
        "validation.episodes": 2,
        "log_every_frames": 1,
        "launch.learner_threads": 1,
        "total_frames": most + 1,
        "run_dir": "run",
    }
    if episodes.shorten:
        overrides["episodes.shorten"] = 4
    assert main("fewshot", name, *(f"{key}={value}" for key, value in overrides.items())) == 0
    run = Path("run")
    trained = rows(run)
    assert [row["updates"] for row in trained] == [1, 2]
    more = trained[-1]["frames"] + 1
    assert main("fewshot", "--resume", "run", f"total_frames={more}") == 0
    resumed = rows(run)
    assert resumed[:2] == trained
    assert [row["updates"] for row in resumed] == [1, 2, 3]
    for row in resumed:
        assert 0 < row["loss/cross_entropy"] < 10
        assert 0 <= row["accuracy/train"] <= 1
    assert 0 <= resumed[-1]["accuracy/validation"] <= 1
