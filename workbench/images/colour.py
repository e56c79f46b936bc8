"""Colour: from what a file says of its levels to sRGB, by littleCMS.

What counts, the first that is there and can be used: the `cICP` of a PNG; the embedded ICC profile, whatever its name
and the picture's mode; `sRGB`, then `gAMA` with `cHRM`, of a PNG; the code points of an AVIF; and otherwise sRGB. CMYK
without a profile is converted by formula, CIELAB by its definition. This is what browsers do, these included: `cHRM`
alone says nothing, `gAMA` alone keeps the primaries of sRGB, and one near 1/2.2 stands for sRGB itself.

A note says what was left aside: a profile that is damaged or made for other channels, code points of high dynamic range
or without a meaning here, values of `gAMA` and `cHRM` that no display has, and an Exif colour space other than sRGB,
which browsers do not look at either. Left aside without a note: the calibrated primaries of BMP and TIFF, and profiles
in GIF. The rendering intent is perceptual, and 8 bits a channel are converted.
"""

__all__ = ["to_srgb"]

import io
import struct
from functools import lru_cache
from typing import IO

from PIL import Image, ImageCms

from workbench.images.headers import avif_code_points, bmp_profile, png_chunks
from workbench.images.primaries import BT709, CODE_CURVES, CODE_POINTS, gamma_curve, matrix_profile

_SRGB = b""  # stands for a profile that asks for no conversion
# Spaces that a profile may have, by the channels of the picture; an RGB profile takes grey as three equal levels.
_SPACES = {"L": ("GRAY", "RGB "), "RGB": ("RGB ",), "CMYK": ("CMYK",)}
_CLASSES = ("mntr", "scnr", "prtr", "spac")
_LIKE_SRGB = 0.05  # how far gamma · 2.2 may be from 1, as in libpng
_EXIF, _INTEROPERABILITY, _COLOUR_SPACE = 0x8769, 0xA005, 0xA001


def to_srgb(colours: Image.Image, source: Image.Image, file: IO[bytes]) -> tuple[Image.Image, list[str]]:
    """Convert a picture to sRGB.

    Args:
        colours: Mode L, RGB, CMYK or LAB.
        source: The same picture as Pillow opened it, with what it knows of the file.
        file: The file.

    Returns:
        Mode RGB, of the same size; and what was left aside.
    """
    notes: list[str] = []
    if colours.mode == "LAB":
        laboratory = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        return _through(laboratory, colours), notes
    profile = _declared(colours.mode, source, file, notes)
    if profile:
        if colours.mode == "L" and _space(profile) == "RGB ":
            colours = colours.convert("RGB")
        try:
            return _through(profile, colours), notes
        except (ImageCms.PyCMSError, ValueError):
            notes.append("its colour profile cannot be used and was left aside")
    return colours.convert("RGB"), notes


def _declared(mode: str, source: Image.Image, file: IO[bytes], notes: list[str]) -> bytes | None:
    """The profile of what the file says of its colours; None where it says nothing that can be used."""
    kind, info = source.format, source.info
    chunks = png_chunks(file) if kind == "PNG" else {}
    profile = _from_cicp(chunks[b"cICP"], notes) if b"cICP" in chunks and mode != "CMYK" else None
    if profile is None:
        profile = _embedded(mode, bmp_profile(file) if kind == "BMP" else info.get("icc_profile", _SRGB), notes)
    if profile is None and kind == "PNG" and "srgb" not in info:
        profile = _from_gamma(info, notes)
    if profile is None and kind == "AVIF" and (points := avif_code_points(file)):
        profile = _from_avif(*points, notes)
    if profile is None:
        _note_exif(source, notes)
    return profile


def _embedded(mode: str, content: bytes | None, notes: list[str]) -> bytes | None:
    """An embedded profile, where it can be used."""
    if content == _SRGB:
        return None
    try:
        space = _space(content or b"")
    except (ImageCms.PyCMSError, OSError, ValueError):
        notes.append("its colour profile is damaged and was left aside")
        return None
    if space not in _SPACES[mode]:
        named = space.strip() or "no device"
        notes.append(f"its colour profile is for {named}, the picture is {mode}: the profile was left aside")
        return None
    return content


