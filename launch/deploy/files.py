"""Fill in the files that start a run beyond this machine: SLURM, `ray up`, KubeRay."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

from launch.config.schema import LoadedConfig
from launch.config.source import load_config, override_keys
from launch.errors import UserError

PLACEHOLDER = re.compile(r"\{\{ (\w+) \}\}")
# What needs no quotes in YAML, in a shell, and in a line of #SBATCH.
PLAIN = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9]([\w./:@-]*\w)?")
GIGABYTES_PER_CPU = 2  # of a CPU node's memory: a rollout worker, and its share of the object store


class DeployFile(NamedTuple):
    """A file with placeholders such as `{{ nodes }}`."""

    file: str
    """Its name; it lies beside this module."""
    overrides: tuple[str, ...]
    """`key=value` for the run, where the user sets no other; `{name}` is the run's name."""
    values: Mapping[str, str]
    """Placeholders that are this file's own, with their defaults."""


FILES = {
    "ray-up": DeployFile(
        "ray-up.yaml",
        ("run_dir=/app/runs/{name}",),
        {"image": "srwm:cuda", "gpu_nodes": "g6.4xlarge", "cpu_nodes": "m7i.4xlarge"},
    ),
    "slurm": DeployFile(
        "slurm.sbatch", ("run_dir=runs/{name}",), {"gpu_nodes": "gpu", "cpu_nodes": "cpu"}
    ),
    "kuberay": DeployFile(
        "kuberay.yaml",
        # A pod sees all cores of its node, not its own eight.
        ("run_dir=/app/runs/{name}", "launch.learner_threads=8"),
        {"image": "srwm:cuda"},
    ),
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
        chosen: instead of the file's own `values`.

    Raises:
        UserError: if there is no such file, the configuration is not one for a cluster, or a chosen
            value has no place in the file or would need quotes.
    """
    if kind not in FILES:
        raise UserError(f"{kind!r}: no such file to deploy; there are {', '.join(FILES)}")
    deploy = FILES[kind]
    name = _run_name(config)
    run = _complete(overrides, (*deploy.overrides, f"launch.workers={nodes * cpus}"), name)
    values = {
        **deploy.values,
        **_checked(chosen, deploy),
        "name": name,
        "command": shlex.join(["srwm", "train", config, *run, "--auto-resume"]),
        "gpus": _cluster_config(config, run).learner.devices,
        "nodes": nodes,
        "cpus": cpus,
        "memory": GIGABYTES_PER_CPU * cpus,
        "ray_version": version("ray"),
    }
    text = Path(__file__).with_name(deploy.file).read_text()
    return PLACEHOLDER.sub(lambda match: str(values[match[1]]), text)


def _run_name(config: str) -> str:
    """Return a name that SLURM, Ray and Kubernetes accept."""
    name = re.sub("[^a-z0-9]+", "-", Path(config).stem.lower())
    return f"srwm-{name[:40]}".rstrip("-")


def _complete(overrides: Sequence[str], more: Sequence[str], name: str) -> list[str]:
    """Return the overrides with those of `more` whose keys they do not set."""
    keys = override_keys(overrides)
    added = [each for each in more if override_keys([each])[0] not in keys]
    return [*overrides, *(each.format(name=name) for each in added)]


def _cluster_config(config: str, overrides: Sequence[str]) -> LoadedConfig:
    loaded = load_config(config, overrides)
    if loaded.launch.mode == "local":
        raise UserError("launch.mode: local is one process; for a cluster add launch.mode=ray")
    if loaded.launch.address:
        raise UserError(
            f"launch.address {loaded.launch.address}: the file starts a cluster of its own; leave "
            "it out"
        )
    return loaded


def _checked(chosen: Mapping[str, str], deploy: DeployFile) -> Mapping[str, str]:
    for key, value in chosen.items():
        option = "--" + key.replace("_", "-")
        if key not in deploy.values:
            raise UserError(f"{option} {value}: {deploy.file} has no place for it")
        if not PLAIN.fullmatch(value):
            raise UserError(
                f"{option} {value!r}: needs a name of letters, digits and . / : @ _ - between them"
            )
    return chosen
