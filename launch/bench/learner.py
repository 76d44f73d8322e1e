"""`srwm bench learner`: measure the parts of a learner update, and the share of the best rates."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from rich.table import Table

from launch.bench.flops import copy_rate, count_flops, matmul_rate
from launch.bench.update_parts import watched
from launch.config.schema import RunConfig
from launch.errors import RunError
from launch.flow.build import build_learner
from launch.flow.resources import cpu_count
from launch.machine.rollouts import random_pieces
from launch.machine.timing import rounds, wall_clock
from launch.report.table import table
from learners import Batch, Learner, Rollout, TrainingDivergedError
from learners.impala.learner import INTROSPECT_EVERY

FEWEST_ROUNDS = 4


class Staging(NamedTuple):
    """Seconds to put a batch on the device, which another thread does during an update."""

    join: float  # rollouts to one batch, in memory that a GPU reads
    upload: float


class Rate(NamedTuple):
    """Work a second, and the best that the same device reached in the same run."""

    name: str
    unit: str
    achieved: float
    ceiling: float

    @property
    def share(self) -> float:
        """The share of the ceiling that is reached."""
        return self.achieved / self.ceiling


@dataclass(frozen=True)
class LearnerSpeed:
    """An update as it is, and another one with hooks; times in seconds."""

    device: str
    precision: str  # of the encoder
    frames: int  # of a batch
    update: float  # as it is
    watched: float  # the sum of the parts, with what the hooks cost
    parts: dict[str, float]
    staging: Staging
    encoder_flops: int  # of a forward pass
    update_flops: int  # without those of an LSTM
    upload_bytes: int  # 0 where the batch is read in place
    matmul: float  # FLOP/s of a large product in the encoder's precision
    copy: float  # bytes/s of a large copy to the device

    @property
    def frames_per_second(self) -> float:
        """What the learner alone could consume."""
        return self.frames / max(self.update, sum(self.staging))

    @property
    def rates(self) -> list[Rate]:
        """What is reached of the ceilings."""
        upload = self.upload_bytes / self.staging.upload if self.upload_bytes else 0.0
        encoder = self.encoder_flops / self.parts["encoder"]
        return [
            Rate("upload", "GB/s", upload, self.copy),
            Rate("encoder, forward", "GFLOP/s", encoder, self.matmul),
            Rate("whole update", "GFLOP/s", self.update_flops / self.update, self.matmul),
        ]

    def as_dict(self) -> dict[str, object]:
        """Return all of it."""
        return {
            **asdict(self),
            "staging": self.staging._asdict(),
            "threads": torch.get_num_threads(),
            "frames_per_second": self.frames_per_second,
            "rates": [{**rate._asdict(), "share": rate.share} for rate in self.rates],
        }

    def tables(self) -> list[Table]:
        """Return the seconds of the parts, and the rates."""
        parts = [
            *((part, took * 1e3, took / self.watched) for part, took in self.parts.items()),
            ("sum of these, with the hooks", self.watched * 1e3, ""),
            ("the update as it is", self.update * 1e3, ""),
            ("next batch, in another thread: join", self.staging.join * 1e3, ""),
            ("next batch, in another thread: upload", self.staging.upload * 1e3, ""),
            ("frames/s", f"{self.frames_per_second:,.0f}", ""),
        ]
        rates = [
            (r.name, r.unit, r.achieved / 1e9, r.ceiling / 1e9, r.share if r.achieved else None)
            for r in self.rates
        ]
        reached = [("reached", ",.1f"), ("at best", ",.1f"), ("%", ".0%")]
        return [
            table([(f"learner update, {self.device}", ""), ("ms", ".2f"), ("%", ".1%")], parts),
            table([(f"encoder in {self.precision}", ""), ("", ""), *reached], rates),
        ]

    def summary(self) -> str:
        """Return one line: the part that takes longest, and how far the whole is from the best."""
        part = max(self.parts, key=self.parts.__getitem__)
        *_, whole = self.rates
        return (
            f"the longest part is {part}: {self.parts[part] / self.watched:.0%} of an update; the "
            f"whole reaches {whole.share:.0%} of what large {self.precision} matrix products reach"
        )


def learner_speed(config: RunConfig, seconds: float, step: Callable[[str], None]) -> LearnerSpeed:
    """Measure updates for `seconds`, and the ceilings for a share of them.

    Args:
        config: of the run whose learner is measured, on a GPU if there is one.
        seconds: of updates and staging, after the first two updates.
        step: called with the name of what is measured next.

    Raises:
        RunError: if what it learns is not finite.
    """
    torch.set_num_threads(config.launch.learner_threads or cpu_count())
    learner = build_learner(config.model_copy(update={"total_frames": 2**62}))
    agent, device = learner.agent, learner.device
    pieces = random_pieces(config, agent)
    batch = learner.stage(pieces)
    frames = batch.obs.flatten(0, 1)
    step("updates")
    try:
        learner.step(batch)  # compiles, allocates, and introspects, as few others do
        update_flops = count_flops(lambda: learner.step(batch))
        update, parts, staging = _times(learner, pieces, seconds)
    except TrainingDivergedError as error:
        raise RunError(f"no update could be measured: {error}") from None
    step("the best rates of the device")
    return LearnerSpeed(
        device=device.type,
        precision=str(agent.dtype).removeprefix("torch."),
        frames=batch.action.numel(),
        update=update,
        watched=sum(parts.values()),
        parts=parts,
        staging=staging,
        encoder_flops=len(frames) * count_flops(lambda: agent.encoder(frames[:1])),
        update_flops=update_flops,
        upload_bytes=sum(x.nbytes for x in batch.tensors()) if device.type == "cuda" else 0,
        matmul=matmul_rate(agent.dtype, device, seconds / 10),
        copy=copy_rate(device, seconds / 10),
    )


def _times(
    learner: Learner, pieces: list[Rollout], seconds: float
) -> tuple[float, dict[str, float], Staging]:
    """Return the median seconds of an update as it is, of the parts of another, and of staging.

    They take turns. An update that also introspects is made but not counted.
    """
    plain: list[dict[str, float]] = []
    parts: list[dict[str, float]] = []
    staging: list[dict[str, float]] = []
    for _ in rounds(seconds, FEWEST_ROUNDS):
        started = wall_clock(learner.device)
        batch = learner.stage(pieces)
        joined = time.perf_counter()  # the upload has only been asked for
        uploaded = wall_clock(learner.device)
        staging.append({"join": joined - started, "upload": uploaded - joined})
        _skip_introspection(learner, batch)
        started = wall_clock(learner.device)
        learner.step(batch)
        plain.append({"update": wall_clock(learner.device) - started})
        _skip_introspection(learner, batch)
        with watched(learner) as seconds_of:
            learner.step(batch)
        parts.append(seconds_of)
    return _median(plain)["update"], _median(parts), Staging(**_median(staging))


def _skip_introspection(learner: Learner, batch: Batch) -> None:
    if learner.version % INTROSPECT_EVERY == 0:
        learner.step(batch)


def _median(samples: Sequence[dict[str, float]]) -> dict[str, float]:
    return {name: statistics.median(sample[name] for sample in samples) for name in samples[0]}
