"""A network learns new classes from the labels of a sequence, and from nothing else.

The images are ideal: a class is a random pattern, drawn in noise. Glyphs take minutes.
"""

import numpy as np
import pytest
import torch

from envs.fewshot import EpisodeSampler, StoredImages
from launch.config.fewshot import FewShotConfig
from launch.flow.episodes import EpisodeStream, build_classifier
from launch.play.fewshot import Network, try_network
from learners.supervised import SupervisedLearner, make_batch
from tests.launch.fewshot import SIZE, SYNCHRONOUS, pattern_images
from tests.launch.runs import changed

TREE = changed(
    SYNCHRONOUS,
    episodes__k_shot=4,
    episodes__n_query=6,
    classifier__srwm={"hidden_size": 32, "heads": 2, "layers": 1, "feedforward_factor": 2},
    learner={"batch_size": 16, "learning_rate": 2e-3, "prototype_cost": 1.0},
)
NOISE = 95.0  # grey values; black and white of the patterns are 128 apart


def patterns(classes, seed):
    images = pattern_images(np.random.default_rng(seed), classes, 16, NOISE)
    pixels = images.reshape(-1, SIZE, SIZE, 1)
    return StoredImages(pixels, np.arange(classes + 1) * 16, tuple(map(str, range(classes))))


def learn(core, updates):
    config = FewShotConfig.model_validate(changed(TREE, classifier__core=core))
    sampler = EpisodeSampler([patterns(300, seed=0)], config.episodes, training=True)
    torch.manual_seed(0)
    learner = SupervisedLearner(build_classifier(config, (SIZE, SIZE, 1)), config.learner)
    stream = EpisodeStream(sampler, 0, config.learner.batch_size, start=0)
    for _ in range(updates):
        learner.step(make_batch(stream.take()))
    stream.close()
    return Network(learner.classifier, "run", config, "newest", learner.frames)


def accuracy(network, k_shot, shuffle=False):
    """Estimate the accuracy on classes that the network has not seen; chance is 0.5."""
    config = network.config.episodes.model_copy(update={"k_shot": k_shot})
    sampler = EpisodeSampler([patterns(100, seed=1)], config, training=False)
    (result,) = try_network(network, sampler, "test", 400, shuffle)
    return result.tasks[0].overall


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_accuracy_on_new_classes_rises_with_the_examples_and_needs_their_labels():
    network = learn("srwm", 450)
    one, four = accuracy(network, 1), accuracy(network, 4)
    assert 0.5 < one.low < one.high < four.low
    assert four.mean > 0.75
    assert abs(accuracy(network, 4, shuffle=True).mean - 0.5) < 0.08  # 5 standard errors


@pytest.mark.slow
@pytest.mark.timeout(300)
def test_without_memory_it_stays_at_chance():
    assert abs(accuracy(learn("fake_srwm", 200), 4).mean - 0.5) < 0.08
