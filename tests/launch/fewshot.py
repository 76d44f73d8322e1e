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


def pattern_images(rng, classes, pictures, noise):
    """Return [classes, pictures, SIZE, SIZE] uint8: 4x4 cells, each dark or light, with noise."""
    cells = 64 + 128 * rng.integers(2, size=(classes, 1, 4, 4))
    patterns = cells.repeat(SIZE // 4, axis=2).repeat(SIZE // 4, axis=3)
    images = patterns + rng.normal(0, noise, (classes, pictures, SIZE, SIZE))
    return np.clip(images, 0, 255).astype(np.uint8)


def write_images(root, seed=0):
    """Write SPLIT/CLASS/*.png, five pictures of each class."""
    rng = np.random.default_rng(seed)
    for split, classes in CLASSES.items():
        for label, pictures in enumerate(pattern_images(rng, classes, 5, noise=20)):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for number, pixels in enumerate(pictures):
                Image.fromarray(pixels).save(folder / f"{number}.png")


def train_fewshot(folder, tree, name):
    """Train a new run in `folder` and return where it is."""
    run = folder / name
    config = write_config(folder / f"{name}.yaml", {**tree, "run_dir": str(run)})
    assert main("fewshot", str(config)) == 0
    return run
