"""The configuration section `agent`. It imports no torch, so that mistakes are answered quickly."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from typing import Annotated, Any, Literal, Protocol

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    model_validator,
)
from pydantic_core import core_schema

from agents.registry import CORES, ENCODERS, Registry

Positive = Annotated[int, Field(gt=0)]
Scale = Annotated[float, Field(gt=0, allow_inf_nan=False)]
HeadInputName = Literal["layernorm", "softmax", "none"]


class LSTMConfig(BaseModel):
    """Sizes of the LSTM core."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    hidden_size: Positive = 256
    """Units of the LSTM layer."""


class StackConfig(BaseModel):
    """Sizes of a core that is a stack of fast weights; the defaults are the paper's RL network."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    hidden_size: Positive = 128
    """Width of all layers and of the output; a multiple of `heads`."""
    layers: Positive = 2
    """Number of layers, each a memory and a feed-forward block."""
    heads: Positive = 8
    """Heads of each memory; they share `hidden_size` equally."""
    feedforward_factor: Positive = 4
    """Width of the feed-forward blocks, in units of `hidden_size`."""
    residual: Literal["plain", "layernorm"] = "plain"
    """What the output of a memory is added to: its input, or (the paper's supervised SRWM) the
    input after a LayerNorm."""
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0
    """Share of the outputs of memories and feed-forward layers that training sets to 0."""

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


class CoreSections(Protocol):
    """The sections of a configuration that describe cores; `AgentConfig` is one."""

    @property
    def core(self) -> str:
        """Name of the core."""

    @property
    def lstm(self) -> LSTMConfig:
        """Of `lstm`."""

    @property
    def delta(self) -> StackConfig:
        """Of `delta`."""

    @property
    def srwm(self) -> SRWMConfig:
        """Of the self-referential cores."""

    @property
    def core_options(self) -> Mapping[str, Any]:
        """Of a core that a module of the user's own registers."""


class OneOf:
    """A string field that accepts the names of a registry.

    The registry is asked when a value is read, so that the parts of a user's own modules count.
    """

    def __init__(self, registry: Registry[Any], *more: str) -> None:
        self.registry = registry
        self.more = more

    def names(self) -> list[str]:
        """Return all names that are accepted now."""
        return [*self.more, *self.registry]

    def check(self, value: str) -> str:
        """Return the name, or raise a ValueError that says the names and the nearest one."""
        names = self.names()
        if value not in names:
            close = get_close_matches(value, names, n=1)
            hint = f"; did you mean {close[0]!r}?" if close else ""
            raise ValueError(f"{value!r} is none of {', '.join(names)}{hint}")
        return value

    def __get_pydantic_core_schema__(
        self, source: Any, handler: GetCoreSchemaHandler
    ) -> core_schema.CoreSchema:
        return core_schema.no_info_after_validator_function(self.check, handler(source))

    def __get_pydantic_json_schema__(
        self, schema: core_schema.CoreSchema, handler: GetJsonSchemaHandler
    ) -> dict[str, Any]:
        return {**handler(schema), "enum": self.names()}


class AgentConfig(BaseModel):
    """The policy network."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    encoder: Annotated[str, OneOf(ENCODERS, "auto")] = "auto"
    """The network that reads observations. `auto` is `impala` for images and `mlp` for vectors."""
    core: Annotated[str, OneOf(CORES)] = "srwm"
    """The recurrent core between the encoder and the heads."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Precision of the encoder; core, heads and losses are always float32. `auto` takes what is
    faster on the device."""
    bptt: Positive | None = None
    """Gradients flow back through at most so many steps of the core; null: the whole unroll. 1 is
    the paper's code for `srwm`, `delta` and `sr_delta`; its LSTM has the whole unroll."""
    policy_scale: Scale = 1.0
    """Initial size of the policy head's weights, in units of PyTorch's default (the paper's). With
    0.01 a run begins with a nearly uniform policy, and explores more."""
    lstm: LSTMConfig = LSTMConfig()
    """Sizes of core `lstm`."""
    srwm: SRWMConfig = SRWMConfig()
    """Sizes of cores `srwm`, `srwm_no_carry`, `fake_srwm` and `sr_delta`."""
    delta: StackConfig = StackConfig()
    """Sizes of core `delta`."""
    core_options: dict[str, Any] = {}
    """Settings of a core from one of your own modules (`imports`); its builder reads them."""
    encoder_options: dict[str, Any] = {}
    """Settings of an encoder from one of your own modules (`imports`): keyword arguments of its
    builder."""

    @model_validator(mode="after")
    def _options_have_a_reader(self) -> AgentConfig:
        if self.core_options and self.core in CORES.built_in:
            raise ValueError(
                f"core_options: core {self.core!r} does not read them; its settings are in the "
                "sections lstm, srwm and delta"
            )
        if self.encoder_options and self.encoder in ("auto", *ENCODERS.built_in):
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
