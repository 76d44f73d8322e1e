"""Mini-ImageNet, FC100 and tieredImageNet from pickles of plain data."""

from __future__ import annotations

import pickle
import tarfile

import numpy as np
import pytest

from envs.fewshot import safe_pickle
from tests.envs.fewshot import tiny
from tests.envs.fewshot.loading import load, refused, shades, wanted


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c.pop("class_dict"), "has no keys image_data and class_dict"),
        (lambda c: c["class_dict"].popitem(), "has 15 classes, not 16"),
        (lambda c: c["class_dict"]["n00000003"].pop(), "does not name each of 48 pictures once"),
        (lambda c: c["class_dict"]["n00000003"].__setitem__(0, 99), "each of 48 pictures once"),
        (lambda c: c["class_dict"].__setitem__("n00000003", "abc"), "cannot be read (ValueError"),
        (
            lambda c: c["class_dict"]["n00000004"].append(c["class_dict"]["n00000003"].pop()),
            "class 'n00000003' has 2 pictures and others have 4",
        ),
        (lambda c: c.update(image_data=c["image_data"][:, :80]), "uint8 [48, 80, 84, 3]"),
        (lambda c: c.update(image_data=c["image_data"] / 255), "float64 [48, 84, 84, 3]"),
    ],
)
def test_miniimagenet_faults_are_named(tmp_path, change, problem):
    content = tiny.miniimagenet_content(16)
    change(content)
    path = tmp_path / "mini-imagenet-cache-val.pkl"
    path.write_bytes(pickle.dumps(content))
    refused("miniimagenet", tmp_path, problem, split="validation")


def test_fc100_joins_train_and_test_by_superclass(data):
    source = load("fc100", data["fc100"], "test")
    coarse = tiny.cifar_content()["meta"]["coarse_label_names"]
    fine = np.random.default_rng(0).permutation(100)
    for name, got in zip(source.names, shades(source), strict=True):
        superclass, label = name.split("/fine")
        assert superclass in ("aquatic_mammals", "insects", "medium_mammals", "people")
        assert int(label) // 5 == coarse.index(superclass)
        assert got == wanted([int(label)])[0]
    assert sorted(fine) == list(range(100))


def test_fc100_pixels_are_planes_of_red_green_and_blue(tmp_path):
    content = tiny.cifar_content()
    planes = np.arange(3072, dtype=np.uint16).reshape(3, 32, 32) % 251
    content["train"]["data"][:] = planes.reshape(-1).astype(np.uint8)
    content["test"]["data"][:] = planes.reshape(-1).astype(np.uint8)
    tiny.write_cifar(tmp_path, content)
    picture = load("fc100", tmp_path).pixels[0]
    assert picture[3, 5].tolist() == [planes[channel, 3, 5] for channel in range(3)]


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (lambda c: c.pop("test"), "has no cifar-100-python/test"),
        (lambda c: c["meta"]["coarse_label_names"].remove("people"), "outside of its 19"),
        (lambda c: c["meta"]["coarse_label_names"].__setitem__(15, "x"), "superclass 'reptiles'"),
        (lambda c: c["train"].pop("fine_labels"), "cannot be read (KeyError"),
        (lambda c: c["train"]["fine_labels"].pop(), "not one label for each of its 300 pictures"),
        (lambda c: c["train"].update(data=c["train"]["data"][:, :99]), "cannot be read"),
    ],
)
def test_fc100_faults_are_named(tmp_path, change, problem):
    content = tiny.cifar_content()
    change(content)
    tiny.write_cifar(tmp_path, content)
    refused("fc100", tmp_path, "cifar-100-python.tar.gz", problem)


def test_fc100_reads_no_file_outside_of_its_archive(tmp_path):
    """A link in the archive to a file elsewhere is not followed."""
    tiny.write_cifar(tmp_path)
    with tarfile.open(tmp_path / "cifar-100-python.tar.gz", "w:gz") as archive:
        link = tarfile.TarInfo("cifar-100-python/train")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    refused("fc100", tmp_path, "has no cifar-100-python/meta")


def test_tieredimagenet_faults_are_named(data, tmp_path):
    source = data["tieredimagenet"]
    labels = pickle.loads((source / "val_labels.pkl").read_bytes())
    images = pickle.loads((source / "val_images_png.pkl").read_bytes())

    def rewrite(labels, images):
        (tmp_path / "val_labels.pkl").write_bytes(pickle.dumps(labels))
        (tmp_path / "val_images_png.pkl").write_bytes(pickle.dumps(images))

    def is_refused(*parts):
        refused("tieredimagenet", tmp_path, *parts, split="validation")

    rewrite(labels, images[1:])
    is_refused("val_images_png.pkl has 290 pictures and val_labels.pkl 291")
    rewrite(labels, [*images[:5], b"no picture", *images[6:]])
    is_refused(f"of class 'name {labels['label_specific'][5]}' cannot be read")
    rewrite({**labels, "label_specific_str": labels["label_specific_str"][1:]}, images)
    is_refused("val_labels.pkl names 96 classes, not 97")
    rewrite({**labels, "label_specific": labels["label_specific"] + 1}, images)
    is_refused("label_specific of val_labels.pkl has labels outside of its 97 classes")
    rewrite({**labels, "label_specific": np.maximum(labels["label_specific"], 1)}, images)
    is_refused("class 'name 0' has no pictures")
    rewrite([labels], images)
    is_refused("val_labels.pkl cannot be read")


@pytest.mark.parametrize("name", ["miniimagenet", "fc100", "tieredimagenet"])
def test_loaders_use_the_safe_reader(data, name, monkeypatch):
    """None of them has another way to read a pickle."""

    def refuse(file):
        raise pickle.UnpicklingError("asked the safe reader")

    monkeypatch.setattr(safe_pickle, "load", refuse)
    refused(name, data[name], "asked the safe reader")
