"""Reconstruct: picture → tokens → picture, and what was lost on the way.

`tokens` is the number of indices, `bits = tokens · log2 K` what they carry when every codeword costs the same, and
`bpp` (bits per pixel) is `bits / (width · height)`. `seconds` is the wall time of the tokenizer alone, without reading,
measuring and writing. A measure that cannot say anything is None and has a reason beside it, never NaN.
"""

__all__ = [
    "Batch",
    "Job",
    "Reconstructed",
    "error_map",
    "find_jobs",
    "reconstruct_files",
    "reconstruct_image",
    "token_map",
]

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType

import numpy as np

from workbench.errors import ImageError, InputError, WorkbenchError
from workbench.images.files import FoundImage, list_images, read_picture, write_png
from workbench.metrics.distortion import measure
from workbench.models.load import perceptual_distance
from workbench.models.tokenizer import Tokenizer
from workbench.progress import Progress, no_progress
from workbench.tasks.names import distinct, result_names
from workbench.tasks.rehearse import rehearse_search

# The inferno colours (CC0, S. van der Walt and N. Smith) at nine even steps: dark is no error, light is much.
_INFERNO = np.array(
    [
        [0, 0, 4], [31, 12, 72], [85, 15, 109], [136, 34, 106], [186, 54, 85],
        [227, 89, 51], [249, 140, 10], [249, 201, 50], [252, 255, 164],
    ],
    dtype=np.float32,
)  # fmt: skip


@dataclass(frozen=True)
class Reconstructed:
    """A picture, what came back, and the figures.

    Attributes:
        model: Name of the tokenizer.
        original: The picture that went in, uint8, shape (H, W, 3).
        image: The picture that came back, uint8, shape (H, W, 3).
        indices: The tokens, int64, shape (h, w), or (h, w, d) with a residual quantizer.
        measures: `psnr` in dB, `ssim` and `ms_ssim` in [-1, 1] and others by name; None where a measure says nothing.
        reasons: For each measure that is None, why.
        tokens: Number of tokens, h·w·d.
        bits: Bits they carry, tokens · log2 K.
        bits_per_pixel: `bits / (W·H)`.
        seconds: Wall time of the tokenizer.
    """

    model: str
    original: np.ndarray = field(repr=False)
    image: np.ndarray = field(repr=False)
    indices: np.ndarray = field(repr=False)
    measures: Mapping[str, float | None]
    reasons: Mapping[str, str]
    tokens: int
    bits: float
    bits_per_pixel: float
    seconds: float

    def row(self) -> dict[str, object]:
        """The figures as one flat row, in the order in which they are shown; reasons last, where there are any."""
        height, width = self.image.shape[:2]
        row: dict[str, object] = {"width": width, "height": height, **self.measures}
        row |= {"tokens": self.tokens, "bits": round(self.bits, 3), "bpp": self.bits_per_pixel, "seconds": self.seconds}
        return row | ({"reasons": dict(self.reasons)} if self.reasons else {})


@dataclass(frozen=True)
class Job:
    """One file of a batch: where it is read, and under which relative path its result goes."""

    source: Path
    target: Path


@dataclass(frozen=True)
class Batch:
    """What a batch gave.

    Attributes:
        rows: One row a picture that worked: `input`, `output`, then :meth:`Reconstructed.row`; and `notes`, where there
            is something to know of how it was read.
        mean: Mean of each measure over the pictures for which it says something, `bpp` and `seconds` too.
        errors: `(input, message)` of each picture that did not work.
    """

    rows: Sequence[Mapping[str, object]]
    mean: Mapping[str, float | None]
    errors: Sequence[tuple[str, str]]


def reconstruct_image(
    image: np.ndarray, tokenizer: Tokenizer, *, effort: int = 0, progress: Progress = no_progress
) -> Reconstructed:
    """Send one picture through a tokenizer and measure what came back.

    A tokenizer of several scales takes squares of one size: then the original is the middle of the picture, resized.

    Args:
        image: uint8, shape (H, W, 3).
        tokenizer: The model.
        effort: From 0 to 9: how long better codewords are searched; see :mod:`workbench.models.refine`.
        progress: Told the share done of that search.
    """
    image = tokenizer.prepare(image)
    rehearse_search(tokenizer, ranked=effort > 0)
    start = time.perf_counter()
    result = tokenizer.reconstruct(image, effort=effort, progress=progress)
    seconds = time.perf_counter() - start
    distance = perceptual_distance()
    measures, reasons = measure(image, result.image, others={distance.name: distance.between})
    return Reconstructed(
        model=tokenizer.name,
        original=image,
        image=result.image,
        indices=result.indices,
        measures=MappingProxyType(dict(measures)),
        reasons=MappingProxyType(dict(reasons)),
        tokens=int(result.indices.size),
        bits=float(result.bits),
        bits_per_pixel=float(result.bits_per_pixel),
        seconds=seconds,
    )