def _from_cicp(content: bytes, notes: list[str]) -> bytes | None:
    """The profile of code points in a PNG: primaries, transfer, matrix (0) and whether the range is full."""
    profile = None
    if len(content) == 4:
        primaries, transfer, matrix, full = content
        if matrix == 0 and full == 1 and primaries in CODE_POINTS and transfer in CODE_CURVES:
            profile = _SRGB if (primaries, transfer) == (1, 13) else _code_profile(primaries, transfer)
    if profile is None:
        notes.append(f"its colour code points (cICP {', '.join(map(str, content[:4]))}) were left aside")
    return profile


def _from_avif(primaries: int, transfer: int, notes: list[str]) -> bytes | None:
    """The profile of code points in an AVIF file; 2 stands for none, and broadcast curves are shown as sRGB."""
    if primaries == 2 or transfer == 2:
        return None
    curve = 13 if transfer in (1, 6, 14, 15) else transfer
    if primaries in CODE_POINTS and curve in CODE_CURVES:
        return _SRGB if (primaries, curve) == (1, 13) else _code_profile(primaries, curve)
    notes.append(f"its colour code points (primaries {primaries}, transfer {transfer}) were left aside")
    return None


def _code_profile(primaries: int, transfer: int) -> bytes | None:
    return matrix_profile(CODE_POINTS[primaries], CODE_CURVES[transfer])


def _from_gamma(info: dict, notes: list[str]) -> bytes | None:
    """The profile of `gAMA`, with `cHRM` where that is there too."""
    gamma, primaries = info.get("gamma"), info.get("chromaticity")
    if gamma is None or (primaries is None and abs(gamma * 2.2 - 1) < _LIKE_SRGB):
        return None
    profile = None
    if 0.01 <= gamma <= 100 and len(primaries or BT709) == 8:
        profile = matrix_profile(primaries or BT709, gamma_curve(1 / gamma))
    if profile is None:
        notes.append(f"its gAMA ({gamma:g}) and cHRM make no colour space and were left aside")
    return profile


def _note_exif(source: Image.Image, notes: list[str]) -> None:
    """Say where Exif names a colour space that is not sRGB."""
    try:
        exif = source.getexif()
        space = exif.get_ifd(_EXIF).get(_COLOUR_SPACE)
        inner = exif.get_ifd(_INTEROPERABILITY) if _INTEROPERABILITY in exif.get_ifd(_EXIF) else {}
        adobe = space == 2 or str(inner.get(1, "")).startswith("R03")
    except (OSError, SyntaxError, ValueError, TypeError, LookupError, AttributeError, struct.error):
        return  # Exif that cannot be read says nothing
    if adobe:
        notes.append("its Exif names Adobe RGB without a profile: read as sRGB, as browsers do")
    elif space == 0xFFFF:
        notes.append("its Exif calls the colours uncalibrated and there is no profile: read as sRGB, as browsers do")


def _through(profile: bytes, colours: Image.Image) -> Image.Image:
    """Convert from a profile to sRGB, mode RGB.

    Raises:
        ImageCms.PyCMSError, ValueError: if the profile cannot be used.
    """
    transform = _transform(profile, colours.mode)
    if colours.mode != "L":
        return transform.apply(colours)
    # littleCMS's table for grey has few steps, up to 10 levels off in the dark: it converts the 256 levels without one.
    levels = transform.apply(Image.frombytes("L", (256, 1), bytes(range(256))))
    return Image.merge("RGB", [colours.point(list(band.tobytes())) for band in levels.split()])


@lru_cache(maxsize=16)
def _space(profile: bytes) -> str:
    """Colour space of a profile of a device, as ICC abbreviates it; empty where it is of another class.

    Raises:
        ImageCms.PyCMSError, OSError: if it cannot be read.
    """
    opened = ImageCms.core.profile_frombytes(profile)
    return opened.xcolor_space if opened.device_class in _CLASSES else ""


@lru_cache(maxsize=16)
def _transform(profile: bytes, mode: str) -> ImageCms.ImageCmsTransform:
    """What converts a mode from a profile to sRGB.

    Raises:
        ImageCms.PyCMSError: if the profile cannot be used.
    """
    opened = ImageCms.getOpenProfile(io.BytesIO(profile))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB"))
    flags = ImageCms.Flags.NOOPTIMIZE if mode == "L" else ImageCms.Flags.NONE
    return ImageCms.ImageCmsTransform(opened, srgb, mode, "RGB", flags=flags)
