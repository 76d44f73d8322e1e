"""Tiny data sets in each of the formats that users have; every picture says what it is.

All pixels of a picture have one value, `shade(class, picture)`, so that a test can tell from the
pixels which class and which of its pictures it has got.
"""

from __future__ import annotations

import io
import pickle
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from envs.fewshot import fc100, miniimagenet, tieredimagenet
from envs.fewshot.files import SHORT_NAMES
from envs.fewshot.images import Split
from envs.fewshot.omniglot_split import characters

SPLITS: tuple[Split, ...] = ("train", "validation", "test")

PICTURES = 3
"""Of each class."""


def shade(label: int, number: int, pictures: int = PICTURES) -> int:
    """Return the grey value of a picture; classes repeat after 80."""
    return (label * pictures + number) % 240


def encoded(value: int | tuple[int, ...], size: tuple[int, int], form: str = "PNG") -> bytes:
    """Return an even picture, grey or of colour `value`, as a file."""
    buffer = io.BytesIO()
    Image.new("L" if isinstance(value, int) else "RGB", size, value).save(buffer, form)
    return buffer.getvalue()


def write_folder(root: Path, *, classes: int = 5, size: int = 28, validation: str = "val") -> None:
    for split in ("train", validation, "test"):
        for label in range(classes):
            folder = root / split / f"class{label}"
            folder.mkdir(parents=True)
            for number in range(PICTURES):
                picture = encoded(shade(label, number), (size, size))
                (folder / f"{number}.png").write_bytes(picture)


def write_omniglot(root: Path) -> None:
    archives = {
        name: zipfile.ZipFile(root / f"{name}.zip", "w")
        for name in ("images_background", "images_evaluation")
    }
    for split in SPLITS:
        for label, (archive, alphabet, character) in enumerate(characters(split)):
            for number in range(PICTURES):
                name = f"{archive}/{alphabet}/{character}/{label:04}_{number:02}.png"
                picture = encoded(255 - shade(label, number), (105, 105))
                archives[archive].writestr(name, picture)
    for file in archives.values():
        file.close()


def miniimagenet_content(classes: int) -> dict[str, Any]:
    """Classes are shuffled: the pictures of a class do not lie together."""
    order = np.random.default_rng(0).permutation(classes * PICTURES)
    images = np.empty((len(order), 84, 84, 3), np.uint8)
    class_dict: dict[str, list[int]] = {}
    for label in range(classes):
        rows = order[label * PICTURES : (label + 1) * PICTURES]
        class_dict[f"n{label:08}"] = rows.tolist()
        for number, row in enumerate(rows):
            images[row] = shade(label, number)
    return {"image_data": images, "class_dict": class_dict}


def write_miniimagenet(root: Path) -> None:
    for split, short in SHORT_NAMES.items():
        content = miniimagenet_content(miniimagenet.CLASSES[split])
        (root / f"mini-imagenet-cache-{short}.pkl").write_bytes(pickle.dumps(content))


def cifar_content() -> dict[str, dict[str, Any]]:
    """The three dictionaries of CIFAR-100; two pictures of a class are in train, one in test."""
    coarse = sorted(name for names in fc100.SUPERCLASSES.values() for name in names)
    fine = np.random.default_rng(0).permutation(100)

    def part(numbers: range) -> dict[str, Any]:
        labels = [label for label in range(100) for _ in numbers]
        shades = [shade(label, number) for label in range(100) for number in numbers]
        return {
            "data": np.repeat(np.array(shades, np.uint8)[:, None], 3072, axis=1),
            "fine_labels": [int(fine[label]) for label in labels],
            "coarse_labels": [label // 5 for label in labels],
        }

    names = [f"fine{label}" for label in np.argsort(fine)]
    meta = {"fine_label_names": names, "coarse_label_names": coarse}
    return {"meta": meta, "train": part(range(2)), "test": part(range(2, PICTURES))}


def write_cifar(root: Path, content: dict[str, dict[str, Any]] | None = None) -> None:
    with tarfile.open(root / "cifar-100-python.tar.gz", "w:gz") as archive:
        for name, part in (content or cifar_content()).items():
            data = pickle.dumps(part, protocol=2)
            info = tarfile.TarInfo(f"cifar-100-python/{name}")
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))


def write_tieredimagenet(root: Path) -> None:
    for split, short in SHORT_NAMES.items():
        classes = tieredimagenet.CLASSES[split]
        labels = np.random.default_rng(0).permutation(np.repeat(np.arange(classes), PICTURES))
        numbers = np.zeros(classes, int)
        images = []
        for label in labels:
            data = encoded((shade(label, numbers[label]),) * 3, (84, 84))
            images.append(np.frombuffer(data, np.uint8)[:, None])
            numbers[label] += 1
        names = [f"name {label}" for label in range(classes)]
        content = {"label_specific": labels, "label_specific_str": names}
        (root / f"{short}_labels.pkl").write_bytes(pickle.dumps(content, protocol=2))
        (root / f"{short}_images_png.pkl").write_bytes(pickle.dumps(images, protocol=2))
