"""`workbench fit PLAN.json`: train what a plan says, or what one of its runs left in its `run.json`.

A plan of a tokenizer, a generator, entropy tables or a study; see :mod:`workbench.fit.plan`.
"""

__all__ = ["app", "train"]

import logging
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from workbench.cli import Json, print_json, progress_bar
from workbench.progress import no_progress

if TYPE_CHECKING:
    from workbench.fit.plan import Plan

app = typer.Typer(help="Train a model.")
_EVERY = 30.0  # seconds between lines where there is no terminal


@app.command("fit")
def fit(
    plan: Annotated[Path, typer.Argument(help="A plan in JSON: task, recipe, data, held_out, set, out, …")],
    set_: Annotated[list[str] | None, typer.Option("--set", help="Change a number of the recipe: KEY=VALUE.")] = None,
    out: Annotated[str | None, typer.Option(help="The run's folder.")] = None,
    device: Annotated[str | None, typer.Option(help="cpu, cuda or mps; the best there is by default.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what the run would cost here, and stop.")] = False,
    json: Json = False,
) -> None:
    """Train what a plan says, going on where an earlier run of it stopped."""
    from dataclasses import replace

    from workbench.fit.plan import read_plan

    given = read_plan(plan)
    given = replace(given, set=(*given.set, *(set_ or ())), out=out or given.out)
    code = _train(given, device=device, dry_run=dry_run, json=json)
    if code:
        raise typer.Exit(code)


def train(plan: "Plan", *, device: str | None = None, dry_run: bool = False) -> int:
    """Train as a program: messages to stderr, results to stdout, errors as one line.

    Returns:
        The exit status: 0 done, 1 failed, 2 the plan was wrong, 128 + n ended by signal n.
    """
    from workbench.errors import InputError, WorkbenchError

    logging.basicConfig(stream=sys.stderr, level=logging.INFO, format="%(message)s")
    logging.getLogger("workbench").setLevel(logging.INFO)
    try:
        return _train(plan, device=device, dry_run=dry_run, json=False)
    except WorkbenchError as error:
        sys.stderr.write(f"{' '.join(str(error).split())}\n")
        return 2 if isinstance(error, InputError) else 1
    except KeyboardInterrupt:  # before the run began: after that the engine saves first
        sys.stderr.write("interrupted\n")
        return 130


def _train(plan: "Plan", *, device: str | None, dry_run: bool, json: bool) -> int:
    from workbench.fit.engine.distributed import joined
    from workbench.fit.plan import estimate, launch

    with joined(device) as world:
        if dry_run:
            cost, unit = estimate(plan, world=world)
            if world.first:
                print_json(cost.__dict__) if json else sys.stdout.write("\n".join(cost.lines(unit)) + "\n")
            return 0
        with _shown(world.first) as progress:
            trained = launch(plan, world=world, progress=progress)
        if world.first:
            result = {**trained.figures, "model": str(trained.model)}
            if json:
                print_json(result)
            else:
                sys.stdout.write("\n".join(f"{key:8} {value}" for key, value in result.items()) + "\n")
        return trained.exit_code


@contextmanager
def _shown(wanted: bool) -> Iterator[Callable[[float, str], object]]:
    """A bar where there is a terminal, a line now and then where there is none."""
    if not wanted:
        yield no_progress
        return
    last = 0.0

    def line(fraction: float, message: str) -> None:
        nonlocal last
        if time.monotonic() - last >= _EVERY:
            last = time.monotonic()
            sys.stderr.write(f"{100 * fraction:5.1f} %  {message}\n")

    if sys.stderr.isatty():
        with progress_bar("Training") as progress:
            yield progress
    else:
        yield line
