"""`workbench edit`: parts of a picture drawn anew by a generator."""

__all__ = ["app"]

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli.generate import Drawing, with_drawing

if TYPE_CHECKING:
    from workbench.models.load import Pair
    from workbench.tasks.generate import Drawn, Order, Watch

app = typer.Typer(help="Draw parts of a picture anew: a masked part, a border around it, or its details.")

Input = Annotated[Path, typer.Argument(metavar="IN", help="The picture; its centre square is used.")]
Number = Annotated[int, typer.Option("--number", "-n", help="Versions to draw, at most 64.")]
_NO_CLASS = ["none"]


@app.command("fill")
@with_drawing
def fill(
    picture: Input,
    mask: Annotated[Path, typer.Option(help="A picture: painted, or light, where new content goes.")],
    drawing: Drawing,
    number: Number = 1,
) -> None:
    """Draw a masked part of a picture anew, as a class says; the rest stays, as the tokenizer gives it back."""
    from workbench.images.files import read_image, read_mask
    from workbench.tasks.edit import fill as fill_in

    image, painted = read_image(picture), read_mask(mask)

    def stages(pair: "Pair", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return fill_in(pair, image, painted, order, watch=watch)

    drawing.run(stages, number, labels=_NO_CLASS)


@app.command("extend")
@with_drawing
def extend(
    picture: Input,
    drawing: Drawing,
    border: Annotated[float, typer.Option(help="Width of the border, as a share of the result's side.")] = 0.25,
    number: Number = 1,
) -> None:
    """Put a picture into the middle and draw a border around it."""
    from workbench.images.files import read_image
    from workbench.tasks.edit import extend as draw_around

    image = read_image(picture)

    def stages(pair: "Pair", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return draw_around(pair, image, border, order, watch=watch)

    drawing.run(stages, number, labels=_NO_CLASS)


@app.command("details")
@with_drawing
def details(
    picture: Input,
    drawing: Drawing,
    keep: Annotated[int, typer.Option(help="Coarse scales to keep.")] = 3,
    number: Number = 1,
) -> None:
    """Keep the coarse scales of a picture and draw the finer ones anew."""
    from workbench.images.files import read_image
    from workbench.tasks.edit import redraw_details

    image = read_image(picture)

    def stages(pair: "Pair", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return redraw_details(pair, image, keep, order, watch=watch)

    drawing.run(stages, number, labels=_NO_CLASS)
