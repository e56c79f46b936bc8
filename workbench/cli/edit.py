"""`workbench edit`: parts of a picture drawn anew by a generator."""

__all__ = ["app"]

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import print_notes
from workbench.cli.generate import Drawing, with_drawing

if TYPE_CHECKING:
    from workbench.images.files import Picture
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
    from workbench.images.files import read_mask, read_picture
    from workbench.tasks.edit import fill as fill_in
    from workbench.tasks.edit import mask_warning, painted_share

    source, painted = read_picture(picture), read_mask(mask)
    share = painted_share(painted)
    warning = mask_warning(share)
    if not drawing.json:
        typer.echo(f"the mask paints {share:.1%} of the picture")
    if warning:
        typer.echo(f"workbench: warning: {warning}", err=True)

    def stages(pair: "Pair", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return fill_in(pair, source.pixels, painted, order, watch=watch)

    beside = {"painted": share, **({"warning": warning} if warning else {}), **_notes(picture, source, drawing)}
    drawing.run(stages, number, labels=_NO_CLASS, beside=beside)


@app.command("extend")
@with_drawing
def extend(
    picture: Input,
    drawing: Drawing,
    border: Annotated[float, typer.Option(help="Width of the border, as a share of the result's side.")] = 0.25,
    number: Number = 1,
) -> None:
    """Put a picture into the middle and draw a border around it."""
    from workbench.images.files import read_picture
    from workbench.tasks.edit import extend as draw_around

    source = read_picture(picture)

    def stages(pair: "Pair", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return draw_around(pair, source.pixels, border, order, watch=watch)

    drawing.run(stages, number, labels=_NO_CLASS, beside=_notes(picture, source, drawing))


@app.command("details")
@with_drawing
def details(
    picture: Input,
    drawing: Drawing,
    keep: Annotated[int, typer.Option(help="Coarse scales to keep.")] = 3,
    number: Number = 1,
) -> None:
    """Keep the coarse scales of a picture and draw the finer ones anew."""
    from workbench.images.files import read_picture
    from workbench.tasks.edit import redraw_details

    source = read_picture(picture)

    def stages(pair: "Pair", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return redraw_details(pair, source.pixels, keep, order, watch=watch)

    drawing.run(stages, number, labels=_NO_CLASS, beside=_notes(picture, source, drawing))


def _notes(path: Path, picture: "Picture", drawing: Drawing) -> dict[str, object]:
    """What is to be known of how a picture was read, for the JSON object; printed where none is asked for."""
    found: dict[str, object] = {"notes": list(picture.notes)} if picture.notes else {}
    if not drawing.json:
        print_notes([{"input": path, **found}])
    return found
