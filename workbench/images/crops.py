"""Training pictures: decoded once, kept in memory, cut at random.

Batch i is a pure function of the pictures, the seed and i: its random numbers come from a generator seeded by
(seed, i). So a run that stops after batch i goes on exactly with batch i + 1, and any slice of a batch can be cut by
itself. With squares of side N (`load_pictures(square=N)`) and `size=N`, crops are whole pictures and only flips are
random.
"""

__all__ = ["CropSampler", "Pictures", "load_pictures", "share_weights", "square_picture"]

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workbench.errors import ImageError, InputError
from workbench.images.sources import Source
from workbench.progress import Progress


@dataclass(frozen=True, eq=False)
class Pictures:
    """Decoded pictures.

    Attributes:
        images: Each uint8 of shape (H, W, 3), sizes may differ.
        labels: Class of each, int64, shape (N,); -1 without.
        keys: Name of each.
        class_names: Names of the classes.
    """

    images: Sequence[np.ndarray] = field(repr=False)
    labels: np.ndarray = field(repr=False)
    keys: Sequence[str] = field(repr=False)
    class_names: Sequence[str] = ()


def square_picture(image: np.ndarray, size: int) -> np.ndarray:
    """Cut the centre square and resize it (Lanczos, with the anti-aliasing that shrinking needs).

    Args:
        image: uint8, shape (H, W, 3).
        size: Side of the result.
    """
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = image[top : top + side, left : left + side]
    return square.copy() if side == size else _resize(square, size, size)


def load_pictures(
    source: Source,
    *,
    square: int | None = None,
    at_least: int | None = None,
    max_bytes: int = 8 << 30,
    progress: Progress | None = None,
) -> Pictures:
    """Decode a whole source into memory.

    Args:
        source: Where they come from; unreadable ones go the source's own way.
        square: Cut each to its centre square and resize that to this side; None to keep them as they are.
        at_least: Enlarge pictures whose shorter side is less than this.
        max_bytes: Most memory to take.
        progress: Told the fraction read.

    Raises:
        ImageError: if no picture is readable, or they take more than `max_bytes`.
    """
    images, labels, keys, taken = [], [], [], 0
    for sample in source:
        image = sample.image
        if square is not None:
            image = square_picture(image, square)
        elif at_least is not None and min(image.shape[:2]) < at_least:
            factor = at_least / min(image.shape[:2])
            image = _resize(image, *(max(at_least, round(side * factor)) for side in image.shape[:2]))
        taken += image.nbytes
        if taken > max_bytes:
            raise ImageError(
                f"the pictures take more than {max_bytes / 2**30:.1f} GiB decoded "
                f"({len(images)} of {len(source)} fit): name fewer of them, or make them smaller first"
            )
        images.append(image)
        labels.append(-1 if sample.label is None else sample.label)
        keys.append(sample.key)
        if progress and len(images) % 64 == 0:
            progress(len(images) / len(source), f"{len(images)} pictures read")
    if not images:
        raise ImageError(f"none of the {len(source)} pictures can be read")
    if progress:
        progress(1.0, f"{len(images)} pictures read")
    return Pictures(images, np.array(labels, dtype=np.int64), keys, source.class_names)


def share_weights(counts: Sequence[int], weights: Sequence[float]) -> np.ndarray:
    """Weight of each picture, where sources of `counts` pictures shall be seen in proportion to `weights`.

    Example:
        >>> share_weights([2, 1], [1, 3]).tolist()
        [0.125, 0.125, 0.75]

    Raises:
        InputError: if the lists differ in length, or a weight is negative, not finite or all are zero.
    """
    shares = np.asarray(weights, dtype=np.float64)
    if len(counts) != len(shares) or not np.isfinite(shares).all() or (shares < 0).any() or not shares.sum():
        raise InputError(
            f"expected one weight ≥ 0 for each of {len(counts)} sources, not all zero, got {list(weights)}"
        )
    return np.repeat(shares / shares.sum() / np.maximum(counts, 1), counts)


