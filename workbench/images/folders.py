"""Folders of pictures, with or without classes.

A folder whose pictures lie in sub-folders, two or more, has classes: the name of the first sub-folder on the way to a
picture is its class. A few stray pictures beside the class folders, one or one in ten, are reported and passed over;
in any other folder pictures have no class. Folders that systems make by themselves (thumbnails, checkpoints, whatever
is hidden) are no part of a data set.
"""

__all__ = ["SHARD", "Entry", "index_folder"]

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from workbench.errors import ImageError
from workbench.images.files import SUFFIXES, walk

SHARD = ".tar"
_STRAY = 10  # one picture in so many, and one in any case, may lie beside the class folders


@dataclass(frozen=True)
class Entry:
    """Where a picture lies and what is known of it before it is read.

    Attributes:
        key: Its name within the folder or shard.
        where: What to call it in errors.
        path: The file, or the shard that holds it.
        label: Class by name (folders) or by number (shards); None without.
        offset: First byte within the shard; None for a file of its own.
        size: Bytes within the shard; None for a file of its own.
    """

    key: str
    where: str
    path: Path
    label: str | int | None = None
    offset: int | None = None
    size: int | None = None


def index_folder(folder: Path, on_error: Callable[[str, ImageError], None]) -> tuple[list[Entry], list[Path]]:
    """List the pictures below a folder, and the shards below it, both sorted.

    Args:
        folder: Which.
        on_error: Told the pictures that lie beside class folders.

    Returns:
        Entries of the pictures, with class names where the folder has classes; paths of the shards.
    """
    files = list(walk(folder, suffixes=SUFFIXES | {SHARD}))
    shards = [path for path in files if path.suffix.lower() == SHARD]
    ways = {path: path.relative_to(folder).parts for path in files if path.suffix.lower() != SHARD}
    classes = sorted({way[0] for way in ways.values() if len(way) > 1})
    stray = [path for path, way in ways.items() if len(way) == 1]
    classed = len(classes) > 1 and len(stray) <= max(1, len(ways) // _STRAY)
    if classed:
        names = ", ".join(classes[:3]) + (", …" if len(classes) > 3 else "")
        for path in stray:
            del ways[path]
            on_error(
                path.name, ImageError(f"{path}: lies beside the class folders ({names}); move it into one of them")
            )
    entries = [
        Entry(key="/".join(way), where=str(path), path=path, label=way[0] if classed else None)
        for path, way in ways.items()
    ]
    return entries, shards
