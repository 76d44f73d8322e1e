"""Fill in the files that start a run beyond this machine: SLURM, `ray up`, KubeRay."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from launch.config.source import load_config, override_keys
from launch.errors import UserError

PLACEHOLDER = re.compile(r"\{\{ (\w+) \}\}")
# What needs no quotes in YAML, in a shell and in a `#SBATCH` line, and is no Kubernetes name's end.
PLAIN = re.compile(r"[A-Za-z0-9](?:[\w./:@-]*[A-Za-z0-9])?")
GIGABYTES_PER_CPU = 2  # of memory: what a worker and Ray's object store need, with room


class DeployFile(NamedTuple):
    """A file with placeholders `{{ name }}`."""

    file: str
    """Its name, beside this module."""
    run_dir: str
    """Where a run is kept: `{name}` stands for the run's name."""
    defaults: Mapping[str, str]
    """What is filled in where nothing else is asked for. Other names are refused."""


FILES = {
    "ray-up": DeployFile(
        "ray-up.yaml",
        "/app/runs/{name}",
        {"image": "srwm:cuda", "gpu_nodes": "g6.4xlarge", "cpu_nodes": "m7i.4xlarge"},
    ),
    "slurm": DeployFile("slurm.sbatch", "runs/{name}", {"gpu_nodes": "gpu", "cpu_nodes": "cpu"}),
    "kuberay": DeployFile("kuberay.yaml", "/app/runs/{name}", {"image": "srwm:cuda"}),
}
"""By the name that `srwm deploy` knows."""


def fill_in(
    kind: str,
    config: str,
    overrides: Sequence[str],
    nodes: int,
    cpus: int,
    chosen: Mapping[str, str],
) -> str:
    """Return the text of a deploy file.

    Args:
        kind: a key of `FILES`.
        config: the run's configuration, as for `srwm train`: a path, or a name in `configs/`.
        overrides: `key=value`, as for `srwm train`.
        nodes: CPU nodes, at most.
        cpus: CPUs of each of these nodes. Every one gets a rollout worker, unless `overrides` set
            `launch.workers`.
        chosen: instead of the file's own defaults.

    Raises:
        UserError: if the configuration is not valid, or a value is not one of the file's, or would
            need quotes.
    """
    deploy = FILES[kind]
    name = _run_name(config)
    keys = override_keys(overrides)
    overrides = list(overrides)
    if "launch.workers" not in keys:
        overrides.append(f"launch.workers={nodes * cpus}")
    if "run_dir" not in keys:
        overrides.append(f"run_dir={deploy.run_dir.format(name=name)}")
    loaded = load_config(config, overrides)
    if loaded.launch.mode != "ray" or loaded.launch.address:
        raise UserError(
            "launch.mode and launch.address: the file sets them, for a run on several nodes; "
            "leave them out"
        )
    command = shlex.join(["srwm", "train", config, *overrides, "--auto-resume"])
    values = {
        **deploy.defaults,
        **_plain(kind, chosen),
        "name": name,
        "command": command,
        "gpus": loaded.learner.devices,
        "nodes": nodes,
        "cpus": cpus,
        "memory": GIGABYTES_PER_CPU * cpus,
        "ray_version": version("ray"),
    }
    text = Path(__file__).with_name(deploy.file).read_text()
    return PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)


def _run_name(config: str) -> str:
    """Return a name that SLURM, Ray and Kubernetes accept."""
    name = re.sub("[^a-z0-9]+", "-", Path(config).stem.lower()).strip("-")
    return f"srwm-{name[:40]}".rstrip("-")


def _plain(kind: str, chosen: Mapping[str, str]) -> Mapping[str, str]:
    for key, value in chosen.items():
        option = "--" + key.replace("_", "-")
        if key not in FILES[kind].defaults:
            raise UserError(f"{option} {value}: {FILES[kind].file} has no place for it")
        if not PLAIN.fullmatch(value):
            raise UserError(f"{option} {value!r}: needs letters, digits and . / : @ _ - only")
    return chosen
