"""Codes by name: the one place that turns a name, and settings where it takes any, into a `Code`.

A family registers a builder that returns the code; a name without settings is a builder without parameters.
"""

__all__ = ["code_names", "make_code"]

import functools
import inspect
import math
from collections.abc import Callable

from workbench.errors import InputError, did_you_mean
from workbench.lattices.code import Code
from workbench.lattices.codes.barnes_wall import bw16
from workbench.lattices.codes.coxeter_todd import k12
from workbench.lattices.codes.e8 import e8
from workbench.lattices.codes.fibonacci import fibonacci_code
from workbench.lattices.codes.leech import LEECH, LEECH_PUBLISHED, NORM_SQUARED, SHAPE_STARTS
from workbench.lattices.codes.leech_shell3 import second_shell
from workbench.lattices.codes.random import random_code


def code_names() -> tuple[str, ...]:
    """The names that `make_code` knows, in alphabetical order."""
    return tuple(sorted(_BUILDERS))


def make_code(name: str, **settings: int) -> Code:
    """Return the code of a name; the same object for the same name and settings.

    Args:
        name: One of `code_names()`.
        settings: What the family asks for; the fixed lattices take none.

    Raises:
        InputError: if the name is unknown, or a setting is missing or not one of the family's.

    Example:
        >>> code = make_code("leech")
        >>> code.size, code.dimension, code.fingerprint[:12]
        (196560, 24, 'c1a07712983c')
    """
    if name not in _BUILDERS:
        raise InputError(did_you_mean("code", name, _BUILDERS))
    parameters = inspect.signature(_BUILDERS[name]).parameters
    needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    if not needed <= settings.keys() <= parameters.keys():
        expected = ", ".join(parameters) or "no settings"
        raise InputError(f"code {name!r} takes {expected}; got {', '.join(sorted(settings)) or 'none'}")
    return _make(name, tuple(sorted(settings.items())))


@functools.lru_cache(maxsize=32)
def _make(name: str, settings: tuple[tuple[str, int], ...]) -> Code:
    return _BUILDERS[name](**dict(settings))


def _leech() -> Code:
    return Code("leech", LEECH.table(), math.sqrt(NORM_SQUARED))


def _leech_published() -> Code:
    return Code("leech-published", LEECH_PUBLISHED.table(), math.sqrt(NORM_SQUARED))


def _leech_shape(entry: int) -> Code:
    """The rows of `leech` whose greatest entry is ±2, ±3 or ±4."""
    rows = slice(*SHAPE_STARTS[entry - 2 : entry])
    return Code(f"leech{entry}", make_code("leech").integers[rows].copy(), math.sqrt(NORM_SQUARED))


_BUILDERS: dict[str, Callable[..., Code]] = {
    "bw16": bw16,
    "e8": e8,
    "fibonacci": fibonacci_code,
    "k12": k12,
    "leech": _leech,
    "leech-published": _leech_published,
    "leech2": functools.partial(_leech_shape, 2),
    "leech3": functools.partial(_leech_shape, 3),
    "leech4": functools.partial(_leech_shape, 4),
    "leech-shell3": second_shell,
    "random": random_code,
}
