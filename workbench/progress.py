"""The progress callback: long work tells the share done, in [0, 1], and what it is at; callers show it their way."""

__all__ = ["Progress", "no_progress", "part_of"]

from collections.abc import Callable

Progress = Callable[[float, str], object]


def no_progress(fraction: float, message: str) -> None:
    """Show nothing: the default of every `progress` argument."""


def part_of(progress: Progress, start: float, share: float) -> Progress:
    """The progress of a part of the work, which goes from `start` to `start + share` of the whole."""
    return lambda fraction, message: progress(start + share * fraction, message)
