"""`workbench evaluate sweep`: what follows when one thing is changed at a time."""

__all__ = ["sweep"]

import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import Json, print_json, print_table, progress_bar

if TYPE_CHECKING:
    from workbench.images.sources import Source
    from workbench.tasks.evaluate.sweep import Axis

_AXES = ("codebook", "shift", "sampling", "training", "schedule")
_QUICK = ("codebook", "shift")


def sweep(
    axis: Annotated[
        list[str] | None,
        typer.Option(help="codebook, shift, sampling, training or schedule; again for more. Default: the first two."),
    ] = None,
    data: Annotated[
        list[str] | None,
        typer.Option("--data", metavar="[NAME=]PATH", help="Pictures to measure on; a set each. Default: examples."),
    ] = None,
    train: Annotated[
        list[Path] | None, typer.Option(help="Pictures to train on, for the axes training and schedule.")
    ] = None,
    tokenizer: Annotated[list[str] | None, typer.Option(help="A tokenizer; again for more.")] = None,
    model: Annotated[str | None, typer.Option(help="A generator, for the axis sampling.")] = None,
    model_tokenizer: Annotated[str | None, typer.Option(help="Its tokenizer, and that of the axis schedule.")] = None,
    features: Annotated[str, typer.Option(metavar="leaf|PATH|inception[=PATH]", help="Where sets compare.")] = "leaf",
    samples: Annotated[int, typer.Option(min=8, help="Samples for each setting of the axis sampling.")] = 64,
    steps: Annotated[int, typer.Option(min=1, help="Of each training.")] = 60,
    seeds: Annotated[int, typer.Option(min=1, help="Seeds of samples and trainings.")] = 3,
    limit: Annotated[int, typer.Option(min=1, help="Take the first so many pictures of a set.")] = 24,
    out: Annotated[Path | None, typer.Option("--out", "-o", metavar="DIR", help="Keep the training runs here.")] = None,
    plot: Annotated[Path | None, typer.Option(metavar="HTML", help="Write diagrams as one page.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace a page that is there already.")] = False,
    json: Json = False,
) -> None:
    """Change one thing at a time: code size, kind of pictures, sampling controls and seeds, schedule.

    Without options, in about two minutes: codes by size under the default tokenizer, and the bundled tokenizers on
    example pictures. Sampling draws some twenty sets of samples; training and schedule train.
    """
    from workbench.errors import InputError, did_you_mean
    from workbench.tasks.evaluate.sweep import run_sweep, write_sweep

    for name in axis or ():
        if name not in _AXES:
            raise InputError(did_you_mean("axis", name, _AXES))
    if plot is not None and plot.exists() and not force:
        raise InputError(f"{plot} exists: add --force to replace it, or write somewhere else")
    with _folder(out) as folder, progress_bar("Sweeping") as progress:
        sets = _sets(data, folder)
        axes: list[Axis] = []
        for name in axis or _QUICK:
            if name == "codebook":
                axes.append(_codebook(tokenizer, sets, limit))
            elif name == "shift":
                axes.append(_shift(tokenizer, sets, limit))
            elif name == "training":
                axes.append(_training(train, sets, folder, steps, seeds, limit))
            elif name == "schedule":
                axes.append(_schedule(train, data, model_tokenizer, folder, steps, seeds))
            else:
                axes += _sampling(model, model_tokenizer, data, features, samples, seeds)
        found = run_sweep(axes, progress=progress)
    if plot is not None:
        write_sweep(found, plot, force=force)
    if json:
        print_json({"axes": [swept.row() for swept in found]})
        return
    for swept in found:
        typer.echo(f"{swept.name}: {swept.protocol}")
        columns = list(dict.fromkeys(name for figures in swept.rows.values() for name in figures))
        lines = [("", *columns)]
        for setting, figures in swept.rows.items():
            cells = (figures.get(name) for name in columns)
            lines.append((setting, *("-" if cell is None else f"{cell:.4g}" for cell in cells)))
        print_table(lines, indent="  ")


