"""The codecs that people use, as far as Pillow has them here: JPEG, WebP, AVIF, JPEG 2000, JPEG XL.

Each has one *setting*, a whole number that a larger file has more of, and keeps everything else at its best: optimised
Huffman tables for JPEG, the slowest search for WebP, speed 6 for AVIF, the irreversible wavelet for JPEG 2000. No
metadata is written; a file's size is all of it, header included.
"""

__all__ = ["Baseline", "baselines", "encode_to_size"]

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, features

from workbench.errors import InputError


@dataclass(frozen=True)
class Baseline:
    """One codec of Pillow.

    Attributes:
        name: What people call it.
        format: What Pillow calls it.
        settings: The whole numbers it takes, as a range; a larger one gives a larger file.
        sweep: The settings that its curve is drawn through.
        options: From a setting to Pillow's options.
    """

    name: str
    format: str
    settings: range
    sweep: Sequence[int]
    options: Callable[[int], Mapping[str, object]] = field(repr=False)

    def encode(self, image: np.ndarray, setting: int) -> bytes:
        """The file of a picture, uint8 of shape (H, W, 3)."""
        content = io.BytesIO()
        Image.fromarray(image).save(content, format=self.format, **self.options(setting))
        return content.getvalue()

    def decode(self, data: bytes) -> np.ndarray:
        """The picture in a file, uint8, shape (H, W, 3)."""
        with Image.open(io.BytesIO(data), formats=(self.format,)) as picture:
            return np.asarray(picture.convert("RGB"))


def baselines() -> list[Baseline]:
    """The codecs that the Pillow of this machine can write, in the order in which they were invented."""
    Image.init()
    known = [
        Baseline("JPEG", "JPEG", range(1, 96), (5, 10, 20, 35, 55, 75), _jpeg),
        # The setting of JPEG 2000 is the ratio, in hundredths of an octave below that of the raw picture.
        Baseline("JPEG 2000", "JPEG2000", range(0, 1001), (130, 230, 330, 430, 530, 600), _jpeg2000),
        Baseline("WebP", "WEBP", range(0, 101), (0, 10, 25, 45, 70, 85), _webp),
        Baseline("AVIF", "AVIF", range(0, 101), (12, 22, 34, 46, 58, 70), _avif),
        Baseline("JPEG XL", "JXL", range(0, 100), (5, 15, 30, 50, 70, 85), _jpeg_xl),
    ]
    return [one for one in known if one.format in Image.SAVE and (one.format != "AVIF" or features.check("avif"))]


def encode_to_size(baseline: Baseline, image: np.ndarray, most_bytes: int) -> tuple[bytes, bool]:
    """The largest file of at most that many bytes, and whether there is one; without, the smallest file there is.

    Sizes need not grow strictly with the setting: the search assumes that they nearly do, and keeps what fits.

    Raises:
        InputError: if no bytes are allowed.
    """
    if most_bytes < 1:
        raise InputError(f"a file has at least one byte, got a limit of {most_bytes}")
    low, high = 0, len(baseline.settings) - 1
    best = baseline.encode(image, baseline.settings[0])
    if len(best) > most_bytes:
        return best, False
    while low < high:
        middle = (low + high + 1) // 2
        data = baseline.encode(image, baseline.settings[middle])
        if len(data) <= most_bytes:
            low = middle
            best = max(best, data, key=len)
        else:
            high = middle - 1
    return best, True


def _jpeg(setting: int) -> dict[str, object]:
    return {"quality": setting, "optimize": True}


def _jpeg2000(setting: int) -> dict[str, object]:
    ratio = 2.0 ** ((1000 - setting) / 100)
    return {"quality_mode": "rates", "quality_layers": [ratio], "irreversible": True}


def _webp(setting: int) -> dict[str, object]:
    return {"quality": setting, "method": 6}


def _avif(setting: int) -> dict[str, object]:
    # One thread, so that seconds are those of one core, as for the others.
    return {"quality": setting, "speed": 6, "max_threads": 1}


def _jpeg_xl(setting: int) -> dict[str, object]:
    return {"quality": setting}
