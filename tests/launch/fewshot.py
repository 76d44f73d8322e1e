"""Tiny few-shot data and runs: a class is a random pattern, a picture of it has noise."""

import numpy as np
from PIL import Image

from tests.launch.runs import main, write_config

SIZE = 16  # pixels, the least that Conv-4 reads
CLASSES = {"train": 6, "validation": 5, "test": 5}

SYNCHRONOUS = {
    "total_frames": 40,
    "log_every_frames": 20,
    "episodes": {
        "tasks": [{"name": "folder", "root": "images"}],
        "n_way": 2,
        "k_shot": 1,
        "n_query": 3,
        "unknown_label": True,
    },
    "classifier": {
        "backbone": {"channels": 32},
        "core": "srwm",
        "srwm": {"hidden_size": 16, "heads": 2, "layers": 1},
        "lstm": {"hidden_size": 16},
    },
    "learner": {"batch_size": 4},
    "validation": {"every_frames": 20, "episodes": 10},
    "launch": {"learner_threads": 1},
    "checkpoint": {"every_frames": 20, "keep": 99},
}
# Two tasks of two classes with two pictures each: T = 8.
SEQUENTIAL = {
    **SYNCHRONOUS,
    "total_frames": 64,
    "episodes": {
        "tasks": [{"name": "folder", "root": "images"}, {"name": "folder", "root": "others"}],
        "n_way": 2,
        "k_shot": 2,
        "labels": "delayed",
        "task_order": "random",
    },
}


def write_images(root, classes=CLASSES, pictures=5, noise=20.0, seed=0):
    """Write SPLIT/CLASS/*.png: patterns of 4x4 cells, black or white, with normal noise."""
    rng = np.random.default_rng(seed)
    for split, count in classes.items():
        for label in range(count):
            folder = root / split / f"class{label:03}"
            folder.mkdir(parents=True)
            cells = 64 + 128 * rng.integers(2, size=(4, 4))
            pattern = np.kron(cells, np.ones((SIZE // 4, SIZE // 4)))
            for number in range(pictures):
                pixels = pattern + rng.normal(0, noise, pattern.shape)
                image = Image.fromarray(np.clip(pixels, 0, 255).astype(np.uint8))
                image.save(folder / f"{number}.png")


def train_fewshot(folder, tree, name):
    """Train a new run in `folder` and return where it is."""
    run = folder / name
    config = write_config(folder / f"{name}.yaml", {**tree, "run_dir": str(run)})
    assert main("fewshot", str(config)) == 0
    return run
