"""Check that a checkpoint holds what a run's checkpoint holds."""

from __future__ import annotations

from typing import Annotated, Any, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from torch import Tensor

from learners.schedule import ScheduleName

Counter = Annotated[int, Field(ge=0)]

# More may be there: what only one kind of learner has, or an older format had.
OPEN = ConfigDict(strict=True, extra="ignore", arbitrary_types_allowed=True)


class ScheduleState(BaseModel):
    """What `Schedule.state` returns."""

    model_config = OPEN

    name: Annotated[str, Field(pattern=f"^({'|'.join(get_args(ScheduleName))})$")]
    rate: Annotated[float, Field(ge=0)]
    total_frames: Counter
    since: Counter
    initial: Annotated[float, Field(ge=0)]


class LearnerState(BaseModel):
    """What the states of all learners have; arrays are tensors."""

    model_config = OPEN

    agent: dict[str, Tensor]
    optimiser: dict[str, dict[str, Tensor]]
    frames: Counter
    version: Counter
    skipped: Counter
    torch_rng: Tensor


class PolicyLearnerState(LearnerState):
    """What `Learner.state` returns; arrays are tensors."""

    schedule: ScheduleState


class RowState(BaseModel):
    """What `Metrics.state` returns of the row that is being collected."""

    model_config = OPEN

    learner: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]
    learnt: Counter
    seconds: Annotated[float, Field(ge=0)]
    acted: Counter = 0
    acting_seconds: Annotated[float, Field(ge=0)] = 0.0


class MetricsState(BaseModel):
    """What `Metrics.state` returns, and that of a run that plays games."""

    model_config = OPEN

    elapsed: Annotated[float, Field(ge=0)]
    best: float | None = None
    trial: dict[str, float] = {}
    row: RowState | None = None
    episodes: dict[str, Counter] = {}
    returns: dict[str, list[float]] = {}
    lengths: dict[str, list[Counter]] = {}


class CheckpointContent(BaseModel):
    """What `Saved.tree` returns, without the number of the format."""

    model_config = OPEN

    learner: LearnerState
    workers: list[dict[str, Any]] | None = None
    waiting: list[dict[str, Tensor | list[Tensor]]] = []
    turn: Counter = 0
    metrics: MetricsState
    config: dict[str, Any]


def require_content(kind: type[BaseModel], tree: object) -> None:
    """Check that a tree from a file has the fields of a kind, each of its type.

    Raises:
        ValueError: naming the first field that is missing or wrong.
    """
    try:
        kind.model_validate(tree)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        field = ".".join(map(str, first["loc"]))
        message = "is missing" if first["type"] == "missing" else first["msg"].lower()
        raise ValueError(f"{field!r} {message}") from None