class CropSampler:
    """An endless, addressable sequence of batches of random crops.

    Args:
        images: uint8, each of shape (H, W, 3), both sides at least `size`.
        size: Side of a crop.
        batch: Crops in a batch.
        seed: What the randomness is made of.
        labels: Class of each picture; None for -1 throughout.
        weights: How often each picture is drawn, relative to the others; None for all alike.
        flip: Whether to mirror every other crop, left to right.

    Raises:
        InputError: if there is no picture, one is too small or of another type, or a number makes no sense.
    """

    def __init__(
        self,
        images: Sequence[np.ndarray],
        size: int,
        batch: int,
        seed: int,
        *,
        labels: Sequence[int] | np.ndarray | None = None,
        weights: Sequence[float] | np.ndarray | None = None,
        flip: bool = True,
    ) -> None:
        if not len(images) or size < 1 or batch < 1 or seed < 0:
            raise InputError(
                f"expected pictures, a size and a batch from 1 up and a seed from 0 up, "
                f"got {len(images)} pictures, size {size}, batch {batch}, seed {seed}"
            )
        for number, image in enumerate(images):
            if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
                raise InputError(f"picture {number}: expected uint8 (H, W, 3), got {image.dtype} {image.shape}")
            if min(image.shape[:2]) < size:
                raise InputError(
                    f"picture {number} has {image.shape[1]}×{image.shape[0]} pixels, crops have {size}: "
                    f"load pictures with at_least={size}, or cut smaller crops"
                )
        self.images, self.size, self.batch, self.seed, self.flip = images, size, batch, seed, flip
        self.labels = np.full(len(images), -1) if labels is None else np.asarray(labels, dtype=np.int64)
        self._cumulative = None if weights is None else _cumulative(weights, len(images))
        if len(self.labels) != len(images):
            raise InputError(f"{len(self.labels)} labels for {len(images)} pictures")

    def at(self, step: int, *, part: int = 0, parts: int = 1) -> dict[str, Tensor]:
        """Batch number `step`, or the `part`-th of `parts` equal slices of it.

        Returns:
            `images`: uint8, shape (B, 3, size, size); `labels`: int64, shape (B,).

        Raises:
            InputError: if the step is negative or the batch does not split into that many parts.
        """
        if step < 0 or self.batch % parts or not 0 <= part < parts:
            raise InputError(f"no part {part} of {parts} in a batch of {self.batch} at step {step}")
        generator = np.random.default_rng((self.seed, step))
        draw = generator.random((self.batch, 4))  # for each crop: which picture, top, left, mirrored
        share = self.batch // parts
        draw = draw[part * share : (part + 1) * share]
        if self._cumulative is None:
            picks = (draw[:, 0] * len(self.images)).astype(np.int64)
        else:
            picks = np.searchsorted(self._cumulative, draw[:, 0], side="right")
        size = self.size
        crops = np.empty((share, size, size, 3), np.uint8)
        for crop, pick, (_, down, across, mirrored) in zip(crops, picks, draw, strict=True):
            image = self.images[pick]
            top = int(down * (image.shape[0] - size + 1))
            left = int(across * (image.shape[1] - size + 1))
            cut = image[top : top + size, left : left + size]
            crop[:] = cut[:, ::-1] if self.flip and mirrored < 0.5 else cut
        return {
            "images": torch.from_numpy(crops).permute(0, 3, 1, 2).contiguous(),
            "labels": torch.from_numpy(self.labels[picks]),
        }

    def stream(self, start: int = 0, *, part: int = 0, parts: int = 1) -> Iterator[dict[str, Tensor]]:
        """Yield batch `start`, `start + 1` and so on, without end: of each the `part`-th of `parts` slices."""
        while True:
            yield self.at(start, part=part, parts=parts)
            start += 1


def _cumulative(weights: Sequence[float] | np.ndarray, count: int) -> np.ndarray:
    """Upper ends of the intervals of [0, 1) that belong to each picture."""
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != (count,) or not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum():
        raise InputError(f"expected {count} weights ≥ 0, not all zero, got shape {weights.shape}")
    ends = np.cumsum(weights) / weights.sum()
    ends[np.flatnonzero(weights)[-1] :] = 1.0  # rounding must not leave a gap at the end
    return ends


def _resize(image: np.ndarray, height: int, width: int) -> np.ndarray:
    return np.array(Image.fromarray(np.ascontiguousarray(image)).resize((width, height), Image.Resampling.LANCZOS))
