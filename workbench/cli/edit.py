"""`workbench edit`: parts of a picture drawn anew by a generator."""

__all__ = ["app"]

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import Json, progress_bar
from workbench.cli.generate import (
    Force,
    Guidance,
    Labels,
    Model,
    Number,
    Out,
    Preset,
    Seed,
    Temperature,
    Tokenizer,
    TopK,
    TopP,
    check_out,
    controls_of,
    report,
)

if TYPE_CHECKING:
    import numpy as np

    from workbench.models.sampling import Controls
    from workbench.tasks.catalogue import Pair
    from workbench.tasks.generate import Drawn, Order, Watch

app = typer.Typer(help="Draw parts of a picture anew: a masked part, a border around it, or its details.")

Input = Annotated[Path, typer.Argument(metavar="IN", help="The picture; its centre square is used.")]


@app.command("fill")
def fill(
    picture: Input,
    mask: Annotated[Path, typer.Option(help="A picture: painted, or light, where new content goes.")],
    out: Out,
    model: Model = None,
    tokenizer: Tokenizer = None,
    labels: Labels = None,
    number: Number = 1,
    seed: Seed = None,
    preset: Preset = "balanced",
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    guidance: Guidance = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Draw a masked part of a picture anew, as a class says; the rest stays, as the tokenizer gives it back."""
    from workbench.images.files import read_mask
    from workbench.tasks.edit import fill as fill_in

    painted = read_mask(mask)
    controls = controls_of(preset, temperature, top_k, top_p, guidance)

    def change(pair: "Pair", image: "np.ndarray", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return fill_in(pair, image, painted, order, watch=watch)

    _edit(change, picture, out, model, tokenizer, labels, number, seed, controls, force=force, json=json)


@app.command("extend")
def extend(
    picture: Input,
    out: Out,
    border: Annotated[float, typer.Option(help="Width of the border, as a share of the result's side.")] = 0.25,
    model: Model = None,
    tokenizer: Tokenizer = None,
    labels: Labels = None,
    number: Number = 1,
    seed: Seed = None,
    preset: Preset = "balanced",
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    guidance: Guidance = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Put a picture into the middle and draw a border around it."""
    from workbench.tasks.edit import extend as draw_around

    controls = controls_of(preset, temperature, top_k, top_p, guidance)

    def change(pair: "Pair", image: "np.ndarray", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return draw_around(pair, image, border, order, watch=watch)

    _edit(change, picture, out, model, tokenizer, labels, number, seed, controls, force=force, json=json)


@app.command("details")
def details(
    picture: Input,
    out: Out,
    keep: Annotated[int, typer.Option(help="Coarse scales to keep.")] = 3,
    model: Model = None,
    tokenizer: Tokenizer = None,
    labels: Labels = None,
    number: Number = 1,
    seed: Seed = None,
    preset: Preset = "balanced",
    temperature: Temperature = None,
    top_k: TopK = None,
    top_p: TopP = None,
    guidance: Guidance = None,
    force: Force = False,
    json: Json = False,
) -> None:
    """Keep the coarse scales of a picture and draw the finer ones anew."""
    from workbench.tasks.edit import redraw_details

    controls = controls_of(preset, temperature, top_k, top_p, guidance)

    def change(pair: "Pair", image: "np.ndarray", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return redraw_details(pair, image, keep, order, watch=watch)

    _edit(change, picture, out, model, tokenizer, labels, number, seed, controls, force=force, json=json)


def _edit(
    change: "Callable[[Pair, np.ndarray, Order, Watch], Iterator[Drawn]]",
    picture: Path,
    out: Path,
    model: str | None,
    tokenizer: str | None,
    labels: list[str] | None,
    number: int,
    seed: int | None,
    controls: "Controls",
    *,
    force: bool,
    json: bool,
) -> None:
    """What all edits have in common: read, load, draw, write."""
    from workbench.images.files import read_image
    from workbench.tasks.catalogue import default_generator, load_generator
    from workbench.tasks.generate import Order, Watch, finished, fresh_seed, in_turn

    check_out(out, force=force)
    image = read_image(picture)
    pair = load_generator(model or default_generator(), tokenizer)
    order = Order(in_turn(pair, labels or ["none"], number), fresh_seed() if seed is None else seed, controls)
    with progress_bar("Drawing") as progress:
        drawn = finished(change(pair, image, order, Watch(progress=progress)))
    report(drawn, out, force=force, json=json)
