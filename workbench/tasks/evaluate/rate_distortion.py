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
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field

import numpy as np

from workbench.errors import InputError
from workbench.images.sources import Source
from workbench.metrics.distortion import measure
from workbench.metrics.perceptual import FeatureDistance
from workbench.metrics.rate import bd_quality, bd_rate
from workbench.metrics.usage import UsageCounter
from workbench.tasks.compress import Codec, compress_image, decompress_image
from workbench.tasks.evaluate.baselines import Baseline, encode_to_size

Progress = Callable[[float, str], None]
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
        measures: For each measure and `bpp`: ours, theirs.
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
        curves: Ours first, one for each entropy model, then the others.
        entropy: What each entropy model makes of each model's tokens.
        live_words: For each model the share of codewords that any picture used.
        matched: At equal file size, for each of our best points and each other codec.
        bjontegaard: For each other codec: `bd_rate_percent` and `bd_psnr_db` of ours against it, or `reason`.
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
    progress: Progress = lambda fraction, message: None,  # noqa: ARG005 - nobody is watching
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
        image = sample.image
        for codec in codecs:
            name = codec.tokenizer.name
            measured, own_sides, size = _ours(codec, image, points, lengths, usage[name], perceptual)
            for other in others:
                row, picture, fits = _theirs_at_size(other, image, size, perceptual)
                pairs[name, other.name].append((measured, row, fits))
                own_sides.append(Sides(f"{other.name}, {row['bpp']:.3f} bpp", _crop(picture)))
            if number == count // 2 and codec is codecs[0]:
                sides = [Sides("original", _crop(image)), *own_sides]
        for other in others:
            for setting in other.sweep:
                points[other.name, str(setting)].append(_theirs(other, image, setting, perceptual))
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


def _ours(
    codec: Codec,
    image: np.ndarray,
    points: Mapping[tuple[str, str], list[Row]],
    lengths: Mapping[tuple[str, str], list[tuple[float, float, float]]],
    usage: UsageCounter,
    perceptual: FeatureDistance | None,
) -> tuple[Row, list[Sides], int]:
    """Measure one picture with every entropy model; returns the best one's row, its crop and its bytes."""
    name = codec.tokenizer.name
    coded = [compress_image(image, codec, entropy=entropy) for entropy in codec.entropies]
    rows = []
    figures: dict[str, float | None] = {}
    for result in coded:
        back = decompress_image(result.data, codec=codec)
        # Entropy models differ in the file alone: the picture is the same.
        figures = figures or _figures(image, back.image, perceptual)
        row = {"bpp": _bpp(result.data, image), **figures, **_speeds(image, result.seconds, back.seconds)}
        rows.append((row, back.image))
        points[f"{OURS} {result.container.entropy}", name].append(row)
        bits = 8 * len(result.data)
        lengths[name, result.container.entropy].append(
            (bits / result.container.tokens, bits / result.fixed_bits, result.model_bits / result.fixed_bits)
        )
    usage.update(coded[0].indices)
    best, picture = rows[0]
    return best, [Sides(f"{OURS} {name}, {best['bpp']:.3f} bpp", _crop(picture))], len(coded[0].data)


def _theirs(other: Baseline, image: np.ndarray, setting: int, perceptual: FeatureDistance | None) -> Row:
    start = time.perf_counter()
    data = other.encode(image, setting)
    middle = time.perf_counter()
    picture = other.decode(data)
    speeds = _speeds(image, middle - start, time.perf_counter() - middle)
    return {"bpp": _bpp(data, image), **_figures(image, picture, perceptual), **speeds}


def _theirs_at_size(
    other: Baseline, image: np.ndarray, size: int, perceptual: FeatureDistance | None
) -> tuple[Row, np.ndarray, bool]:
    data, fits = encode_to_size(other, image, size)
    picture = other.decode(data)
    return {"bpp": _bpp(data, image), **_figures(image, picture, perceptual)}, picture, fits


def _bpp(data: bytes, image: np.ndarray) -> float:
    return 8 * len(data) / (image.shape[0] * image.shape[1])


def _figures(image: np.ndarray, back: np.ndarray, perceptual: FeatureDistance | None) -> dict[str, float | None]:
    measures, _ = measure(image, back)
    figures = dict(measures)
    if perceptual is not None:
        figures[perceptual.name] = (
            perceptual.between(image, back) if min(image.shape[:2]) >= perceptual.least_side else None
        )
    return figures


def _speeds(image: np.ndarray, encoding: float, decoding: float) -> dict[str, float]:
    """Megapixels a second, from seconds."""
    megapixels = image.shape[0] * image.shape[1] / 1e6
    return {
        "encoding_mpx_per_second": megapixels / max(encoding, 1e-9),
        "decoding_mpx_per_second": megapixels / max(decoding, 1e-9),
    }


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
        return {"bd_rate_percent": bd_rate(*arguments), "bd_psnr_db": bd_quality(*arguments)}
    except InputError as error:
        return {"reason": str(error)}
