"""The configuration section `agent`."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, model_validator

from agents.cores import BUILT_IN, CORES
from agents.cores.base import Positive
from agents.cores.lstm import LSTMConfig
from agents.cores.srwm import Scale, SRWMConfig
from agents.cores.stack import StackConfig
from agents.encoders import BUILT_IN as BUILT_IN_ENCODERS
from agents.encoders import ENCODERS


def one_of(names: Mapping[str, object], *more: str) -> AfterValidator:
    """Accept a registered name; asked when a value is read, so a user's own modules count."""

    def check(value: str) -> str:
        if value not in (*more, *names):
            close = get_close_matches(value, [*more, *names], n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{value!r} is none of {', '.join([*more, *names])}{hint}")
        return value

    return AfterValidator(check)


class AgentConfig(BaseModel):
    """The policy network."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    encoder: Annotated[str, one_of(ENCODERS, "auto")] = "auto"
    core: Annotated[str, one_of(CORES)] = "srwm"
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
    core_options: dict[str, Any] = {}
    """For a core of the user's own (`imports`): what its builder reads."""
    encoder_options: dict[str, Any] = {}
    """For an encoder of the user's own (`imports`): keyword arguments of its builder."""

    @model_validator(mode="after")
    def _options_have_a_reader(self) -> AgentConfig:
        if self.core_options and self.core in BUILT_IN:
            raise ValueError(
                f"core_options: core {self.core!r} does not read them; its settings are in the "
                "sections lstm, srwm and delta"
            )
        if self.encoder_options and self.encoder in ("auto", *BUILT_IN_ENCODERS):
            raise ValueError(f"encoder_options: encoder {self.encoder!r} has none: leave them out")
        return self

    @model_validator(mode="after")
    def _acting_drops_nothing(self) -> AgentConfig:
        for name, section in (("srwm", self.srwm), ("delta", self.delta)):
            if section.dropout:
                raise ValueError(
                    f"{name}.dropout {section.dropout} is for classifiers: a policy that drops "
                    "outputs would not be the one that acted; leave it out"
                )
        return self
