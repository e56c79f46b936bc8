"""`workbench generate`: pictures of a class, drawn by a generator."""

__all__ = ["Drawing", "app", "with_drawing"]

import dataclasses
import functools
import inspect
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, get_type_hints

import typer

from workbench.cli import Json, print_json, progress_bar
from workbench.progress import part_of

if TYPE_CHECKING:
    from workbench.models.load import Pair
    from workbench.models.sampling import Controls
    from workbench.tasks.generate import Drawn, Order, Watch

    Stages = Callable[[Pair, Order, Watch], Iterator[Drawn]]

app = typer.Typer(help="Draw pictures of a class.")

_PACE = "NUMBER or FIRST:LAST"


@dataclasses.dataclass(frozen=True)
class Drawing:
    """The options of everything that draws; see `with_drawing`."""

    out: Annotated[
        Path, typer.Option("--out", "-o", metavar="OUT", help="A .png file for all pictures as a grid, or a folder.")
    ]
    model: Annotated[str | None, typer.Option(help="A bundled name, a folder, or owner/name; see `models`.")] = None
    tokenizer: Annotated[str | None, typer.Option(help="Its tokenizer, if it is not found under the name it had.")] = (
        None
    )
    labels: Annotated[
        list[str] | None,
        typer.Option("--label", help="A class by name or number, or none; several are taken in turn."),
    ] = None
    seed: Annotated[int | None, typer.Option(help="The same seed gives the same pictures. Default: a new one.")] = None
    preset: Annotated[str, typer.Option(help="Controls to start from: balanced, faithful, varied …")] = "balanced"
    temperature: Annotated[
        str | None, typer.Option(metavar=_PACE, help="Above 1 is bolder; 0 takes the most probable codewords.")
    ] = None
    top_k: Annotated[str | None, typer.Option(metavar=_PACE, help="Draw among this many codewords.")] = None
    top_p: Annotated[str | None, typer.Option(metavar=_PACE, help="Draw among the most probable with this share.")] = (
        None
    )
    guidance: Annotated[
        str | None, typer.Option(metavar=_PACE, help="1 is the class as learned; more exaggerates it.")
    ] = None
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there already.")] = False
    json: Json = False

    def controls(self) -> "Controls":
        """The controls of the preset, with those that were given in their place.

        Raises:
            InputError: if there is no such preset, or a control is no number.
        """
        from workbench.errors import InputError, did_you_mean
        from workbench.models.sampling import CONTROL_PRESETS

        if self.preset not in CONTROL_PRESETS:
            raise InputError(did_you_mean("preset", self.preset, CONTROL_PRESETS))
        given = {name: getattr(self, name) for name in ("temperature", "top_k", "top_p", "guidance")}
        paces = {name: _pace(name, text) for name, text in given.items() if text}
        return dataclasses.replace(CONTROL_PRESETS[self.preset], **paces)

    def run(
        self,
        stages: "Stages",
        number: int,
        *,
        labels: list[str],
        portion: int = 16,
        beside: Mapping[str, object] | None = None,
    ) -> None:
        """Draw so many pictures, write them, and say where they are and how they were drawn.

        Into a folder they are written portion by portion, however many there are.

        Args:
            stages: What draws them.
            number: Pictures in all.
            labels: Their classes in turn, where none was given.
            portion: Pictures that are drawn before they are written.
            beside: What else goes into the JSON object.

        Raises:
            ImageError: if the file is there and may not be replaced.
            InputError: if an option is out of range.
        """
        from workbench.errors import ImageError
        from workbench.models.load import default_generator, load_generator
        from workbench.tasks import generate as task

        sheet = self.out.suffix.lower() == ".png"
        if sheet and self.out.exists() and not self.force:
            raise ImageError(f"{self.out} exists; add --force to replace it, or name another file with -o")
        controls = self.controls()
        pair = load_generator(self.model or default_generator(), self.tokenizer)
        seed = task.fresh_seed() if self.seed is None else self.seed
        parts, outputs = [], [self.out] if sheet else []
        at_once = max(1, number if sheet else portion)
        with progress_bar("Drawing") as progress:
            for first in range(0, max(1, number), at_once):
                count = min(at_once, number - first)
                turn = task.in_turn(pair, self.labels or labels, count, first=first)
                order = task.Order(turn, task.picture_seed(seed, first) if first else seed, controls)
                part = part_of(progress, first / number, count / number)
                parts.append(task.finished(stages(pair, order, task.Watch(progress=part))))
                if not sheet:
                    outputs += task.write_pictures(parts[-1], self.out, first=first, force=self.force)
        drawn = task.joined(parts)
        if sheet:
            task.write_grid(drawn, self.out, force=self.force)
        self._report(drawn, outputs, beside or {})

    def _report(self, drawn: "Drawn", outputs: list[Path], beside: Mapping[str, object]) -> None:
        row = drawn.settings.row()
        if self.json:
            print_json({**row, **beside, "outputs": outputs, "seconds": drawn.seconds})
            return
        where = str(self.out) if outputs == [self.out] else f"{len(outputs)} files in {self.out}"
        classes = ", ".join(dict.fromkeys(drawn.settings.classes))
        typer.echo(f"{where}: {len(drawn.indices)} × {classes}, by {row['model']}, seed {row['seed']}")
        shown = ", ".join(f"{key} {row[key]}" for key in ("temperature", "top_k", "top_p", "guidance") if row[key])
        typer.echo(f"{shown}; {drawn.seconds:.2f} s")


