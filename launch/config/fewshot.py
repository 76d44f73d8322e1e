"""The configuration of a few-shot run (`srwm fewshot`): typed, validated, frozen."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, model_validator

from agents.classifier_config import ClassifierConfig
from envs.fewshot.config import EpisodesConfig
from launch.config.schema import CheckpointConfig, CommonConfig, Count, Share, require_room
from learners.supervised.config import SupervisedConfig

FROZEN = ConfigDict(frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True)


class FewShotLaunch(BaseModel):
    """Where the parts run."""

    model_config = FROZEN

    mode: Literal["local", "ray"] = "local"
    """`local` learns in this process. `ray` places one or several learners as Ray actors."""
    address: str | None = None
    """Address of an existing Ray cluster: `auto`, `host:port` or `ray://host:port`. Without one,
    mode `ray` starts a cluster of its own on this machine."""
    learner_gpus: Share = 1.0
    """GPUs of each learner where there are any. With 0 it learns on the CPU."""
    learner_threads: Count | None = None
    """CPU threads of torch in the learner. By default all cores of its machine."""


class ValidationConfig(BaseModel):
    """How often the network is tried on classes that it does not learn from."""

    model_config = FROZEN

    every_frames: Count = 50_000
    """Images between two validations."""
    episodes: Count = 500
    """Episodes of each validation: the same ones every time, for every run and core."""


class FewShotConfig(CommonConfig):
    """Everything that decides a few-shot run; what a run folder keeps as `config.yaml`."""

    fixed: ClassVar[tuple[str, ...]] = (
        *CommonConfig.fixed,
        *("classifier", "episodes", "learner.batch_size"),
    )

    log_every_frames: Count = 10_000
    """Images between two rows of metrics."""
    episodes: EpisodesConfig
    """Which images, and how they become sequences."""
    classifier: ClassifierConfig = ClassifierConfig()
    """The network."""
    learner: SupervisedConfig = SupervisedConfig()
    """How the network learns."""
    validation: ValidationConfig = ValidationConfig()
    """How often the network is tried on other classes."""
    launch: FewShotLaunch = FewShotLaunch()
    """Where the parts run."""
    checkpoint: CheckpointConfig = CheckpointConfig(every_frames=100_000)
    """When the run is saved."""

    @property
    def core(self) -> str:
        """Name of the core."""
        return self.classifier.core

    @model_validator(mode="after")
    def _learners_have_room(self) -> FewShotConfig:
        require_room(self.learner.devices, self.launch.mode, self.launch.learner_gpus)
        return self

    @model_validator(mode="after")
    def _colours_are_alike(self) -> FewShotConfig:
        kinds = {task.normalise for task in self.episodes.tasks}
        if len(kinds) > 1:
            raise ValueError(
                f"episodes.tasks: normalise is {' and '.join(sorted(kinds))}: one network reads "
                "all tasks, so it must be the same in each"
            )
        return self
