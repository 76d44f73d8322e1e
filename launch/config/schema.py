"""The configuration of a run: typed, validated, frozen."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents import AgentConfig
from envs import EnvsConfig
from learners import LearnerConfig

Count = Annotated[int, Field(gt=0)]


Share = Annotated[float, Field(ge=0, le=1)]


class LaunchConfig(BaseModel):
    """Where the parts run."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    mode: Literal["ray", "local"] = "ray"
    """`local` runs the same parts in one process, deterministic for a seed."""
    address: str | None = None
    """An existing Ray cluster (`auto`, `host:port` or `ray://host:port`); else one is started."""
    workers: Count = 2
    """`auto`: so many, each with one thread, that acting here keeps up with learning, and one a
    core at most if the tasks can share their environments."""
    envs_per_worker: Count = 24
    """`auto`: so many that more would hardly be faster, and 48 of all workers at least."""
    queue_batches: Count = 2
    """Workers pause while this many batches wait for the learner (mode `ray`)."""
    worker_gpus: Share = 0.0
    """GPUs of each worker, as Ray counts them: 0.5 is half of one. With 0 it acts on the CPU."""
    learner_gpus: Share = 1.0
    """GPUs of each learner, in a cluster that has any. With 0 it learns on the CPU."""
    worker_threads: Count | None = None
    """CPU threads of torch in each worker; by default its share of this machine's cores, and one on
    a cluster (`address`). In mode `local`, `learner_threads` is for all."""
    learner_threads: Count | None = None
    """CPU threads of torch in the learner; by default all of its machine's cores, which several
    learners that Ray starts on this machine share."""


class UnsettledLaunch(LaunchConfig):
    """With any valid numbers for what is `auto`, until `launch.layout.settle` finds others."""

    auto: tuple[str, ...]


class CheckpointConfig(BaseModel):
    """When a run is saved, and for how long."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    every_frames: Count = 1_000_000
    keep: Count = 3


class RunConfig(BaseModel):
    """Everything that decides a run; what a run folder keeps as `config.yaml`."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    total_frames: Count
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    run_dir: str | None = None
    """Folder of the run; by default `runs/<config>-<time>`."""
    log_every_frames: Count = 20_000
    """Distance between two rows of metrics."""
    envs: EnvsConfig
    agent: AgentConfig = AgentConfig()
    learner: LearnerConfig = LearnerConfig()
    launch: LaunchConfig = LaunchConfig()
    checkpoint: CheckpointConfig = CheckpointConfig()

    @model_validator(mode="after")
    def _learners_have_room(self) -> RunConfig:
        if self.launch.mode == "local" and self.learner.devices > 1:
            raise ValueError(
                f"learner.devices {self.learner.devices} needs launch.mode ray: "
                "in mode local there is one process and one learner"
            )
        if self.learner.devices > 1 and 0 < self.launch.learner_gpus < 1:
            raise ValueError(
                f"launch.learner_gpus {self.launch.learner_gpus:g} with learner.devices "
                f"{self.learner.devices}: several learners need a whole GPU each, or 0"
            )
        return self

    @model_validator(mode="after")
    def _tasks_are_balanced(self) -> RunConfig:
        envs, tasks = self.launch.workers * self.launch.envs_per_worker, len(self.envs.tasks)
        if envs % tasks:
            raise ValueError(
                f"launch.workers x launch.envs_per_worker is {envs}, which {tasks} tasks cannot "
                f"share equally: use a multiple of {tasks}"
            )
        return self
