"""Codes by name: the one place that turns a name, and settings where it takes any, into a `Code`.

All that is known of a name stands in its `CodeFamily`: how the code is built, which structure its search makes use of,
and a note for the reader.
"""

__all__ = [
    "CodeFamily",
    "LeechShapes",
    "Structure",
    "code_family",
    "code_names",
    "leech_shapes",
    "make_code",
    "structure_of",
]

import enum
import functools
import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from workbench.errors import InputError, did_you_mean
from workbench.lattices.code import Code
from workbench.lattices.codes.barnes_wall import bw16
from workbench.lattices.codes.coxeter_todd import k12
from workbench.lattices.codes.e8 import e8
from workbench.lattices.codes.fibonacci import fibonacci_code
from workbench.lattices.codes.leech import LEECH, LEECH_PUBLISHED, NORM_SQUARED, SHAPE_STARTS, LeechOrder
from workbench.lattices.codes.leech_shell3 import second_shell
from workbench.lattices.codes.random import random_code


class Structure(enum.Enum):
    """Codes with a search of their own, besides the first shell of Λ24."""

    E8 = "e8"
    BARNES_WALL = "bw16"
    COXETER_TODD = "k12"
    SECOND_SHELL = "leech-shell3"


class LeechShapes(NamedTuple):
    """The first shell of Λ24, whole or in part: its order, and which of the shapes (±2⁸), (∓3, ±1²³), (±4²) take part.

    Attributes:
        order: Which Golay codes give octads and words.
        shapes: Greatest entries, some of (2, 3, 4), consecutive and ascending.
    """

    order: LeechOrder
    shapes: tuple[int, ...]


@dataclass(frozen=True)
class CodeFamily:
    """What is known of a name.

    Attributes:
        builder: Returns the code; its parameters are the settings that the name takes.
        search: The structure that the nearest codeword is found by; None where all are compared.
        note: For the reader of a table.
    """

    builder: Callable[..., Code]
    search: LeechShapes | Structure | None = None
    note: str = ""


def code_names() -> tuple[str, ...]:
    """The names that `make_code` knows, in alphabetical order."""
    return tuple(sorted(_FAMILIES))


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
    if name not in _FAMILIES:
        raise InputError(did_you_mean("code", name, _FAMILIES))
    parameters = inspect.signature(_FAMILIES[name].builder).parameters
    needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    if not needed <= settings.keys() <= parameters.keys():
        expected = ", ".join(parameters) or "no settings"
        raise InputError(f"code {name!r} takes {expected}; got {', '.join(sorted(settings)) or 'none'}")
    return _make(name, tuple(sorted(settings.items())))


def code_family(name: str) -> CodeFamily | None:
    """What is known of the codes of a name; None if it is none of ours."""
    return _FAMILIES.get(name)


@functools.lru_cache(maxsize=64)
def structure_of(code: Code) -> LeechShapes | Structure | None:
    """The structure of a code that has the name, the table and the axes of one of ours; None for all others."""
    family = _FAMILIES.get(code.name)
    if family is None or family.search is None:
        return None
    ours = make_code(code.name)
    return family.search if (code.fingerprint, code.axes) == (ours.fingerprint, ours.axes) else None


def leech_shapes(code: Code) -> LeechShapes | None:
    """The shapes of a code that is a first shell of Λ24, whole or in part, in the promised order."""
    structure = structure_of(code)
    return structure if isinstance(structure, LeechShapes) else None


@functools.lru_cache(maxsize=32)
def _make(name: str, settings: tuple[tuple[str, int], ...]) -> Code:
    return _FAMILIES[name].builder(**dict(settings))


def _leech() -> Code:
    return Code("leech", LEECH.table(), math.sqrt(NORM_SQUARED))


def _leech_published() -> Code:
    return Code("leech-published", LEECH_PUBLISHED.table(), math.sqrt(NORM_SQUARED))


def _leech_shape(entry: int) -> Code:
    """The rows of `leech` whose greatest entry is ±2, ±3 or ±4."""
    rows = slice(*SHAPE_STARTS[entry - 2 : entry])
    return Code(f"leech{entry}", make_code("leech").integers[rows].copy(), math.sqrt(NORM_SQUARED))


_FAMILIES: dict[str, CodeFamily] = {
    "bw16": CodeFamily(bw16, Structure.BARNES_WALL),
    "e8": CodeFamily(e8, Structure.E8),
    "fibonacci": CodeFamily(
        fibonacci_code,
        note="a Kronecker sequence with steps of a generalised golden ratio, mapped to the sphere",
    ),
    "k12": CodeFamily(k12, Structure.COXETER_TODD),
    "leech": CodeFamily(
        _leech,
        LeechShapes(LEECH, (2, 3, 4)),
        note="the first shell of Λ24: octads and signs from one Golay code",
    ),
    "leech-published": CodeFamily(
        _leech_published,
        LeechShapes(LEECH_PUBLISHED, (2, 3, 4)),
        note="the published table: its octads and its signs come from two Golay codes, so codewords of the two "
        "shapes come as close as √3/2 where a true shell has 1",
    ),
    **{
        f"leech{entry}": CodeFamily(functools.partial(_leech_shape, entry), LeechShapes(LEECH, (entry,)))
        for entry in (2, 3, 4)
    },
    "leech-shell3": CodeFamily(
        second_shell,
        Structure.SECOND_SHELL,
        note="the second shell of Λ24",
    ),
    "random": CodeFamily(random_code, note="uniform directions, seed 0"),
}
