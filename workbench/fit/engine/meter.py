"""How fast a run goes and how long it still takes, told a few times a second at most."""

__all__ = ["Meter"]

import time
from collections import deque
from collections.abc import Callable

_EVERY = 0.3  # seconds between two messages
_WINDOW = 30.0  # seconds over which speed is measured


class Meter:
    """Counts steps and speaks to a progress callback.

    Args:
        batch_size: Samples a step.
        unit: What a sample is called, in the plural.
        progress: Told the share of the budget spent and a line of text.
    """

    def __init__(self, batch_size: int, unit: str, progress: Callable[[float, str], object]) -> None:
        self.batch_size, self.unit, self.progress = batch_size, unit, progress
        self.loss: float | None = None
        self._marks: deque[tuple[float, float, int]] = deque()  # time, share spent, steps done
        self._told = 0.0
        self._lap: tuple[float, int] | None = None

    def step(self, index: int, spent: float, skipped: int) -> None:
        """Count one step and say so if it is time."""
        now = time.monotonic()
        if self._marks and now - self._told < _EVERY:
            return
        self._told = now
        self._marks.append((now, spent, index))
        while now - self._marks[0][0] > _WINDOW and len(self._marks) > 2:
            self._marks.popleft()
        parts = [f"step {index}", f"{self.per_second:.1f} {self.unit}/s", self._left()]
        if self.loss is not None:
            parts.insert(1, f"loss {self.loss:.4g}")
        if skipped:
            parts.append(f"{skipped} bad batches")
        self.progress(min(spent, 1.0), " · ".join(part for part in parts if part))

    def lap(self, index: int) -> float | None:
        """Samples a second since the last lap; None for the first."""
        now, last = time.monotonic(), self._lap
        self._lap = (now, index)
        return round((index - last[1]) * self.batch_size / (now - last[0]), 1) if last and now > last[0] else None

    @property
    def per_second(self) -> float:
        """Samples a second, lately; 0 at the start."""
        if len(self._marks) < 2:
            return 0.0
        (then, _, first), (now, _, last) = self._marks[0], self._marks[-1]
        return (last - first) * self.batch_size / (now - then)

    def _left(self) -> str:
        if len(self._marks) < 2 or self._marks[-1][1] <= self._marks[0][1]:
            return ""
        (then, before, _), (now, spent, _) = self._marks[0], self._marks[-1]
        seconds = (1 - spent) * (now - then) / (spent - before)
        if seconds < 90:
            return f"{seconds:.0f} s left"
        return f"{seconds / 60:.0f} min left" if seconds < 5400 else f"{seconds / 3600:.1f} h left"
