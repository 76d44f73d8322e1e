"""Few-shot learning: labelled pictures and the episodes made of them. Knows nothing of torch."""

from envs.fewshot.config import DataConfig, EpisodesConfig
from envs.fewshot.datasets import load_source
from envs.fewshot.episodes import EpisodeBatch, EpisodeSampler, fixed_batches
from envs.fewshot.images import DataError, ImageSource, Split, StoredImages, contact_sheet

__all__ = [
    "DataConfig",
    "DataError",
    "EpisodeBatch",
    "EpisodeSampler",
    "EpisodesConfig",
    "ImageSource",
    "Split",
    "StoredImages",
    "contact_sheet",
    "fixed_batches",
    "load_source",
]
