"""A source: any mixture of picture files, folders, class sub-folders and tar shards, as one sequence of samples.

The order is that of the arguments, and within each sorted (folders) or as written (shards): the same on every machine.
Nothing is opened before the first question; the index is then made once, and pictures are decoded one by one as they
are asked for. A picture that cannot be read is reported by name and passed over, until a budget is spent.

Classes of folders are names, classes of shards are numbers. Joined, shard class k is class k, called `class_names[k]`
where names are given and otherwise by its number; further names of folders follow in sorted order.
"""

__all__ = ["Sample", "Source", "open_source"]

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np

from workbench.errors import ImageError, InputError, did_you_mean
from workbench.images.files import MAX_PIXELS, read_image
from workbench.images.folders import SHARD, Entry, index_folder
from workbench.images.shards import index_shard

logger = logging.getLogger(__name__)

OnError = Callable[[str, ImageError], None]


@dataclass(frozen=True, eq=False)
class Sample:
    """One picture of a source.

    Attributes:
        key: Its name within its folder or shard.
        image: uint8, shape (H, W, 3).
        label: Class, in [0, len(class_names)); None without.
    """

    key: str
    image: np.ndarray = field(repr=False)
    label: int | None = None


def log_error(key: str, error: ImageError) -> None:  # noqa: ARG001 - the error's text names the key already
    """What is done with an unreadable picture where nothing else was asked for."""
    logger.warning("passed over: %s", error)


def open_source(
    paths: Sequence[str | Path] | str | Path,
    *,
    class_names: Sequence[str] | None = None,
    on_error: OnError = log_error,
    budget: int | None = None,
    max_pixels: int = MAX_PIXELS,
) -> "Source":
    """Open pictures wherever they lie.

    Args:
        paths: Picture files, folders (with class sub-folders or without, with shards or without), `.tar` shards.
        class_names: Names of the classes in order; None to take what the paths say.
        on_error: Told the key and the error of each picture that is passed over.
        budget: How many of them one pass may meet before it stops with an error; None for any number.
        max_pixels: Largest picture that is decoded.

    Raises:
        InputError: if no path is given.
        ImageError: if a path does not exist.
    """
    listed = [Path(paths)] if isinstance(paths, str | Path) else [Path(path) for path in paths]
    if not listed:
        raise InputError("no pictures named: give files, folders or .tar shards")
    for path in listed:
        if not path.exists():
            raise ImageError(f"{path}: no such file or folder")
    return Source(listed, class_names, on_error, budget, max_pixels)


class Source:
    """A sequence of samples; made by :func:`open_source`, safe to read from several threads."""

    def __init__(
        self,
        paths: Sequence[Path],
        class_names: Sequence[str] | None,
        on_error: OnError,
        budget: int | None,
        max_pixels: int,
    ) -> None:
        self.paths = tuple(paths)
        self._given_names = None if class_names is None else tuple(class_names)
        self._on_error, self._budget, self._max_pixels = on_error, budget, max_pixels

    def __repr__(self) -> str:
        return f"Source({', '.join(map(str, self.paths))})"

    def __len__(self) -> int:
        """Number of pictures, unreadable ones included."""
        return len(self._entries)

    def __getitem__(self, index: int) -> Sample:
        """Read one picture.

        Raises:
            IndexError: if there is no such one.
            ImageError: if it cannot be read.
        """
        entry = self._entries[index]
        if entry.offset is None:
            image = read_image(entry.path, max_pixels=self._max_pixels)
        else:
            try:
                with entry.path.open("rb") as file:
                    file.seek(entry.offset)
                    content = file.read(entry.size)
            except OSError as error:
                raise ImageError(f"{entry.where}: cannot be read ({error.strerror})") from error
            image = read_image(content, max_pixels=self._max_pixels, name=entry.where)
        label = int(self.labels[index])
        return Sample(entry.key, image, None if label < 0 else label)

    def __iter__(self) -> Iterator[Sample]:
        """Yield every readable sample; report the others.

        Raises:
            ImageError: when more pictures than the budget allows were unreadable.
        """
        bad = 0
        for index in range(len(self)):
            try:
                sample = self[index]
            except ImageError as error:
                bad += 1
                self._on_error(self._entries[index].key, error)
                if self._budget is not None and bad > self._budget:
                    raise ImageError(
                        f"{bad} of the first {index + 1} pictures cannot be read, "
                        f"more than the {self._budget} allowed; the last: {error}"
                    ) from error
                continue
            yield sample

    @property
    def keys(self) -> tuple[str, ...]:
        """Names of the pictures, in order; two folders may hold the same one."""
        return tuple(entry.key for entry in self._entries)

    @cached_property
    def identity(self) -> str:
        """SHA-256 (hex) of what the source lists: name, class, size and time of change of every picture.

        It changes where a picture was replaced, moved to another class, added or removed, and with nothing else below
        a folder. A shard counts as one file, whose time of change stands for all of it.
        """
        digest = hashlib.sha256()
        for entry, label in zip(self._entries, self.labels, strict=True):
            facts = entry.path.stat()
            digest.update(repr((entry.key, int(label), entry.offset, facts.st_size, facts.st_mtime_ns)).encode())
        return digest.hexdigest()

    @cached_property
    def class_names(self) -> tuple[str, ...]:
        """Names of the classes, in order; empty where nothing has a class."""
        numbers = [entry.label for entry in self._entries if isinstance(entry.label, int)]
        names = {entry.label for entry in self._entries if isinstance(entry.label, str)}
        if self._given_names is not None:
            if numbers and max(numbers) >= len(self._given_names):
                raise InputError(
                    f"{len(self._given_names)} class names were given, but a shard holds class {max(numbers)}"
                )
            if unknown := sorted(names - set(self._given_names)):
                raise InputError(did_you_mean("class folder", unknown[0], self._given_names))
            return self._given_names
        first = [str(number) for number in range(max(numbers, default=-1) + 1)]
        return (*first, *sorted(names - set(first)))

    @cached_property
    def labels(self) -> np.ndarray:
        """Class of each picture, int64, shape (N,); -1 without. Known without decoding."""
        place = {name: number for number, name in enumerate(self.class_names)}
        found = (e.label if isinstance(e.label, int) else place.get(e.label or "", -1) for e in self._entries)
        return np.array([-1 if label is None else label for label in found], dtype=np.int64)

    @cached_property
    def _entries(self) -> list[Entry]:
        entries: list[Entry] = []
        for path in self.paths:
            if path.is_dir():
                pictures, shards = index_folder(path, self._on_error)
                entries += pictures
                for shard in shards:
                    entries += self._shard(shard)
            elif path.suffix.lower() == SHARD:
                entries += self._shard(path)
            else:
                entries.append(Entry(key=path.name, where=str(path), path=path))
        if not entries:
            raise ImageError(f"no pictures in {', '.join(map(str, self.paths))}")
        return entries

    def _shard(self, path: Path) -> list[Entry]:
        try:
            return index_shard(path, self._on_error)
        except ImageError as error:
            self._on_error(str(path), error)
            return []
