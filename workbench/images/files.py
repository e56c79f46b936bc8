"""Picture files: guarded reading and whole writing.

Whatever the file holds, the answer is uint8 of shape (H, W, 3), sRGB, upright, or an :class:`ImageError` of one line.
The content decides the kind, not the name; only the kinds of `FORMATS` are tried, and the size that the header claims
is checked before a pixel is decoded. Read as follows:

- animated and multi-page files: the first frame; EXIF orientation: applied;
- alpha, and the transparent colour of a palette: flattened over white;
- more than 8 bits: rounded to 8 (`depth.py`); grey, palette, 1 bit: repeated or looked up;
- colour profiles and what else a file says of its colours: converted (`colour.py`);
- a JPEG that lacks only its end mark: read (`jpeg.py`).

What a person should know of how a picture was read stands in :attr:`Picture.notes`.
"""

__all__ = [
    "FORMATS",
    "MAX_PIXELS",
    "SUFFIXES",
    "FoundImage",
    "Picture",
    "is_made_by_a_system",
    "list_images",
    "picture_size",
    "read_image",
    "read_mask",
    "read_picture",
    "walk",
    "write_png",
]

import io
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, BinaryIO

import numpy as np
from PIL import Image, features
from PIL.PngImagePlugin import PngInfo

from workbench.atomic import replacing
from workbench.errors import ImageError, InputError
from workbench.images.decode import DECODER_ERRORS, decode
from workbench.images.jpeg import ended, without_end

FORMATS = ("PNG", "JPEG", "WEBP", "GIF", "BMP", "TIFF", "PPM", "AVIF")
_OF_SYSTEMS = frozenset({"@eaDir", "__MACOSX"})  # thumbnails of a NAS, resource forks in archives
SUFFIXES = frozenset(
    {
        *(".avif", ".avifs", ".apng", ".bmp", ".dib", ".gif", ".png", ".tif", ".tiff", ".webp"),
        *(".jfif", ".jif", ".jpe", ".jpeg", ".jpg", ".pbm", ".pgm", ".pnm", ".ppm"),
    }
)
MAX_PIXELS = 40_000_000
_MAX_BYTES = 1 << 29  # of a stream that cannot be rewound, and so has to be held

Readable = str | Path | bytes | BinaryIO | IO[bytes]


@dataclass(frozen=True)
class FoundImage:
    """A picture named on a command line, directly or through a folder.

    Attributes:
        path: Where it is.
        relative: Its place below the folder that was named; the bare name for a file that was named itself.
    """

    path: Path
    relative: Path


@dataclass(frozen=True)
class Picture:
    """A picture that was read.

    Attributes:
        pixels: uint8, shape (H, W, 3), sRGB, writable and contiguous.
        notes: What was left aside, mended or guessed while it was read, a sentence each; most often none.
    """

    pixels: np.ndarray = field(repr=False)
    notes: tuple[str, ...] = ()


