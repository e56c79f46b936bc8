"""A file of a wanted size, rate or quality: the rate point and λ that come nearest.

Rate points are tried from the smallest files up; within one, larger λ gives fewer bits and more error, so λ is found by
bisection on its logarithm. A target between what two rate points reach is answered by the nearer one, and said.
"""

__all__ = ["Target", "compress_to_target", "parse_size"]

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from workbench.errors import InputError
from workbench.metrics.distortion import psnr
from workbench.progress import Progress, no_progress
from workbench.tasks.compress.codec import Codec
from workbench.tasks.compress.picture import Compressed, compress_image, decompress_image

CLOSE = 0.02  # relative
_LEAST, _MOST = 1e-3, 0.5  # λ
_STEPS = 7
_LEAST_EFFORT = 4
_UNITS = {"": 1, "B": 1, "KB": 1000, "MB": 1000**2, "KIB": 1024, "MIB": 1024**2}


@dataclass(frozen=True)
class Target:
    """What a file should be.

    Attributes:
        kind: `bytes`, `bpp` (bits per pixel) or `psnr` (dB).
        value: How many.
    """

    kind: Literal["bytes", "bpp", "psnr"]
    value: float

    def of(self, result: Compressed, image: np.ndarray, codec: Codec) -> float:
        """What a file has of it."""
        if self.kind == "bytes":
            return float(len(result.data))
        if self.kind == "bpp":
            return 8 * len(result.data) / (image.shape[0] * image.shape[1])
        return psnr(image, decompress_image(result.data, codec=codec).image)

    def said(self, value: float) -> str:
        """A value of the kind as text."""
        form, unit = {"bytes": (",.0f", "bytes"), "bpp": (".4f", "bits per pixel"), "psnr": (".2f", "dB")}[self.kind]
        return f"{value:{form}} {unit}"


def parse_size(text: str) -> int:
    """Bytes of `12000`, `12kB`, `12KiB` or `1.5MB`.

    Raises:
        InputError: if it is none of these.
    """
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([A-Za-z]*)\s*", text)
    unit = found[2].upper() if found else ""
    if not found or unit not in _UNITS or not float(found[1]):
        raise InputError(f"size {text!r}: expected a number above 0 and a unit of B, kB, MB, KiB or MiB, as 12kB")
    return round(float(found[1]) * _UNITS[unit])


def compress_to_target(
    image: np.ndarray,
    codecs: Sequence[Codec],
    target: Target,
    *,
    effort: int,
    entropy: str | None = None,
    progress: Progress = no_progress,
) -> Compressed:
    """Compress a picture so that the file comes as near to a target as it can.

    Args:
        image: uint8, shape (H, W, 3).
        codecs: The rate points to choose from, smallest files first.
        target: What is wanted.
        effort: From 1 to 9, since λ has a meaning in a search only; at least 4 is taken, which sees every patch.
        entropy: As of :func:`~workbench.tasks.compress.picture.compress_image`.
        progress: Told the share done.

    Returns:
        The file; its note says what was reached.

    Raises:
        InputError: if the target or the effort is not positive, or there is no codec.
    """
    if not target.value > 0 or not effort or not codecs:
        raise InputError(
            f"expected a target above 0, an effort from 1 up and a rate point, got {target.value}, {effort} and "
            f"{len(codecs)} rate points"
        )
    effort = max(effort, _LEAST_EFFORT)
    tried: list[tuple[float, Compressed]] = []

    def attempt(codec: Codec, trade: float) -> float:
        result = compress_image(image, codec, entropy=entropy, effort=effort, trade=trade)
        reached = target.of(result, image, codec)
        tried.append((reached, result))
        return reached

    for number, codec in enumerate(codecs):
        progress(number / len(codecs), codec.tokenizer.name)
        if _bisect(lambda trade, codec=codec: attempt(codec, trade), target.value):
            break
    reached, best = min(tried, key=lambda one: abs(math.log(one[0] / target.value)))
    progress(1.0, "done")
    near = abs(reached / target.value - 1) <= CLOSE
    note = f"{target.said(reached)} for {target.said(target.value)} wanted" + (
        "" if near else ": the closest that these rate points reach"
    )
    return replace(best, note=note)


def _bisect(reach: Callable[[float], float], wanted: float) -> bool:
    """Look for the λ at which a falling function has a value; whether no larger rate point need be tried."""
    low, high = math.log(_LEAST), math.log(_MOST)
    top = reach(_LEAST)
    if top < wanted:
        return abs(top / wanted - 1) <= CLOSE
    for _ in range(_STEPS):
        middle = (low + high) / 2
        reached = reach(math.exp(middle))
        if abs(reached / wanted - 1) <= CLOSE / 4:
            return True
        low, high = (middle, high) if reached > wanted else (low, middle)
    return True
