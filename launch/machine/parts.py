"""Measure the parts of a run one by one: environments, acting, staging, learning."""

from __future__ import annotations

import itertools
import multiprocessing
import os
import threading
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import closing
from typing import ParamSpec, TypeVar

import numpy as np
import torch

from agents import Actor, sampler
from envs import env_spec
from launch.config.schema import RunConfig
from launch.errors import RunError
from launch.flow.build import build_agent, build_environments, build_learner
from launch.flow.resources import acting_device, cpu_count, learners_at_once, learning_device
from launch.machine.facts import memory_gb
from launch.machine.rollouts import random_obs, random_pieces
from launch.machine.timing import wall_clock
from launch.placement import make_flow
from learners import Stage, TrainingDivergedError

P = ParamSpec("P")
R = TypeVar("R")


def in_processes(
    times: int, function: Callable[P, R], *args: P.args, **kwargs: P.kwargs
) -> list[R]:
    """Call `function` in `times` new processes at once; their memory is free again afterwards.

    Raises:
        RunError: if a process dies.
    """
    spawn = multiprocessing.get_context("spawn")  # a fork would lack the threads of its parent
    with ProcessPoolExecutor(times, mp_context=spawn, initializer=_end_with_the_parent) as pool:
        try:
            calls = [pool.submit(function, *args, **kwargs) for _ in range(times)]
            return [call.result() for call in calls]
        except BrokenProcessPool:
            raise RunError("the process that measured died: is there too little memory?") from None


def _end_with_the_parent() -> None:
    parent = multiprocessing.parent_process()
    assert parent is not None

    def wait() -> None:
        parent.join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def environments_rate(config: RunConfig, seconds: float) -> float:
    """Return frames per second of one worker's environments, stepped with random actions."""
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

    return _rate(work, seconds)


def acting_rate(config: RunConfig, seconds: float) -> float:
    """Return frames per second of the policy for one worker's environments.

    Raises:
        ValueError: if the environments or the encoder do not go together.
    """
    envs, spec = config.launch.envs_per_worker, env_spec(config.envs)
    rule = sampler(torch.Generator().manual_seed(config.seed))
    actor = Actor(build_agent(config, acting_device(config)), envs, rule)
    obs = random_obs((envs, *spec.observation_shape), spec.observation_dtype)
    reward = np.zeros(envs, np.float32)
    # Noise without an end, and a state that rewrites itself would grow without one.
    opens = itertools.cycle([True] + [False] * (config.learner.unroll_length - 1))

    def work() -> int:
        actor.step(obs=obs, reward=reward, first=np.full(envs, next(opens)))
        return envs

    return _rate(work, seconds)


def staging_rate(config: RunConfig, seconds: float) -> float:
    """Return frames per second of one learner's batches that are put on its device."""
    device = torch.device(learning_device(config))
    stage, agent = Stage(device), build_agent(config)
    pieces = random_pieces(config, agent, learners_at_once(config))

    def work() -> int:
        batch = stage(pieces)
        wall_clock(device)  # until it is there
        return batch.action.numel()

    return _rate(work, seconds)


def learning_rate(config: RunConfig, seconds: float) -> float:
    """Return frames per second of whole updates of one learner, with all its cores or a GPU.

    As in a run with Ray, a thread stages the next batch meanwhile.

    Raises:
        RunError: if what it learns is not finite.
    """
    torch.set_num_threads(config.launch.learner_threads or cpu_count())
    learner = build_learner(config)
    pieces = random_pieces(config, learner.agent, learners_at_once(config))

    with ThreadPoolExecutor(1) as staging:
        staged = staging.submit(learner.stage, pieces)

        def work() -> int:
            nonlocal staged
            batch, staged = staged.result(), staging.submit(learner.stage, pieces)
            learner.step(batch)
            return batch.action.numel()

        try:
            return _rate(work, seconds)
        except TrainingDivergedError as error:
            raise RunError(f"no update could be measured: {error}") from None


def _rate(work: Callable[[], int], seconds: float) -> float:
    """Return frames per second of `work`, which returns the frames it did."""
    work()
    frames, started = 0, time.perf_counter()
    while (elapsed := time.perf_counter() - started) < seconds or not frames:
        frames += work()
    return frames / elapsed


WARM_UP_UPDATES = 5


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
