"""Faces: a package shows names of its modules, and loads a module when one of its names is first asked for (PEP 562).

A package lists its names twice: with their homes for the program, and as imports under `TYPE_CHECKING` for type
checkers and editors, which then see the real types. A test compares the two lists.
"""

__all__ = ["show"]

from collections.abc import Mapping
from importlib import import_module
from typing import cast


def show(namespace: dict[str, object], homes: Mapping[str, str]) -> None:
    """Let a package show names, each of which loads on first use.

    Args:
        namespace: `globals()` of the package; gets `__all__`, `__getattr__` and `__dir__`. What its `__all__` holds
            already is shown too.
        homes: Name → dotted name of the module that has it.
    """
    package = namespace["__name__"]
    names = [*cast("list[str]", namespace.get("__all__", [])), *homes]

    def load(name: str) -> object:
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}; it has {', '.join(homes)}")
        value = namespace[name] = getattr(import_module(homes[name]), name)
        return value

    namespace |= {"__all__": names, "__getattr__": load, "__dir__": lambda: sorted(names)}
