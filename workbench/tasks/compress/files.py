"""Compress and decompress files: what a command line names, one after the other, none stopping the others.

A folder is walked, and the result of DIR/a/b.png is called a/b.leech below the folder for results, and the other way
round. A file is written whole or not at all, and one that is there is replaced only when asked for.
"""

__all__ = ["Batch", "Job", "compress_files", "decompress_files", "find_compressed", "find_pictures", "write_bytes"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from workbench import atomic
from workbench.errors import ContainerError, ImageError, WorkbenchError
from workbench.images.files import FoundImage, list_images, read_picture, walk, write_png
from workbench.progress import Progress
from workbench.tasks.compress.picture import SUFFIX, Compressed, decompress_image, describe
from workbench.tasks.names import distinct, result_names


@dataclass(frozen=True)
class Job:
    """One file of a batch: where it is read and where its result goes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Batch:
    """What a batch gave.

    Attributes:
        rows: One row a file that worked: `input`, `output`, then its figures; and `notes`, where there is something to
            know of how a picture was read.
        errors: `(input, message)` of each file that did not work.
    """

    rows: Sequence[Mapping[str, object]]
    errors: Sequence[tuple[str, str]]


def find_pictures(inputs: Sequence[Path], out: Path) -> list[Job]:
    """List pictures and the compressed files that they become.

    Args:
        inputs: Pictures, and folders of pictures.
        out: The file to write where `inputs` is one picture and `out` is no folder; else the folder for results.

    Raises:
        ImageError: if a folder holds no picture.
    """
    found: list[FoundImage] = []
    for path in inputs:
        found += list_images([path]) if path.exists() else [FoundImage(path, Path(path.name))]
    return _targets(inputs, found, out, SUFFIX)


def find_compressed(inputs: Sequence[Path], out: Path) -> list[Job]:
    """List compressed files and the PNG files that they become; see :func:`find_pictures`.

    Raises:
        ContainerError: if a folder holds no compressed file.
    """
    found: list[FoundImage] = []
    for path in inputs:
        below = list(walk(path, suffixes=frozenset({SUFFIX}))) if path.is_dir() else None
        if below is not None and not below:
            raise ContainerError(f"folder {path} holds no {SUFFIX} file")
        files = {path: Path(path.name)} if below is None else {one: one.relative_to(path) for one in below}
        found += [FoundImage(file, relative) for file, relative in files.items()]
    return _targets(inputs, found, out, ".png")


def compress_files(
    jobs: Sequence[Job],
    compress: Callable[[np.ndarray], Compressed],
    *,
    force: bool = False,
    progress: Progress,
) -> Batch:
    """Compress pictures; one that cannot be read or written is listed and does not stop the others.

    Args:
        jobs: What :func:`find_pictures` found.
        compress: Makes a file of a picture, uint8 of shape (H, W, 3).
        force: Whether a file that is there already may be replaced.
        progress: Told the share done and the name of the file at hand.
    """

    def work(job: Job) -> dict[str, object]:
        picture = read_picture(job.source)
        result = compress(picture.pixels)
        write_bytes(result.data, job.target, force=force)
        return {**result.row(), **({"notes": list(picture.notes)} if picture.notes else {})}

    return _each(jobs, work, force, progress)


def decompress_files(
    jobs: Sequence[Job], *, model: str | None = None, force: bool = False, progress: Progress
) -> Batch:
    """Decompress files to PNG; one that cannot be read or written is listed and does not stop the others."""

    def work(job: Job) -> dict[str, object]:
        result = decompress_image(job.source, model=model)
        write_png(result.image, job.target, force=force)
        return {**describe(result.container), "seconds": result.seconds}

    return _each(jobs, work, force, progress)


def write_bytes(data: bytes, path: Path, *, force: bool = False) -> None:
    """Write a file whole or not at all; missing folders are made.

    Raises:
        ContainerError: if it exists and `force` is off, or it cannot be written.
    """
    try:
        _refuse_present(path, force)
        path.parent.mkdir(parents=True, exist_ok=True)
        with atomic.replacing(path, force=force) as file:
            file.write(data)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        if isinstance(error, FileExistsError):
            _refuse_present(path, force)
        raise ContainerError(f"cannot write {path}: {getattr(error, 'strerror', None) or error}") from error


def _each(jobs: Sequence[Job], work: Callable[[Job], dict[str, object]], force: bool, progress: Progress) -> Batch:
    rows: list[Mapping[str, object]] = []
    errors: list[tuple[str, str]] = []
    for count, job in enumerate(jobs):
        progress(count / len(jobs), job.source.name)
        try:
            _refuse_present(job.target, force)  # before the work, not after it
            rows.append({"input": str(job.source), "output": str(job.target), **work(job)})
        except WorkbenchError as error:
            errors.append((str(job.source), str(error)))
    progress(1.0, "done")
    return Batch(rows, errors)


def _refuse_present(path: Path, force: bool) -> None:
    if path.exists() and not force:
        raise ImageError(f"{path} exists: add --force to replace it, or write somewhere else")


def _targets(inputs: Sequence[Path], found: Sequence[FoundImage], out: Path, suffix: str) -> list[Job]:
    """Name the result of each file found."""
    if len(inputs) == 1 and not inputs[0].is_dir() and not out.is_dir():
        return [Job(inputs[0], out)]
    found = distinct(found)
    names = result_names([one.relative for one in found], suffix)
    return [Job(one.path, out / name) for one, name in zip(found, names, strict=True)]
