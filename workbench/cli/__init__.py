"""The command line, one module a verb; imports tasks only when a verb runs.

A verb is a module of this package that defines `app`, a `typer.Typer`. A command of `app` that bears the module's own
name is the verb itself (`cli/reconstruct.py` with `@app.command("reconstruct")` is `workbench reconstruct`); any other
name hangs under it (`cli/explore.py` with `@app.command("code")` is `workbench explore code`). Nothing else needs to be
registered. A verb module imports typer and the standard library at its top and everything heavy inside its functions,
so that `workbench --help` costs nothing.

What a verb has to say goes three ways: results to stdout (with `--json` exactly one JSON object), everything else to
stderr, and failure is an exception: a :class:`workbench.errors.InputError` ends with status 2 (bad usage), any other
:class:`workbench.errors.WorkbenchError` with status 1 (failed work), each as one line on stderr.
"""

__all__ = ["Json", "print_json", "print_notes", "print_table", "progress_bar", "verb_names"]

import json
import math
import pkgutil
import shutil
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import PurePath
from typing import Annotated, Any

import typer

from workbench.progress import no_progress

Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on stdout, everything else on stderr.")]


def verb_names() -> list[str]:
    """The verbs there are: the names of the modules here, in alphabetical order."""
    return sorted(module.name for module in pkgutil.iter_modules(__path__))


def print_json(result: object) -> None:
    """Write one JSON object to stdout.

    Raises:
        ValueError: if a number in it is not finite; a measure that cannot say anything is null with a reason.
    """
    sys.stdout.write(json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False, default=_plain) + "\n")
    sys.stdout.flush()


def _plain(value: Any) -> object:  # noqa: ANN401 - whatever json does not know
    """A number of numpy or torch as Python's own; a path as text."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if hasattr(value, "__fspath__"):
        return str(value)
    raise TypeError(f"{type(value).__name__} does not go into JSON")


def print_table(lines: Sequence[Sequence[str]], *, left: int = 1, indent: str = "", narrowest: int = 8) -> None:
    """Print aligned columns, no wider than the terminal as far as that is a matter of names.

    Args:
        lines: Cells of each line, the same number in all.
        left: How many columns, the first ones, hold text: they are aligned to the left, and where the table is wider
            than the terminal the widest of them is shortened in its middle.
        indent: What each line begins with.
        narrowest: Columns of the terminal that a shortened cell keeps.
    """
    from rich.cells import cell_len

    table = [[_printable(cell) for cell in line] for line in lines]
    if not table:
        return
    widths = [max(map(cell_len, column)) for column in zip(*table, strict=True)]
    room = shutil.get_terminal_size().columns - len(indent) - 2 * (len(widths) - 1)
    while sum(widths) > room:
        widest = max(range(left), key=widths.__getitem__)
        if widths[widest] <= narrowest:
            break
        widths[widest] -= 1
    for line in table:
        cells = []
        for place, (cell, width) in enumerate(zip(line, widths, strict=True)):
            shown = _shortened(cell, width) if place < left else cell
            space = " " * (width - cell_len(shown))
            cells.append(shown + space if place < left else space + shown)
        typer.echo((indent + "  ".join(cells)).rstrip())


def print_notes(rows: Iterable[Mapping[str, Any]], *, err: bool = False) -> None:
    """Print what is to be known of results: the `notes` and the `note` of rows, each once, with the names it is for.

    Args:
        rows: With `input`, a path, and perhaps `notes`, on how a picture was read, and `note`, on its result.
        err: Whether to write to stderr.
    """
    names: dict[str, list[str]] = {}
    for row in rows:
        for note in (*row.get("notes", ()), *([row["note"]] if row.get("note") else [])):
            names.setdefault(note, []).append(_shortened(_printable(PurePath(str(row["input"])).name), 40))
    for note, of in names.items():
        more = f" and {len(of) - 3} more" if len(of) > 3 else ""
        typer.echo(f"note: {', '.join(of[:3])}{more}: {_printable(note)}", err=err)


def _printable(text: str) -> str:
    """Text that stays on its line, whatever characters a file name holds."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def _shortened(text: str, width: int) -> str:
    """Text in so many columns, with an ellipsis for its middle where it is wider."""
    from rich.cells import cell_len

    if cell_len(text) <= width:
        return text
    head, tail = text, ""
    # From the middle outwards: a name is told by its beginning and by its suffix.
    while head and cell_len(head) > width // 2:
        head = head[:-1]
    for c in reversed(text[len(head) :]):
        if cell_len(head) + 1 + cell_len(c + tail) > width:
            break
        tail = c + tail
    return f"{head}…{tail}"


@contextmanager
def progress_bar(title: str) -> Iterator[Callable[[float, str], object]]:
    """Show progress on stderr where that is a terminal; yields the callback (fraction in [0, 1], message).

    Example:
        >>> with progress_bar("Reading") as progress:
        ...     progress(0.5, "half way")
    """
    if not sys.stderr.isatty():
        yield no_progress
        return
    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=1.0)

        def show(fraction: float, message: str) -> None:
            if math.isfinite(fraction):
                bar.update(task, completed=min(max(fraction, 0.0), 1.0), description=message or title)

        yield show
