"""`srwm bench e2e`: how fast the whole is, against how fast its parts are alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import closing
from dataclasses import asdict, dataclass

import numpy as np
import torch
from rich.table import Table

from agents import Agent, sample
from envs import env_spec
from launch.bench.batch import random_batch, random_obs
from launch.bench.machine import machine
from launch.bench.memory import memory_gb
from launch.build import (
    acting_device,
    build_agent,
    build_environments,
    build_learner,
    cpu_count,
)
from launch.config import RunConfig
from launch.placement import make_flow
from learners import Learner

ADVICE = {
    "learning": "a GPU, a smaller agent.encoder or agent.precision=bfloat16 where the CPU has it",
    "acting": "more launch.envs_per_worker (larger batches), or more launch.workers on more cores",
    "environments": "more envs.threads, or more launch.workers on more cores",
}
WARM_UP_UPDATES = 5


@dataclass(frozen=True)
class EndToEnd:
    """Frames per second of the parts alone and of the whole, measured in one run."""

    acting: float  # the network and the drawing of actions, on all cores
    learning: float  # whole learner updates, on all cores or the GPU
    environments: float  # stepping with random actions
    total: float  # consumed by the learner while all of it runs
    memory_gb: float  # proportional resident memory of all processes, at its highest

    @property
    def bound(self) -> float:
        """The rate if the parts took turns on the same cores and nothing else cost anything."""
        return 1 / (1 / self.acting + 1 / self.learning + 1 / self.environments)

    @property
    def ratio(self) -> float:
        """How much of the bound is reached."""
        return self.total / self.bound

    @property
    def limit(self) -> str:
        """The slowest part."""
        return min(ADVICE, key=lambda part: getattr(self, part))

    def as_dict(self, config: RunConfig) -> dict[str, object]:
        """Return the figures with the machine, versions and settings they belong to."""
        return {
            **asdict(self),
            "bound": self.bound,
            "ratio": self.ratio,
            **machine(),
            "config": config.model_dump(mode="json"),
        }


def end_to_end(config: RunConfig, seconds: float, step: Callable[[str], None]) -> EndToEnd:
    """Measure the whole for `seconds`, then each part alone for a share of them.

    Args:
        config: of the run to measure.
        seconds: of the whole after its warm-up.
        step: called with the name of what is measured next.
    """
    # First, because the parts alone leave their memory behind in this process.
    step(f"the whole, mode {config.launch.mode}")
    total, memory = whole(config, seconds)
    torch.set_num_threads(cpu_count())
    step("environments alone")
    environments = _rate(_environments(config), seconds / 6)
    step("acting alone")
    acting = _rate(_acting(config, build_agent(config, acting_device(config))), seconds / 6)
    step("learning alone")
    learning = _rate(_learning(config, build_learner(config)), seconds / 3)
    return EndToEnd(acting, learning, environments, total, memory)


def result_table(result: EndToEnd) -> Table:
    """Return the figures as a table."""
    table = Table(box=None, header_style="bold")
    table.add_column("frames per second")
    table.add_column("", justify="right")
    for name in ("environments", "acting", "learning"):
        table.add_row(f"{name} alone", f"{getattr(result, name):,.0f}")
    table.add_row("bound 1 / (1/act + 1/learn + 1/env)", f"{result.bound:,.0f}")
    table.add_row("end to end", f"{result.total:,.0f}")
    table.add_row("end to end / bound", f"{result.ratio:.2f}")
    table.add_row("memory of all processes, GB", f"{result.memory_gb:.2f}")
    return table


def verdict(result: EndToEnd) -> str:
    """Return one line: what the run is bound by, and what to change."""
    if result.ratio < 0.75:
        return (
            f"bound by waiting: {1 - result.ratio:.0%} of the bound is lost between the parts; "
            "try launch.worker_threads, launch.learner_threads and launch.queue_batches"
        )
    return f"bound by {result.limit}: {ADVICE[result.limit]}"


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Return frames per second of `work`, which returns the frames it did."""
    work()
    frames, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not frames:
        frames += work()
    return frames / elapsed


def _environments(config: RunConfig) -> Callable[[], int]:
    groups = build_environments(config, 0, config.seed)
    rng = np.random.default_rng(config.seed)
    actions = [rng.integers(env.spec.num_actions, size=(100, env.num_envs)) for env in groups]

    def work() -> int:
        for step in zip(*actions, strict=True):
            for env, action in zip(groups, step, strict=True):
                env.act(action)
            for env in groups:
                env.observe()
        return sum(action.size for action in actions)

    return work


def _acting(config: RunConfig, agent: Agent) -> Callable[[], int]:
    envs, spec = config.launch.envs_per_worker, env_spec(config.envs)
    obs = torch.from_numpy(random_obs((1, envs, *spec.observation_shape), spec.observation_dtype))
    reward, first = torch.zeros(1, envs), torch.zeros(1, envs, dtype=torch.bool)
    generator = torch.Generator().manual_seed(config.seed)
    state = agent.initial_state(envs)
    device = acting_device(config)

    @torch.inference_mode()
    def work() -> int:
        nonlocal state
        seen = (tensor.to(device) for tensor in (obs, reward, first))
        output, state = agent(*seen, state)
        sample(output.logits[0].cpu(), generator)
        return envs

    return work


def _learning(config: RunConfig, learner: Learner) -> Callable[[], int]:
    batch = random_batch(config, learner.agent)

    def work() -> int:
        learner.update(batch)
        return batch.action.size

    return work


def whole(config: RunConfig, seconds: float) -> tuple[float, float]:
    """Run for `seconds` after a warm-up; return frames per second and the highest memory in GB."""
    endless = config.model_copy(update={"total_frames": 2**62})
    memory = 0.0
    with closing(make_flow(endless)) as flow:
        for _ in range(WARM_UP_UPDATES):
            report = flow.update()
        before, started, next_look = report.frames, time.perf_counter(), seconds / 8
        while (elapsed := time.perf_counter() - started) < seconds:
            report = flow.update()
            if elapsed >= next_look:  # it costs time, so it is done seldom
                memory = max(memory, memory_gb())
                next_look += seconds / 4
        return (report.frames - before) / elapsed, memory or memory_gb()
