"""Evaluate a generator: what its samples are like beside real pictures, and what it makes of pictures it has not seen.

Samples are drawn for the classes in the shares that the reference has, 16 at a time from one stream of random numbers.
Reference, floor and probe pictures are first brought to the model's own size, so that nothing but the generator
differs; what its tokenizer loses is counted against it. In each feature space (:mod:`workbench.tasks.evaluate.spaces`):

    at equal numbers  Fréchet and kernel distance, precision, recall, over random subsets of one size, beside their
                      floor (:mod:`workbench.tasks.evaluate.sets`)
    of all            the Fréchet distance of all samples from all reference pictures; on Inception, 50,000 samples and
                      the reference of the published numbers this is their protocol, gFID
    probe             a linear probe trained on real pictures: how many reference pictures and how many samples it gives
                      the class that they have, and the ratio
    nearest           distance to the nearest training picture: samples much nearer than unseen pictures are copies

Held-out bits are those of the reference's tokens under teacher forcing, given their class.
"""

__all__ = ["Generated", "ProbeScores", "SpaceScores", "evaluate_generation"]

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor

from workbench.errors import InputError
from workbench.images.sources import Source
from workbench.metrics.distribution import Moments, class_score, frechet_distance
from workbench.metrics.intervals import Interval, bootstrap_interval
from workbench.metrics.probe import LinearProbe
from workbench.metrics.usage import Usage, UsageCounter
from workbench.models.load import Pair
from workbench.models.sampling import CONTROL_PRESETS, Controls
from workbench.progress import Progress, no_progress
from workbench.tasks.evaluate.samples import (
    BATCH,
    Embedded,
    draw_pictures,
    embed_batches,
    embed_source,
    labels_in_shares,
)
from workbench.tasks.evaluate.sets import SetScores, compare_halves, compare_sets, nearest_distances
from workbench.tasks.evaluate.spaces import FeatureSpace

_LARGEST = 1000  # pictures of a subset


@dataclass(frozen=True)
class ProbeScores:
    """What a linear probe trained on real pictures says.

    Attributes:
        real: Share of reference pictures whose class it names; bootstrap over pictures.
        samples: Share of samples whose class it names.
        ratio: The second over the first; None where the first is 0.
        classes: By class name: share of reference pictures, share of samples; None where there are none.
        trained_on: Number of pictures.
    """

    real: Interval
    samples: Interval
    ratio: float | None
    classes: Mapping[str, tuple[float | None, float | None]]
    trained_on: int


@dataclass(frozen=True)
class SpaceScores:
    """Samples beside real pictures in one feature space.

    Attributes:
        features: Name of the space.
        distance: What its Fréchet distance is called.
        equal: Samples against the reference, at equal numbers.
        floor: Real pictures against real ones, at the same numbers.
        frechet_of_all: Fréchet distance of all samples from all of the reference.
        probe: Where pictures to train it on were given.
        nearest_to_train: Median distance to the nearest training picture, of `samples` and of the `reference`.
        inception_score: Mean and deviation over the parts; on Inception alone.
    """

    features: str
    distance: str
    equal: SetScores
    floor: SetScores
    frechet_of_all: float
    probe: ProbeScores | None
    nearest_to_train: Mapping[str, float] | None
    inception_score: tuple[float, float] | None


@dataclass(frozen=True)
class Generated:
    """How a generator did.

    Attributes:
        model: Its name.
        tokenizer: Name of its tokenizer.
        samples: Number of samples.
        reference: Number of real pictures that they were compared with.
        seed: Of the samples and of the subsets.
        controls: How tokens were drawn.
        bits_per_token: Of the reference's tokens, given their class.
        bits_by_scale: The same for each scale, by its side.
        bits_knowing_nothing: log2 of the codebook's size.
        usage: Codewords of the samples.
        spaces: One a feature space.
        protocol: What was done, in words.
    """

    model: str
    tokenizer: str
    samples: int
    reference: int
    seed: int
    controls: Controls
    bits_per_token: float
    bits_by_scale: Mapping[int, float]
    bits_knowing_nothing: float
    usage: Usage
    spaces: Sequence[SpaceScores]
    protocol: Sequence[str]

    def row(self) -> dict[str, object]:
        """Everything as JSON takes it."""
        return asdict(self)


