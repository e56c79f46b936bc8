"""Axes of the open questions, at the scale of a desk: what a sweep can change, one function a question.

sampling   how much do temperature, guidance, top-k, top-p and the seed change what a generator draws?
shift      what becomes of tokenizers on other kinds of pictures?
codebook   what does a larger code bring: by itself, and under an encoder and a decoder that stay?
training   what does it bring when the network is trained for it?
schedule   which of the two training schedules is ahead after few steps?
"""

__all__ = [
    "SIZES",
    "codebook_axis",
    "example_sets",
    "first_pictures",
    "sampling_axes",
    "schedule_axis",
    "shift_axis",
    "training_axis",
]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache, partial
from itertools import islice
from pathlib import Path

import numpy as np

from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import Run, to_mapping
from workbench.fit.generator.recipes import generator_recipe
from workbench.fit.generator.task import GeneratorTask
from workbench.fit.generator.tokens import TokenBatches, tokenize_pictures
from workbench.fit.studies.quantizers import CompareRecipe, Contestant, contest
from workbench.images.crops import load_pictures
from workbench.images.examples import list_examples
from workbench.images.sources import Source, open_source
from workbench.metrics.usage import UsageCounter
from workbench.models.load import Pair
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.sampling import CONTROL_PRESETS, Controls
from workbench.models.tokenizer import Tokenizer
from workbench.tasks.compare import CODES, compare_codes
from workbench.tasks.evaluate.reconstruction import evaluate_reconstruction
from workbench.tasks.evaluate.samples import Embedded, draw_pictures, embed_batches, embed_source, labels_in_shares
from workbench.tasks.evaluate.sets import SetScores, compare_halves, compare_sets
from workbench.tasks.evaluate.spaces import FeatureSpace
from workbench.tasks.evaluate.sweep import Axis, Figures
from workbench.tasks.explore.family import list_codes

SIZES = ("leech4", "leech2", "leech3", "leech", "leech-shell3")  # 1,104 to 16,773,120 words of 24 dimensions
_CHANGES: Mapping[str, Sequence[float | int | None]] = {
    "temperature": (0.6, 0.8, 1.0, 1.2),
    "guidance": (1.0, 1.5, 2.0, 3.0),
    "top_k": (None, 256, 64, 8),
    "top_p": (None, 0.99, 0.9, 0.7),
}
_REPEATS = 10
_SCHEDULES = {"standard": "flowers-64", "fast": "flowers-64-fast"}


def example_sets(folder: Path) -> dict[str, Source]:
    """Three kinds of pictures that are always there: photographs as far as installed, and drawings, as files."""
    examples = list_examples()
    kinds = {
        "photographs": [each.file(folder) for each in examples if each.path is not None],
        "test charts": [each.file(folder) for each in examples if each.draw is not None and each.name != "lettering"],
        "lettering": [each.file(folder) for each in examples if each.name == "lettering"],
    }
    return {name: open_source(paths) for name, paths in kinds.items() if paths}


def sampling_axes(
    pair: Pair,
    reference: Source,
    space: FeatureSpace,
    *,
    samples: int,
    seeds: Sequence[int] = (0, 1, 2),
    controls: Controls = CONTROL_PRESETS["balanced"],
) -> list[Axis]:
    """One axis a control, and one of seeds; the other controls stay as given.

    Args:
        pair: The generator and its tokenizer.
        reference: Real pictures that it was not trained on.
        space: Where sets are compared.
        samples: To draw for each setting.
        seeds: Of the samples; the first is that of the other axes.
        controls: What stays.
    """

    @cache
    def real() -> Embedded:
        return embed_source(reference, pair, [space])

    def size() -> int:
        return min(samples, len(real().labels)) // 2

    @cache  # the axes share a setting: all as given
    def measure(chosen: Controls, seed: int) -> Figures:
        labels = labels_in_shares(real().labels, samples, len(pair.generator.classes))
        usage = UsageCounter(pair.tokenizer.quantizer.size)
        (made,) = embed_batches(draw_pictures(pair, labels, seed, chosen, usage), [space])
        scores = compare_sets(real().vectors[0], made, size=size(), repeats=_REPEATS, seed=0)
        return {**_figures(space, scores), "entropy_bits": usage.summary().entropy_bits}

    def floor() -> Figures:
        scores = compare_halves(real().vectors[0], size=size(), repeats=_REPEATS, seed=0)
        return {**_figures(space, scores), "entropy_bits": None}

    said = (
        f"{pair.generator.name}: {samples} samples each against {len(reference)} real pictures, random subsets of half "
        f"the smaller number, {_REPEATS} times; {space.protocol}; others as in {controls}"
    )
    shown = (space.distance, "precision", "recall", "entropy_bits")
    axes = []
    for name, values in _CHANGES.items():
        settings = {_said(value): partial(measure, replace(controls, **{name: value}), seeds[0]) for value in values}
        axes.append(Axis(name, f"{said}; seed {seeds[0]}", {"real halves": floor, **settings}, shown))
    settings = {str(seed): partial(measure, controls, seed) for seed in seeds}
    return [*axes, Axis("seed", said, {"real halves": floor, **settings}, shown)]


