"""The arguments that all trainings share, and how a training is started from them."""

__all__ = ["parser", "shared", "start"]

import argparse
import shlex
import sys
from typing import Any, NoReturn

from workbench.cli.fit import train
from workbench.fit.plan import Plan


def parser(script: str, description: str | None) -> argparse.ArgumentParser:
    """A parser for `python -m training.SCRIPT` that knows data, overrides and where the run goes."""
    result = argparse.ArgumentParser(prog=f"python -m training.{script}", description=description)
    result.add_argument("--data", nargs="+", action="extend", default=[], metavar="PATH", help="folders or shards")
    result.add_argument("--held-out", nargs="+", action="extend", default=[], metavar="PATH", help="to evaluate on")
    result.add_argument("--set", nargs="+", action="extend", default=[], metavar="KEY=VALUE", help="change the recipe")
    result.add_argument("--out", metavar="DIR", help="the run's folder")
    return result


def shared(chosen: argparse.Namespace, prog: str, arguments: list[str] | None) -> dict[str, Any]:
    """What was chosen, as a plan takes it; `prog` is the parser's own name."""
    return {
        "data": tuple(chosen.data),
        "held_out": tuple(chosen.held_out),
        "set": tuple(chosen.set),
        "out": chosen.out,
        "command": shlex.join([*prog.split(), *(sys.argv[1:] if arguments is None else arguments)]),
    }


def start(plan: Plan, *, device: str | None = None, dry_run: bool = False) -> NoReturn:
    """Train what the plan says, and end with its status."""
    sys.exit(train(plan, device=device, dry_run=dry_run))
