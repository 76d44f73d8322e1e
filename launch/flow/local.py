"""Local flow: all parts in one process, in turn; deterministic, and breakpoints work."""

from __future__ import annotations

import logging

import torch

from launch.config.schema import RunConfig
from launch.flow.base import FlowState, UpdateReport
from launch.flow.batcher import Batcher
from launch.flow.build import build_learner, build_worker
from launch.flow.heap import keep_freed_memory
from launch.flow.held_out import play_held_out, trial_is_due
from launch.flow.resources import learner_threads
from learners import NonfiniteUpdate, Rollout

log = logging.getLogger(__name__)


class LocalFlow:
    """Workers act in turn until a batch is there; then the learner updates."""

    def __init__(self, config: RunConfig, saved: FlowState | None = None) -> None:
        torch.set_num_threads(learner_threads(config))
        keep_freed_memory()
        self.config = config
        frames = saved.frames if saved else 0
        self.learner = build_learner(config)
        self.workers = [build_worker(config, i, frames) for i in range(config.launch.workers)]
        self.batcher: Batcher[Rollout] = Batcher(config.learner.batch_size)
        self.turn = 0
        if saved:
            self._restore(saved)

    def update(self) -> UpdateReport:
        """Act until a batch is there, and learn from it."""
        infos = []
        weights = self.learner.weights()
        while not self.batcher.ready:
            rollout, info = self.workers[self.turn].rollout(weights)
            self.turn = (self.turn + 1) % len(self.workers)
            self.batcher.add(rollout, info.num_envs)
            infos.append(info)
        pieces = self.batcher.take(self.batcher.batch_size)
        learner = self.learner
        batch = learner.stage([p.rollout.columns(p.start, p.stop) for p in pieces])
        before = learner.frames
        metrics = learner.step(batch)
        due = trial_is_due(self.config, before, learner.frames)
        trial = play_held_out(self.config, learner.agent) if due else None
        depth = self.batcher.depth
        return UpdateReport(learner.frames, learner.version, metrics, infos, depth, trial=trial)

    def save(self) -> FlowState:
        """Return learner, workers and waiting rollouts: what follows is exactly what would have."""
        saved = [worker.save() for worker in self.workers]
        workers = [worker for worker in saved if worker]
        return FlowState(
            learner=self.learner.state(),
            workers=workers if len(workers) == len(saved) else None,
            waiting=[p.rollout.columns(p.start, p.stop) for p in self.batcher.pieces()],
            turn=self.turn,
        )

    def newest(self) -> None:
        """Return None: `save` costs little here, so the driver keeps copies itself."""

    def nonfinite(self) -> list[NonfiniteUpdate]:
        """Return what the learner had in the update for which training is given up, if it is."""
        update = self.learner.nonfinite()
        return [update] if update else []

    def close(self) -> None:
        """Close the environments."""
        for worker in self.workers:
            worker.close()

    def _restore(self, saved: FlowState) -> None:
        self.learner.load(saved.learner)
        workers = saved.workers or []
        here = [worker.num_envs for worker in self.workers]
        if [len(worker["envs"]) for worker in workers] != here:
            log.warning("the workers' own states are not in the checkpoint: new episodes begin")
            return
        for worker, tree in zip(self.workers, workers, strict=True):
            worker.restore(tree)
        for rollout in saved.waiting:
            self.batcher.add(rollout, rollout.num_envs)
        self.turn = saved.turn
