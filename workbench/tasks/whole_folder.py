"""A folder appears under its name whole, or not at all."""

__all__ = ["whole_folder"]

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


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
