"""The progress callback: long work tells the share done, in [0, 1], and what it is at; callers show it their way."""

__all__ = ["Progress", "no_progress"]

from collections.abc import Callable

Progress = Callable[[float, str], object]


def no_progress(fraction: float, message: str) -> None:
    """Show nothing: the default of every `progress` argument."""
