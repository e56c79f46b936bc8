"""The record of a run: one JSON object a line, a curve that has no gap and no line twice however often it was resumed.

    {"step": 50, "seconds": 4.1, "rate": 0.0003, "loss": 0.12, ...}             means since the line before
    {"step": 1000, "evaluation": {"psnr": 24.6, ...}}
    {"step": 1000, "event": "resumed from step_00001000"}

On resume the lines after the checkpoint are cut off, since those steps are done again. Running sums since the last
line go into the checkpoint, so that a resumed curve equals an uninterrupted one in every line.
"""

__all__ = ["Journal", "read_log"]

import contextlib
import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from workbench import atomic
from workbench.errors import InputError


class Journal:
    """Appends to `log.jsonl` in a run's folder, and to TensorBoard files where asked.

    Args:
        folder: The run's folder.
        step: Step that the run goes on from; later lines are cut off.
        tensorboard: Write TensorBoard files too.

    Raises:
        InputError: if TensorBoard is asked for and not installed.
    """

    def __init__(self, folder: Path, *, step: int, tensorboard: bool = False) -> None:
        self.path = folder / "log.jsonl"
        _cut(self.path, step)
        self._file = self.path.open("ab", buffering=0)  # a line is one write: nothing waits, nothing is half there
        self._board = _board(folder, step) if tensorboard else None

    def close(self) -> None:
        """Close the files."""
        self._file.close()
        if self._board:
            self._board.close()

    def line(self, step: int, values: Mapping[str, Any]) -> None:
        """Append one line; numbers that are not finite become null."""
        plain = _finite({"step": step, **values})
        self._file.write((json.dumps(plain, ensure_ascii=False) + "\n").encode())
        if self._board:
            for name, value in values.items():
                group = value if isinstance(value, Mapping) else {"": value}
                for part, number in group.items():
                    if isinstance(number, int | float):
                        self._board.add_scalar(f"{name}/{part}".rstrip("/"), number, step)

    def picture(self, step: int, image: Any) -> None:  # noqa: ANN401 - uint8 (H, W, 3)
        """Show a picture in TensorBoard."""
        if self._board:
            self._board.add_image("preview", image, step, dataformats="HWC")


def read_log(folder: Path) -> list[dict[str, Any]]:
    """The lines of a run's log; one that was cut off in the middle is left out."""
    path = folder / "log.jsonl"
    return list(_lines(path)) if path.exists() else []


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            yield json.loads(line)


def _cut(path: Path, step: int) -> None:
    """Drop the lines after `step`, and a last line that was cut off in the middle."""
    if not path.exists():
        return
    kept = [json.dumps(entry, ensure_ascii=False) + "\n" for entry in _lines(path) if entry.get("step", 0) <= step]
    atomic.write_text(path, "".join(kept))


def _finite(value: Any) -> Any:  # noqa: ANN401 - any JSON value
    if isinstance(value, Mapping):
        return {key: _finite(part) for key, part in value.items()}
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _board(folder: Path, step: int) -> Any:  # noqa: ANN401 - a SummaryWriter, imported only here
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise InputError(
            "run.tensorboard needs the package tensorboard: pip install 'lambda24-workbench[train]'"
        ) from error
    return SummaryWriter(str(folder / "tensorboard"), purge_step=step)
