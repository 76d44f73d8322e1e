"""The configuration section `learner` of a few-shot run."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class SupervisedConfig(BaseModel):
    """Batch, losses and optimiser of few-shot learning."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    batch_size: Count = 32
    """Sequences B of an update."""
    accumulate: Count = 1
    """Pieces that a batch is cut into to save memory. Their gradients add up, as in the paper's
    code; BatchNorm is over a piece."""
    devices: Count = 1
    """Learners that share every batch equally, each with a GPU of its own if the cluster has any
    (mode `ray`)."""

    learning_rate: Positive = 1e-3
    """Of the schedule `constant`; `warmup` has a size of its own."""
    schedule: Literal["constant", "warmup"] = "constant"
    """`constant`: the learning rate stays. `warmup`: it rises in a line for `warmup_steps` updates
    to 1 / sqrt(hidden size x warmup_steps), then falls as 1 / sqrt(updates)."""
    warmup_steps: Count = 5000
    """Updates until the learning rate of `warmup` is largest."""
    adam_beta1: Decay = 0.9
    """Decay of Adam's mean of gradients."""
    adam_beta2: Decay = 0.995
    """Decay of Adam's mean of squared gradients."""
    adam_eps: Positive = 1e-9
    """What Adam adds to the root of that mean."""
    max_grad_norm: Positive | None = None
    """Longer gradients are scaled down to this norm; null: never."""
    prototype_cost: NonNegative = 0.0
    """Weight of a second loss, under which the backbone alone also learns to tell the classes
    apart, as a prototypical network. 0 is the paper's."""
    max_skipped: Count = 10
    """Stop after this many batches in a row with a non-finite loss or gradient."""

    @model_validator(mode="after")
    def _batch_is_shared_equally(self) -> SupervisedConfig:
        pieces = self.devices * self.accumulate
        if self.batch_size % pieces:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of devices x accumulate, {pieces}"
            )
        return self
