"""Batches of crops for training: from memory where the pictures fit into it, else decoded ahead by threads.

Both are addressable: batch i is a function of the pictures, the seed and i. From memory each crop is drawn by itself.
Decoded pictures are taken in passes: place `i · B + j` of the endless sequence is place `q mod N` of pass `q div N`,
and pass p visits the N pictures in the order of a permutation made from (seed, p). So a run that stops in the middle of
a pass goes on there, and any number of processes share a pass out without meeting.
A picture that cannot be read is named once and its place is taken by the next one that can be.
"""

__all__ = ["DecodedCrops", "PlainColours", "make_batches"]

import logging
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import lru_cache

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workbench.errors import ImageError
from workbench.fit.engine.batches import Batches
from workbench.fit.engine.settings import Run
from workbench.fit.tokenizer.recipe import Crops
from workbench.images.crops import CropSampler, load_pictures
from workbench.images.sources import Source, open_source

_log = logging.getLogger(__name__)
_AHEAD = 4  # batches that are being decoded while one is in use


def make_batches(paths: Sequence[str], crops: Crops, run: Run) -> Batches:
    """Batches of `images` uint8 (B, 3, side, side) and `labels` int64 (B,) from folders, pictures and shards.

    Raises:
        InputError: if no path is given.
        ImageError: if a path does not exist, or more pictures cannot be read than may be.
    """
    source = open_source(paths, budget=crops.unreadable)
    batches = _from_memory(source, crops, run) if crops.memory else DecodedCrops(source, crops, run)
    return PlainColours(batches, crops.plain, run.seed) if crops.plain else batches


def _from_memory(source: Source, crops: Crops, run: Run) -> CropSampler:
    pictures = load_pictures(source, at_least=crops.side)
    images = pictures.images
    if crops.shortest is not None:
        images = [_shortest(image, crops.shortest) for image in images]
    weights = [image.shape[0] * image.shape[1] for image in images] if crops.draw == "pixels" else None
    return CropSampler(
        images, crops.side, run.batch_size, run.seed, labels=pictures.labels, weights=weights, flip=crops.flip
    )


class PlainColours:
    """Batches in which some crops are replaced by plain colours, which photographs hold too few of.

    Half of those are of one colour, half go over into another one along a random direction.

    Args:
        batches: What the crops are taken from.
        share: Share of crops to replace, in [0, 1].
        seed: What the randomness is made of.
    """

    def __init__(self, batches: Batches, share: float, seed: int) -> None:
        self.batches, self.share, self.seed = batches, share, seed

    def stream(self, start: int, *, part: int = 0, parts: int = 1) -> Iterator[dict[str, Tensor]]:
        """Yield batch `start`, `start + 1` and so on: of each the `part`-th of `parts` equal slices."""
        for number, batch in enumerate(self.batches.stream(start, part=part, parts=parts), start):
            images = batch["images"].clone()
            draw = np.random.default_rng((self.seed, 2, number)).random((len(images) * parts, 9))
            for place, row in enumerate(draw[part * len(images) : (part + 1) * len(images)]):
                if row[0] < self.share:
                    images[place] = _plain(row[1:], images.shape[-1])
            yield {**batch, "images": images}


def _plain(draw: np.ndarray, side: int) -> Tensor:
    """A crop of one colour, or of a ramp between two; from eight numbers in [0, 1)."""
    first, second, (ramp, angle) = draw[:3], draw[3:6], draw[6:]
    if ramp < 0.5:
        second = first
    y, x = np.mgrid[:side, :side] / side - 0.5
    along = np.clip(0.5 + (x * np.cos(2 * np.pi * angle) + y * np.sin(2 * np.pi * angle)) / np.sqrt(2), 0, 1)
    colours = first[:, None, None] + (second - first)[:, None, None] * along
    return torch.from_numpy(np.rint(255 * colours).astype(np.uint8))


class DecodedCrops:
    """An endless, addressable sequence of batches of crops, decoded when they are wanted.

    Args:
        source: Pictures with random access.
        crops: How they are cut.
        run: Batch size and seed.
    """

    def __init__(self, source: Source, crops: Crops, run: Run) -> None:
        self.source, self.crops, self.batch, self.seed = source, crops, run.batch_size, run.seed
        self.order = lru_cache(maxsize=4)(self._order)
        self._named: set[int] = set()

    def stream(self, start: int, *, part: int = 0, parts: int = 1) -> Iterator[dict[str, Tensor]]:
        """Yield batch `start`, `start + 1` and so on: of each the `part`-th of `parts` equal slices."""
        share = self.batch // parts
        with ThreadPoolExecutor(self.crops.workers, thread_name_prefix="decode") as pool:
            waiting: deque[list[Future[tuple[Tensor, int]]]] = deque()
            number = start
            try:
                while True:
                    while len(waiting) < _AHEAD:
                        first = number * self.batch + part * share
                        waiting.append([pool.submit(self._crop, place) for place in range(first, first + share)])
                        number += 1
                    images, labels = zip(*(future.result() for future in waiting.popleft()), strict=True)
                    yield {"images": torch.stack(images), "labels": torch.tensor(labels)}
            finally:
                pool.shutdown(wait=False, cancel_futures=True)

    def _crop(self, place: int) -> tuple[Tensor, int]:
        """The crop at a place of the endless sequence, and its class (-1 without)."""
        luck = np.random.default_rng((self.seed, 1, place))
        image, label = self._readable(place)
        side, shortest = self.crops.side, self.crops.shortest or self.crops.side
        if self.crops.shortest is not None or min(image.shape[:2]) < side:
            image = _shortest(image, shortest)
        top = luck.integers(image.shape[0] - side + 1)
        left = luck.integers(image.shape[1] - side + 1)
        cut = image[top : top + side, left : left + side]
        if self.crops.flip and luck.random() < 0.5:
            cut = cut[:, ::-1]
        return torch.from_numpy(np.ascontiguousarray(np.moveaxis(cut, -1, 0))), label

    def _readable(self, place: int) -> tuple[np.ndarray, int]:
        for attempt in range(len(self.source)):
            turn, rest = divmod(place + attempt, len(self.source))
            index = int(self.order(turn)[rest])
            try:
                sample = self.source[index]
            except ImageError as error:
                if index not in self._named:
                    self._named.add(index)
                    _log.warning("passed over: %s", error)
                if len(self._named) > self.crops.unreadable:
                    raise ImageError(
                        f"{len(self._named)} pictures cannot be read, more than the {self.crops.unreadable} that "
                        f"crops.unreadable allows; the last: {error}"
                    ) from error
                continue
            return sample.image, -1 if sample.label is None else sample.label
        raise ImageError(f"none of the {len(self.source)} pictures can be read; see the messages before this one")

    def _order(self, turn: int) -> np.ndarray:
        return np.random.default_rng((self.seed, 0, turn)).permutation(len(self.source))


def _shortest(image: np.ndarray, length: int) -> np.ndarray:
    """Resize so that the shorter side has `length` pixels, by Lanczos with anti-aliasing."""
    height, width = image.shape[:2]
    factor = length / min(height, width)
    if factor == 1:
        return image
    size = (max(length, round(width * factor)), max(length, round(height * factor)))
    return np.array(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))
