"""The configuration section `classifier`."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from agents.config import LSTMConfig, OneOf, Positive, Scale, SRWMConfig, StackConfig
from agents.registry import CORES

NormName = Literal["batch", "instance"]


DropoutKind = Literal["base", "inblock", "2d", "2d_inblock"]


Normalise = Literal["none", "imagenet"]


Share = Annotated[float, Field(ge=0, lt=1)]


class BackboneConfig(BaseModel):
    """The network that turns an image into features."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    name: Literal["conv4", "res12", "res12_big"] = "conv4"
    """`conv4`: four convolutions. `res12`: twelve in four residual blocks of 64, 96, 128 and 256
    channels; `res12_big`: of 64, 128, 256 and 512."""
    channels: Literal[32, 64] = 64
    """Channels of each convolution of `conv4`."""
    norm: NormName = "batch"
    """`batch`: BatchNorm. `instance`: InstanceNorm with weights, the same in training and
    evaluation."""
    dropout: Share = 0.0
    """Share of the activations that training sets to 0."""
    dropout_kind: DropoutKind = "base"
    """Of Res-12. `base`: single activations after each block. `inblock`: also after the first and
    the second convolution of a block. `2d` and `2d_inblock`: the same with whole channels."""
    input_dropout: Share = 0.0
    """Share of the input's pixels that training sets to 0."""

    @model_validator(mode="after")
    def _options_have_a_reader(self) -> BackboneConfig:
        unread = "dropout_kind" if self.name == "conv4" else "channels"
        value = getattr(self, unread)
        if value != type(self).model_fields[unread].default:
            raise ValueError(f"{unread} {value!r} has no effect on {self.name}: leave it out")
        return self


class ClassifierLSTMConfig(LSTMConfig):
    """Size of `lstm`; the default is the paper's."""

    hidden_size: Positive = 1024
    """Units of the one layer."""


class ClassifierSRWMConfig(SRWMConfig):
    """The cores `srwm`, `fake_srwm` and `sr_delta`.

    The paper's form is `input: none` with both scales 1. It takes a multiple of the updates until
    it leaves chance, so the defaults are another: see agents/cores/README.md.
    """

    hidden_size: Positive = 256
    """Width of all layers."""
    heads: Positive = 16
    """Heads of each layer."""
    residual: Literal["plain", "layernorm"] = "layernorm"
    """What the output of a memory is added to: its input, or (the paper's) the input after a
    LayerNorm."""
    query_scale: Scale = 4.0
    """Initial size of the rows that make queries, in units of the paper's."""
    key_scale: Scale | None = 4.0
    """Initial size of the rows that make keys, in units of the paper's; null: 8."""


class ClassifierDeltaConfig(StackConfig):
    """The core `delta`."""

    hidden_size: Positive = 256
    """Width of all layers."""
    heads: Positive = 16
    """Heads of each layer."""


class ClassifierConfig(BaseModel):
    """The network that learns classes from a sequence of labelled images."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", strict=True, use_attribute_docstrings=True
    )

    backbone: BackboneConfig = BackboneConfig()
    """From an image to features."""
    core: Annotated[str, OneOf(CORES)] = "srwm"
    """The memory: `lstm`, `delta`, `srwm`, `fake_srwm` or another registered core."""
    previous_image: bool = False
    """Each step also reads the features of the image before. With delayed labels an image and its
    label then go in together, and the core need not first learn to keep the one until the other
    comes. The paper's networks do not have it, and take a multiple of the updates."""
    precision: Literal["float32", "bfloat16"] = "float32"
    """Of the backbone; core, head and losses are always float32. `bfloat16` is for GPUs, and for
    CPUs that have AVX512_BF16: elsewhere it is emulated, and Conv-4 took six times as long."""
    lstm: ClassifierLSTMConfig = ClassifierLSTMConfig()
    """Of `lstm`."""
    srwm: ClassifierSRWMConfig = ClassifierSRWMConfig()
    """Of `srwm`, `fake_srwm` and `sr_delta`."""
    delta: ClassifierDeltaConfig = ClassifierDeltaConfig()
    """Of `delta`."""
    core_options: dict[str, Any] = {}
    """For a core of the user's own: what its builder reads."""

    @model_validator(mode="after")
    def _core_fits(self) -> ClassifierConfig:
        if self.core == "srwm_no_carry":
            raise ValueError(
                "core 'srwm_no_carry' is for reinforcement learning: here every sequence starts "
                "anew, use 'srwm'"
            )
        if self.core_options and self.core in CORES.built_in:
            raise ValueError(
                f"core_options: core {self.core!r} does not read them; its settings are in the "
                "sections lstm, srwm and delta"
            )
        return self
