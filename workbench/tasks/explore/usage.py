"""How a model uses its codebook on pictures: counted while tokens stream, in memory that does not grow with them.

Words are counted over all pictures and, for a multi-scale model, at each scale. Where the code is a shell of a lattice
the counts are split by shape: (±2⁸, 0¹⁶), (±3, ±1²³) and (±4², 0²²) for the Leech shell. Pictures and tokens of the
first few are kept, so that one can ask where a word fell.
"""

__all__ = [
    "KEPT",
    "Kept",
    "ShapeUse",
    "UsageReport",
    "count_usage",
    "highlight",
    "stream_usage",
    "training_curve",
]

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workbench.errors import ImageError, InputError
from workbench.fit.engine.journal import read_log
from workbench.images.sources import Source
from workbench.metrics.usage import ClassUse, UsageCounter
from workbench.models.tokenizer import Tokenizer, as_images
from workbench.progress import Progress
from workbench.tasks.explore.code import CODES, shape_labels, view_code

KEPT = 24  # pictures whose pixels and tokens are kept
_SIDE = 384  # a kept picture is cut to this many pixels a side


@dataclass(frozen=True)
class ShapeUse:
    """Use of the words of one shape: its name and what was counted."""

    name: str
    use: ClassUse


@dataclass(frozen=True)
class Kept:
    """A picture that was counted.

    Attributes:
        key: Its name.
        image: uint8, shape (H, W, 3).
        indices: Its tokens, int64, shape (h, w): of the finest scale for a multi-scale model, of the first stage for a
            residual one.
        factor: Pixels a side that a token stands for.
    """

    key: str
    image: np.ndarray = field(repr=False)
    indices: np.ndarray = field(repr=False)
    factor: int


@dataclass(frozen=True)
class UsageReport:
    """How a model used its codebook.

    Attributes:
        model: Name of the model.
        quantizer: Name of its quantizer.
        met: Pictures met, unreadable ones included.
        total: Pictures there are to meet.
        pictures: Pictures counted.
        counter: Counts of all tokens; its `summary()` has the figures.
        scales: Side of the grid → counts, coarse to fine; empty for a model of one scale.
        shapes: Use by shape, where the code has shapes.
        kept: The first few pictures and their tokens.
        passed_over: Names of pictures that could not be read, and why.
    """

    model: str
    quantizer: str
    met: int
    total: int
    pictures: int
    counter: UsageCounter
    scales: Mapping[int, UsageCounter]
    shapes: Sequence[ShapeUse]
    kept: Sequence[Kept]
    passed_over: Sequence[tuple[str, str]]

    def row(self, *, top: int = 24) -> dict[str, object]:
        """The report as plain data, with the most frequent words."""
        words, counts = self.counter.ranked()
        ranks, at_rank = self.counter.rank_frequency()
        tokens = max(self.counter.tokens, 1)
        return {
            "model": self.model,
            "quantizer": self.quantizer,
            "pictures": self.pictures,
            **self.counter.summary().row(),
            "shapes": [
                {
                    "shape": shape.name,
                    "words": shape.use.words,
                    "tokens": shape.use.tokens,
                    "share_of_code": shape.use.share_of_code,
                    "share_of_tokens": shape.use.share_of_tokens,
                }
                for shape in self.shapes
            ],
            "scales": [{"scale": scale, **counter.summary().row()} for scale, counter in self.scales.items()],
            "top": [
                {"word": word, "count": count, "share": count / tokens}
                for word, count in zip(words[:top].tolist(), counts[:top].tolist(), strict=True)
            ],
            "rank_frequency": {"rank": ranks.tolist(), "count": at_rank.tolist()},
            "growth": [list(pair) for pair in _thinned(self.counter.growth)],
            "errors": [{"input": name, "error": message} for name, message in self.passed_over],
        }


def count_usage(
    source: Source,
    tokenizer: Tokenizer,
    *,
    limit: int | None = None,
    progress: Progress | None = None,
) -> UsageReport:
    """Count the words that a model uses on the pictures of a source.

    Args:
        source: The pictures; one that cannot be read is passed over and named in the report.
        tokenizer: The model.
        limit: At most so many pictures; None for all.
        progress: Told the fraction done and how far it is.

    Raises:
        InputError: if the limit is less than 1, or no picture could be read.
    """
    for report in stream_usage(source, tokenizer, limit=limit):
        if progress is not None:
            counter = report.counter
            message = f"{report.met} of {report.total} pictures, {counter.tokens:,} tokens, {counter.words:,} words"
            progress(report.met / report.total, message)
    return report


