"""The configuration section `learner`; the defaults are the paper's."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from learners.schedule import ScheduleName

Count = Annotated[int, Field(gt=0)]
Positive = Annotated[float, Field(gt=0, allow_inf_nan=False)]
NonNegative = Annotated[float, Field(ge=0, allow_inf_nan=False)]
Fraction = Annotated[float, Field(ge=0, le=1)]
Decay = Annotated[float, Field(ge=0, lt=1)]


class LearnerConfig(BaseModel):
    """Batch, losses and optimiser."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    unroll_length: Count = 50
    """Steps of a rollout (T)."""
    batch_size: Count = 32
    """Unrolls of an update (B)."""
    devices: Count = 1
    """Number of learners. They share every batch equally, each with a GPU of its own if the cluster
    has any (mode `ray`)."""

    discount: Fraction = 0.99
    """Discount of the reward after each step (gamma)."""
    bootstrap_time_limits: bool = True
    """Where an episode is truncated, as by a time limit, count the value of its last observation as
    what would have followed. Off, nothing follows, as where an episode terminates."""
    reward_scale: Positive = 1.0
    """Rewards are multiplied by this in the loss, before they are clipped."""
    reward_clip: Positive = 1.0
    """Rewards are clipped to [-reward_clip, reward_clip] in the loss."""
    clip_rho: Positive = 1.0
    """V-trace clips the importance weights of its temporal differences at this value (rho-bar)."""
    clip_c: Positive = 1.0
    """V-trace clips the weights that carry later differences back at this value (c-bar)."""
    vtrace_lambda: Fraction = 1.0
    """Below 1, V-trace trusts later rewards less and the value function more, like GAE's lambda."""
    normalise_advantages: bool = False
    """Give the advantages of each batch mean 0 and standard deviation 1."""
    reduction: Literal["sum", "mean"] = "sum"
    """The loss of a batch is the sum of its steps' losses (as in the paper) or their mean."""
    entropy_cost: NonNegative = 0.01
    """Weight of the entropy in the loss: with more of it the policy explores more."""
    value_cost: NonNegative = 0.5
    """Weight of the value loss."""

    optimiser: Literal["rmsprop", "adam"] = "rmsprop"
    """The optimiser; the paper's is RMSProp."""
    learning_rate: Positive = 6e-4
    """Learning rate at the start of the run."""
    schedule: ScheduleName = "linear"
    """How the learning rate falls to 0 over `total_frames`: `linear`, along half a `cosine`, or not
    at all (`constant`). A run that is resumed with more frames goes on from the rate that it had;
    with another `learning_rate`, from that."""
    rmsprop_alpha: Fraction = 0.99
    """Decay of RMSProp's mean of squared gradients."""
    rmsprop_eps: Positive = 0.01
    """RMSProp adds this to the root of that mean, which bounds its steps."""
    rmsprop_momentum: Fraction = 0.0
    """Momentum of RMSProp."""
    adam_beta1: Decay = 0.9
    """Decay of Adam's mean of gradients."""
    adam_beta2: Decay = 0.999
    """Decay of Adam's mean of squared gradients."""
    adam_eps: Positive = 1e-5
    """Adam adds this to the root of the second mean, which bounds its steps."""
    max_grad_norm: Positive = 40.0
    """Gradients of a larger norm are scaled down to this norm."""
    max_skipped: Count = 10
    """Stop after this many batches in a row with a non-finite loss or gradient."""

    @model_validator(mode="after")
    def _devices_divide(self) -> LearnerConfig:
        if self.batch_size % self.devices:
            raise ValueError(
                f"batch_size {self.batch_size} is not a multiple of devices {self.devices}"
            )
        return self
