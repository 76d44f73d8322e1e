"""`srwm bench fewshot`: measure the pieces of a few-shot run, and the run itself."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from rich.table import Table

from launch.config.fewshot import FewShotConfig
from launch.flow.episodes import Data
from launch.flow.supervised import SupervisedFlow
from launch.machine.timing import Work, rounds, wall_clock
from launch.report.table import table
from learners.supervised import SupervisedBatch, SupervisedLearner, make_batch

WHOLE = "the run: drawing beside learning"


@dataclass(frozen=True)
class FewShotSpeed:
    """Seconds that each piece takes for the images of one update; medians."""

    device: str
    threads: int  # of the CPU, in the learner
    precision: str  # of the backbone
    images: int  # of an update
    seconds: dict[str, float]
    core_over_backbone: float  # core and head, in units of the backbone's time

    def as_dict(self) -> dict[str, object]:
        """Return all of it."""
        rates = {piece: self.images / took for piece, took in self.seconds.items()}
        return {**asdict(self), "images_per_second": rates}

    def tables(self) -> list[Table]:
        """Return milliseconds and images per second."""
        title = f"{self.device}, {self.threads} threads, backbone in {self.precision}"
        rows = [(p, took * 1e3, self.images / took) for p, took in self.seconds.items()]
        return [table([(title, ""), ("ms", ",.2f"), ("images/s", ",.0f")], rows)]

    def summary(self) -> str:
        """Return one line: what the core costs."""
        return f"core and head take {self.core_over_backbone:.2f} of the backbone's time"


def fewshot_speed(
    config: FewShotConfig, data: Data, seconds: float, step: Callable[[str], None]
) -> FewShotSpeed:
    """Measure the pieces in turns, and then the whole, on the learner's device.

    Backbone, core and update are forward and backward passes in training mode.

    Args:
        config: of the run; whatever its mode, it learns in this process, on one device.
        data: what it learns from.
        seconds: for all, but each piece at least five times.
        step: called with the name of what is measured next.
    """
    flow = SupervisedFlow(config, data)
    flow.stream.close()  # nothing is drawn beside the pieces
    learner = flow.learner
    device = learner.device
    step("the pieces")
    samples = _in_turns(_pieces(config, data, learner), seconds / 2, device)
    step("the run")
    flow = SupervisedFlow(config.model_copy(update={"total_frames": 2**62}), data)
    try:
        samples |= _in_turns({WHOLE: flow.update}, seconds / 2, device)
    finally:
        flow.close()
    return FewShotSpeed(
        device=device.type,
        threads=torch.get_num_threads(),
        precision=config.classifier.precision,
        images=_draw(config, data, learner).target.numel(),
        seconds=samples,
        core_over_backbone=samples["core and head"] / samples["backbone"],
    )


def _pieces(config: FewShotConfig, data: Data, learner: SupervisedLearner) -> dict[str, Work]:
    batch = _draw(config, data, learner)
    classifier = learner.classifier.train()
    features = classifier.encode(batch.images).detach().requires_grad_()

    def backbone() -> None:
        output = classifier.encode(batch.images)
        output.backward(torch.ones_like(output))

    def core() -> None:
        output = classifier.classify(features, batch.label_in)
        output.backward(torch.ones_like(output))

    return {
        "episodes drawn": lambda: _draw(config, data, learner),
        "backbone": backbone,
        "core and head": core,
        "update": lambda: learner.step(batch),
    }


def _draw(config: FewShotConfig, data: Data, learner: SupervisedLearner) -> SupervisedBatch:
    episodes = data.train.draw(np.random.default_rng(config.seed), config.learner.batch_size)
    return make_batch(episodes, learner.device)


def _in_turns(pieces: dict[str, Work], seconds: float, device: torch.device) -> dict[str, float]:
    """Return the median seconds of each piece; the first two rounds are not counted."""
    samples: dict[str, list[float]] = {name: [] for name in pieces}
    for turn in rounds(seconds, fewest=7):
        for name, work in pieces.items():
            started = wall_clock(device)
            work()
            if turn >= 2:
                samples[name].append(wall_clock(device) - started)
    return {name: statistics.median(times) for name, times in samples.items()}