def with_drawing(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of `Drawing` in the place of its parameter `drawing`."""
    fields = dataclasses.fields(Drawing)

    @functools.wraps(command)
    def run(**given: Any) -> None:  # noqa: ANN401 - whatever typer has parsed
        drawing = Drawing(**{field.name: given.pop(field.name) for field in fields})
        command(**given, drawing=drawing)

    hints = get_type_hints(command, include_extras=True) | get_type_hints(Drawing, include_extras=True)
    keyword = inspect.Parameter.KEYWORD_ONLY
    own = [p for name, p in inspect.signature(command).parameters.items() if name != "drawing"]
    shared = [
        inspect.Parameter(f.name, keyword, default=inspect.Parameter.empty if f.name == "out" else f.default)
        for f in fields
    ]
    parameters = [p.replace(kind=keyword, annotation=hints[p.name]) for p in (*own, *shared)]
    vars(run)["__signature__"] = inspect.Signature(parameters)
    run.__annotations__ = {p.name: p.annotation for p in parameters}
    return run


@app.command("generate")
@with_drawing
def generate(
    drawing: Drawing,
    to: Annotated[str | None, typer.Option(help="Go from the class to this one, picture by picture.")] = None,
    number: Annotated[int, typer.Option("--number", "-n", help="Pictures in all; more than 64 go into a folder.")] = 16,
) -> None:
    """Draw pictures scale by scale and write them as PNG; every file keeps its settings as text.

    Without a label all classes come in turn. A control takes one number; or two with a colon, for the first and the
    last scale; or one for each scale.
    """
    from workbench.tasks.generate import generate as draw_pictures
    from workbench.tasks.generate import interpolate

    def stages(pair: "Pair", order: "Order", watch: "Watch") -> "Iterator[Drawn]":
        return draw_pictures(pair, order, watch=watch) if to is None else interpolate(pair, order, to, watch=watch)

    drawing.run(stages, number, labels=[], portion=16 if to is None else max(number, 1))


def _pace(name: str, text: str) -> float | tuple[float, ...]:
    """One number, or several with colons between them."""
    from workbench.errors import InputError

    try:
        values = [int(part) if name == "top_k" else float(part) for part in text.split(":")]
    except ValueError as error:
        kind = "whole numbers" if name == "top_k" else "numbers"
        raise InputError(f"{name} takes {kind}, one or FIRST:LAST, got {text!r}") from error
    return tuple(values) if len(values) > 1 else values[0]
