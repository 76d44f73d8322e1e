"""Small runs, and how the tests start, copy and read them."""

import copy
import json
import shutil
from pathlib import Path

import pytest
import torch
import yaml
from safetensors.torch import load_file

from launch import cli

ROOT = Path(__file__).resolve().parents[2]

# Three environments a worker and batches of four: pieces of rollouts wait at most checkpoints.
TMAZE = {
    "total_frames": 400,
    "log_every_frames": 40,
    "envs": {"tasks": ["memory/TMaze-8"]},
    "agent": {
        "encoder": "mlp",
        "core": "srwm",
        "precision": "float32",
        "lstm": {"hidden_size": 16},
        "srwm": {"hidden_size": 16, "layers": 1, "heads": 2},
        "delta": {"hidden_size": 16, "layers": 1, "heads": 2},
    },
    "learner": {"unroll_length": 5, "batch_size": 4},
    "launch": {"mode": "local", "workers": 2, "envs_per_worker": 3, "learner_threads": 1},
    "checkpoint": {"every_frames": 100, "keep": 99},
}
PROCGEN = {
    **TMAZE,
    "total_frames": 150,
    "log_every_frames": 30,
    "envs": {"tasks": ["bigfish", "maze"]},
    "agent": {**TMAZE["agent"], "encoder": "impala_small"},
    "learner": {"unroll_length": 5, "batch_size": 3},
    "launch": {**TMAZE["launch"], "workers": 1, "envs_per_worker": 4},
    "checkpoint": {"every_frames": 75, "keep": 99},
}


def changed(tree, **values):
    """Return a copy in which a key such as learner__batch_size has another value."""
    tree = copy.deepcopy(tree)
    for name, value in values.items():
        *parents, last = name.split("__")
        node = tree
        for parent in parents:
            node = node.setdefault(parent, {})
        node[last] = value
    return tree


def write_config(path, tree):
    path.write_text(yaml.safe_dump(tree))
    return path


def main(*arguments):
    """Run the command line in this process and return its exit status."""
    with pytest.raises(SystemExit) as ended:
        cli.main([*arguments])
    return ended.value.code or 0


def rows(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def without_clock(rows):
    """Drop what depends on how fast the machine is."""
    return [
        {name: x for name, x in row.items() if not name.startswith(("time/", "throughput/"))}
        for row in rows
    ]


def checkpoints(run, kind="checkpoints"):
    """Return the frames of a run's checkpoints, without one that is just being written."""
    names = [folder.name for folder in (run / kind).iterdir()]
    return sorted(int(name) for name in names if not name.startswith("."))


def checkpoint(run, frames):
    return run / "checkpoints" / f"{frames:012d}"


def copy_run(run, to, until=None):
    """Copy a run; with `until`, as it was when its checkpoint at these frames was the last."""
    shutil.copytree(run, to)
    for frames in checkpoints(to):
        if until is not None and frames > until:
            shutil.rmtree(checkpoint(to, frames))
    return to


def damage(folder):
    """Change one byte of a checkpoint's tensors."""
    file = folder / "tensors.safetensors"
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)


def train(folder, tree, name):
    """Train a new run in `folder` and return where it is."""
    run = folder / name
    config = write_config(folder / f"{name}.yaml", {**tree, "run_dir": str(run)})
    assert main("train", str(config)) == 0
    return run


def tensors(run, frames):
    return load_file(checkpoint(run, frames) / "tensors.safetensors")


def plain_values(run, frames):
    tree = json.loads((checkpoint(run, frames) / "state.json").read_text())
    del tree["config"]["run_dir"]
    metrics = tree["metrics"]  # without the wall clock
    row = metrics["row"]
    del metrics["elapsed"], row["seconds"]
    row.pop("acting_seconds", None)
    row["learner"].pop("time/update", None)
    return tree


def assert_same_checkpoint(one, other, frames):
    """Learner, optimiser, environments, waiting rollouts, counters: bit for bit."""
    ours, theirs = tensors(one, frames), tensors(other, frames)
    assert ours.keys() == theirs.keys()
    for name, tensor in ours.items():
        assert torch.equal(tensor, theirs[name]), name
    assert plain_values(one, frames) == plain_values(other, frames)


def assert_resumes_as_uninterrupted(run, to, middle, last):
    """Resume a copy from its checkpoint in the middle; return the copy."""
    # There is something to go wrong: pieces of rollouts wait for their batch.
    assert plain_values(run, middle)["waiting"]
    resumed = copy_run(run, to, until=middle)
    assert checkpoints(resumed)[-1] == middle
    assert main("train", "--resume", str(resumed)) == 0
    assert checkpoints(resumed) == checkpoints(run)
    assert without_clock(rows(resumed)) == without_clock(rows(run))
    assert_same_checkpoint(run, resumed, last)
    return resumed
