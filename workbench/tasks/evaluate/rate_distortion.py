"""Rate against distortion: .leech files beside the codecs that people use.

A *point* is a codec at one setting: the means over pictures of bits per pixel (all bytes of the file) and of each
measure between the picture and what comes back. A *curve* is a codec's points. Two ways of comparing:

- *matched*: for every picture, the other codec's largest file that is no larger than ours. Where a codec has no file
  that small, its smallest is taken, and the row says for how many pictures that was so.
- *Bjøntegaard*: the mean gap between two curves over the range they share (:mod:`workbench.metrics.rate`); it needs two
  points of ours at least, that is two rungs of the ladder.

Curves have the shape of CompressAI's result files, {name, description, results: {bpp: […], psnr: […], …}}.
Seconds are wall time on this machine, one picture at a time, and pixels are counted in millions (Mpx).
"""

__all__ = ["Curve", "Entropy", "Matched", "RateDistortion", "Sides", "evaluate_rate_distortion"]

import math
import time
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from workbench.errors import InputError
from workbench.images.sources import Source
from workbench.metrics.distortion import measure
from workbench.metrics.perceptual import FeatureDistance
from workbench.metrics.rate import bd_quality, bd_rate
from workbench.metrics.usage import UsageCounter
from workbench.progress import Progress, no_progress
from workbench.tasks.compress.codec import Codec
from workbench.tasks.compress.picture import compress_image, decompress_image
from workbench.tasks.evaluate.baselines import Baseline, Files

Row = Mapping[str, float | None]

OURS = "Λ24-SQ"
_CROP = 192  # pixels a side of the crops shown side by side


@dataclass(frozen=True)
class Curve:
    """A codec at several settings, in the shape of CompressAI's result files.

    Attributes:
        name: The codec.
        description: What was set.
        results: Lists of one length: `bpp` and measures, means over pictures; `psnr-rgb`, `ms-ssim-rgb` repeat two of
            them under CompressAI's later names; `encoding_mpx_per_second`, `decoding_mpx_per_second`.
    """

    name: str
    description: str
    results: Mapping[str, Sequence[float | None]]


@dataclass(frozen=True)
class Entropy:
    """What an entropy model makes of a model's tokens; means over pictures, headers included.

    Attributes:
        model: Name of the tokenizer.
        entropy: Name of the entropy model.
        bits_per_token: Bits of the file over tokens.
        share_of_fixed: Bits of the file over those of the tokens at the fixed rate, log2 K each.
        ideal_share: The same for the code length alone, without header and rounding.
    """

    model: str
    entropy: str
    bits_per_token: float
    share_of_fixed: float
    ideal_share: float


@dataclass(frozen=True)
class Matched:
    """Ours and another codec at equal file size; means over pictures.

    Attributes:
        ours: Our point, by model and entropy model.
        other: The other codec.
        too_large: Number of pictures whose smallest file of the other codec is larger than ours.
        measures: For each measure, `bpp` and speed: ours, theirs.
    """

    ours: str
    other: str
    too_large: int
    measures: Mapping[str, tuple[float | None, float | None]]


@dataclass(frozen=True)
class Sides:
    """Crops of one picture at equal file size.

    Attributes:
        title: The codec and its bits per pixel.
        crop: uint8, shape (side, side, 3).
    """

    title: str
    crop: np.ndarray = field(repr=False)


@dataclass(frozen=True)
class RateDistortion:
    """Everything that was measured.

    Attributes:
        pictures: Number of pictures.
        curves: Ours first, by each model's best entropy model; where there are several, one for each of these; then the
            others.
        entropy: What each entropy model makes of each model's tokens.
        live_words: For each model the share of codewords that any picture used.
        matched: At equal file size, for each of our best points and each other codec.
        bjontegaard: For each other codec: `bd_rate_percent` and `bd_psnr_db` of ours against it, the first over the
            qualities that both curves have, `from_psnr_db` to `to_psnr_db`; or `reason`.
        sides: Crops of one picture at equal file size, the original first.
        protocol: What was done, in words.
    """

    pictures: int
    curves: Sequence[Curve]
    entropy: Sequence[Entropy]
    live_words: Mapping[str, float]
    matched: Sequence[Matched]
    bjontegaard: Mapping[str, Mapping[str, float | str]]
    sides: Sequence[Sides] = field(repr=False)
    protocol: str

    def row(self) -> dict[str, object]:
        """Everything but the crops, as JSON takes it."""
        return {name: value for name, value in asdict(self).items() if name != "sides"}