def evaluate_generation(
    pair: Pair,
    reference: Source,
    *,
    samples: int,
    spaces: Sequence[FeatureSpace],
    seed: int = 0,
    controls: Controls = CONTROL_PRESETS["balanced"],
    floor: Source | None = None,
    train: Source | None = None,
    repeats: int = 20,
    progress: Progress = no_progress,
) -> Generated:
    """Draw samples and measure them.

    Args:
        pair: The generator and its tokenizer.
        reference: Real pictures that it was not trained on; classes, where there are any, in the model's order.
        samples: How many to draw, at least 8.
        spaces: Feature spaces to compare in.
        seed: Of the samples and the subsets.
        controls: How tokens are drawn.
        floor: Other real pictures, compared with the reference at the same numbers; None for halves of the reference.
        train: Real pictures that a probe learns from, each with a class; None for no probe.
        repeats: Pairs of subsets.
        progress: Told the fraction done.

    Raises:
        InputError: if a number makes no sense, or a set has too few pictures or lacks classes that are needed.
    """
    if samples < 8:
        raise InputError(f"at least 8 samples are needed to compare sets, got {samples}")
    classes = pair.generator.classes
    others = {name: source for name, source in (("train", train), ("floor", floor)) if source is not None}
    parts = len({id(source) for source in others.values()}) + 3

    def told(part: int, what: str) -> Callable[[float], object]:
        return lambda share: progress((part + share) / parts, what)

    real, bits = _reference(pair, reference, spaces, told(0, "reference pictures"))
    sets = {}
    for part, (name, source) in enumerate(others.items(), start=1):
        same = name == "floor" and source is train
        sets[name] = sets["train"] if same else embed_source(source, pair, spaces, told(part, f"{name} pictures"))
    labels = labels_in_shares(real.labels, samples, len(classes))
    usage = UsageCounter(pair.tokenizer.quantizer.size)
    drawn = draw_pictures(pair, labels, seed, controls, usage, told(parts - 2, f"drawing {samples} pictures"))
    made = Embedded(embed_batches(drawn, spaces), labels)

    smallest = min(len(real.labels), samples, *(len(each.labels) for name, each in sets.items() if name == "floor"))
    size = min(smallest // 2, _LARGEST)
    scores = []
    for number, space in enumerate(spaces):
        told(parts - 1, f"comparing in {space.name}")(number / len(spaces))
        scores.append(_compare(space, number, real, made, sets, classes, size=size, repeats=repeats, seed=seed))
    progress(1.0, "done")
    starts = pair.generator.starts
    return Generated(
        model=pair.generator.name,
        tokenizer=pair.tokenizer.name,
        samples=samples,
        reference=len(real.labels),
        seed=seed,
        controls=controls,
        bits_per_token=float(bits.mean()),
        bits_by_scale={
            scale: float(bits[starts[step] : starts[step + 1]].mean())
            for step, scale in enumerate(pair.generator.scales)
        },
        bits_knowing_nothing=math.log2(pair.tokenizer.quantizer.size),
        usage=usage.summary(),
        spaces=scores,
        protocol=_protocol(pair, spaces, real, samples, seed, size, repeats, sets),
    )


def _reference(
    pair: Pair, source: Source, spaces: Sequence[FeatureSpace], progress: Callable[[float], object]
) -> tuple[Embedded, np.ndarray]:
    """Features and classes of the reference, and mean bits of each of its tokens, shape (L,)."""
    total, count = np.zeros(pair.generator.length), 0

    def bits(pictures: np.ndarray, labels: np.ndarray) -> None:
        nonlocal total, count
        total += _bits(pair, pictures, labels).sum(0)
        count += len(labels)

    found = embed_source(source, pair, spaces, progress, also=bits)
    return found, total / count


@torch.inference_mode()
def _bits(pair: Pair, pictures: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Bits of each token of pictures, uint8 (B, H, W, 3): shape (B, L)."""
    device = next(pair.generator.parameters()).device
    quantizer = pair.tokenizer.quantizer
    indices = pair.tokenizer.tokenize(torch.from_numpy(pictures).permute(0, 3, 1, 2)).to(device)
    features = pair.generator.features(quantizer.inputs(indices), torch.from_numpy(labels).to(device))
    nats: Tensor = -pair.generator.head.log_prob(features, indices)
    return nats.double().cpu().numpy() / math.log(2)


def _compare(
    space: FeatureSpace,
    number: int,
    real: Embedded,
    made: Embedded,
    sets: Mapping[str, Embedded],
    classes: Sequence[str],
    *,
    size: int,
    repeats: int,
    seed: int,
) -> SpaceScores:
    """The figures of one space."""
    x, y = real.vectors[number], made.vectors[number]
    settings = {"size": size, "repeats": repeats, "seed": seed}
    if "floor" in sets:
        floor = compare_sets(x, sets["floor"].vectors[number], **settings)
    else:
        floor = compare_halves(x, **settings)
    probe = nearest = score = None
    if "train" in sets:
        train = sets["train"]
        probe = _probe(number, train, real, made, classes, seed)
        nearest = {
            name: float(np.median(nearest_distances(vectors, train.vectors[number])))
            for name, vectors in (("samples", y), ("reference", x))
        }
    if space.readout is not None:
        order = np.random.default_rng(seed).permutation(len(y))  # parts must not be classes
        score = class_score(y[order] @ space.readout.numpy().T, splits=min(10, len(y)))
    return SpaceScores(
        features=space.name,
        distance=space.distance,
        equal=compare_sets(x, y, **settings),
        floor=floor,
        frechet_of_all=frechet_distance(Moments.of(x), Moments.of(y)),
        probe=probe,
        nearest_to_train=nearest,
        inception_score=score,
    )


def _probe(
    number: int, train: Embedded, real: Embedded, made: Embedded, classes: Sequence[str], seed: int
) -> ProbeScores:
    if (real.labels < 0).any():
        raise InputError("a probe is judged on reference pictures with a class each: leave --probe-train away")
    probe = LinearProbe.fit(train.vectors[number], train.labels, classes=len(classes))
    right = [(probe.predict(each.vectors[number]) == each.labels).astype(float) for each in (real, made)]
    shares = [bootstrap_interval(each, seed=seed) for each in right]
    by_class: dict[str, tuple[float | None, float | None]] = {}
    for label, name in enumerate(classes):
        pair = [hits[each.labels == label] for hits, each in zip(right, (real, made), strict=True)]
        first, second = (float(hits.mean()) if hits.size else None for hits in pair)
        by_class[name] = (first, second)
    return ProbeScores(
        real=shares[0],
        samples=shares[1],
        ratio=shares[1].value / shares[0].value if shares[0].value else None,
        classes=by_class,
        trained_on=len(train.labels),
    )


def _protocol(
    pair: Pair,
    spaces: Sequence[FeatureSpace],
    real: Embedded,
    samples: int,
    seed: int,
    size: int,
    repeats: int,
    sets: Mapping[str, Embedded],
) -> list[str]:
    side, count = pair.tokenizer.side, len(real.labels)
    known = (real.labels >= 0).any()
    floor = f"{len(sets['floor'].labels)} other pictures" if "floor" in sets else "disjoint halves of the reference"
    said = [
        f"{samples} samples, seed {seed}, {BATCH} at a time, classes "
        + ("in the shares of the reference's" if known else "evenly"),
        f"{count} reference pictures as centre squares of {side} pixels (Lanczos), as every real picture here",
        f"at equal numbers: {repeats} pairs of random subsets of {size}, k = 3, mean and range of 95 %; floor: {floor}",
        f"of all: {samples} samples against {count} reference pictures",
        "held-out bits: reference tokens under teacher forcing, " + ("given their class" if known else "without class"),
        "sampling and features in float32, statistics in float64",
        *(space.protocol for space in spaces),
    ]
    if "train" in sets:
        said.append(
            f"probe: linear, on {len(sets['train'].labels)} pictures, features brought to deviation 1, penalty 0.001; "
            "intervals by bootstrap over pictures"
        )
    if any(space.readout is not None for space in spaces):
        said.append("Inception Score: scores without the last bias, 10 parts in random order")
    return said