def shift_axis(tokenizers: Sequence[Tokenizer], sets: Mapping[str, Source], *, limit: int | None = None) -> Axis:
    """Every tokenizer on every set of pictures.

    Args:
        tokenizers: Of one scale or several.
        sets: Pictures by the name of their kind.
        limit: The first so many of each set.
    """

    def measure(tokenizer: Tokenizer, source: Source) -> Figures:
        found = evaluate_reconstruction(tokenizer, source, limit=limit)
        return {
            **found.means,
            "entropy_bits": found.usage.entropy_bits,
            "even_entropy_bits": found.usage.expected_entropy_bits,
            "words": float(found.usage.words),
            "even_words": found.usage.expected_words,
            "tokens": float(found.usage.tokens),
            "empirical_entropy_bpp": found.empirical_entropy_bpp,
        }

    settings = {
        f"{tokenizer.name} on {name}": partial(measure, tokenizer, source)
        for tokenizer in tokenizers
        for name, source in sets.items()
    }
    protocol = (
        f"at most {limit or 'all'} pictures a set, means over pictures; the entropy of few tokens is low by "
        "itself, even_entropy_bits is what even use of all words would show at as many; empirical_entropy_bpp, by the "
        "same counts, is neither a rate of a file nor a bound"
    )
    return Axis("shift", protocol, settings, ("psnr", "ssim", "entropy_bits", "words"))


def codebook_axis(
    tokenizer: Tokenizer, pictures: Sequence[np.ndarray], *, codes: Sequence[str] = SIZES, samples: int = 10_000
) -> Axis:
    """Codes of 24 dimensions by size: their error on uniform directions, and pictures with only the code swapped.

    Args:
        tokenizer: Its encoder and decoder stay; it was trained for one of the codes, which helps that one.
        pictures: uint8, each (H, W, 3).
        codes: Names of the codes.
        samples: Uniform directions.
    """

    def measure(code: str) -> Figures:
        (report,) = list_codes([code], samples=samples)
        rows = [compare_codes(picture, tokenizer, [code])[1].figures for picture in pictures]
        return {
            "bits": report.bits,
            "error": report.mean_squared_error,
            "bound": report.cap_bound,
            "least_distance": report.min_distance,
            "psnr": _mean([row["psnr"] for row in rows]),
            "words": _mean([row["words"] for row in rows]),
        }

    protocol = (
        f"error of {samples} uniform directions at norm 1; PSNR of {len(pictures)} pictures through {tokenizer.name} "
        "with only the code swapped, words a picture"
    )
    return Axis(
        "codebook", protocol, {code: partial(measure, code) for code in codes}, ("bits", "error", "psnr", "words")
    )