def stream_usage(source: Source, tokenizer: Tokenizer, *, limit: int | None = None) -> Iterator[UsageReport]:
    """Count as :func:`count_usage` does, and give the report so far after every picture.

    Raises:
        InputError: as :func:`count_usage`.
    """
    if limit is not None and limit < 1:
        raise InputError(f"at least one picture has to be counted, got a limit of {limit}")
    total = min(len(source), limit or len(source))
    counter = UsageCounter(tokenizer.words)
    scales = {scale: UsageCounter(tokenizer.words) for scale in tokenizer.scales}
    kept: list[Kept] = []
    passed_over: list[tuple[str, str]] = []
    pictures = 0
    for number in range(total):
        try:
            sample = source[number]
        except ImageError as error:
            passed_over.append((str(number), str(error)))
        else:
            image, grids, shown = _tokens(sample.image, tokenizer)
            for grid, at_scale in zip(grids, scales.values(), strict=False):
                at_scale.update(grid)
            counter.update(np.concatenate([grid.reshape(-1) for grid in grids]))
            pictures += 1
            if len(kept) < KEPT:
                kept.append(_kept(sample.key, image, shown, tokenizer))
        if not pictures and number == total - 1:
            raise InputError(f"no picture could be counted: {passed_over[0][1]}")
        yield UsageReport(
            model=tokenizer.name,
            quantizer=_code_name(tokenizer),
            met=number + 1,
            total=total,
            pictures=pictures,
            counter=counter,
            scales=scales,
            shapes=_shapes(tokenizer, counter),
            kept=tuple(kept),
            passed_over=tuple(passed_over),
        )


def _tokens(image: np.ndarray, tokenizer: Tokenizer) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """The picture as the model takes it, its token grids, coarse to fine, and the one that is shown over it."""
    image = tokenizer.prepare(image)
    grids = [grid[0].cpu().numpy() for grid in tokenizer.grids(tokenizer.tokenize(as_images(image)))]
    return image, grids, next(grid for grid in grids if grid.shape == grids[-1].shape)


def highlight(picture: Kept, word: int) -> np.ndarray:
    """The picture with the patches of one word lit and the others dimmed: uint8, shape (H, W, 3)."""
    lit = (picture.indices == word).repeat(picture.factor, 0).repeat(picture.factor, 1)
    height, width = picture.image.shape[:2]
    lit = lit[:height, :width]
    grey = picture.image.mean(axis=2, keepdims=True)
    dimmed = (0.25 * picture.image + 0.2 * grey).astype(np.uint8)
    return np.where(lit[:, :, None], picture.image, dimmed)


def training_curve(run: Path) -> list[dict[str, float]]:
    """Use of the codebook over training: `step`, `words` and `entropy_bits` of each evaluation in the log of a run.

    Args:
        run: The run's folder.

    Raises:
        InputError: if the log holds none.
    """
    curve = []
    for line in read_log(run):
        evaluation = line.get("evaluation") or {}
        if "words" in evaluation:
            curve.append(
                {"step": line["step"], "words": evaluation["words"], "entropy_bits": evaluation["entropy_bits"]}
            )
    if not curve:
        raise InputError(f"{run} holds no log with an evaluation that counted words; name the folder of a run")
    return curve


def _code_name(tokenizer: Tokenizer) -> str:
    base = getattr(tokenizer.quantizer, "base", tokenizer.quantizer)
    return base.stages[0].name


def _shapes(tokenizer: Tokenizer, counter: UsageCounter) -> list[ShapeUse]:
    """Use by shape, where the words of the code have shapes."""
    name = _code_name(tokenizer)
    if name not in CODES:
        return []
    names = [shape.name for shape in view_code(name).shapes]
    return [ShapeUse(names[use.label], use) for use in counter.by_class(shape_labels(name))]


def _kept(key: str, image: np.ndarray, indices: np.ndarray, tokenizer: Tokenizer) -> Kept:
    """A picture cut to a size that is cheap to keep; tokens of overlapping windows do not lie over their pixels."""
    factor = tokenizer.factor
    if tokenizer.window is not None and indices.shape != (-(-image.shape[0] // factor), -(-image.shape[1] // factor)):
        indices = np.full((-(-image.shape[0] // factor), -(-image.shape[1] // factor)), -1)
    rows = _SIDE // factor
    return Kept(key, image[: rows * factor, : rows * factor].copy(), indices[:rows, :rows].copy(), factor)


def _thinned(growth: Sequence[tuple[int, int]], points: int = 200) -> list[tuple[int, int]]:
    """At most so many points of the growth, the last included."""
    if len(growth) <= points:
        return list(growth)
    return [growth[i] for i in np.unique(np.geomspace(1, len(growth), points).round().astype(int)) - 1]
