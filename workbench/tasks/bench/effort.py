"""What refinement gains for its time: decibels and bits at each effort, beside plain encoding and decoding."""

__all__ = ["EffortCost", "measure_effort"]

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from workbench.errors import InputError
from workbench.metrics.distortion import psnr
from workbench.models.refine import EFFORTS, check_effort
from workbench.progress import Progress, no_progress
from workbench.tasks.compress.codec import Codec
from workbench.tasks.compress.picture import compress_image, decompress_image


@dataclass(frozen=True)
class EffortCost:
    """Means over the pictures at one effort.

    Attributes:
        effort: From 0 to 9.
        rounds: Of the search.
        psnr: In dB, after rounding to uint8.
        bits_per_pixel: Of the files, headers included.
        encode_seconds: Of a picture.
        decode_seconds: Of a picture.
        times_plain: Encoding and decoding together, in units of the same at effort 0.
    """

    effort: int
    rounds: int
    psnr: float
    bits_per_pixel: float
    encode_seconds: float
    decode_seconds: float
    times_plain: float


def measure_effort(
    pictures: Sequence[np.ndarray],
    codec: Codec,
    *,
    efforts: Sequence[int] = tuple(range(len(EFFORTS))),
    trade: float = 0.0,
    entropy: str | None = None,
    progress: Progress = no_progress,
) -> list[EffortCost]:
    """Compress pictures at each effort, 0 first.

    Args:
        pictures: Each uint8, shape (H, W, 3).
        codec: The model with its entropy models.
        efforts: Which, besides 0.
        trade: λ of the search.
        entropy: The entropy model; None for the best.
        progress: Told the share done.

    Raises:
        InputError: if there is no picture, or an effort is out of range.
    """
    if not pictures:
        raise InputError("no picture given to measure on")
    wanted = sorted({0, *map(check_effort, efforts)})
    compress_image(pictures[0][:64, :64], codec, entropy=entropy, effort=min(1, wanted[-1]), trade=trade)  # compiles
    costs: list[EffortCost] = []
    for number, effort in enumerate(wanted):
        rows = []
        for place, picture in enumerate(pictures):
            progress((number + place / len(pictures)) / len(wanted), f"effort {effort}")
            start = time.perf_counter()
            file = compress_image(picture, codec, entropy=entropy, effort=effort, trade=trade)
            middle = time.perf_counter()
            back = decompress_image(file.data, codec=codec).image
            end = time.perf_counter()
            bits = 8 * len(file.data) / (picture.shape[0] * picture.shape[1])
            rows.append((psnr(picture, back), bits, middle - start, end - middle))
        quality, bits, encoding, decoding = map(float, np.mean(rows, axis=0))
        plain = costs[0].encode_seconds + costs[0].decode_seconds if costs else encoding + decoding
        costs.append(
            EffortCost(effort, EFFORTS[effort], quality, bits, encoding, decoding, (encoding + decoding) / plain)
        )
    progress(1.0, f"{torch.get_num_threads()} threads")
    return costs