def training_axis(
    train: Source,
    held_out: Source,
    *,
    out: Path,
    steps: int,
    codes: Sequence[str] = SIZES,
    seeds: Sequence[int] = (0,),
    body: str = "conv-mini-8",
    limit: int | None = None,
) -> Axis:
    """Matched trainings: one body, one data order, one loss, and after that each code by itself.

    Args:
        train: Pictures to train on.
        held_out: Pictures to measure on.
        out: Folder of the runs; finished ones there are not repeated.
        steps: Of the body without a quantizer, and again of each code.
        codes: Names of the codes.
        seeds: One training each.
        body: A preset of :mod:`workbench.models.presets`.
        limit: The first so many held-out pictures.
    """
    settings = Run(steps=steps, batch_size=16, warmup_steps=max(1, steps // 20), evaluate_every=None, average_decay=0.9)
    recipe = replace(CompareRecipe(), body=body, base=settings, run=settings)
    contestants = {code: Contestant(CODES[code], seeds=tuple(seeds)) for code in codes}

    @cache
    def models() -> dict[str, list[Tokenizer]]:
        pictures = load_pictures(train, at_least=recipe.crops.side)
        return contest(recipe, pictures, out=out, contestants=contestants)

    def measure(code: str) -> Figures:
        found = [evaluate_reconstruction(model, held_out, limit=limit) for model in models()[code]]
        each = [result.means["psnr"] for result in found]
        return {
            "psnr": _mean(each),
            "psnr_spread": _spread(each),
            "bpp": found[0].bpp,
            "entropy_bits": float(np.mean([result.usage.entropy_bits for result in found])),
            "words": float(np.mean([result.usage.words for result in found])),
        }

    protocol = (
        f"{body}, {steps} steps of 16 crops of {recipe.crops.side} pixels without a quantizer, then {steps} with each "
        f"code; seeds {list(seeds)}; {min(len(held_out), limit or len(held_out))} held-out pictures"
    )
    shown = ("psnr", "bpp", "entropy_bits", "words")
    return Axis("training", protocol, {code: partial(measure, code) for code in codes}, shown)


def schedule_axis(
    tokenizer: PyramidTokenizer,
    train: Sequence[str],
    held_out: Sequence[str],
    *,
    classes: Sequence[str],
    out: Path,
    steps: int,
    seeds: Sequence[int] = (0,),
    trunk: str = "nano",
) -> Axis:
    """The two schedules of the generator recipes over the same few steps.

    Args:
        tokenizer: Turns pictures into tokens.
        train: Paths of pictures to train on, each with a class.
        held_out: Paths of pictures to measure on.
        classes: Names of the classes, in the order of their numbers.
        out: Folder of the runs and their tokens.
        steps: Of each training.
        seeds: One training each.
        trunk: A preset of :mod:`workbench.models.generator_presets`.
    """

    def train_one(name: str, seed: int) -> float:
        recipe, timing = generator_recipe(_SCHEDULES["standard"]), generator_recipe(_SCHEDULES[name]).run
        run = replace(
            recipe.run, minutes=None, steps=steps, batch_size=16, seed=seed, precision="float32",
            schedule=timing.schedule, hold=timing.hold, final=timing.final,
            warmup_steps=max(1, steps // 20), average_decay=None, evaluate_every=None,
        )  # fmt: skip
        recipe = replace(
            recipe, name=f"{name}-{seed}", run=run, classes=tuple(classes), trunk=trunk, views=1, window=None
        )
        tokens, unseen = (
            tokenize_pictures(paths, tokenizer, out / f"{what}.safetensors", classes=classes)
            for what, paths in (("tokens", train), ("held_out", held_out))
        )
        task = GeneratorTask(recipe, tokenizer=tokenizer, tokens=tokens, held_out=unseen)
        fit(task, TokenBatches(tokens, run.batch_size, seed), run, out=out / recipe.name, config=to_mapping(recipe))
        task.generator.eval()
        return task.evaluate()["bits_per_token"]

    def measure(name: str) -> Figures:
        each = [train_one(name, seed) for seed in seeds]
        return {"bits_per_token": _mean(each), "bits_spread": _spread(each), "steps": float(steps)}

    settings: dict[str, Callable[[], Figures]] = {name: partial(measure, name) for name in _SCHEDULES}
    protocol = (
        f"trunk {trunk}, {steps} steps of 16 pictures, all else as in the recipe flowers-64; held-out bits a token "
        f"under teacher forcing; seeds {list(seeds)}. The paper's own schedules are not published: these are ours"
    )
    return Axis("schedule", protocol, settings, ("bits_per_token",))


def first_pictures(source: Source, limit: int) -> list[np.ndarray]:
    """The first pictures of a source, uint8 (H, W, 3) each."""
    return [sample.image for sample in islice(source, limit)]


def _figures(space: FeatureSpace, scores: SetScores) -> dict[str, float | None]:
    """Means and ends of the ranges, flat."""
    figures: dict[str, float | None] = {}
    named = {space.distance: scores.frechet, "kernel": scores.kernel, "precision": scores.precision}
    for name, interval in {**named, "recall": scores.recall}.items():
        figures |= {name: interval.value, f"{name}_low": interval.low, f"{name}_high": interval.high}
    return figures


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean of what is known."""
    known = [value for value in values if value is not None]
    return float(np.mean(known)) if known else None


def _spread(values: Sequence[float | None]) -> float | None:
    """Largest less smallest of what is known, where that is more than one."""
    known = [value for value in values if value is not None]
    return float(np.ptp(known)) if len(known) > 1 else None


def _said(value: float | int | None) -> str:
    return "none" if value is None else f"{value:g}"
