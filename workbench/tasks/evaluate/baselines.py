"""The codecs that people use, as far as Pillow has them here: JPEG, WebP, AVIF, JPEG 2000, JPEG XL.

Each has one *setting*, a whole number that a larger file has more of, and keeps everything else at its best: optimised
Huffman tables for JPEG, the slowest search for WebP, speed 6 for AVIF, the irreversible wavelet for JPEG 2000. No
metadata is written; a file's size is all of it, header included.
"""

__all__ = ["Baseline", "File", "Files", "baselines", "encode_to_size"]

import bisect
import io
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from PIL import Image, features

from workbench.errors import InputError

_GUESSES = 4  # by the law of growth, before a search for a size halves what is left, lest it creep


@dataclass(frozen=True)
class Baseline:
    """One codec of Pillow.

    Attributes:
        name: What people call it.
        format: What Pillow calls it.
        settings: The whole numbers it takes, as a range of step 1; a larger one gives a larger file.
        sweep: The settings that its curve is drawn through, growing.
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


@dataclass(frozen=True)
class File:
    """A picture as a file.

    Attributes:
        data: All of its bytes.
        seconds: Wall time of making them.
    """

    data: bytes = field(repr=False)
    seconds: float

    def __len__(self) -> int:
        return len(self.data)


class Files:
    """The files of one picture by one codec: each setting is encoded once, however often it is asked for.

    Args:
        baseline: The codec.
        image: uint8, shape (H, W, 3).
    """

    def __init__(self, baseline: Baseline, image: np.ndarray) -> None:
        self.baseline, self._image = baseline, image
        self._made: dict[int, File] = {}

    def at(self, setting: int) -> File:
        """The file at a setting."""
        if setting not in self._made:
            start = time.perf_counter()
            data = self.baseline.encode(self._image, setting)
            self._made[setting] = File(data, time.perf_counter() - start)
        return self._made[setting]

    def largest_within(self, most_bytes: int) -> tuple[int, bool]:
        """The setting of the largest file of at most that many bytes, and whether there is one.

        Without one, it is the setting of the smallest file. Sizes need not grow strictly with the setting: the search
        assumes that they nearly do, and keeps what fits.

        Raises:
            InputError: if no bytes are allowed.
        """
        if most_bytes < 1:
            raise InputError(f"a file has at least one byte, got a limit of {most_bytes}")
        sweep, settings = self.baseline.sweep, self.baseline.settings
        # The points of the curve are likely to be made already: they say between which settings to look.
        over = bisect.bisect_right(sweep, most_bytes, key=lambda setting: len(self.at(setting)))
        low = sweep[over - 1] if over else settings[0] - 1
        high = sweep[over] if over < len(sweep) else settings[-1] + 1
        tries = 0
        while high - low > 1:
            guess = self._guess(low, high, most_bytes) if tries < _GUESSES else (low + high) // 2
            low, high = (guess, high) if len(self.at(guess)) <= most_bytes else (low, guess)
            tries += 1
        fitting = [(len(file), setting) for setting, file in self._made.items() if len(file) <= most_bytes]
        return (max(fitting)[1], True) if fitting else (settings[0], False)

    def _guess(self, low: int, high: int, size: int) -> int:
        """A setting between two others whose file should have a size, as sizes grow about exponentially.

        The law goes through the two made settings nearest to those two, which may lie outside the range.
        """
        near = sorted(self._made, key=lambda setting: min(abs(setting - low), abs(setting - high)))[:2]
        sizes = [math.log(len(self.at(setting))) for setting in near]
        if len(set(sizes)) < 2:
            return (low + high) // 2
        step = (near[1] - near[0]) / (sizes[1] - sizes[0])
        return min(max(near[0] + math.floor(step * (math.log(size) - sizes[0])), low + 1), high - 1)


def encode_to_size(baseline: Baseline, image: np.ndarray, most_bytes: int) -> tuple[bytes, bool]:
    """The largest file of at most that many bytes, and whether there is one; without, the smallest file there is.

    Raises:
        InputError: if no bytes are allowed.
    """
    files = Files(baseline, image)
    setting, fits = files.largest_within(most_bytes)
    return files.at(setting).data, fits


def _jpeg(setting: int) -> dict[str, object]:
    return {"quality": setting, "optimize": True}


def _jpeg2000(setting: int) -> dict[str, object]:
    # Pillow leaves the colour transform (mct) out unless asked, which costs 3 dB and more.
    ratio = 2.0 ** ((1000 - setting) / 100)
    return {"quality_mode": "rates", "quality_layers": [ratio], "irreversible": True, "mct": 1}


def _webp(setting: int) -> dict[str, object]:
    return {"quality": setting, "method": 6}


def _avif(setting: int) -> dict[str, object]:
    # One thread, so that seconds are those of one core, as for the others.
    return {"quality": setting, "speed": 6, "max_threads": 1}


def _jpeg_xl(setting: int) -> dict[str, object]:
    return {"quality": setting}
