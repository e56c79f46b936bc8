"""`workbench evaluate generation`: what a generator's samples are like beside real pictures."""

__all__ = ["generation"]

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import Json, print_json, progress_bar
from workbench.cli.evaluate.options import Download, FeatureNames

if TYPE_CHECKING:
    from workbench.tasks.evaluate.generation import Generated, SpaceScores

Paths = list[Path] | None


def generation(
    data: Annotated[list[Path], typer.Option("--data", help="Real pictures it was not trained on; again for more.")],
    model: Annotated[str | None, typer.Option(help="A generator: name, folder or owner/name.")] = None,
    tokenizer: Annotated[str | None, typer.Option(help="Its tokenizer, where its configuration names none.")] = None,
    samples: Annotated[int, typer.Option(min=8, help="Pictures to draw; published numbers take 50,000.")] = 500,
    features: FeatureNames = None,
    seed: Annotated[int, typer.Option(min=0, help="Of the samples and of the subsets.")] = 0,
    preset: Annotated[str, typer.Option(help="Controls: balanced, faithful, varied, published-12, …")] = "balanced",
    floor: Annotated[Paths, typer.Option(help="Real pictures for the floor; default: halves of --data.")] = None,
    probe_train: Annotated[Paths, typer.Option(help="Labelled real pictures that a class probe learns from.")] = None,
    repeats: Annotated[int, typer.Option(min=1, help="Pairs of random subsets.")] = 20,
    download: Download = False,
    json: Json = False,
) -> None:
    """Measure samples: Fréchet and kernel distances beside their floor, precision, recall, classes, held-out bits.

    A distance bears the name of the features it is measured in; FID and Inception Score need --features inception.
    """
    from workbench.errors import InputError, did_you_mean
    from workbench.images.sources import open_source
    from workbench.models.load import default_generator, load_generator
    from workbench.models.sampling import CONTROL_PRESETS
    from workbench.tasks.evaluate.generation import evaluate_generation
    from workbench.tasks.evaluate.spaces import load_space

    if preset not in CONTROL_PRESETS:
        raise InputError(did_you_mean("preset", preset, CONTROL_PRESETS))
    pair = load_generator(model or default_generator(), tokenizer)
    sources = {
        tuple(paths): open_source(paths, class_names=pair.generator.classes)
        for paths in (data, floor, probe_train)
        if paths
    }
    spaces = [load_space(name, download=download) for name in features or ["leaf"]]
    with progress_bar("Measuring") as progress:
        result = evaluate_generation(
            pair,
            sources[tuple(data)],
            samples=samples,
            spaces=spaces,
            seed=seed,
            controls=CONTROL_PRESETS[preset],
            floor=sources[tuple(floor)] if floor else None,
            train=sources[tuple(probe_train)] if probe_train else None,
            repeats=repeats,
            progress=progress,
        )
    if json:
        print_json({"preset": preset, **result.row()})
    else:
        _print(result)


def _print(result: "Generated") -> None:
    """Print the figures for people."""
    typer.echo(f"{result.model}: {result.samples} samples beside {result.reference} real pictures")
    scales = ", ".join(f"{scale}²: {bits:.2f}" for scale, bits in result.bits_by_scale.items())
    typer.echo(f"  held-out bits a token {result.bits_per_token:.3f} of {result.bits_knowing_nothing:.3f} ({scales})")
    typer.echo(
        f"  codewords of the samples: entropy {result.usage.entropy_bits:.3f} bits, {result.usage.words:,} words"
    )
    for scores in result.spaces:
        _print_space(scores)
    for line in result.protocol:
        typer.echo(f"protocol: {line}")


def _print_space(scores: "SpaceScores") -> None:
    typer.echo(f"  {scores.features}, subsets of {scores.equal.size}: samples [range]   floor [range]")
    for name in ("frechet", "kernel", "precision", "recall", "density", "coverage"):
        pair = (getattr(each, name) for each in (scores.equal, scores.floor))
        shown = "   ".join(f"{each.value:.4f} [{each.low:.4f}, {each.high:.4f}]" for each in pair)
        typer.echo(f"    {scores.distance if name == 'frechet' else name:<14} {shown}")
    typer.echo(f"    {scores.distance} of all: {scores.frechet_of_all:.4f}")
    if scores.probe is not None:
        real, made = scores.probe.real, scores.probe.samples
        ratio = "-" if scores.probe.ratio is None else f"{scores.probe.ratio:.3f}"
        typer.echo(
            f"    probe right on {made.value:.3f} [{made.low:.3f}, {made.high:.3f}] of samples, {real.value:.3f} "
            f"[{real.low:.3f}, {real.high:.3f}] of real pictures, ratio {ratio}"
        )
    if scores.nearest_to_train is not None:
        near = scores.nearest_to_train
        typer.echo(f"    nearest training picture: samples {near['samples']:.4f}, unseen {near['reference']:.4f}")
    if scores.inception_score is not None:
        typer.echo("    Inception Score {:.3f} ± {:.3f}".format(*scores.inception_score))