def evaluate_rate_distortion(
    codecs: Sequence[Codec],
    source: Source,
    *,
    others: Sequence[Baseline],
    perceptual: FeatureDistance | None = None,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> RateDistortion:
    """Measure codecs on pictures.

    Args:
        codecs: Ours, one for each rung of the ladder.
        source: The pictures.
        others: What to compare with; see :func:`workbench.tasks.evaluate.baselines.baselines`.
        perceptual: A perceptual distance; its name becomes a measure.
        limit: Number of pictures, from the first; None for all.
        progress: Told the fraction done and the picture at hand.

    Raises:
        InputError: if there is no codec or no picture.
    """
    count = min(len(source), limit or len(source))
    if not codecs or not count:
        raise InputError(f"expected a codec of ours and a picture, got {len(codecs)} and {count}")
    points: dict[tuple[str, str], list[Row]] = defaultdict(list)
    lengths: dict[tuple[str, str], list[tuple[float, float, float]]] = defaultdict(list)
    usage = {codec.tokenizer.name: UsageCounter(codec.size) for codec in codecs}
    pairs: dict[tuple[str, str], list[tuple[Row, Row, bool]]] = defaultdict(list)
    sides: list[Sides] = []
    for number in range(count):
        sample = source[number]
        progress(number / count, sample.key)
        original = _Original(sample.image, perceptual)
        theirs = [_Theirs(other, original) for other in others]
        for one in theirs:
            for setting in one.sweep:
                points[one.name, str(setting)].append(one.at(setting)[0])
        for codec in codecs:
            name = codec.tokenizer.name
            measured, picture, size = _ours(codec, original, points, lengths, usage[name])
            shown = [
                Sides("original", _crop(original.image)),
                Sides(f"{OURS} {name}, {measured['bpp']:.3f} bpp", picture),
            ]
            for one in theirs:
                setting, fits = one.files.largest_within(size)
                row, picture = one.at(setting)
                pairs[name, one.name].append((measured, row, fits))
                shown.append(Sides(f"{one.name}, {row['bpp']:.3f} bpp", picture))
            if number == count // 2 and codec is codecs[0]:
                sides = shown
    progress(1.0, "done")
    curves = _curves(codecs, others, points)
    return RateDistortion(
        pictures=count,
        curves=curves,
        entropy=[_entropy(model, entropy, rows) for (model, entropy), rows in lengths.items()],
        live_words={name: counter.summary().share for name, counter in usage.items()},
        matched=[_matched(model, other, rows) for (model, other), rows in pairs.items()],
        bjontegaard={curve.name: _bjontegaard(curve, curves[0]) for curve in curves if not curve.name.startswith(OURS)},
        sides=sides,
        protocol=(
            f"{count} pictures at full size, uint8 in and out; bpp counts every byte of a file; means over pictures; "
            "one process, wall time with reading and writing of files left out"
        ),
    )


class _Original:
    """A picture that others are measured against: its own features are computed once."""

    def __init__(self, image: np.ndarray, perceptual: FeatureDistance | None) -> None:
        self.image, self._name, self._against = image, None, None
        if perceptual is not None:
            self._name = perceptual.name
            if min(image.shape[:2]) >= perceptual.least_side:
                self._against = perceptual.against(image)

    def figures(self, back: np.ndarray) -> dict[str, float | None]:
        """Measures of a picture that came back."""
        figures, _ = measure(self.image, back)
        if self._name is not None:
            figures[self._name] = self._against(back) if self._against is not None else None
        return figures

    def row(self, data: bytes, figures: Row, *, encoding: float, decoding: float) -> Row:
        """What is told of a file: bits per pixel, the figures, and megapixels a second from seconds."""
        pixels = self.image.shape[0] * self.image.shape[1]
        return {
            "bpp": 8 * len(data) / pixels,
            **figures,
            "encoding_mpx_per_second": pixels / 1e6 / max(encoding, 1e-9),
            "decoding_mpx_per_second": pixels / 1e6 / max(decoding, 1e-9),
        }


class _Theirs:
    """A picture by another codec: every setting is encoded, decoded and measured once."""

    def __init__(self, baseline: Baseline, original: _Original) -> None:
        self.name, self.sweep = baseline.name, baseline.sweep
        self.files = Files(baseline, original.image)
        self._baseline, self._original = baseline, original
        self._known: dict[int, tuple[Row, np.ndarray]] = {}

    def at(self, setting: int) -> tuple[Row, np.ndarray]:
        """Its row and a crop of what comes back."""
        if setting not in self._known:
            file = self.files.at(setting)
            start = time.perf_counter()
            back = self._baseline.decode(file.data)
            seconds = time.perf_counter() - start
            figures = self._original.figures(back)
            row = self._original.row(file.data, figures, encoding=file.seconds, decoding=seconds)
            self._known[setting] = row, _crop(back)
        return self._known[setting]


def _ours(
    codec: Codec,
    original: _Original,
    points: Mapping[tuple[str, str], list[Row]],
    lengths: Mapping[tuple[str, str], list[tuple[float, float, float]]],
    usage: UsageCounter,
) -> tuple[Row, np.ndarray, int]:
    """Measure one picture with every entropy model; returns the best one's row, its crop and its bytes."""
    name = codec.tokenizer.name
    coded = [compress_image(original.image, codec, entropy=entropy) for entropy in codec.entropies]
    backs = [decompress_image(result.data, codec=codec) for result in coded]
    figures = original.figures(backs[0].image)  # entropy models differ in the file alone: the picture is the same
    rows = [
        original.row(result.data, figures, encoding=result.seconds, decoding=back.seconds)
        for result, back in zip(coded, backs, strict=True)
    ]
    points[OURS, name].append(rows[0])
    for result, row in zip(coded, rows, strict=True):
        entropy, bits = result.container.entropy, 8 * len(result.data)
        points[f"{OURS} {entropy}", name].append(row)
        lengths[name, entropy].append(
            (bits / result.container.tokens, bits / result.fixed_bits, result.model_bits / result.fixed_bits)
        )
    usage.update(coded[0].indices)
    return rows[0], _crop(backs[0].image), len(coded[0].data)


def _crop(image: np.ndarray) -> np.ndarray:
    """The middle of a picture."""
    top, left = (max(0, (side - _CROP) // 2) for side in image.shape[:2])
    return image[top : top + _CROP, left : left + _CROP]


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of what there is; None where there is nothing or a measure is not finite."""
    known = [value for value in values if value is not None and math.isfinite(value)]
    return float(np.mean(known)) if known else None


def _means(rows: Sequence[Row]) -> dict[str, float | None]:
    return {name: _mean([row.get(name) for row in rows]) for name in rows[0]}


def _curves(
    codecs: Sequence[Codec], others: Sequence[Baseline], points: Mapping[tuple[str, str], list[Row]]
) -> list[Curve]:
    """One curve a codec, its points by growing rate."""
    names = list(dict.fromkeys(name for name, _ in points))
    if all(len(codec.entropies) == 1 for codec in codecs):
        names = [name for name in names if not name.startswith(f"{OURS} ")]  # they would repeat the first
    models = ", ".join(codec.tokenizer.name for codec in codecs)
    described = {other.name: f"Pillow {other.format}, settings {list(other.sweep)}" for other in others}
    ours_first = sorted(names, key=lambda name: not name.startswith(OURS))
    curves = []
    for name in ours_first:
        rows = sorted((_means(rows) for (own, _), rows in points.items() if own == name), key=lambda r: r["bpp"] or 0)
        results = {key: [row[key] for row in rows] for key in rows[0]}
        results |= {"psnr-rgb": results["psnr"], "ms-ssim-rgb": results["ms_ssim"], "ms-ssim": results["ms_ssim"]}
        curves.append(Curve(name, described.get(name, f"models {models}"), results))
    return curves


def _entropy(model: str, entropy: str, rows: Sequence[tuple[float, float, float]]) -> Entropy:
    bits, share, ideal = np.mean(np.array(rows), axis=0).tolist()
    return Entropy(model, entropy, bits, share, ideal)


def _matched(model: str, other: str, rows: Sequence[tuple[Row, Row, bool]]) -> Matched:
    ours, theirs = _means([own for own, _, _ in rows]), _means([row for _, row, _ in rows])
    measures = {name: (ours[name], theirs[name]) for name in theirs}
    return Matched(f"{OURS} {model}", other, sum(not fits for _, _, fits in rows), measures)


def _bjontegaard(other: Curve, ours: Curve) -> Mapping[str, float | str]:
    """Ours against another curve, by PSNR: below zero per cent, or above zero decibels, ours is the better one."""
    both = [(curve.results["bpp"], curve.results["psnr"]) for curve in (other, ours)]
    if any(value is None for pair in both for values in pair for value in values):
        return {"reason": "a point has no finite PSNR"}
    arguments = [[float(value or 0) for value in values] for pair in both for values in pair]
    try:
        gaps = {"bd_rate_percent": bd_rate(*arguments), "bd_psnr_db": bd_quality(*arguments)}
    except InputError as error:
        return {"reason": str(error)}
    _, theirs, _, own = arguments
    return {**gaps, "from_psnr_db": max(theirs[0], own[0]), "to_psnr_db": min(theirs[-1], own[-1])}
