"""The network of few-shot learning: images and labels in, class scores out."""

from __future__ import annotations

import sys
from typing import NamedTuple

import torch
from torch import Tensor, nn

from agents.classifier_config import ClassifierConfig
from agents.cores import CORES, Core, FastWeights
from agents.cores.base import RowBlock
from agents.encoders.backbones import Backbone, Normalise, make_backbone
from agents.mode import evaluating

# An evaluation on a CPU encodes so many images at once: their activations stay in its caches.
# Training encodes all together, because BatchNorm is over the whole batch.
CPU_CHUNK = 128

# A sequence is never cut into unrolls.
UNROLL_LENGTH = sys.maxsize


class ClassifierOutput(NamedTuple):
    """What the network says of T images of B sequences."""

    logits: Tensor  # [T, B, N] float32, unnormalised log-probabilities of the classes
    features: Tensor  # [T, B, F] float32, what the backbone makes of the images


class Classifier(nn.Module):
    """The network of the paper's supervised experiments, for any backbone and core.

    Each step reads an image and a label, whose one-hot joins the image's features, and predicts the
    image's class. What the label belongs to is the episode's matter: this image, the one before, or
    nothing. The core starts each sequence from its initial state, so what it knows of the classes
    it has learnt within the sequence.

    Args:
        backbone: from images to features.
        core: whose input size is F + label symbols; see `previous_image`.
        n_way: N, the classes of an episode.
        unknown_label: have a symbol of its own, number N, for "no label".
        dtype: in which the backbone computes.
        previous_image: let each step also read the features of the image before, zeros at first;
            the core's input has then 2 F.
    """

    def __init__(
        self,
        backbone: Backbone,
        core: Core,
        n_way: int,
        unknown_label: bool,
        dtype: torch.dtype = torch.float32,
        previous_image: bool = False,
    ) -> None:
        super().__init__()
        self.backbone = backbone
        self.core = core
        self.head = nn.Linear(core.output_size, n_way)
        self.n_way = n_way
        self.label_symbols = n_way + unknown_label
        self.dtype = dtype
        self.previous_image = previous_image

    def forward(self, images: Tensor, label_in: Tensor) -> ClassifierOutput:
        """Run over whole sequences.

        Args:
            images: [T, B, H, W, C], uint8.
            label_in: [T, B], int64, 0..N-1, and N for "unknown" if there is such a symbol.

        Raises:
            ValueError: if the arguments are not of this form.
        """
        features = self.encode(images)
        return ClassifierOutput(self.classify(features, label_in), features)

    def encode(self, images: Tensor) -> Tensor:
        """Return the backbone's features of images [T, B, H, W, C], uint8, as [T, B, F]."""
        if images.dim() != 5 or images.dtype != torch.uint8:
            raise ValueError(
                f"images are {images.dtype} {list(images.shape)}, not torch.uint8 [T, B, H, W, C]"
            )
        frames = images.flatten(0, 1)
        chunks = images.device.type == "cpu" and not self.training
        pieces = frames.split(CPU_CHUNK) if chunks else (frames,)
        lower = self.dtype != torch.float32
        with torch.autocast(images.device.type, self.dtype, enabled=lower):
            features = torch.cat([self.backbone(piece) for piece in pieces])
        return features.to(self.head.weight.dtype).unflatten(0, images.shape[:2])

    def classify(self, features: Tensor, label_in: Tensor) -> Tensor:
        """Return the logits [T, B, N] of whole sequences of features [T, B, F] and labels."""
        x = self._inputs(features, label_in)
        y, _ = self.core(x, _no_resets(x), self.core.initial_state(x.shape[1]))
        logits: Tensor = self.head(y)
        return logits

    @torch.no_grad()
    def introspect(self, images: Tensor, label_in: Tensor) -> list[FastWeights]:
        """Return what the core's fast weights do in `forward` of the same arguments.

        Computed as in evaluation (without dropout, BatchNorm by its running statistics), whatever
        the mode, and nothing is changed. One entry a layer; the list is empty for a core without
        fast weights.
        """
        with evaluating(self):
            x = self._inputs(self.encode(images), label_in)
            return self.core.introspect(x, _no_resets(x), self.core.initial_state(x.shape[1]))

    def row_blocks(self) -> list[dict[str, RowBlock]]:
        """Name the rows behind the fast weights of each layer: see `Core.row_blocks`."""
        return self.core.row_blocks()

    def _inputs(self, features: Tensor, label_in: Tensor) -> Tensor:
        if label_in.shape != features.shape[:2]:
            raise ValueError(
                f"label_in is {list(label_in.shape)}, but images are {list(features.shape[:2])}"
            )
        symbols = nn.functional.one_hot(label_in, self.label_symbols).to(features.dtype)
        if self.previous_image:
            previous = torch.cat([torch.zeros_like(features[:1]), features[:-1]])
            return torch.cat([features, previous, symbols], dim=-1)
        return torch.cat([features, symbols], dim=-1)


def make_classifier(
    config: ClassifierConfig,
    image_shape: tuple[int, ...],
    n_way: int,
    unknown_label: bool = False,
    normalise: Normalise = "none",
    device: str | torch.device = "cpu",
) -> Classifier:
    """Build the classifier of a configuration, its weights drawn from torch's global generator.

    Args:
        config: the section `classifier`.
        image_shape: (H, W, C).
        n_way: N, the classes of an episode.
        unknown_label: whether "no label" is a symbol of its own.
        normalise: of the images' colours, `none` or `imagenet`.
        device: where the classifier is put.

    Raises:
        ValueError: if the backbone cannot read such images.
    """
    backbone = make_backbone(config.backbone, image_shape, normalise)
    inputs = backbone.features * (1 + config.previous_image) + n_way + unknown_label
    return Classifier(
        backbone,
        CORES[config.core](config, inputs, UNROLL_LENGTH),
        n_way,
        unknown_label,
        getattr(torch, config.precision),
        config.previous_image,
    ).to(device)


def _no_resets(x: Tensor) -> Tensor:
    """Return [T, B] flags that no step opens an episode: the initial state is fed already."""
    return torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