@contextmanager
def _folder(out: Path | None) -> Iterator[Path]:
    """Where runs and example files go: kept if a place is named."""
    if out is not None:
        out.mkdir(parents=True, exist_ok=True)
        yield out
    else:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)


def _named(data: Sequence[str]) -> dict[str, str]:
    """Paths by the name of their set: as given, or the file's."""
    from workbench.errors import InputError

    pairs = [text.rpartition("=") for text in data]
    found = {name or Path(path).stem: path for name, _, path in pairs}
    if len(found) < len(pairs):
        raise InputError(f"two sets have one name: give others as NAME=PATH; got {', '.join(data)}")
    return found


def _sets(data: Sequence[str] | None, folder: Path) -> "dict[str, Source]":
    from workbench.images.sources import open_source
    from workbench.tasks.evaluate.axes import example_sets

    if not data:
        return example_sets(folder)
    return {name: open_source(path) for name, path in _named(data).items()}


def _codebook(tokenizer: Sequence[str] | None, sets: "dict[str, Source]", limit: int) -> "Axis":
    from workbench.models.load import default_tokenizer, load_tokenizer
    from workbench.tasks.evaluate.axes import codebook_axis, first_pictures

    model = load_tokenizer(tokenizer[0] if tokenizer else default_tokenizer())
    pictures = first_pictures(next(iter(sets.values())), limit)
    return codebook_axis(model, pictures)


def _shift(tokenizer: Sequence[str] | None, sets: "dict[str, Source]", limit: int) -> "Axis":
    from workbench.models.load import DEFAULT, load_tokenizer, tokenizers
    from workbench.tasks.evaluate.axes import shift_axis

    names = tokenizer or [entry.name for entry in tokenizers() if entry.name in DEFAULT]
    return shift_axis([load_tokenizer(name) for name in names], sets, limit=limit)


def _sampling(
    model: str | None, tokenizer: str | None, data: Sequence[str] | None, features: str, samples: int, seeds: int
) -> "list[Axis]":
    from workbench.errors import InputError
    from workbench.images.sources import open_source
    from workbench.models.load import default_generator, generators, load_generator
    from workbench.tasks.evaluate.axes import sampling_axes
    from workbench.tasks.evaluate.spaces import load_space

    if not data or not (model or generators()):
        raise InputError("the axis sampling needs a generator (--model) and real pictures of its kind (--data)")
    pair = load_generator(model or default_generator(), tokenizer)
    path = next(iter(_named(data).values()))
    reference = open_source(path, class_names=pair.generator.classes)
    return sampling_axes(pair, reference, load_space(features), samples=samples, seeds=tuple(range(seeds)))


def _training(
    train: Sequence[Path] | None, sets: "dict[str, Source]", folder: Path, steps: int, seeds: int, limit: int
) -> "Axis":
    from workbench.errors import InputError
    from workbench.images.sources import open_source
    from workbench.tasks.evaluate.axes import training_axis

    if not train:
        raise InputError("the axis training needs pictures to train on: name them with --train")
    held_out = next(iter(sets.values()))
    return training_axis(
        open_source(train), held_out, out=folder / "training", steps=steps, seeds=tuple(range(seeds)), limit=limit
    )


def _schedule(
    train: Sequence[Path] | None,
    data: Sequence[str] | None,
    tokenizer: str | None,
    folder: Path,
    steps: int,
    seeds: int,
) -> "Axis":
    from workbench.errors import InputError
    from workbench.images.sources import open_source
    from workbench.models.pyramid_tokenizer import PyramidTokenizer
    from workbench.tasks.evaluate.axes import schedule_axis

    if not train or not data or not tokenizer:
        raise InputError(
            "the axis schedule needs --train and --data with a class for each picture, and a multi-scale tokenizer by "
            "--model-tokenizer"
        )
    source = open_source(train)
    names = source.class_names
    return schedule_axis(
        PyramidTokenizer.from_pretrained(tokenizer),
        [str(path) for path in train],
        list(_named(data).values())[:1],
        classes=names,
        out=folder / "schedule",
        steps=steps,
        seeds=tuple(range(seeds)),
    )
