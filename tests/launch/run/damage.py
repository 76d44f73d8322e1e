"""Checkpoints that are damaged, or forged with checksums that fit, in hundreds of ways.

Each kind is a function that is given the content of the good files and yields functions that damage
the folder of a checkpoint.
"""

import functools
import itertools
import json
import os
import pickle
import random
import shutil
import struct
from hashlib import sha256

import torch

FILES = ("tensors.safetensors", "state.json", "SHA256SUMS")
BEFORE, NEWEST = 300, 400
OTHERS = (100, 200, 300)
CANARY = "canary"


def sign(folder):
    """Write the checksums of what is there, as a forger would."""
    lines = [f"{sha256((folder / name).read_bytes()).hexdigest()}  {name}\n" for name in FILES[:2]]
    (folder / "SHA256SUMS").write_text("".join(lines))


def write(name, content, signed=False):
    def damage(folder):
        (folder / name).write_bytes(content)
        if signed:
            sign(folder)

    return damage


def write_state(tree):
    text = tree if isinstance(tree, str) else json.dumps(tree)
    return write("state.json", text.encode(), signed=True)


class Evil:
    """Makes a folder when it is unpickled."""

    def __reduce__(self):
        return os.mkdir, (CANARY,)


# Damage that the checksums show: the checkpoint before is taken.


