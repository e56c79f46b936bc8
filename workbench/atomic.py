"""Files and folders are written whole or not at all: made under another name, flushed to disk, then renamed.

A kill at any moment leaves what was there before or what is there now, and at most a file or folder whose name begins
with a dot. A folder that replaces another one changes places with it in one step, where the system can do that (Linux,
macOS); elsewhere there is an instant between two renamings in which the old one has its temporary name.
"""

__all__ = ["replaced_folder", "replacing", "whole_folder", "write_text"]

import ctypes
import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

_HERE = -100 if sys.platform == "linux" else -2  # AT_FDCWD: paths are relative to the working folder
_EXCHANGE = 2  # RENAME_EXCHANGE of renameat2 and RENAME_SWAP of renameatx_np


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: Path, *, force: bool = True) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the name `path`, on disk, when the block ends well; else it goes away.

    Args:
        path: What it is to be called, in a folder that exists.
        force: Whether it may take the place of another file.

    Raises:
        FileExistsError: if there is a file of that name at the end, and `force` is off.
        OSError: if it cannot be written.
    """
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".part-")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp makes files that only their owner reads
        if force:
            temporary.replace(path)
        else:
            _name(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync(path.parent)


@contextmanager
def whole_folder(place: Path, *, beside: Path | None = None) -> Iterator[Path]:
    """Yield an empty folder that takes the name `place` when the block ends well; else it goes away.

    Where two make the same folder at once, the first one stays and the other is dropped.

    Args:
        place: What it is to be called; no file or folder of that name yet.
        beside: Where it is kept until then, on the same disk; `None` for the folder of `place`.

    Raises:
        OSError: if it cannot be written.
    """
    around = beside or place.parent
    around.mkdir(parents=True, exist_ok=True)
    aside = Path(tempfile.mkdtemp(prefix=f".{place.name}-", dir=around))
    try:
        inner = aside / place.name  # mkdtemp's own folder is its owner's alone; this one has the usual rights
        inner.mkdir()
        yield inner
        _sync_all(inner)
        try:
            inner.rename(place)
        except OSError:
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _sync(place.parent)


@contextmanager
def replaced_folder(place: Path) -> Iterator[Path]:
    """Yield an empty folder that takes the place of the folder `place`, or its name, when the block ends well.

    The caller sees to it that nobody else writes `place` at the same time. What an earlier kill left is removed.

    Raises:
        OSError: if it cannot be written.
    """
    aside, old = place.with_name(f".{place.name}.new"), place.with_name(f".{place.name}.old")
    if old.exists() and not place.exists():
        old.rename(place)  # killed between the two renamings below
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir(parents=True)
    try:
        yield aside
        _sync_all(aside)
        if not place.exists():
            aside.rename(place)
        elif not _exchanged(aside, place):
            shutil.rmtree(old, ignore_errors=True)
            place.rename(old)
            aside.rename(place)
            shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    _sync(place.parent)


def _name(temporary: Path, path: Path) -> None:
    """Give a finished file its name, unless there is one of that name."""
    try:
        path.hardlink_to(temporary)  # fails where a file appeared meanwhile, which replace would not
    except FileExistsError:
        raise
    except OSError:  # a file system without links
        if path.exists():
            raise FileExistsError(f"{path} exists") from None
        temporary.replace(path)


def _exchanged(first: Path, second: Path) -> bool:
    """Let two folders change names in one step; False where the system cannot."""
    name = {"linux": "renameat2", "darwin": "renameatx_np"}.get(sys.platform)
    call = getattr(ctypes.CDLL(None), name, None) if name else None
    return bool(call) and call(_HERE, os.fsencode(first), _HERE, os.fsencode(second), _EXCHANGE) == 0


def _sync_all(folder: Path) -> None:
    for path in (*folder.rglob("*"), folder):
        if path.is_dir():
            _sync(path)
        else:
            with path.open("rb") as file:
                os.fsync(file.fileno())


def _sync(folder: Path) -> None:
    """Force the names in a folder to the disk, where folders can be opened."""
    if os.name == "posix":
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
