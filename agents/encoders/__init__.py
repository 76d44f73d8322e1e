"""From an observation to a feature vector."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from torch import nn

from agents.encoders.base import FEATURES
from agents.encoders.image import impala, impala_small, impala_tiny
from agents.encoders.mlp import MLPEncoder
from agents.registry import ENCODERS, register_encoder

for _name, _build in (
    ("impala", impala),
    ("impala_small", impala_small),
    ("impala_tiny", impala_tiny),
    ("mlp", MLPEncoder),
):
    register_encoder(_name)(_build)

__all__ = ["ENCODERS", "FEATURES", "make_encoder", "register_encoder"]


def make_encoder(
    name: str, observation_shape: tuple[int, ...], options: Mapping[str, Any] = MappingProxyType({})
) -> nn.Module:
    """Build the encoder `name`; `auto` is `impala` for images [H, W, C] and `mlp` otherwise.

    Images of less than 16 x 16 are too small for convolutions with strides: they count as vectors.

    Args:
        name: of a registered encoder, or `auto`.
        observation_shape: of one observation of one environment.
        options: keyword arguments for a builder of the user's own.

    Raises:
        ValueError: if the observation is not of the kind or the size that the encoder reads, or the
            builder does not take the options.
    """
    image = len(observation_shape) == 3 and min(observation_shape[:2]) >= 16
    if name == "auto":
        name = "impala" if image else "mlp"
    if name in {*ENCODERS.built_in} - {"mlp"} and not image:
        raise ValueError(
            f"agent.encoder: {name!r} reads images [height, width, channels] of at least 16 x 16, "
            f"but observations are {list(observation_shape)}: use 'mlp' or 'auto'"
        )
    try:
        inspect.signature(ENCODERS[name]).bind(observation_shape, **options)
    except TypeError as error:
        raise ValueError(f"agent.encoder_options: encoder {name!r}: {error}") from None
    return ENCODERS[name](observation_shape, **options)
