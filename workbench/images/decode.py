"""An opened picture file to pixels: decoded, rounded to 8 bits, in sRGB, over white and upright."""

__all__ = ["DECODER_ERRORS", "decode", "pixels_of"]

import io
import struct
import zlib
from collections.abc import Callable
from typing import IO

import numpy as np
from PIL import Image

from workbench.errors import InputError
from workbench.images.colour import to_srgb
from workbench.images.depth import eight_bits

# What Pillow's decoders let out when a file lies. Each was seen on damaged files; anything else is our own mistake.
DECODER_ERRORS = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    EOFError,
    AttributeError,
    ArithmeticError,
    RuntimeError,
    MemoryError,
    struct.error,
    zlib.error,
    Image.DecompressionBombError,
    # Only where a program turns warnings into errors:
    Image.DecompressionBombWarning,
    UserWarning,
)

# EXIF orientation → how to turn the decoded array upright.
_UPRIGHT: dict[int, Callable[[np.ndarray], np.ndarray]] = {
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.swapaxes(0, 1),
    6: lambda a: a[::-1].swapaxes(0, 1),
    7: lambda a: a[::-1, ::-1].swapaxes(0, 1),
    8: lambda a: a[:, ::-1].swapaxes(0, 1),
}
_ORIENTATION = 0x0112


def decode(image: Image.Image, file: IO[bytes]) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Decode a picture.

    Args:
        image: As Pillow opened it.
        file: The file that it is read from.

    Returns:
        Pixels, uint8, shape (H, W, 3), and alpha, uint8, shape (H, W), or None where it has no such channel; both
        upright, writable and contiguous. And notes: what was left aside or guessed, a sentence each.

    Raises:
        Exception: one of `DECODER_ERRORS`, where the file is cut short or damaged.
    """
    decoded, on_depth = eight_bits(image, file)
    colours, alpha = _parts(decoded)
    flat, on_colour = to_srgb(colours, image, file)
    if alpha is not None:
        flat.putalpha(alpha)
        flat = Image.alpha_composite(Image.new("RGBA", flat.size, "white"), flat).convert("RGB")
    upright = _UPRIGHT.get(_orientation(image), lambda a: a)
    pixels = np.array(upright(np.asarray(flat)), order="C")
    painted = None if alpha is None else np.array(upright(np.asarray(alpha)), order="C")
    return pixels, painted, (*on_depth, *on_colour)


def pixels_of(image: Image.Image) -> np.ndarray:
    """Pixels of a picture that Pillow holds or has opened, read as a file is.

    What Pillow has dropped is lost: where the picture is loaded already, samples of 16 bits a channel were cut to 8.

    Returns:
        uint8, shape (H, W, 3), sRGB, over white, upright.

    Raises:
        InputError: if it is empty, or its file is cut short or damaged.
    """
    if not (image.width and image.height):
        raise InputError(f"expected a picture, got {image.width}×{image.height} pixels")
    file = getattr(image, "fp", None)
    held = io.BytesIO()
    try:
        if isinstance(file, io.IOBase) and not file.closed and file.seekable():
            place = file.tell()
            file.seek(0)
            held = io.BytesIO(file.read())  # loading closes the file; its header is wanted after that
            file.seek(place)
        return decode(image, held)[0]
    except DECODER_ERRORS as error:
        raise InputError(f"the picture, {image.mode} of {image.width}×{image.height} pixels: {error}") from error


def _parts(image: Image.Image) -> tuple[Image.Image, Image.Image | None]:
    """The colours of a decoded picture, in mode L, RGB, CMYK or LAB, and its alpha channel, where it has one."""
    grey = image.mode in ("1", "L", "LA", "La")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        return (image.getchannel("R") if grey else image.convert("RGB")), image.getchannel("A")
    if image.mode in ("CMYK", "LAB"):
        return image, None
    return image.convert("L" if grey else "RGB"), None


def _orientation(image: Image.Image) -> int:
    """EXIF orientation, 1 where there is none or it cannot be read."""
    try:
        value = image.getexif().get(_ORIENTATION, 1)
    except DECODER_ERRORS:
        return 1
    return value if isinstance(value, int) else 1
