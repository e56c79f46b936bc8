"""Folders of pictures, with or without classes.

A folder whose pictures all lie in sub-folders, two or more, has classes: the name of the first sub-folder on the way to
a picture is its class. In any other folder pictures have no class.
"""

__all__ = ["SHARD", "Entry", "index_folder"]

from dataclasses import dataclass
from pathlib import Path

from workbench.images.files import SUFFIXES, walk

SHARD = ".tar"


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


def index_folder(folder: Path) -> tuple[list[Entry], list[Path]]:
    """List the pictures below a folder, and the shards below it, both sorted.

    Returns:
        Entries of the pictures, with class names where the folder has classes; paths of the shards.
    """
    files = list(walk(folder, suffixes=SUFFIXES | {SHARD}))
    shards = [path for path in files if path.suffix.lower() == SHARD]
    pictures = [path for path in files if path.suffix.lower() != SHARD]
    parts = [path.relative_to(folder).parts for path in pictures]
    classed = all(len(way) > 1 for way in parts) and len({way[0] for way in parts}) > 1
    entries = [
        Entry(key="/".join(way), where=str(path), path=path, label=way[0] if classed else None)
        for path, way in zip(pictures, parts, strict=True)
    ]
    return entries, shards
