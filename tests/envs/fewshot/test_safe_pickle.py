"""The reader of pickles: arrays and plain data come back, and hostile files run nothing."""

from __future__ import annotations

import io
import os
import pickle
import shutil
import struct
from collections import OrderedDict

import numpy as np
import pytest

from envs.fewshot import DataConfig, DataError, load_source, safe_pickle
from tests.envs.fewshot.tiny import miniimagenet_content, write_cifar, write_tieredimagenet

CONTENT = {
    "bytes": np.arange(12, dtype=np.uint8).reshape(3, 4),
    "columns first": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.arange(1000, dtype=">i4"),
    "truth": np.array([True, False]),
    "text": np.array(["ab", "c"]),
    "objects": np.array([["x", 3]], dtype=object),
    "number": np.int64(-3),
    "plain": [1, 2.5, None, True, (), ("é", b"\xff\x00"), {"a": []}, 2**70],
}


def load(data):
    return safe_pickle.load(io.BytesIO(data))


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_arrays_and_plain_data_come_back(protocol):
    got = load(pickle.dumps(CONTENT, protocol))
    assert got.keys() == CONTENT.keys()
    assert got.pop("plain") == CONTENT["plain"]
    for key, value in got.items():
        np.testing.assert_array_equal(np.asarray(value), CONTENT[key])
        assert np.asarray(value).dtype.kind == CONTENT[key].dtype.kind


def test_a_pickle_of_python_2_and_one_of_numpy_2_come_back():
    """Written by hand: Python 2 has strings of bytes, numpy 2 another name of its module."""
    array = (
        b"cnumpy._core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(K\x00tU\x01bt\x52"
        b"(K\x01K\x02K\x02\x86cnumpy\ndtype\n(U\x02u1K\x00K\x01t\x52"
        b"(K\x03U\x01|NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x04\x00\x7f\x80\xfftb"
    )
    got = load(b"\x80\x02}U\x04data" + array + b"s.")
    assert list(got) == ["data"]
    np.testing.assert_array_equal(np.asarray(got["data"]), [[0, 127], [128, 255]])


class Calls:
    """Pickled as a call of `function` with `arguments`."""

    def __init__(self, function, *arguments, state=None):
        self.parts = (function, arguments, state)

    def __reduce__(self):
        return self.parts


def hostile(marker):
    """Pickles that make the file `marker`, or break something, where names are looked up."""
    touch = f"touch {marker}"
    python = f"open({marker!r}, 'w').close()"
    array = np.zeros(3, np.uint8)
    objects = [
        Calls(os.system, touch),
        Calls(eval, python),
        Calls(exec, python),
        Calls(open, marker, "w"),
        Calls(getattr, os, "system"),
        Calls(shutil.copy, __file__, marker),
        Calls(np.save, marker, 1),
        Calls(np.ndarray.tofile, array, marker),
        Calls(np.memmap, marker, np.uint8, "w+", 0, (1,)),
        Calls(pickle.loads, pickle.dumps(Calls(os.system, touch))),
        Calls(os.system, touch, state={"a": 1}),
        {"image_data": array, "class_dict": {"a": [Calls(eval, python)]}},
        np.array([Calls(eval, python)], dtype=object),
        [[[(Calls(os.system, touch),)]]],
        {(1, Calls(os.system, touch)): 2},
        OrderedDict(a=1),
        np.dtype([("a", "u1")]),
        np.ma.masked_array(array),
    ]
    for protocol in (0, 2, pickle.HIGHEST_PROTOCOL):
        for value in objects:
            # A module cannot be pickled (getattr's argument), nor some values by old protocols.
            try:
                yield pickle.dumps(value, protocol)
            except (TypeError, pickle.PicklingError):
                continue
    yield from by_hand(os.fsencode(touch), os.fsencode(python))


def by_hand(touch, python):
    """Opcodes that pickle.dumps does not write today."""
    text = b"X" + struct.pack("<I", len(touch)) + touch
    code = b"X" + struct.pack("<I", len(python)) + python
    yield b"(S'" + touch + b"'\nios\nsystem\n."  # INST
    yield b"(cos\nsystem\n" + text + b"o."  # OBJ
    yield b"cos\nsystem\n" + text + b"\x85\x52."  # REDUCE
    yield b"c__builtin__\neval\n" + code + b"\x85\x52."  # Python 2's name
    yield b"\x80\x04\x8c\x08builtins\x8c\x04eval\x93" + code + b"\x85\x52."  # STACK_GLOBAL
    yield b"\x80\x04\x8c\x05numpy\x8c\x14core.multiarray.os.x\x93."  # a path of attributes
    yield b"cnumpy.core.multiarray\nos.system\n" + text + b"\x85\x52."
    yield b"cnumpy.f2py.diagnose\nrun_command\n" + text + b"\x85\x52."
    yield b"cnumpy.testing._private.utils\nrunstring\n" + code + b"}\x86\x52."
    yield b"c_codecs\nencode\n" + text + b"\x8c\x06utf_16\x86\x52."  # another codec
    yield b"cnumpy\nndarray\n(J\xff\xff\xff\x7ft\x81."  # NEWOBJ of a huge array
    yield b"cnumpy\nndarray\n(J\xff\xff\xff\x7ft\x52."
    yield b"Ppersistent\n."  # PERSID
    yield text + b"Q."  # BINPERSID
    yield b"\x82\x01."  # EXT1
    yield b"cnumpy\ndtype\n}X\x01\x00\x00\x00aK\x01sb."  # a state for our own function
    yield b"cnumpy\ndtype\nN}X\x08\x00\x00\x00__code__K\x01s\x86b."
    yield b"\x8e" + struct.pack("<Q", 2**62) + b"a."  # BINBYTES8 of 4 exabytes
    yield b"\x8d" + struct.pack("<Q", 2**40) + b"a."  # BINUNICODE8 of 1 terabyte
    yield b"\x95" + struct.pack("<Q", 2**63) + b"a."  # FRAME
    yield b"\x8b" + struct.pack("<i", 2**31 - 1) + b"a."  # LONG4
    yield b"Nr" + struct.pack("<I", 2**32 - 1) + b"0j" + struct.pack("<I", 2**32 - 2) + b"."
    yield b"I" + b"9" * 100_000 + b"\n."


