"""The configuration section `agent`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from agents.cores import CORES
from agents.encoders import ENCODERS

Positive = Annotated[int, Field(gt=0)]


def _one_of(names: list[str]) -> AfterValidator:
    def check(value: str) -> str:
        if value not in names:
            raise ValueError(f"{value!r} is none of {', '.join(names)}")
        return value

    return AfterValidator(check)


class LSTMConfig(BaseModel):
    """Sizes of the LSTM core."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hidden_size: Positive = 256


class StackConfig(BaseModel):
    """Sizes of a core that is a stack of fast weights; the defaults are the paper's RL network."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    hidden_size: Positive = 128
    layers: Positive = 2
    heads: Positive = 8
    feedforward_factor: Positive = 4

    @model_validator(mode="after")
    def _heads_divide(self) -> StackConfig:
        if self.hidden_size % self.heads:
            raise ValueError(
                f"hidden_size {self.hidden_size} is not a multiple of heads {self.heads}"
            )
        return self


class AgentConfig(BaseModel):
    """The policy network."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    encoder: Annotated[str, _one_of(["auto", *ENCODERS])] = "auto"
    core: Annotated[str, _one_of([*CORES])] = "srwm"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the encoder; core, heads and losses are always float32. `auto` is what is faster here."""
    bptt: Positive | None = None
    """Gradients flow back through at most so many steps of the core; null: the whole unroll. 1 is
    the paper's code, which detaches the state after each step."""
    lstm: LSTMConfig = LSTMConfig()
    srwm: StackConfig = StackConfig()
    """Of `srwm`, `srwm_no_carry`, `fake_srwm` and `sr_delta`."""
    delta: StackConfig = StackConfig()
