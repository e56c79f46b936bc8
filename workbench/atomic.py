"""Files and folders are written whole or not at all: made under another name, flushed to disk, then renamed."""

__all__ = ["replacing", "whole_folder", "write_text"]

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO


def write_text(path: Path, text: str) -> None:
    """Write a text file whole or not at all."""
    with replacing(path) as file:
        file.write(text.encode())


@contextmanager
def replacing(path: Path) -> Iterator[IO[bytes]]:
    """Open a temporary file that takes the name `path`, on disk, when the block ends well; else it goes away."""
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")
    temporary = Path(name)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        mask = os.umask(0)
        os.umask(mask)
        temporary.chmod(0o666 & ~mask)  # mkstemp makes files that only their owner reads
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if os.name == "posix":
        folder = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)


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
        try:
            inner.rename(place)
        except OSError:
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(aside, ignore_errors=True)