def array_of(code, shape, data):
    """A pickle of an array with a type, shape and data that need not fit together."""
    marks = Calls(
        safe_pickle._reconstruct,
        safe_pickle._ndarray,
        (0,),
        b"b",
        state=(1, shape, Calls(safe_pickle._dtype, code, False, True), False, data),
    )
    written = pickle.dumps(marks, 2)
    for own, name in (
        (b"_reconstruct", b"numpy.core.multiarray\n_reconstruct"),
        (b"_ndarray", b"numpy\nndarray"),
        (b"_dtype", b"numpy\ndtype"),
    ):
        written = written.replace(b"cenvs.fewshot.safe_pickle\n" + own, b"c" + name)
    return written


def test_hostile_pickles_run_nothing(tmp_path):
    marker, file = tmp_path / "marker", tmp_path / "data.pkl"
    count = 0
    for data in hostile(str(marker)):
        file.write_bytes(data)  # of a file, huge lengths are asked for at once
        with file.open("rb") as opened, pytest.raises(Exception):  # noqa: B017
            safe_pickle.load(opened)
        assert not marker.exists(), data
        count += 1
    assert count > 50


def test_the_first_of_them_are_hostile(tmp_path):
    """The test above can fail: Python's own reader runs them."""
    marker = tmp_path / "marker"
    pickle.loads(next(iter(hostile(str(marker)))))
    assert marker.exists()


def test_an_array_of_another_shape_or_type_is_refused():
    np.testing.assert_array_equal(
        np.asarray(load(array_of("u2", (2,), b"\x01\x00\x02\x00"))), [1, 2]
    )
    for code, shape, data in [
        ("u2", (3,), b"\x01\x00\x02\x00"),  # beyond its data
        ("u1", (2**40,), b"ab"),
        ("u1", (-2,), b"ab"),
        ("u1", (True, 2), b"ab"),
        ("u1", [2], b"ab"),
        ("u1", (2,), ["a", "b"]),
        ("O8", (2,), b"\x00" * 16),  # bytes as pointers
        ("O8", (3,), ["a"]),
        ("S0", (2**40,), b""),
        ("V2", (1,), b"ab"),
        ("u1,O", (1,), b"\x00" * 9),
        ("M8", (1,), b"\x00" * 8),
    ]:
        with pytest.raises(pickle.UnpicklingError):
            load(array_of(code, shape, data))


@pytest.mark.parametrize("name", ["miniimagenet", "fc100", "tieredimagenet"])
def test_a_hostile_data_set_is_one_line(name, tmp_path):
    """Each loader refuses it, saying what the pickle asked for."""
    marker = tmp_path / "marker"
    bomb = Calls(os.system, f"touch {marker}")
    if name == "fc100":
        write_cifar(tmp_path, {"meta": {"a": bomb}, "train": {}, "test": {}})
    elif name == "tieredimagenet":
        write_tieredimagenet(tmp_path)
        (tmp_path / "train_images_png.pkl").write_bytes(pickle.dumps([bomb]))
    else:
        content = {**miniimagenet_content(64), "extra": bomb}
        (tmp_path / "mini-imagenet-cache-train.pkl").write_bytes(pickle.dumps(content))
    with pytest.raises(DataError, match=r"it asks for \w+\.system; only numpy arrays") as caught:
        load_source(DataConfig(name=name, root=str(tmp_path)), "train")
    assert "\n" not in str(caught.value)
    assert not marker.exists()


def test_damaged_pickles_raise_and_do_no_more():
    """Bits flipped and bytes lost at random: an exception, or data; no crash, little memory."""
    rng = np.random.default_rng(0)
    whole = [pickle.dumps(CONTENT, protocol) for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    refused = 0
    for trial in range(2000):
        data = bytearray(whole[trial % len(whole)])
        for place in rng.integers(len(data), size=rng.integers(1, 4)):
            data[place] ^= 1 << rng.integers(8)
        try:
            load(bytes(data[: rng.integers(len(data) // 2, len(data) + 1)]))
        except Exception:
            refused += 1
    assert refused > 1000
