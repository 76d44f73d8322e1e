"""`srwm bench learner`: where the time of a learner update goes, and what it reaches."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import NamedTuple

import torch
from rich.table import Table

from launch.bench.flops import copy_rate, count_flops, matmul_rate
from launch.bench.laps import watched
from launch.config.schema import RunConfig
from launch.errors import RunError
from launch.flow.build import build_learner
from launch.flow.resources import cpu_count
from launch.machine.facts import machine
from launch.machine.rollouts import random_pieces
from launch.machine.timing import wall_clock
from launch.report.table import table
from learners import Batch, Learner, Rollout, TrainingDivergedError
from learners.impala.learner import INTROSPECT_EVERY

FEWEST_ROUNDS = 4


class Staging(NamedTuple):
    """Seconds in which a batch is put on the device, which another thread does meanwhile."""

    join: float  # rollouts to one batch, in memory that a GPU reads
    upload: float


class Rate(NamedTuple):
    """What is done a second, and what the same device did of it at its best in the same run."""

    name: str
    unit: str
    achieved: float
    ceiling: float

    @property
    def share(self) -> float:
        """How much of the ceiling is reached."""
        return self.achieved / self.ceiling


@dataclass(frozen=True)
class LearnerSpeed:
    """An update as it is, and another one that is watched; times in seconds."""

    device: str
    precision: str  # of the encoder
    frames: int  # that an update learns from
    update: float  # as it is
    watched: float  # the sum of the parts: what the hooks cost is in it
    parts: dict[str, float]
    staging: Staging
    encoder_flops: int  # of a forward pass
    update_flops: int  # without an LSTM's
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

    def as_dict(self, config: RunConfig) -> dict[str, object]:
        """Return the figures with the machine, versions and settings they belong to."""
        return {
            **machine(),
            **asdict(self),
            "staging": self.staging._asdict(),
            "threads": torch.get_num_threads(),
            "frames_per_second": self.frames_per_second,
            "rates": [{**rate._asdict(), "share": rate.share} for rate in self.rates],
            "config": config.model_dump(mode="json"),
        }


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
        learner.step(batch)  # compiles, allocates, and looks at the memory, as few others do
        update_flops = count_flops(lambda: learner.step(batch))
        update, parts, staging = _times(learner, pieces, seconds)
    except TrainingDivergedError as error:
        raise RunError(f"no update could be measured: {error}") from None
    step("ceilings")
    on_cpu = device.type == "cpu"
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
        upload_bytes=0 if on_cpu else sum(x.nbytes for x in batch.tensors()),
        matmul=matmul_rate(agent.dtype, device, seconds / 10),
        copy=copy_rate(device, seconds / 10),
    )


def _times(
    learner: Learner, pieces: list[Rollout], seconds: float
) -> tuple[float, dict[str, float], Staging]:
    """Return the seconds of an update as it is, those of a watched one's parts, and of staging.

    They take turns. An update that also looks at the memory is made but not counted.
    """
    plain: list[dict[str, float]] = []
    parts: list[dict[str, float]] = []
    staging: list[dict[str, float]] = []
    ends = time.perf_counter() + seconds
    while len(parts) < FEWEST_ROUNDS or time.perf_counter() < ends:
        started = wall_clock(learner.device)
        batch = learner.stage(pieces)
        joined = time.perf_counter()  # the upload has only been asked for
        uploaded = wall_clock(learner.device)
        staging.append({"join": joined - started, "upload": uploaded - joined})
        _skip_look(learner, batch)
        started = wall_clock(learner.device)
        learner.step(batch)
        plain.append({"update": wall_clock(learner.device) - started})
        _skip_look(learner, batch)
        with watched(learner) as laps:
            learner.step(batch)
        parts.append(laps.seconds())
    return _middle(plain)["update"], _middle(parts), Staging(**_middle(staging))


def _skip_look(learner: Learner, batch: Batch) -> None:
    if learner.version % INTROSPECT_EVERY == 0:
        learner.step(batch)


def _middle(samples: Sequence[dict[str, float]]) -> dict[str, float]:
    """Return the means over the middle half of the samples by their sums.

    Like a median they do not mind a bad moment of the machine, but means of parts add up.
    """
    ordered = sorted(samples, key=lambda sample: sum(sample.values()))
    cut = len(ordered) // 4
    kept = ordered[cut : len(ordered) - cut]
    return {name: sum(sample[name] for sample in kept) / len(kept) for name in kept[0]}


def result_tables(result: LearnerSpeed) -> list[Table]:
    """Return the figures as tables."""
    watched = [
        (part, _ms(seconds), f"{seconds / result.watched:.1%}")
        for part, seconds in result.parts.items()
    ]
    whole = [
        ("sum of these, watched by hooks", _ms(result.watched), ""),
        ("the update as it is", _ms(result.update), ""),
        ("meanwhile, of the next batch: joined", _ms(result.staging.join), ""),
        ("meanwhile, of the next batch: uploaded", _ms(result.staging.upload), ""),
        ("frames/s", f"{result.frames_per_second:,.0f}", ""),
    ]
    rates = [
        (
            *(rate.name, rate.unit, f"{rate.achieved / 1e9:,.1f}", f"{rate.ceiling / 1e9:,.1f}"),
            f"{rate.share:.0%}" if rate.achieved else "no copy",
        )
        for rate in result.rates
    ]
    return [
        table([f"learner update, {result.device}"], ["ms", "%"], watched + whole),
        table([f"encoder in {result.precision}", ""], ["reached", "at best", "%"], rates),
    ]


def verdict(result: LearnerSpeed) -> str:
    """Return one line: the part that takes longest, and how far the whole is from the ceiling."""
    part = max(result.parts, key=result.parts.__getitem__)
    *_, whole = result.rates
    return (
        f"the longest part is {part}: {result.parts[part] / result.watched:.0%} of an update; the "
        f"whole reaches {whole.share:.0%} of what large {result.precision} matrix products reach"
    )


def _ms(seconds: float) -> str:
    return f"{seconds * 1e3:.2f}"