def read_picture(source: Readable, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> Picture:
    """Read one picture, with notes on how.

    Args:
        source: A path, the bytes of a file, or a binary file object.
        max_pixels: Largest width · height that is decoded.
        name: What to call the source in errors; None for its path, or "picture".

    Raises:
        ImageError: if there is no such file, it is of another kind, too large, empty, cut short or damaged.
    """
    pixels, _, notes = _read(source, name, max_pixels)
    return Picture(pixels, notes)


def read_image(source: Readable, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> np.ndarray:
    """Read one picture: :attr:`Picture.pixels` of :func:`read_picture`, which see.

    Returns:
        uint8, shape (H, W, 3), writable and contiguous.

    Raises:
        ImageError: as :func:`read_picture`.
    """
    return read_picture(source, max_pixels=max_pixels, name=name).pixels


def read_mask(
    source: Readable, *, layer: bool = False, max_pixels: int = MAX_PIXELS, name: str | None = None
) -> np.ndarray:
    """Read a mask: true where it is painted.

    Where some of it is transparent, what is not transparent is painted; otherwise what is lighter than mid grey is.

    Args:
        source: As for :func:`read_picture`.
        layer: Whether it is a layer of a drawing program, in which alpha alone counts, opaque everywhere or not.
        max_pixels: As for :func:`read_picture`.
        name: Likewise.

    Returns:
        bool, shape (H, W).

    Raises:
        ImageError: as :func:`read_picture`.
    """
    pixels, alpha, _ = _read(source, name, max_pixels)
    if alpha is not None and (layer or alpha.min() < 255):
        return alpha > 0
    return pixels.mean(axis=2) > 127.5


def picture_size(source: Readable, *, max_pixels: int = MAX_PIXELS, name: str | None = None) -> tuple[int, int]:
    """Height and width that the header claims, before EXIF rotation, without decoding.

    Raises:
        ImageError: as :func:`read_image`, as far as the header tells.
    """
    with _opened(source, name, max_pixels) as (_, image, _):
        return image.height, image.width


def write_png(
    image: np.ndarray, path: str | Path, *, force: bool = False, text: Mapping[str, str] | None = None
) -> None:
    """Write a picture as PNG: whole or not at all. Missing folders are made.

    Args:
        image: uint8, shape (H, W, 3) or (H, W).
        path: Where to.
        force: Whether a file that is there may be replaced.
        text: Notes to keep in the file, by keyword, as PNG text chunks.

    Raises:
        InputError: if the array is no picture.
        ImageError: if the file exists and `force` is off, or it cannot be written.
    """
    if image.dtype != np.uint8 or not image.size or image.ndim not in (2, 3) or image.shape[2:] not in ((), (3,)):
        raise InputError(f"expected uint8 of shape (H, W, 3) or (H, W), got {image.dtype} of shape {image.shape}")
    path = Path(path)
    notes = PngInfo()
    for keyword, note in (text or {}).items():
        notes.add_itxt(keyword, note)
    try:
        if not force and path.exists():  # before the work, not only after it
            raise _exists(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        with replacing(path, force=force) as file:
            Image.fromarray(np.ascontiguousarray(image)).save(file, format="PNG", pnginfo=notes)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        if isinstance(error, FileExistsError) and path.exists():
            raise _exists(path) from error
        raise ImageError(f"cannot write {_printable(str(path))}: {_brief(error)}") from error


def list_images(inputs: Iterable[str | Path]) -> list[FoundImage]:
    """List the pictures that a person named: files as they are, folders with everything below them, in sorted order.

    A file that was named itself is listed whatever its suffix, so that a wrong one is reported when it is read.
    Inside a folder the suffix decides; hidden files and folders are passed over, links to folders are not followed.

    Raises:
        ImageError: if a path does not exist, or a folder holds no picture.
    """
    found = []
    for given in inputs:
        path = Path(given)
        if path.is_dir():
            below = list(walk(path))
            if not below:
                raise ImageError(f"folder {path} holds no picture (looked for {', '.join(sorted(SUFFIXES))})")
            found += [FoundImage(p, p.relative_to(path)) for p in below]
        elif path.exists():
            found.append(FoundImage(path, Path(path.name)))
        else:
            raise ImageError(f"{path}: no such file or folder")
    return found


def is_made_by_a_system(name: str) -> bool:
    """Whether a file or folder of that name belongs to a system and not to a person's pictures."""
    return (name.startswith(".") and name not in (".", "..")) or name in _OF_SYSTEMS


def walk(folder: Path, *, suffixes: frozenset[str] = SUFFIXES) -> Iterator[Path]:
    """Yield the files below a folder that have one of these suffixes, depth first, each level sorted by name.

    Hidden files and folders, and folders that systems make by themselves, are passed over; links to folders are not
    followed.

    Raises:
        ImageError: if a folder cannot be listed.
    """
    try:
        entries = sorted(folder.iterdir(), key=lambda p: p.name)
    except OSError as error:
        raise ImageError(f"{_printable(str(folder))}: cannot be listed ({_brief(error)})") from error
    for entry in entries:
        if is_made_by_a_system(entry.name):
            continue
        if entry.is_dir():
            if not entry.is_symlink():
                yield from walk(entry, suffixes=suffixes)
        elif entry.suffix.lower() in suffixes and entry.is_file():
            yield entry


@contextmanager
def _opened(source: Readable, name: str | None, max_pixels: int) -> Iterator[tuple[IO[bytes], Image.Image, str]]:
    """Open a picture with its header read and its claims checked; yield its file, it and what to call it."""
    kinds = tuple(kind for kind in FORMATS if kind != "AVIF" or features.check("avif"))
    with _stream(source, name) as (file, called):
        try:
            image = Image.open(file, formats=kinds)
        except (Image.DecompressionBombError, Image.DecompressionBombWarning) as error:
            raise ImageError(f"{called}: larger than {max_pixels:,} pixels; make it smaller first") from error
        except Image.UnidentifiedImageError as error:
            raise ImageError(f"{called}: not a picture of an accepted kind ({', '.join(kinds)})") from error
        except DECODER_ERRORS as error:
            raise ImageError(f"{called}: the file is cut short or damaged ({_brief(error)})") from error
        with image:
            width, height = image.size
            if width < 1 or height < 1:
                raise ImageError(f"{called}: the picture is empty ({width}×{height} pixels)")
            if width * height > max_pixels:
                raise ImageError(
                    f"{called}: {width}×{height} = {width * height:,} pixels, "
                    f"more than the {max_pixels:,} allowed; make it smaller first"
                )
            yield file, image, called


@contextmanager
def _stream(source: Readable, name: str | None) -> Iterator[tuple[IO[bytes], str]]:
    """Open whatever was given as a seekable binary file."""
    if isinstance(source, str | Path):
        called = name or _printable(str(source))
        try:
            mode = Path(source).stat().st_mode
            if not stat.S_ISREG(mode):
                kind = "a folder" if stat.S_ISDIR(mode) else "a pipe or device"
                raise ImageError(f"{called}: {kind}, not a picture file")
            file = Path(source).open("rb")
        except (OSError, ValueError) as error:
            raise ImageError(f"{called}: cannot be opened ({_brief(error)})") from error
        with file:
            yield file, called
    elif isinstance(source, bytes | bytearray | memoryview):
        yield io.BytesIO(source), name or "picture"
    else:
        called = name or "picture"
        if source.seekable():
            yield source, called
            return
        content = source.read(_MAX_BYTES + 1)
        if len(content) > _MAX_BYTES:
            raise ImageError(f"{called}: more than {_MAX_BYTES >> 20} MiB on a stream; give a file instead")
        yield io.BytesIO(content), called


def _read(source: Readable, name: str | None, max_pixels: int) -> tuple[np.ndarray, np.ndarray | None, tuple[str, ...]]:
    """Pixels uint8 (H, W, 3), alpha uint8 (H, W) where there is such a channel, both upright; and notes."""
    mended = None
    with _opened(source, name, max_pixels) as (file, image, called):
        try:
            content = without_end(file) if image.format in ("JPEG", "MPO") else None
            if content is None:
                return decode(image, file)
            mended = ended(content)
        except DECODER_ERRORS as error:
            raise ImageError(f"{called}: the file is cut short or damaged ({_brief(error)})") from error
        if mended is None:
            raise ImageError(f"{called}: the file is cut short or damaged (a JPEG without its last part)")
    pixels, alpha, notes = _read(mended, called, max_pixels)
    return pixels, alpha, ("the file lacks its end mark; the picture is whole", *notes)


def _exists(path: Path) -> ImageError:
    return ImageError(f"{_printable(str(path))} exists: add --force to replace it, or write somewhere else")


def _printable(text: str) -> str:
    """A file name that stays on its line, whatever characters it holds."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _brief(error: BaseException) -> str:
    """The reason in one short line."""
    text = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return _printable(" ".join((text or type(error).__name__).split()))[:160]
