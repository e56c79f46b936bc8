"""The errors a person meets: each says what was got, what was expected and what to do.

Everything the workbench raises on purpose derives from :class:`WorkbenchError`, so a face (command line, app)
catches one class, shows one line, and goes on. Where an argument was wrong the error is a `ValueError` too.
"""

__all__ = [
    "ContainerError",
    "ImageError",
    "InputError",
    "ModelError",
    "TrainingError",
    "UnknownModelError",
    "WorkbenchError",
    "did_you_mean",
]

import difflib
from collections.abc import Iterable


class WorkbenchError(Exception):
    """Root of every error that the workbench raises on purpose."""


class InputError(WorkbenchError, ValueError):
    """An argument has the wrong value, shape or type."""


class ImageError(WorkbenchError):
    """A picture cannot be read, is too large, or is of a kind that is not accepted."""


class ModelError(WorkbenchError):
    """A model cannot be found, is damaged, or does not fit its configuration or codebook."""


class UnknownModelError(ModelError, InputError):
    """No model answers to a name: the argument was wrong, and nothing was damaged."""


class ContainerError(WorkbenchError):
    """A compressed file is damaged, from another version, or made with another model."""


class TrainingError(WorkbenchError):
    """A training run cannot start, go on, or be resumed."""


def did_you_mean(kind: str, name: str, known: Iterable[str]) -> str:
    """Return the sentence for an unknown name, with the nearest known one.

    Example:
        >>> did_you_mean("quantizer", "leach", ["leech", "bsq"])
        "unknown quantizer 'leach'; did you mean 'leech'? Known: bsq, leech"
    """
    names = sorted(known)
    near = difflib.get_close_matches(name, names, n=1)
    hint = f"; did you mean {near[0]!r}?" if near else "."
    return f"unknown {kind} {name!r}{hint} Known: {', '.join(names) or 'none'}"
