"""Samples of any depth to 8 bits, rounded: u = round(255 · v / M), M the largest value that a sample can have.

M is 65535 for 16 bits, unless the file states another range: TIFF by its bits a sample (12) or by MaxSampleValue, PNG
by `sBIT`, PPM by its own maximum, which Pillow has applied. PNG wants samples of fewer bits scaled up to 16; a file
whose samples lie below 2^b and are not such scaled values holds them as they were, and M = 2^b - 1. Where nothing is
stated and all samples lie in the lowest sixteenth, a note says that the picture is nearly black. Floats count as
[0, 1]. TIFF's MinSampleValue is left aside; so is what exceeds 16 bits in integers of 32.

Pillow cuts colour of 16 bits to the high byte of each sample. A second pass that takes the two bytes of a sample for
exchanged gives the low bytes: the raw mode "RGB;16B" read as "RGB;16L". Only TIFF with compressed planes gives the high
byte twice, which is within one level of the rounded value; a note says so.
"""

__all__ = ["eight_bits"]

import sys
from collections.abc import Mapping, Sequence
from typing import IO

import numpy as np
from PIL import Image

from workbench.images.headers import png_chunks

_FULL = 65535
_NEARLY_BLACK = 4096  # a sixteenth of the range: what 12 bits fill
_CHANNELS = ("LA", "RGB", "RGBA", "RGBX", "RGBa", "CMYK")
_MODES = {1: "L", 2: "LA", 3: "RGB", 4: "RGBA"}
_NATIVE = "L" if sys.byteorder == "little" else "B"
_EXCHANGED = {"L": "B", "B": "L", "N": "B" if _NATIVE == "L" else "L"}
_BITS, _PHOTOMETRIC, _MAX_SAMPLE, _PLANAR, _MAX_SAMPLE_TYPED = 258, 262, 281, 284, 341
_WHITE_IS_ZERO, _SEPARATE = 0, 2


def eight_bits(image: Image.Image, file: IO[bytes]) -> tuple[Image.Image, list[str]]:
    """Decode a picture.

    Args:
        image: As Pillow opened it, not yet loaded.
        file: The file that it is read from.

    Returns:
        The picture with 8 bits a sample or fewer, in a mode of Pillow's other than I and F, its transparent colour
        made an alpha channel where samples had more; and what was found about its range.

    Raises:
        ValueError: if it holds values that are not finite.
    """
    channels, order = _deep_colour(image, file)
    if channels:
        samples = _deep_samples(image, file, channels, order)
    elif image.mode.startswith("I"):
        image.load()
        samples = np.expand_dims(np.asarray(image), 2)
    elif image.mode == "F":
        image.load()
        return _from_floats(np.asarray(image)), []
    else:
        image.load()
        return image, []
    eight, notes = _scaled(image, file, samples, cmyk=channels == "CMYK")
    if channels and _planar(image) and order == "N":
        notes.append("its samples of 16 bits lie in compressed planes: rounded to 8 bits within one level")
    return eight, notes


def _deep_colour(image: Image.Image, file: IO[bytes]) -> tuple[str, str]:
    """Channels of 16 bits, and the order of their bytes; two empty texts for pictures that Pillow reads whole."""
    tiles = getattr(image, "tile", [])
    if not tiles:
        return "", ""
    args = tiles[0].args
    rawmode = args if isinstance(args, str) else args[0] if isinstance(args, tuple) and args else ""
    if _planar(image) and image.mode != "L" and set(_bits(image)) == {16}:
        # Each channel apart; Pillow takes the samples for 8 bits where they are not compressed.
        return image.mode, "N" if tiles[0].codec_name == "libtiff" else _file_order(file)
    channels, _, order = str(rawmode).rpartition(";16")
    return (channels, order) if channels in _CHANNELS and order in _EXCHANGED else ("", "")


def _file_order(file: IO[bytes]) -> str:
    """Order of the bytes of a TIFF file: L or B, little end first or big."""
    file.seek(0)
    return "L" if file.read(2) == b"II" else "B"


