"""`workbench`, the command line: one subcommand a task, each a module of :mod:`workbench.cli`.

Exit status: 0 done, 1 the work failed, 2 the command was wrong, 130 interrupted.
"""

__all__ = ["main"]

import logging
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from typing import Annotated

import typer
from typer.exceptions import TyperException
from typer.main import get_command

from workbench import __version__
from workbench.cli import verb_names
from workbench.errors import InputError, WorkbenchError


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"workbench {__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    """Images through the 196,560 words of the Leech lattice: tokenize, generate, compress, explore, train."""


def _program() -> typer.Typer:
    """The verbs as one program; see :mod:`workbench.cli` for how a module becomes a verb."""
    program = typer.Typer(
        add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode="rich"
    )
    program.callback()(_options)
    for name in verb_names():
        verb: typer.Typer = import_module(f"workbench.cli.{name}").app
        group = typer.Typer(help=str(verb.info.help), no_args_is_help=True)
        for command in verb.registered_commands:
            (program if command.name == name else group).registered_commands.append(command)
        if group.registered_commands:
            program.add_typer(group, name=name)
    return program


def main(args: Sequence[str] | None = None) -> None:
    """Run the command line; ends the process with the exit status.

    Args:
        args: What stands after the program's name; None takes it from the process.
    """
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    try:
        status = get_command(_program()).main(args, prog_name="workbench", standalone_mode=False)
    except InputError as error:
        status = _complain(error, 2)
    except WorkbenchError as error:
        status = _complain(error, 1)
    except TyperException as error:
        status = _complain(error.format_message() + " (try --help)", error.exit_code)
    except BrokenPipeError:
        # The reader went away (`| head`): say nothing, and keep the interpreter from flushing into the void.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 1
    except (KeyboardInterrupt, typer.Abort):
        status = _complain("interrupted", 130)
    sys.exit(status if isinstance(status, int) else 0)


def _complain(error: object, status: int) -> int:
    """Say on stderr, in one line, what went wrong; returns the exit status."""
    sys.stderr.write(f"workbench: {' '.join(str(error).split())}\n")
    return status


if __name__ == "__main__":
    main()
