"""Evaluate a tokenizer on a set of pictures: distortion, perception, distribution, rate and codebook use.

Every picture goes through at its full size and is compared after rounding to uint8. Distribution distances compare the
set of originals with the set of reconstructions, on centre squares, and carry the name of their features: only with
Inception weights would that be rFID. `bpp` is the fixed rate; `bpp_ideal` what the empirical entropy of the tokens of
this very set would come to, a bound for a static entropy code fitted to it.
"""

__all__ = ["Evaluated", "FeatureSpace", "evaluate_reconstruction"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from workbench.errors import InputError
from workbench.images.crops import square_picture
from workbench.images.sources import Source
from workbench.metrics.distortion import measure
from workbench.metrics.distribution import Moments, frechet_distance
from workbench.metrics.perceptual import FeatureDistance
from workbench.metrics.usage import Usage, UsageCounter
from workbench.models.tokenizer import Tokenizer

Progress = Callable[[float, str], None]
SQUARE = 128  # pixels a side of the squares that distribution distances compare


class FeatureSpace(Protocol):
    """What Fréchet distances are measured in."""

    name: str

    def embed(self, images: Tensor) -> Tensor:
        """One vector a picture, (B, C), of images (B, 3, H, W) in [0, 1]."""
        ...


@dataclass(frozen=True)
class Evaluated:
    """How a tokenizer did on a set.

    Attributes:
        model: Its name.
        pictures: Number of pictures.
        means: Mean of each measure over the pictures for which it says something.
        each: Each measure for each picture, None where it says nothing.
        distances: Fréchet distances by the name of their features, `FD-NAME`.
        bpp: Bits per pixel at the fixed rate.
        bpp_ideal: Bits per pixel by the empirical entropy of the tokens.
        usage: How the codebook was used.
        protocol: What was done, in words.
    """

    model: str
    pictures: int
    means: Mapping[str, float | None]
    each: Mapping[str, Sequence[float | None]] = field(repr=False)
    distances: Mapping[str, float]
    bpp: float
    bpp_ideal: float
    usage: Usage
    protocol: str

    def row(self) -> dict[str, object]:
        """Everything as JSON takes it."""
        return asdict(self)


def evaluate_reconstruction(
    tokenizer: Tokenizer,
    source: Source,
    *,
    perceptual: Sequence[FeatureDistance] = (),
    spaces: Mapping[str, FeatureSpace] | None = None,
    progress: Progress = lambda fraction, message: None,  # noqa: ARG005 - nobody is watching
) -> Evaluated:
    """Send a whole set through a tokenizer and measure what came back.

    Args:
        tokenizer: The model.
        source: The pictures.
        perceptual: Perceptual distances; each is measured under its own name.
        spaces: Feature networks for Fréchet distances, by name.
        progress: Told the fraction done.

    Raises:
        InputError: if no picture can be read.
    """
    others = {distance.name: distance.between for distance in perceptual}
    spaces = spaces or {}
    moments: dict[str, tuple[Moments, Moments]] = {}
    usage = UsageCounter(tokenizer.quantizer.size)
    each: dict[str, list[float | None]] = {}
    pixels = pictures = 0
    for sample in source:
        result = tokenizer.reconstruct(sample.image)
        values, _ = measure(sample.image, result.image, others=others)
        for name, value in values.items():
            each.setdefault(name, []).append(value)
        usage.update(result.indices)
        for name, space in spaces.items():
            for side, picture in enumerate((sample.image, result.image)):
                vector = _embed(space, picture)
                pair = moments.setdefault(name, (Moments(vector.shape[1]), Moments(vector.shape[1])))
                pair[side].update(vector)
        pixels += sample.image.shape[0] * sample.image.shape[1]
        pictures += 1
        progress(pictures / max(len(source), pictures), f"{pictures} pictures")
    if not pictures:
        raise InputError("none of the pictures can be read: name a folder, files or .tar shards of pictures")
    summary = usage.summary()
    return Evaluated(
        model=tokenizer.name,
        pictures=pictures,
        means={name: _mean(values) for name, values in each.items()},
        each=each,
        distances={
            f"FD-{name}": frechet_distance(*pair) for name, pair in moments.items() if min(pair[0].count, 2) == 2
        },
        bpp=summary.tokens * tokenizer.bits_per_token / pixels,
        bpp_ideal=summary.tokens * summary.entropy_bits / pixels,
        usage=summary,
        protocol=(
            f"{pictures} pictures at full size, compared after rounding to uint8; Fréchet distances on centre squares "
            f"of {SQUARE} pixels (Lanczos); bits per pixel over all pixels of the set"
        ),
    )


@torch.inference_mode()
def _embed(space: FeatureSpace, picture: np.ndarray) -> Tensor:
    square = torch.from_numpy(square_picture(picture, SQUARE)).permute(2, 0, 1)[None]
    return space.embed(square.float() / 255)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