def _deep_samples(image: Image.Image, file: IO[bytes], channels: str, order: str) -> np.ndarray:
    """Whole samples, uint16, shape (H, W, C), alpha last and not multiplied."""
    if channels == "LA":  # four bytes a pixel
        both = _decoded(image, file, "RGBA").astype(np.uint16)
        return both[:, :, 0::2] << 8 | both[:, :, 1::2]
    stored = "RGBA" if channels == "RGBa" else channels
    high, low = (_decoded(image, file, f"{stored};16{which}") for which in (order, _EXCHANGED[order]))
    samples = high.astype(np.uint16) << 8 | low
    if channels == "RGBa":
        alpha = samples[:, :, 3].astype(np.uint32)
        for band in range(3):
            full = (samples[:, :, band] * np.uint64(_FULL) + alpha // 2) // np.maximum(alpha, 1)
            samples[:, :, band] = np.minimum(full, _FULL)
    return samples


def _decoded(image: Image.Image, file: IO[bytes], rawmode: str) -> np.ndarray:
    """One pass over the file with another raw mode, uint8, shape (H, W, C)."""
    with Image.open(file, formats=(str(image.format),)) as again:
        tiles = []
        for number, tile in enumerate(again.tile):
            layer = rawmode
            if _planar(image) and tile.codec_name != "libtiff":
                per_layer = len(again.tile) // len(again.getbands())
                layer = again.getbands()[number // per_layer] + rawmode[rawmode.index(";") :]
            args = (layer, *tile.args[1:]) if isinstance(tile.args, tuple) else layer
            tiles.append(tile._replace(args=args))
        again.tile = tiles
        again.load()
        return np.asarray(again)


def _scaled(image: Image.Image, file: IO[bytes], samples: np.ndarray, *, cmyk: bool) -> tuple[Image.Image, list[str]]:
    """Round samples to 8 bits by the range that they have; alpha, and a transparent colour, have the full one."""
    count = samples.shape[2]
    colours, alpha = (samples[:, :, :-1], samples[:, :, -1]) if count in (2, 4) and not cmyk else (samples, None)
    if (key := image.info.get("transparency")) is not None and alpha is None and not isinstance(key, bytes):
        alpha = np.where((colours == np.array(key)).all(axis=2), 0, _FULL)
    notes: list[str] = []
    largest = _FULL if cmyk else _largest(image, file, colours, notes)
    bands = [_rounded(colours[:, :, band], largest) for band in range(colours.shape[2])]
    if _tags(image).get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        bands = [255 - band for band in bands]
    if alpha is not None:
        bands.append(_rounded(alpha, _FULL))
    planes = [Image.fromarray(band) for band in bands]
    return Image.merge("CMYK" if cmyk else _MODES[len(planes)], planes), notes


def _rounded(samples: np.ndarray, largest: int) -> np.ndarray:
    """round(255 · v / M), uint8; what lies outside [0, M] counts as its end."""
    levels = np.clip(samples, 0, largest).astype(np.uint32 if largest <= _FULL else np.uint64)
    return ((levels * 255 + largest // 2) // largest).astype(np.uint8)


def _from_floats(values: np.ndarray) -> Image.Image:
    if not np.isfinite(values).all():
        raise ValueError("it holds values that are not finite")
    return Image.fromarray(np.round(np.clip(values, 0, 1) * 255).astype(np.uint8))


def _largest(image: Image.Image, file: IO[bytes], samples: np.ndarray, notes: list[str]) -> int:
    """M for these samples."""
    found = int(samples.max())
    stated = _stated(image, file, samples, found)
    if stated is not None and found <= stated:
        if stated < _FULL:
            notes.append(f"its samples are scaled by the range that the file states, 0 to {stated}")
        return stated
    if stated is not None:
        notes.append(f"the file states samples up to {stated} and holds {found}: the range was left aside")
    if 0 < found < _NEARLY_BLACK:
        notes.append(
            f"the picture is nearly black: its largest sample is {found} of {_FULL}, and the file states no other range"
        )
    return _FULL


def _stated(image: Image.Image, file: IO[bytes], samples: np.ndarray, found: int) -> int | None:
    """The largest value that the file says its samples can have; None where it says nothing that matters."""
    if image.format == "PNG":
        significant = png_chunks(file).get(b"sBIT", b"")
        bits = max(significant[: samples.shape[2]], default=16)
        return 2**bits - 1 if 8 <= bits < 16 and found < 2**bits and _unscaled(samples, bits) else None
    values = [v for tag in (_MAX_SAMPLE_TYPED, _MAX_SAMPLE) for v in _numbers(_tags(image).get(tag)) if v >= 1]
    if values:
        return max(values)
    return 2 ** max(_bits(image)) - 1 if _bits(image) and 8 < max(_bits(image)) < 16 else None


def _unscaled(samples: np.ndarray, bits: int) -> bool:
    """Whether some sample is no value of so many bits scaled to 16 by repeating its high bits or adding zeros."""
    lower = 2 ** (16 - bits) - 1
    rest, repeated = samples & lower, samples >> bits
    return bool(((rest != 0) & (rest != repeated)).any())


def _tags(image: Image.Image) -> Mapping[int, object]:
    """The tags of a TIFF file; empty for other kinds."""
    return getattr(image, "tag_v2", {})


def _numbers(value: object) -> list[int]:
    """The whole numbers of a tag, which Pillow gives as one number or as a tuple."""
    values = value if isinstance(value, Sequence) else [value]
    return [int(v) for v in values if isinstance(v, int | float)]


def _bits(image: Image.Image) -> list[int]:
    """Bits a sample of each channel, as a TIFF file states them."""
    return _numbers(_tags(image).get(_BITS))


def _planar(image: Image.Image) -> bool:
    return _tags(image).get(_PLANAR) == _SEPARATE