def error_map(original: np.ndarray, image: np.ndarray, *, full: float = 64.0) -> np.ndarray:
    """Picture of the absolute error, the mean over the three channels, in inferno colours.

    Args:
        original: uint8, shape (H, W, 3).
        image: uint8, same shape.
        full: The error, in grey levels of 255, that is shown in the lightest colour; larger ones look the same.

    Returns:
        uint8, shape (H, W, 3).
    """
    if original.shape != image.shape:
        raise InputError(f"pictures of one size expected, got {original.shape} and {image.shape}")
    steps = len(_INFERNO) - 1
    ramp = np.linspace(0, steps, 256)
    table = np.stack([np.interp(ramp, range(steps + 1), _INFERNO[:, c]) for c in range(3)], axis=1)
    # int16 keeps a 40-megapixel picture at a quarter of what float64 would take.
    error = np.abs(original.astype(np.int16) - image).sum(axis=2, dtype=np.int16)
    levels = np.minimum(error.astype(np.float32) * (255 / (3 * full)), 255).astype(np.uint8)
    return table.round().astype(np.uint8)[levels]


def token_map(indices: np.ndarray, tokenizer: Tokenizer, *, size: tuple[int, int]) -> np.ndarray:
    """Picture of the tokens: like colours are codewords that lie near each other.

    The codewords are projected on the three directions in which those of this picture differ most (principal axes), and
    the three coordinates become red, green and blue. Colours therefore compare within a picture, not between two.

    Args:
        indices: int64, shape (h, w), or (h, w, d) with a residual quantizer, whose d codewords are added first;
            or a row (L,) over several scales, whose codewords are added in full size.
        tokenizer: The model whose tokens they are.
        size: (H, W) of the picture.

    Returns:
        uint8, shape (H, W, 3); each token a square of the tokenizer's factor.
    """
    import torch

    codes = tokenizer.code_map(torch.from_numpy(indices)[None])[0].movedim(0, -1)
    points = codes.double().flatten(0, 1).cpu().numpy()  # shape: (h·w, D)
    points = points - points.mean(axis=0)
    _, axes = np.linalg.eigh(points.T @ points)
    axes = axes[:, ::-1][:, :3]
    # An axis has no sign of its own: turn each so that its largest entry is positive.
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    spread = points @ axes
    low, high = np.percentile(spread, [2, 98], axis=0)
    colours = np.clip((spread - low) / np.maximum(high - low, 1e-9), 0, 1)
    colours = np.pad(colours, ((0, 0), (0, 3 - colours.shape[1])), mode="edge")
    picture = (255 * colours).round().astype(np.uint8).reshape(*codes.shape[:2], 3)
    height, width = size
    factor = tokenizer.factor
    return picture.repeat(factor, axis=0).repeat(factor, axis=1)[:height, :width]


def find_jobs(inputs: Iterable[Path]) -> list[Job]:
    """List the pictures that a person named: files as they are, folders with everything below them.

    A result is called after its picture, with `.png` for the suffix; see `tasks/names.py` where two would share a name.

    A path that does not exist is a job too, and fails when its turn comes, so that it does not stop the others.

    Raises:
        ImageError: if a folder holds no picture.
    """
    found: list[FoundImage] = []
    for path in inputs:
        found += list_images([path]) if path.exists() else [FoundImage(path, Path(path.name))]
    found = distinct(found)
    names = result_names([picture.relative for picture in found], ".png")
    return [Job(picture.path, name) for picture, name in zip(found, names, strict=True)]


def reconstruct_files(
    jobs: Sequence[Job],
    folder: Path,
    tokenizer: Tokenizer,
    *,
    effort: int = 0,
    force: bool = False,
    progress: Progress | None = None,
) -> Batch:
    """Reconstruct many files; one that cannot be read or written is listed and does not stop the others.

    Args:
        jobs: What :func:`find_jobs` found.
        folder: Where results go; made where it is missing.
        tokenizer: The model.
        effort: As of :func:`reconstruct_image`.
        force: Whether a file that is there already may be replaced.
        progress: Told the fraction done and the name of the file at hand.

    Raises:
        InputError: if the folder cannot be made.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}; name another folder with -o") from error
    rows: list[Mapping[str, object]] = []
    errors: list[tuple[str, str]] = []
    written: set[Path] = set()
    for count, job in enumerate(jobs):
        if progress:
            progress(count / len(jobs), job.source.name)
        target = folder / job.target
        try:
            if target in written:
                raise InputError(f"{target} already holds the result of another input of this run")
            if target.exists() and not force:  # known before the work is done, and checked again when it is written
                raise ImageError(f"{target} exists; add --force to replace it, or name another folder with -o")
            picture = read_picture(job.source)
            result = reconstruct_image(picture.pixels, tokenizer, effort=effort)
            write_png(result.image, target, force=force)
        except WorkbenchError as error:
            errors.append((str(job.source), str(error)))
        else:
            written.add(target)
            notes = {"notes": list(picture.notes)} if picture.notes else {}
            rows.append({"input": str(job.source), "output": str(target), **result.row(), **notes})
    if progress:
        progress(1.0, "done")
    return Batch(rows, _mean(rows), errors)


def _mean(rows: Sequence[Mapping[str, object]]) -> dict[str, float | None]:
    """Mean of each figure over the rows that have it; None where no row has."""
    skipped = {"input", "output", "width", "height", "reasons", "notes"}
    names = [name for name in (rows[0] if rows else {}) if name not in skipped]
    mean: dict[str, float | None] = {}
    for name in names:
        values = [value for row in rows if isinstance(value := row[name], int | float)]
        mean[name] = float(np.mean(values)) if values else None
    return mean
