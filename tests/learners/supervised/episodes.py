"""Episodes for the learner's tests: random ones, and in-context learning without pictures."""

from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import nn

from agents import ClassifierConfig, make_classifier

N, SHAPE = 5, (16, 16, 1)
SMALL = {"hidden_size": 8, "layers": 2, "heads": 2, "feedforward_factor": 2}


@dataclass(frozen=True)
class Arrays:
    images: np.ndarray
    label_in: np.ndarray
    target: np.ndarray
    scored: np.ndarray
    labelled: np.ndarray
    seen: np.ndarray
    task: np.ndarray

    def take(self, sequences):
        """Return the sequences of these numbers, in this order."""
        names = ("images", "label_in", "target", "scored", "labelled", "seen")
        return replace(self, **{name: getattr(self, name)[:, sequences] for name in names})


def support_then_queries(rng, batch, k_shot, n_query):
    """Return targets and labels that go in: N * k_shot labelled positions, then queries."""
    support = np.stack([rng.permutation(np.repeat(np.arange(N), k_shot)) for _ in range(batch)], 1)
    queries = rng.integers(N, size=(n_query, batch))
    return np.concatenate([support, queries]), np.concatenate([support, np.zeros_like(queries)])


def episodes(seed=0, batch=6, k_shot=1, n_query=2, shape=SHAPE, images=None):
    """Return synchronous episodes; pictures are noise unless given."""
    rng = np.random.default_rng(seed)
    target, label_in = support_then_queries(rng, batch, k_shot, n_query)
    query = np.zeros(target.shape, bool)
    query[-n_query:] = True
    if images is None:
        # The sequences are unequally bright, so that halves of a batch have other statistics.
        bright = np.linspace(40, 256, batch).astype(int)
        images = rng.integers(bright.reshape(1, -1, 1, 1, 1), size=(*target.shape, *shape))
    return Arrays(
        images=images.astype(np.uint8),
        label_in=label_in,
        target=target,
        scored=query,
        labelled=~query,
        seen=np.where(query, k_shot, 0),
        task=np.zeros(len(target), np.int64),
    )


def classifier(core="srwm", seed=0, **options):
    torch.manual_seed(seed)
    sections = {"lstm": {"hidden_size": 8}, "srwm": SMALL, "delta": SMALL}
    config = {"core": core, "backbone": {"channels": 32}, **sections, **options}
    return make_classifier(ClassifierConfig.model_validate(config), SHAPE, N)


class Ideal(nn.Module):
    """A backbone that has nothing left to learn: an image is a vector of features."""

    def __init__(self, features):
        super().__init__()
        self.features = features

    def forward(self, images):
        return images.flatten(1).float() / 64


def ideal_episodes(rng, batch, features, n_query):
    """Return 1-shot episodes of noisy drawings of class vectors that are new in each of them."""
    seed = int(rng.integers(2**31))
    target = episodes(seed, batch, 1, n_query, (1, 1, features)).target
    classes = rng.normal(size=(batch, N, features))
    chosen = classes[np.arange(batch), target]  # [T, B, F]
    noisy = np.maximum(chosen + 0.3 * rng.normal(size=chosen.shape), 0) * 64
    images = np.clip(noisy, 0, 255)[:, :, None, None]
    return episodes(seed, batch, 1, n_query, images=images)
