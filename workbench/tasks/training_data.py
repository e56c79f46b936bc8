"""Pictures to train on, from where a person has them: a folder, an uploaded archive, or drawn by rule.

An archive is a claim, not a fact: only members that are named like pictures are taken, under names of our own, and
sizes are counted while they are unpacked, so neither a path inside it nor a bomb gets anywhere. What the pictures hold
is checked when they are read for training.
"""

__all__ = ["held_out_pictures", "synthetic_folder", "unpack"]

import re
import shutil
import tarfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import IO

from workbench.errors import InputError
from workbench.images.examples import list_examples
from workbench.images.files import SUFFIXES, write_png
from workbench.images.synthetic import CLASSES, render

Progress = Callable[[float, str], None]

MOST_PICTURES = 20_000
MOST_BYTES = 500 << 20  # unpacked, all pictures together
_CHUNK = 1 << 20
_SIZE = 96  # pixels a side of a drawn picture
_ODD = re.compile(r"[^A-Za-z0-9._-]+")


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
    aside = folder / f".{done.name}"
    shutil.rmtree(aside, ignore_errors=True)
    for number in range(count):
        label = number % len(CLASSES)
        picture = render(label, size=_SIZE, seed=seed, number=number)
        write_png(picture, aside / CLASSES[label] / f"{number:05}.png", force=True)
        if progress and number % 20 == 0:
            progress(number / count, f"drawing {number} of {count} pictures")
    aside.rename(done)
    return done


def held_out_pictures(folder: Path) -> list[Path]:
    """The example pictures as files: what a run is measured on, whatever it trains on."""
    folder.mkdir(parents=True, exist_ok=True)
    return [example.file(folder) for example in list_examples()]


def unpack(archive: Path, folder: Path) -> int:
    """Take the pictures out of a .zip or .tar archive, under names of our own.

    A picture's folder becomes its class folder; everything else of its path is dropped.

    Args:
        archive: A zip file, or a tar file, compressed or not.
        folder: Where to; must not hold anything yet.

    Returns:
        How many pictures were taken.

    Raises:
        InputError: if it is no archive, is damaged, holds no pictures, or more than is allowed.
    """
    count = total = 0
    try:
        for name, member in _members(archive):
            count += 1
            if count > MOST_PICTURES:
                raise InputError(
                    f"{archive.name} holds more than {MOST_PICTURES:,} pictures; train from a folder instead"
                )
            place = _place(name, folder, count)
            place.parent.mkdir(parents=True, exist_ok=True)
            with member() as source, place.open("xb") as target:
                while chunk := source.read(_CHUNK):
                    total += len(chunk)
                    if total > MOST_BYTES:
                        size = f"more than {MOST_BYTES >> 20} MiB of pictures"
                        raise InputError(f"{archive.name} holds {size}; train from a folder instead")
                    target.write(chunk)
    except (zipfile.BadZipFile, tarfile.TarError, EOFError, OSError, NotImplementedError, RuntimeError) as error:
        raise InputError(f"{archive.name} is damaged or not a .zip or .tar archive: {error}") from error
    if not count:
        raise InputError(f"{archive.name} holds no picture ({', '.join(sorted(SUFFIXES))})")
    return count


def _members(archive: Path) -> Iterator[tuple[str, Callable[[], object]]]:
    """Name and opener of each member that is a file named like a picture."""
    if zipfile.is_zipfile(archive):
        with zipfile.ZipFile(archive) as whole:
            for info in whole.infolist():
                if not info.is_dir() and _is_picture(info.filename):
                    yield info.filename, lambda info=info: whole.open(info)
    else:
        with tarfile.open(archive) as whole:
            for member in whole:
                if member.isreg() and _is_picture(member.name):
                    yield member.name, lambda member=member: _of_tar(whole, member)


@contextmanager
def _of_tar(whole: tarfile.TarFile, member: tarfile.TarInfo) -> Iterator[IO[bytes]]:
    source = whole.extractfile(member)
    if source is None:
        raise tarfile.ReadError(f"{member.name} has no content")
    with source:
        yield source


def _is_picture(name: str) -> bool:
    path = PurePosixPath(name)
    return path.suffix.lower() in SUFFIXES and not path.name.startswith(".") and "__MACOSX" not in path.parts


def _place(name: str, folder: Path, number: int) -> Path:
    """Where a member goes: `CLASS/NUMBER.suffix`, with nothing of its path but the name of its folder."""
    path = PurePosixPath(name.replace("\\", "/"))
    parent = _ODD.sub("-", path.parent.name).strip(".-")[:60]
    return folder / (parent or "pictures") / f"{number:06}{path.suffix.lower()}"
