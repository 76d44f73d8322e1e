"""`srwm deploy`: write the file that starts a run on a cluster."""

from __future__ import annotations

from pathlib import Path

import click

from launch.cli.completion import complete_config
from launch.cli.terminal import file_in_a_folder, writing


@click.command()
@click.argument("name", metavar="ray-up|slurm|kuberay")
@click.argument("config", shell_complete=complete_config)
@click.argument("overrides", nargs=-1, metavar="[KEY=VALUE ...]")
@click.option("--nodes", default=4, type=click.IntRange(1, 10_000), help="CPU nodes, at most.")
@click.option(
    "--cpus", default=16, type=click.IntRange(1, 10_000), help="CPUs of each of these nodes."
)
@click.option("--image", help="Image of the nodes, which they can pull.")
@click.option("--gpu-nodes", metavar="NAME", help="Partition or instance type with GPUs.")
@click.option("--cpu-nodes", metavar="NAME", help="Partition or instance type without GPUs.")
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    callback=file_in_a_folder,
    help="Write the file here instead of printing it.",
)
def deploy(
    name: str,
    config: str,
    overrides: tuple[str, ...],
    nodes: int,
    cpus: int,
    out: Path | None,
    **values: str | None,
) -> None:
    """Print a file that trains CONFIG on a cluster: for `ray up`, SLURM or KubeRay.

    CONFIG and KEY=VALUE are those of `srwm train`.
    """
    from launch.deploy.files import fill_in

    chosen = {key: value for key, value in values.items() if value is not None}
    text = fill_in(name, config, overrides, nodes, cpus, chosen)
    if out:
        with writing(out):
            out.write_text(text, encoding="utf-8", errors="surrogateescape")
    else:
        click.echo(text, nl=False)
