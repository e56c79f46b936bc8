"""Sets of pictures on their way into feature spaces: real ones at a model's size, and samples as they are drawn.

Pictures are seen in batches and let go; only their feature vectors stay.
"""

__all__ = ["BATCH", "Embedded", "draw_pictures", "embed_batches", "embed_source", "labels_in_shares"]

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
import torch

from workbench.errors import InputError
from workbench.images.sources import Source
from workbench.metrics.usage import UsageCounter
from workbench.models.load import Pair
from workbench.models.sampling import Controls, sample
from workbench.tasks.evaluate.spaces import FeatureSpace

BATCH = 16  # samples drawn at a time, and real pictures looked at at a time


@dataclass(frozen=True, eq=False)
class Embedded:
    """Features of a set of pictures.

    Attributes:
        vectors: For each space, float32, shape (N, C).
        labels: Class of each, -1 without, int64, shape (N,).
    """

    vectors: Sequence[np.ndarray] = field(repr=False)
    labels: np.ndarray = field(repr=False)


def embed_source(
    source: Source,
    pair: Pair,
    spaces: Sequence[FeatureSpace],
    progress: Callable[[float], object] = lambda share: None,  # noqa: ARG005 - nobody is watching
    *,
    also: Callable[[np.ndarray, np.ndarray], None] = lambda pictures, labels: None,  # noqa: ARG005
) -> Embedded:
    """Features and classes of pictures at the model's size; `also` is shown every batch, uint8 (B, H, W, 3)."""
    labels: list[int] = []

    def batches() -> Iterator[np.ndarray]:
        samples = iter(source)
        while batch := list(islice(samples, BATCH)):
            pictures = np.stack([pair.tokenizer.prepare(each.image) for each in batch])
            found = [-1 if each.label is None else each.label for each in batch]
            also(pictures, np.array(found))
            labels.extend(found)
            progress(len(labels) / max(len(source), len(labels)))
            yield pictures

    return Embedded(embed_batches(batches(), spaces), np.array(labels))


def embed_batches(batches: Iterator[np.ndarray], spaces: Sequence[FeatureSpace]) -> list[np.ndarray]:
    """Features in every space, of pictures that are seen once and let go."""
    parts = [[space.embed(pictures) for space in spaces] for pictures in batches]
    if not parts:
        raise InputError("none of the pictures can be read: name a folder, files or .tar shards of pictures")
    return [np.concatenate(each) for each in zip(*parts, strict=True)]


def labels_in_shares(real: np.ndarray, samples: int, classes: int) -> np.ndarray:
    """Classes of the samples, int64 (N,), in the shares of the reference's; evenly where it has none."""
    counts = np.bincount(real[real >= 0], minlength=classes) if (real >= 0).any() else np.ones(classes)
    wanted = counts / counts.sum() * samples
    given = np.floor(wanted).astype(np.int64)
    given[np.argsort(given - wanted, kind="stable")[: samples - given.sum()]] += 1
    return np.repeat(np.arange(classes), given)


def draw_pictures(
    pair: Pair,
    labels: np.ndarray,
    seed: int,
    controls: Controls,
    usage: UsageCounter,
    progress: Callable[[float], object] = lambda share: None,  # noqa: ARG005 - nobody is watching
) -> Iterator[np.ndarray]:
    """Samples of the classes, in batches, uint8 (B, H, W, 3)."""
    device = next(pair.generator.parameters()).device
    luck = torch.Generator(device).manual_seed(seed)
    for start in range(0, len(labels), BATCH):
        wanted = torch.from_numpy(labels[start : start + BATCH]).to(device)
        *_, last = sample(pair.generator, pair.tokenizer.quantizer, wanted, generator=luck, controls=controls)
        usage.update(last.indices)
        images = pair.tokenizer.detokenize(last.indices)
        progress(min(start + BATCH, len(labels)) / len(labels))
        yield (images * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy()
