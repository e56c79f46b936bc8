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

__all__ = ["Json", "print_json", "progress_bar", "verb_names"]

import json
import math
import pkgutil
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
