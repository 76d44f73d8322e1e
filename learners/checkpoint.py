"""Checkpoints: write and read a tree of arrays and values as a folder, whole or not at all.

checkpoints/000001000000/        the frames it was taken at
    tensors.safetensors          every array
    state.json                   everything else; {"$tensor": NAME} stands for an array
    SHA256SUMS                   of both, as `sha256sum -c` reads them
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load as load_tensors
from safetensors.torch import save_file

TENSORS, STATE, SUMS = "tensors.safetensors", "state.json", "SHA256SUMS"
NAME = re.compile("[0-9]+")  # not isdigit(): that is true of signs which int() does not read


class CheckpointError(Exception):
    """A checkpoint cannot be read."""


def save(folder: Path, tree: dict[str, Any]) -> None:
    """Write a tree of dicts, lists, tensors, arrays, bytes and plain values as one checkpoint.

    It is written beside, flushed to the disk, and renamed: a folder of that name is always whole.
    A whole checkpoint of that name is kept: it is the same run after the same frames.
    """
    if os.path.lexists(folder):
        try:
            load(folder)
            return
        except CheckpointError:
            remove(folder)
    tensors: dict[str, torch.Tensor] = {}
    skeleton = _take_tensors(tree, "", tensors)
    beside = folder.with_name(f".{folder.name}.tmp")
    remove(beside)
    beside.mkdir(parents=True)
    try:
        save_file(tensors, beside / TENSORS)
        (beside / STATE).write_text(json.dumps(skeleton))
        sums = "".join(f"{_sha256(beside / name)}  {name}\n" for name in (TENSORS, STATE))
        (beside / SUMS).write_text(sums)
        for path in (beside / TENSORS, beside / STATE, beside / SUMS, beside):
            _flush(path)
        beside.rename(folder)
        _flush(folder.parent)
    finally:
        shutil.rmtree(beside, ignore_errors=True)


def load(folder: Path) -> dict[str, Any]:
    """Read what `save` wrote, every array as a CPU tensor.

    Raises:
        CheckpointError: if a file is missing, or is not the one that was written.
    """
    try:
        lines = _read(folder / SUMS).decode().splitlines()
        sums = {name: digest for digest, name in (line.split("  ", 1) for line in lines)}
        # Read once, not mapped: what was checked is what is loaded, and the file may go away.
        contents = {name: _read(folder / name) for name in (TENSORS, STATE)}
        for name, content in contents.items():
            if hashlib.sha256(content).hexdigest() != sums[name]:
                raise CheckpointError(f"{folder / name} is damaged: its checksum differs")
        tree = _put_tensors(json.loads(contents[STATE]), load_tensors(contents[TENSORS]))
    # RecursionError, TypeError: JSON that is nested too deeply, or whose $tensor is no name.
    except (OSError, ValueError, KeyError, TypeError, RecursionError, SafetensorError) as error:
        raise CheckpointError(f"{folder} is incomplete or damaged: {error}") from error
    if not isinstance(tree, dict):
        raise CheckpointError(
            f"{folder / STATE} is damaged: expected an object, found {type(tree).__name__}"
        )
    return tree


def saved(root: Path) -> list[Path]:
    """Return the checkpoints under `root`, newest first."""
    if not root.is_dir():
        return []
    return sorted((path for path in root.iterdir() if NAME.fullmatch(path.name)), reverse=True)


def readable(root: Path) -> Iterator[tuple[Path, dict[str, Any] | CheckpointError]]:
    """Yield each checkpoint, newest first, with its tree or with why it cannot be read."""
    for folder in saved(root):
        try:
            yield folder, load(folder)
        except CheckpointError as error:
            yield folder, error


def prune(written: Path, keep: int) -> None:
    """Keep `keep` checkpoints, and remove what a killed process left unfinished.

    Args:
        written: the checkpoint that was just written. It is kept, with the newest of the others
            beside it: one of those may have a higher number, and be damaged.
        keep: how many in all.
    """
    root = written.parent
    others = [folder for folder in saved(root) if folder != written]
    for folder in (*others[keep - 1 :], *root.glob(".*.tmp")):
        remove(folder)


def remove(path: Path) -> None:
    """Remove a checkpoint, or whatever is in its place: a file, a pipe, a link (not its target)."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)


def name_of(frames: int) -> str:
    """Return the folder name of the checkpoint taken at `frames`; names sort by frames."""
    return f"{frames:012d}"


def _take_tensors(node: Any, name: str, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, dict):
        return {
            # A slash inside a key is escaped, as in a JSON pointer: no two arrays share a name.
            key: _take_tensors(
                value, f"{name}/{key.replace('~', '~0').replace('/', '~1')}", tensors
            )
            for key, value in node.items()
        }
    if isinstance(node, list | tuple):
        return [_take_tensors(value, f"{name}/{i}", tensors) for i, value in enumerate(node)]
    if isinstance(node, bytes):
        node = np.frombuffer(node, np.uint8)
    if isinstance(node, np.ndarray):
        tensors[name] = torch.from_numpy(np.array(node, order="C"))  # Ray's cannot be written to
    elif isinstance(node, torch.Tensor):
        tensors[name] = node.detach().cpu().contiguous().clone()
    else:
        return node
    return {"$tensor": name}


def _put_tensors(node: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(node, dict):
        if node.keys() == {"$tensor"}:
            return tensors[node["$tensor"]]
        return {key: _put_tensors(value, tensors) for key, value in node.items()}
    if isinstance(node, list):
        return [_put_tensors(value, tensors) for value in node]
    return node


def _read(path: Path) -> bytes:
    if path.exists() and not path.is_file():  # a pipe would be waited for, a device never ends
        raise OSError(f"{path} is not a file")
    return path.read_bytes()


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        digest = hashlib.sha256()
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _flush(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
