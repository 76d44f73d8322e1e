"""The configuration of a run that plays games, and what all kinds of runs share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)

from agents.config import AgentConfig
from envs.config import EnvsConfig
from envs.splits import split_config
from launch.config.held_out import HeldOutConfig
from launch.config.plugins import import_plugins
from learners.impala.config import LearnerConfig

Count = Annotated[int, Field(gt=0)]
Share = Annotated[float, Field(ge=0, le=1)]


def _number_or_auto(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError:  # which would complain once of each of the two types
        raise ValueError(f"needs a whole number greater than 0, or auto, not {value!r}") from None


CountOrAuto = Annotated[Count | Literal["auto"], WrapValidator(_number_or_auto)]


class LoadedLaunch(BaseModel):
    """Where the parts run."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    mode: Literal["ray", "local"] = "ray"
    """`ray` runs workers and learner in processes of their own. `local` runs the same parts in one
    process: deterministic for a seed, and breakpoints work."""
    address: str | None = None
    """Address of an existing Ray cluster: `auto`, `host:port` or `ray://host:port`. Without one, a
    run starts a cluster of its own on this machine."""
    workers: CountOrAuto = 2
    """Number of rollout workers. `auto` measures this machine and takes as many workers of one
    thread as keep up with learning, but at most one for each core. On a cluster (`address`) a run
    with `auto` starts with few and grows, see `max_workers`."""
    envs_per_worker: CountOrAuto = 24
    """Environments of each worker. `auto` measures this machine and takes so many that more would
    hardly be faster, and at least 48 over all workers."""
    queue_batches: Count = 2
    """Workers pause while this many batches wait for the learner (mode `ray`)."""
    worker_gpus: Share = 0.0
    """GPUs of each worker, as Ray counts them: 0.5 is half of one. With 0 it acts on the CPU."""
    learner_gpus: Share = 1.0
    """GPUs of each learner, in a cluster that has any. With 0 it learns on the CPU."""
    worker_threads: Count | None = None
    """CPU threads of torch in each worker. By default its share of this machine's cores, and one on
    a cluster (`address`). In mode `local`, `learner_threads` is for all parts."""
    learner_threads: Count | None = None
    """CPU threads of torch in the learner. By default all cores of its machine, which several
    learners that Ray starts on this machine share."""

    max_workers: Count | None = None
    """Workers that a run may grow to, on a cluster (mode `ray`): it adds workers while CPUs are
    free and the learner waits for rollouts. By default none are added; with `workers=auto` and an
    `address`, up to 256."""
    worker_timeout: Annotated[float, Field(gt=0)] | None = None
    """Seconds without a rollout after which a worker is taken for hung and replaced (mode `ray`).
    By default 30, or 20 times the slowest rollout so far if that is more; 300 for the first
    rollout of a worker."""
    max_learner_restarts: Annotated[int, Field(ge=0)] = 5
    """Restarts of a learner that died or failed, without progress between them, before the run
    ends (mode `ray`). A restart goes back to the newest state, which is kept every 30 s."""


class LaunchConfig(LoadedLaunch):
    """Where the parts run, with numbers only."""

    workers: Count
    """Number of rollout workers."""
    envs_per_worker: Count
    """Environments of each worker."""


def require_room(learners: int, mode: Literal["ray", "local"], gpus: float) -> None:
    """Check that so many learners can run side by side.

    Args:
        learners: `learner.devices`.
        mode: `launch.mode`.
        gpus: `launch.learner_gpus`.

    Raises:
        ValueError: if they cannot.
    """
    if mode == "local" and learners > 1:
        raise ValueError(
            f"learner.devices {learners} needs launch.mode ray: "
            "in mode local there is one process and one learner"
        )
    if learners > 1 and 0 < gpus < 1:
        raise ValueError(
            f"launch.learner_gpus {gpus:g} with learner.devices "
            f"{learners}: several learners need a whole GPU each, or 0"
        )


