"""The configuration section `agent`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from agents.cores import CORES
from agents.cores.head_input import HeadInputName
from agents.encoders import ENCODERS

Positive = Annotated[int, Field(gt=0)]
Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]


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


class SRWMConfig(StackConfig):
    """The self-referential cores: `srwm`, `srwm_no_carry`, `fake_srwm` and `sr_delta`.

    `fake_srwm` has neither queries nor keys, so no scales.
    """

    input: HeadInputName = "layernorm"
    """What a head reads of its layer's input: `layernorm` normalises it over all heads, `softmax`
    is the paper's RL code (it hardly learns to remember, see agents/cores/README.md), `none`
    changes nothing."""
    query_scale: Scale = 1.0
    """Initial size of the rows that make queries, in units of the paper's."""
    key_scale: Scale | None = None
    """Initial size of the rows that make keys; null: 8, but the paper's 1 with `input: softmax`.
    Keys that are less sharp than queries let the matrix grow without bound in long episodes."""

    @property
    def initial_key_scale(self) -> float:
        """`key_scale`, or what it is by default."""
        return self.key_scale or (1.0 if self.input == "softmax" else 8.0)


class AgentConfig(BaseModel):
    """The policy network."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    encoder: Annotated[str, _one_of(["auto", *ENCODERS])] = "auto"
    core: Annotated[str, _one_of([*CORES])] = "srwm"
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Of the encoder; core, heads and losses are always float32. `auto` is what is faster here."""
    bptt: Positive | None = None
    """Gradients flow back through at most so many steps of the core; null: the whole unroll. 1 is
    the paper's code for `srwm`, `delta` and `sr_delta`; its LSTM has the whole unroll."""
    policy_scale: Scale = 1.0
    """Initial size of the policy head's weights, in units of PyTorch's default (the paper's). With
    0.01 a run begins with a nearly uniform policy, and explores more."""
    lstm: LSTMConfig = LSTMConfig()
    srwm: SRWMConfig = SRWMConfig()
    """Of `srwm`, `srwm_no_carry`, `fake_srwm` and `sr_delta`."""
    delta: StackConfig = StackConfig()
