"""Describe a run in TensorBoard: its configuration, its start, its hyper-parameters."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import cast

from torch.utils.tensorboard import FileWriter, SummaryWriter
from torch.utils.tensorboard.summary import hparams

from launch.config.source import AnyConfig, dump_config
from launch.config.values import values_of


def describe(
    writer: SummaryWriter,
    config: AnyConfig,
    scores: Sequence[str],
    start: Mapping[str, object],
    frames: int,
) -> None:
    """Fill the pages Text and HParams.

    Args:
        writer: of the run.
        config: the run's.
        scores: tags by which runs are compared: columns beside the hyper-parameters.
        start: facts about this start: command, host, versions; may be empty.
        frames: at which the run starts or goes on.
    """
    writer.add_text("config", f"```yaml\n{dump_config(config)}```", frames)
    if start:
        # Four spaces make a block in which nothing is markup.
        facts = "\n".join(f"    {name}: {value}" for name, value in start.items())
        writer.add_text("start", facts, frames)
    values = {key: value for key, value in values_of(config).items() if key != "run_dir"}
    # `SummaryWriter.add_hparams` would make a second run in a folder of its own.
    parameters, opened, _ = hparams(values, dict.fromkeys(scores, 0.0))
    file = cast("FileWriter", writer.file_writer)
    file.add_summary(parameters)
    file.add_summary(opened)
