"""`workbench generate`: pictures of a class, drawn by a generator."""

__all__ = [
    "Force",
    "Guidance",
    "Labels",
    "Model",
    "Number",
    "Out",
    "Preset",
    "Seed",
    "Temperature",
    "Tokenizer",
    "TopK",
    "TopP",
    "app",
    "check_out",
    "controls_of",
    "report",
]

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import Json, print_json, progress_bar

if TYPE_CHECKING:
    from workbench.models.sampling import Controls
    from workbench.tasks.generate import Drawn

app = typer.Typer(help="Draw pictures of a class.")

_PACE = "NUMBER or FIRST:LAST"

Model = Annotated[str | None, typer.Option(help="A bundled name, a folder, or owner/name; see `models`.")]
Tokenizer = Annotated[str | None, typer.Option(help="Its tokenizer, if it is not found under the name it had.")]
Labels = Annotated[
    list[str] | None,
    typer.Option("--label", help="A class by name or number, or none; several are taken in turn. Default: all."),
]
Number = Annotated[int, typer.Option("--number", "-n", help="Pictures in all, at most 64.")]
Seed = Annotated[int | None, typer.Option(help="The same seed gives the same pictures. Default: a new one.")]
Preset = Annotated[str, typer.Option(help="Controls to start from: balanced, faithful, varied …")]
Temperature = Annotated[
    str | None, typer.Option(metavar=_PACE, help="Above 1 is bolder; 0 takes the most probable codewords.")
]
TopK = Annotated[str | None, typer.Option(metavar=_PACE, help="Draw among this many codewords.")]
TopP = Annotated[str | None, typer.Option(metavar=_PACE, help="Draw among the most probable with this share.")]
Guidance = Annotated[str | None, typer.Option(metavar=_PACE, help="1 is the class as learned; more exaggerates it.")]
Out = Annotated[
    Path, typer.Option("--out", "-o", metavar="OUT", help="A .png file for all pictures as a grid, or a folder.")
]
Force = Annotated[bool, typer.Option("--force", help="Replace files that are there already.")]


@app.command("generate")
def generate(
    out: Out,
    model: Model = None,
    tokenizer: Tokenizer = None,
    labels: Labels = None,
    to: Annotated[str | None, typer.Option(help="Go from the class to this one, picture by picture.")] = None,
    number: Number = 16,
    seed: Seed = None,
    preset: Preset = "balanced",
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    guidance: Guidance = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw pictures scale by scale and write them as PNG; every file keeps its settings as text.

    A control takes one number; or two with a colon, for the first and the last scale; or one for each scale.
    """
    from workbench.tasks.catalogue import default_generator, load_generator
    from workbench.tasks.generate import Order, Watch, finished, fresh_seed, in_turn, interpolate
    from workbench.tasks.generate import generate as draw_pictures

    check_out(out, force=force)
    controls = controls_of(preset, temperature, top_k, top_p, guidance)
    pair = load_generator(model or default_generator(), tokenizer)
    order = Order(in_turn(pair, labels or [], number), fresh_seed() if seed is None else seed, controls)
    with progress_bar("Drawing") as progress:
        watch = Watch(progress=progress)
        stages = draw_pictures(pair, order, watch=watch) if to is None else interpolate(pair, order, to, watch=watch)
        drawn = finished(stages)
    report(drawn, out, force=force, json=json)


def check_out(out: Path, *, force: bool) -> None:
    """Refuse a file that is there already, before any work is done.

    Raises:
        ImageError: if it is there and `force` is off.
    """
    from workbench.errors import ImageError

    if out.suffix.lower() == ".png" and out.exists() and not force:
        raise ImageError(f"{out} exists; add --force to replace it, or name another file with -o")


def controls_of(
    preset: str, temperature: str | None, top_k: str | None, top_p: str | None, guidance: str | None
) -> "Controls":
    """The controls of a preset, with those that were given in their place.

    Raises:
        InputError: if there is no such preset, or a control is no number.
    """
    from workbench.errors import InputError, did_you_mean
    from workbench.models.sampling import CONTROL_PRESETS

    if preset not in CONTROL_PRESETS:
        raise InputError(did_you_mean("preset", preset, CONTROL_PRESETS))
    given = {"temperature": temperature, "top_k": top_k, "top_p": top_p, "guidance": guidance}
    return replace(CONTROL_PRESETS[preset], **{key: _pace(key, text) for key, text in given.items() if text})


def report(drawn: "Drawn", out: Path, *, force: bool, json: bool) -> None:
    """Write the pictures and say where and how they were drawn."""
    from workbench.tasks.generate import write_grid, write_pictures

    if out.suffix.lower() == ".png":
        write_grid(drawn, out, force=force)
        outputs = [out]
    else:
        outputs = write_pictures(drawn, out, force=force)
    row = drawn.settings.row()
    if json:
        print_json({**row, "outputs": outputs, "seconds": drawn.seconds})
        return
    where = str(out) if outputs == [out] else f"{len(outputs)} files in {out}"
    classes = ", ".join(dict.fromkeys(drawn.settings.classes))
    typer.echo(f"{where}: {len(drawn.indices)} × {classes}, by {row['model']}, seed {row['seed']}")
    shown = ", ".join(f"{key} {row[key]}" for key in ("temperature", "top_k", "top_p", "guidance") if row[key])
    typer.echo(f"{shown}; {drawn.seconds:.2f} s")


def _pace(name: str, text: str) -> float | tuple[float, ...]:
    """One number, or several with colons between them."""
    from workbench.errors import InputError

    try:
        values = [int(part) if name == "top_k" else float(part) for part in text.split(":")]
    except ValueError as error:
        kind = "whole numbers" if name == "top_k" else "numbers"
        raise InputError(f"{name} takes {kind}, one or FIRST:LAST, got {text!r}") from error
    return tuple(values) if len(values) > 1 else values[0]