class CheckpointConfig(BaseModel):
    """When a run is saved, and how many checkpoints are kept."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    every_frames: Count = 1_000_000
    """Frames between two checkpoints; the end of a run is always saved."""
    keep: Count = 3
    """Number of checkpoints that are kept; older ones are deleted."""


class CommonConfig(BaseModel):
    """What runs of every kind are configured with."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    fixed: ClassVar[tuple[str, ...]] = ("run_dir", "seed")
    """Keys that a resumed run cannot change: it would be another run."""

    imports: Annotated[tuple[str, ...], Field(strict=False)] = ()
    """Modules of your own that register cores, encoders, suites or environments. They are imported
    before anything else is read, in every process of the run."""
    total_frames: Count
    """Length of the run: it ends when it has learnt from this many frames, or images of few-shot
    runs."""
    seed: Annotated[int, Field(ge=0, lt=2**31)] = 0
    """Seed of the initial weights, the environments and the actions."""
    run_dir: str | None = None
    """Folder of the run; by default `runs/<config>-<core>-s<seed>-<time>`."""
    log_every_frames: Count = 20_000
    """Frames between two rows of metrics."""
    checkpoint: CheckpointConfig = CheckpointConfig()
    """When the run is saved."""

    @property
    def core(self) -> str:
        """Name of the core."""
        raise NotImplementedError

    @model_validator(mode="before")
    @classmethod
    def _import_plugins(cls, data: Any) -> Any:
        names = data.get("imports", ()) if isinstance(data, Mapping) else ()
        if not isinstance(names, list | tuple) or not all(isinstance(n, str) for n in names):
            raise ValueError(f"imports: needs a list of modules such as [my_module], not {names!r}")
        import_plugins(names)
        return data

    def __reduce__(self) -> tuple[Any, ...]:
        # Unpickled in another process, it is validated there: `imports` is imported first.
        return type(self).model_validate, (self.model_dump(mode="json"),)


class LoadedConfig(CommonConfig):
    """A configuration as it was written: the numbers of `launch` may be `auto`.

    `launch.machine.auto.resolve_auto` makes a `RunConfig` of it.
    """

    fixed: ClassVar[tuple[str, ...]] = (
        *CommonConfig.fixed,
        *("agent", "envs", "learner.unroll_length", "learner.optimiser"),
    )

    envs: EnvsConfig
    """What is played."""
    agent: AgentConfig = AgentConfig()
    """The policy network."""
    learner: LearnerConfig = LearnerConfig()
    """How the network learns."""
    launch: LoadedLaunch = LoadedLaunch()
    """Where the parts run."""
    held_out: HeldOutConfig = HeldOutConfig()
    """How often levels are played that it does not learn from."""

    @property
    def core(self) -> str:
        """Name of the core."""
        return self.agent.core

    @property
    def auto(self) -> tuple[str, ...]:
        """The keys of `launch` that are `auto`."""
        numbers = {"workers": self.launch.workers, "envs_per_worker": self.launch.envs_per_worker}
        return tuple(key for key, value in numbers.items() if value == "auto")

    def resolved(self, **launch: int | None) -> RunConfig:
        """Return the configuration with these values in `launch`, which leave nothing `auto`."""
        section = {**dict(self.launch), **launch}
        return RunConfig.model_validate({**dict(self), "launch": section})

    @model_validator(mode="after")
    def _auto_is_this_machine(self) -> LoadedConfig:
        if self.launch.envs_per_worker == "auto" and self.launch.address:
            raise ValueError(
                "launch.envs_per_worker: auto measures this machine; with launch.address use a "
                "number"
            )
        return self

    @model_validator(mode="after")
    def _held_out_levels_exist(self) -> LoadedConfig:
        if self.held_out.every_frames is not None:
            try:
                split_config(self.held_out.split, self.envs)
            except ValueError as error:
                raise ValueError(f"held_out.every_frames: {error}, or set it to null") from None
        return self

    @model_validator(mode="after")
    def _learners_have_room(self) -> LoadedConfig:
        require_room(self.learner.devices, self.launch.mode, self.launch.learner_gpus)
        return self


class RunConfig(LoadedConfig):
    """Everything that decides a run; what a run folder keeps as `config.yaml`."""

    launch: LaunchConfig
    """Where the parts run."""

    @model_validator(mode="after")
    def _tasks_are_balanced(self) -> RunConfig:
        envs, tasks = self.launch.workers * self.launch.envs_per_worker, len(self.envs.tasks)
        if envs % tasks:
            raise ValueError(
                f"launch.workers x launch.envs_per_worker is {envs}, which {tasks} tasks cannot "
                f"share equally: use a multiple of {tasks}"
            )
        return self