def cut(good):
    for name in FILES:
        size = len(good[name])
        for at in {0, 1, 7, 8, 9, size - 1, *(size * i // 30 for i in range(30))}:
            yield write(name, good[name][:at])


def longer(good):
    for name, more in itertools.product(FILES, (b"\0", b"\n", b"{}", b"x" * 1000)):
        yield write(name, good[name] + more)


def flipped(good):
    chance = random.Random(0)
    for name in FILES:
        for _ in range(60):
            content = bytearray(good[name])
            content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
            yield write(name, bytes(content))


def overwritten(good):
    """A block of the disk holds something else."""
    chance = random.Random(1)
    for name, filling in itertools.product(FILES, (b"\0", b"\xff", None)):
        for length in (16, 64, 512):
            content = bytearray(good[name])
            at = chance.randrange(len(content))
            block = filling * length if filling else chance.randbytes(length)
            content[at : at + length] = block[: len(content) - at]
            yield write(name, bytes(content))


def swapped(_):
    """Files, or all of them, are those of another checkpoint of the run."""

    def swap(frames, names):
        def damage(folder):
            for name in names:
                shutil.copy(folder.with_name(f"{frames:012d}") / name, folder / name)

        return damage

    for frames, number in itertools.product(OTHERS, (1, 2, 3)):
        for names in itertools.combinations(FILES, number):
            yield swap(frames, names)


def of_another_type(_):
    def replace(name, make):
        def damage(folder):
            (folder / name).unlink()
            make(folder / name)

        return damage

    def whole(make):
        def damage(folder):
            shutil.rmtree(folder)
            make(folder)

        return damage

    makers = {
        "missing": lambda path: None,
        "folder": lambda path: path.mkdir(),
        "pipe": os.mkfifo,
        "dangling link": lambda path: path.symlink_to("nowhere"),
        "link to itself": lambda path: path.symlink_to(path.name),
        "link to a device": lambda path: path.symlink_to("/dev/zero"),
        "link to another file": lambda path: path.symlink_to(__file__),
    }
    for name, make in itertools.product(FILES, makers.values()):
        yield replace(name, make)
    for make in [
        *(make for kind, make in makers.items() if kind != "missing"),
        lambda path: path.write_bytes(b""),
        lambda path: path.symlink_to(f"{BEFORE:012d}"),
    ]:
        yield whole(make)


def hostile(_):
    for name in FILES:
        yield write(name, pickle.dumps(Evil()))
        yield lambda folder, name=name: torch.save(Evil(), folder / name)
        yield write(name, b"#!/bin/sh\nmkdir canary\n")
        yield write(name, b"import os; os.mkdir('canary')\n")
        yield write(name, b"!!python/object/apply:os.mkdir [canary]\n")


# Forged content, with checksums that fit.


def forged_tensors(good):
    content = good["tensors.safetensors"]
    (size,) = struct.unpack("<Q", content[:8])
    header = json.loads(content[8 : 8 + size])
    rest = content[8 + size :]

    def with_header(tree):
        text = (tree if isinstance(tree, str) else json.dumps(tree)).encode()
        forged = struct.pack("<Q", len(text)) + text + rest
        return write("tensors.safetensors", forged, signed=True)

    name = next(name for name in header if name != "__metadata__")
    yield write("tensors.safetensors", pickle.dumps(Evil()), signed=True)
    yield write("tensors.safetensors", b"", signed=True)
    for declared in (0, 1, size - 1, size + 1, 2**31, 2**40, 2**63, 2**64 - 1):
        forged = struct.pack("<Q", declared) + content[8:]
        yield write("tensors.safetensors", forged, signed=True)
    for change in [
        {"shape": [2**62]},
        {"shape": [2**31, 2**31, 2**31]},
        {"shape": [-1]},
        {"shape": "all"},
        {"data_offsets": [0, 2**63]},
        {"data_offsets": [2**62, 2**62]},
        {"data_offsets": [8, 0]},
        {"data_offsets": []},
        {"dtype": "object"},
        {"dtype": "F4"},
        {"dtype": 3},
        None,
    ]:
        yield with_header({**header, name: change and {**header[name], **change}})
    for text in ("null", "[]", "{}", "3", "[" * 10**5, '{"a": ' * 10**5, '"' * 100):
        yield with_header(text)
    yield with_header({key: value for key, value in header.items() if key != name})


def forged_json(good):
    state = json.loads(good["state.json"])
    deep = "[" * 10**5
    for text in (
        *("null", "true", "3", '"text"', "[]", "{}", '["format"]', "[[1, 2]]", deep, "NaN", ""),
        *('{"$tensor": 3}', '{"$tensor": []}', '{"$tensor": {}}', '{"$tensor": "none"}'),
        *('{"$tensor": "/learner/torch_rng"}', '{"format": 3}', '{"__class__": "os.system"}'),
        '{"format": ' + "9" * 5000 + "}",
        json.dumps({**state, "learner": "DEEP"}).replace('"DEEP"', deep),
    ):
        yield write_state(text)


def forged_format(good):
    state = json.loads(good["state.json"])
    numbers = [0, -1, 4, 10**30, 3.0, 2.5, "3", "", True, None, [3], {"3": 3}, float("nan")]
    for number in numbers:
        yield write_state({**state, "format": number})


def forged_types(good):
    """A value of another type at each place of the tree that is a run's own."""
    state = json.loads(good["state.json"])
    values = itertools.cycle(["text", True, {"a": 1}, -1.5, [3]])
    for path in places({key: state[key] for key in ("learner", "metrics", "waiting", "turn")}):
        there = functools.reduce(lambda node, key: node[key], path, state)
        if there is not None:  # there is no best score yet
            value = next(value for value in values if type(value) is not type(there))
            yield write_state(replaced(state, path, value))


def forged_gaps(good):
    """A key is missing that every checkpoint has."""
    state = json.loads(good["state.json"])
    learner = [("learner", key) for key in state["learner"]]
    schedule = [("learner", "schedule", key) for key in state["learner"]["schedule"]]
    rollout = [("waiting", 0, key) for key in state["waiting"][0]]
    for path in [("learner",), ("metrics",), ("config",), ("metrics", "elapsed")]:
        yield write_state(replaced(state, path, MISSING))
    for path in (*learner, *schedule, *rollout):
        yield write_state(replaced(state, path, MISSING))


MISSING = object()


def places(node, path=()):
    """Yield the path of every value, of the first and last of a list; not within `$tensor`."""
    if path:
        yield path
    if isinstance(node, dict) and "$tensor" not in node:
        for key, value in node.items():
            yield from places(value, (*path, key))
    elif isinstance(node, list) and node:
        for i in {0, len(node) - 1}:
            yield from places(node[i], (*path, i))


def replaced(node, path, value):
    """Return a copy in which the value at a path is another one, or missing."""
    key, *rest = path
    node = dict(node) if isinstance(node, dict) else list(node)
    if rest:
        node[key] = replaced(node[key], rest, value)
    elif value is MISSING:
        del node[key]
    else:
        node[key] = value
    return node


DAMAGED = [cut, longer, flipped, overwritten, swapped, of_another_type, hostile]
FORGED = [forged_tensors, forged_json, forged_format, forged_types, forged_gaps]
