"""Pictures to train on, from where a person has them: a folder, an uploaded archive, or drawn by rule.

An archive is a claim, not a fact: only members that are named like pictures are taken, under names of our own, and
bytes are counted as they come out of it, so neither a path inside it nor a bomb gets anywhere. What the pictures hold
is checked when they are read for training.
"""

__all__ = ["held_out_pictures", "synthetic_folder", "unpack"]

import bz2
import gzip
import lzma
import re
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import IO, cast

from PIL import Image

from workbench.atomic import whole_folder
from workbench.errors import InputError
from workbench.images.examples import list_examples
from workbench.images.files import SUFFIXES, is_made_by_a_system
from workbench.images.synthetic import CLASSES, render
from workbench.progress import Progress

MOST_ARCHIVE = 200 << 20  # the archive itself
MOST_BYTES = 500 << 20  # what comes out of it, all together
MOST_MEMBERS = 50_000
_CHUNK = 1 << 20
_DEPTH = 8  # folders of a path that are kept, the last ones
_SIZE = 96  # pixels a side of a drawn picture
_ODD = re.compile(r"[^A-Za-z0-9._-]+")
_COMPRESSED = {b"\x1f\x8b": gzip.open, b"BZ": bz2.open, b"\xfd7": lzma.open}  # by their first two bytes
# What the readers of archives raise on bytes that make no sense.
_DAMAGE = (
    zipfile.BadZipFile,
    tarfile.TarError,
    zlib.error,
    lzma.LZMAError,
    EOFError,
    OSError,
    ValueError,
    OverflowError,
    RuntimeError,  # a member that is encrypted, or compressed in a way that is not known
)


def synthetic_folder(folder: Path, *, count: int = 720, seed: int = 0, progress: Progress | None = None) -> Path:
    """Draw a labelled set into `folder`, a sub-folder a class, unless it is there already.

    Args:
        folder: Where to; the set is complete when this returns.
        count: How many pictures, classes in turn.
        seed: Of all of them.
        progress: Told the fraction done and a message.
    """
    done = folder / f"set-{seed}-{count}"
    if done.is_dir():
        return done
    with whole_folder(done) as place:
        for name in CLASSES:
            (place / name).mkdir()
        for number in range(count):
            label = number % len(CLASSES)
            picture = render(label, size=_SIZE, seed=seed, number=number)
            Image.fromarray(picture).save(place / CLASSES[label] / f"{number:05}.png")
            if progress and number % 20 == 0:
                progress(number / count, f"drawing {number} of {count} pictures")
    return done


def held_out_pictures(folder: Path) -> list[Path]:
    """The example pictures as files: what a run is measured on, whatever it trains on."""
    folder.mkdir(parents=True, exist_ok=True)
    return [example.file(folder) for example in list_examples()]


def unpack(archive: Path, folder: Path) -> int:
    """Take the pictures out of a .zip or .tar archive, under names of our own.

    The folders of a picture's path are kept under harmless names, so that the archive has the classes that the folder
    it was made from has; folders around all of it are dropped.

    Args:
        archive: A zip file, or a tar file, compressed or not.
        folder: Where to; it must not exist yet, and does not after an error.

    Returns:
        How many pictures were taken.

    Raises:
        InputError: if it is no archive, is damaged, holds no pictures, or more than is allowed.
    """
    try:
        if archive.stat().st_size > MOST_ARCHIVE:
            raise _too_much(archive, f"more than {MOST_ARCHIVE >> 20} MiB")
        with whole_folder(folder) as place:
            members = _of_zip if zipfile.is_zipfile(archive) else _of_tar
            count = _take(members(archive), place, archive)
            _lift(place)
            if not count:
                raise InputError(f"{archive.name} holds no picture ({', '.join(sorted(SUFFIXES))})")
    except InputError:
        raise
    except _DAMAGE as error:
        raise InputError(f"{archive.name} is damaged or not a .zip or .tar archive: {error}") from error
    return count


def _take(members: Iterator[tuple[str, Callable[[], IO[bytes] | None]]], folder: Path, archive: Path) -> int:
    """Write what is named like a picture into a folder, and count it."""
    count = total = 0
    for number, (name, opened) in enumerate(members):
        if number >= MOST_MEMBERS:
            raise _too_much(archive, f"more than {MOST_MEMBERS:,} files")
        if not _is_picture(name) or (source := opened()) is None:
            continue
        count += 1
        place = _place(name, folder, count)
        place.parent.mkdir(parents=True, exist_ok=True)
        with source, place.open("xb") as target:
            while chunk := source.read(_CHUNK):
                total += len(chunk)
                if total > MOST_BYTES:
                    raise _too_much(archive, f"more than {MOST_BYTES >> 20} MiB of pictures")
                target.write(chunk)
    return count


def _of_zip(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes] | None]]]:
    """Name and opener of each file in a zip archive."""
    with zipfile.ZipFile(archive) as whole:
        for info in whole.infolist():
            yield info.filename, lambda info=info: None if info.is_dir() else whole.open(info)


def _of_tar(archive: Path) -> Iterator[tuple[str, Callable[[], IO[bytes] | None]]]:
    """Name and opener of each file in a tar archive, to be read in this order; links are none."""
    with archive.open("rb") as file:
        unpacked = _COMPRESSED.get(file.read(2), open)
    with unpacked(archive, "rb") as stream:
        counted = cast(IO[bytes], _Counted(stream, archive))  # reading in order is all that the mode below does
        whole = tarfile.open(fileobj=counted, mode="r|")
        for member in whole:
            yield member.name, lambda member=member: whole.extractfile(member) if member.isreg() else None


class _Counted:
    """A stream that gives out no more bytes than an archive may hold: also skipping a file reads it."""

    def __init__(self, stream: IO[bytes], archive: Path) -> None:
        self.stream, self.archive, self.left = stream, archive, MOST_BYTES + _CHUNK

    def read(self, size: int) -> bytes:
        """The next bytes, at most `size`."""
        found = self.stream.read(size)
        self.left -= len(found)
        if self.left < 0:
            raise _too_much(self.archive, f"more than {MOST_BYTES >> 20} MiB")
        return found


def _too_much(archive: Path, what: str) -> InputError:
    return InputError(f"{archive.name} holds {what}, too much for an upload; train from a folder instead")


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not any(map(is_made_by_a_system, path.parts))


def _place(name: str, folder: Path, number: int) -> Path:
    """Where a member goes: `FOLDERS/NUMBER.suffix`, with nothing of its path but the names of its folders."""
    path = PurePosixPath(name.replace("\\", "/"))
    parts = [clean for part in path.parent.parts if (clean := _ODD.sub("-", part).strip(".-")[:60])]
    return folder.joinpath(*parts[-_DEPTH:], f"{number:06}{path.suffix.lower()}")


def _lift(folder: Path) -> None:
    """Let a folder hold what the one folder in it holds, as long as there is nothing else: it names no class."""
    while len(inside := list(folder.iterdir())) == 1 and inside[0].is_dir():
        only = inside[0].rename(folder / ".only")
        for entry in only.iterdir():
            entry.rename(folder / entry.name)
        only.rmdir()
