"""Evaluate a tokenizer on a set of pictures: distortion, perception, distribution, rate and codebook use.

Every picture goes through at its full size (a multi-scale model takes the centre square at its own size) and is
compared after rounding to uint8. Distribution distances compare the set of originals with the set of reconstructions,
and carry the name of their features (:mod:`workbench.tasks.evaluate.spaces`): on Inception it is rFID, on no other.
Three numbers of bits per pixel, none with headers: `bpp` is the fixed rate. `cross_entropy_bpp` is a rate that a file
can reach, the code length under a table fitted on other pictures (:mod:`workbench.tasks.evaluate.fitted_table`).
`empirical_entropy_bpp` is the entropy of the tokens of this very set: it says how evenly codewords are used at this
many tokens, and is neither a rate of a file, which has no such counts, nor a bound for one.
"""

__all__ = ["Evaluated", "evaluate_reconstruction"]

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from itertools import islice

import numpy as np

from workbench.errors import InputError
from workbench.images.sources import Source
from workbench.metrics.distortion import measure
from workbench.metrics.distribution import Moments, frechet_distance
from workbench.metrics.perceptual import FeatureDistance
from workbench.metrics.usage import Usage, UsageCounter
from workbench.models.tokenizer import Tokenizer
from workbench.progress import Progress, no_progress
from workbench.tasks.evaluate.fitted_table import Counted, FittedTable
from workbench.tasks.evaluate.spaces import FeatureSpace


@dataclass(frozen=True)
class Evaluated:
    """How a tokenizer did on a set.

    Attributes:
        model: Its name.
        pictures: Number of pictures.
        means: Mean of each measure over the pictures for which it says something.
        each: Each measure for each picture, None where it says nothing.
        distances: Fréchet distances by the name that their features allow: `FD-NAME` or `rFID`.
        bpp: Bits per pixel at the fixed rate.
        empirical_entropy_bpp: Bits per pixel by the entropy of the very tokens measured; neither a rate nor a bound.
        cross_entropy_bpp: Bits per pixel under a table fitted on other pictures; None without a table.
        table: What that table was fitted on.
        usage: How the codebook was used.
        protocol: What was done, in words.
    """

    model: str
    pictures: int
    means: Mapping[str, float | None]
    each: Mapping[str, Sequence[float | None]] = field(repr=False)
    distances: Mapping[str, float]
    bpp: float
    empirical_entropy_bpp: float
    cross_entropy_bpp: float | None
    table: Counted | None
    usage: Usage
    protocol: str

    def row(self) -> dict[str, object]:
        """Everything as JSON takes it."""
        return asdict(self)


def evaluate_reconstruction(
    tokenizer: Tokenizer,
    source: Source,
    *,
    perceptual: Sequence[FeatureDistance] = (),
    spaces: Sequence[FeatureSpace] = (),
    table: FittedTable | None = None,
    limit: int | None = None,
    progress: Progress = no_progress,
) -> Evaluated:
    """Send a set through a tokenizer and measure what came back.

    Args:
        tokenizer: The model, of one scale or of several.
        source: The pictures.
        perceptual: Perceptual distances; each is measured under its own name.
        spaces: Feature spaces for Fréchet distances.
        table: Frequencies fitted on other pictures, for `cross_entropy_bpp`; None for none.
        limit: Take the first so many pictures; None takes all.
        progress: Told the fraction done.

    Raises:
        InputError: if the limit is below 1, no picture can be read, or the table was fitted on one of them.
    """
    if limit is not None and limit < 1:
        raise InputError(f"at least one picture has to be measured, got a limit of {limit}")
    others = {distance.name: distance.between for distance in perceptual}
    total = min(len(source), limit or len(source))
    moments: dict[str, tuple[Moments, Moments]] = {}
    usage = UsageCounter(tokenizer.words)
    each: dict[str, list[float | None]] = {}
    pixels = pictures = 0
    coded = 0.0  # bits under the table
    for sample in islice(source, limit):
        original = tokenizer.prepare(sample.image)
        result = tokenizer.reconstruct(original)
        values, _ = measure(original, result.image, others=others)
        for name, value in values.items():
            each.setdefault(name, []).append(value)
        usage.update(result.indices)
        if table is not None:
            coded += table.bits(original, result.indices)
        for space in spaces:
            vectors = space.embed((original, result.image))
            pair = moments.setdefault(space.distance, (Moments(vectors.shape[1]), Moments(vectors.shape[1])))
            for side in range(2):
                pair[side].update(vectors[side : side + 1])
        pixels += original.shape[0] * original.shape[1]
        pictures += 1
        progress(pictures / total, f"{tokenizer.name}: {pictures} of {total} pictures")
    if not pictures:
        raise InputError("none of the pictures can be read: name a folder, files or .tar shards of pictures")
    summary = usage.summary()
    return Evaluated(
        model=tokenizer.name,
        pictures=pictures,
        means={name: _mean(values) for name, values in each.items()},
        each=each,
        distances={
            "rFID" if name == "FID" else name: frechet_distance(*pair) for name, pair in moments.items() if pictures > 1
        },
        bpp=summary.tokens * tokenizer.bits_per_token / pixels,
        empirical_entropy_bpp=summary.tokens * summary.entropy_bits / pixels,
        cross_entropy_bpp=None if table is None else coded / pixels,
        table=None if table is None else table.counted,
        usage=summary,
        protocol=_protocol(tokenizer, pictures, perceptual, spaces, table),
    )


def _protocol(
    tokenizer: Tokenizer,
    pictures: int,
    perceptual: Sequence[FeatureDistance],
    spaces: Sequence[FeatureSpace],
    table: FittedTable | None,
) -> str:
    taken = tokenizer.describe().pictures
    said = [f"{pictures} pictures {taken}, compared after rounding to uint8, PSNR, SSIM and MS-SSIM in float64"]
    if perceptual:
        names = ", ".join(distance.name for distance in perceptual)
        said.append(f"perceptual distances ({names}) on whole pictures, in tiles above 1024 pixels, float32")
    said += [f"{space.distance} of {pictures} against {pictures}, {space.protocol}" for space in spaces]
    said.append("means over pictures; bits per pixel over all pixels of the set, without headers")
    said.append("empirical_entropy_bpp by the counts of these very pictures, neither a rate of a file nor a bound")
    if table is not None:
        said.append(f"cross_entropy_bpp under a static table fitted on {table.counted}")
    return "; ".join(said)


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None
