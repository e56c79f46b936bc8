"""When to save, where, and what to go on from: the checkpoints of one run, agreed between its processes."""

__all__ = ["Keeper"]

import logging
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from workbench.errors import TrainingError
from workbench.fit.engine import checkpoint
from workbench.fit.engine.distributed import World
from workbench.fit.engine.settings import Run, differences
from workbench.fit.engine.state import State

_log = logging.getLogger(__name__)


class Keeper:
    """Saves and finds the checkpoints of a run.

    Args:
        folder: The run's folder.
        run: The settings.
        world: The processes; the first one writes.
        config: The whole configuration, kept in each checkpoint.
    """

    def __init__(self, folder: Path, run: Run, world: World, config: Mapping[str, Any]) -> None:
        self.folder = folder / "checkpoints"
        self.run, self.world, self.config = run, world, config
        self.saved: Path | None = None
        self._last = time.monotonic()

    def resume(self, state: State) -> None:
        """Bring `state` to the newest whole checkpoint; leave it where there is none.

        Raises:
            TrainingError: if there are checkpoints and none can be used.
        """
        found = checkpoint.latest(self.folder) if self.world.first else None
        step = int(self.world.largest([checkpoint.step_of(found[0]) if found else -1])[0])
        if step < 0:
            return
        self.saved = self._path(step)
        contents = found[1] if found else checkpoint.read(self.saved)
        state.restore(contents)
        if state.index != step:
            raise TrainingError(f"{self.saved} says it is of step {state.index}; its folder was renamed")
        if self.world.first:
            _log.info("going on from %s", self.saved)
            for change in differences(contents.state["config"], self.config):
                _log.warning("resuming with another setting: %s", change)

    @property
    def due(self) -> bool:
        """Whether the clock says that it is time to save."""
        return self.run.save_minutes is not None and time.monotonic() - self._last > 60 * self.run.save_minutes

    def save(self, state: State) -> Path:
        """Save unless this step is saved already; every process must call this alike.

        Raises:
            TrainingError: if it cannot be written.
        """
        self._last = time.monotonic()
        path = self._path(state.index)
        if path == self.saved:
            return path
        contents = state.contents(self.config)
        if self.world.first:
            checkpoint.write(self.folder, state.index, contents)
            keep = {state.best["step"]} if state.best and self.run.keep_best else set()
            checkpoint.rotate(self.folder, keep_last=self.run.keep_last, keep=keep)
        self.world.wait()
        self.saved = path
        return path

    def _path(self, step: int) -> Path:
        return self.folder / f"step_{step:08d}"
