"""Checkpoints that survive: a folder that is either whole or not there.

    checkpoints/step_00001000/
        weights.NAME.safetensors   average.NAME.safetensors   optimizer.NAME.safetensors
        state.json        step, clock, guard, running sums, best score, configuration
        manifest.json     size and SHA-256 of each file above
        COMPLETE          SHA-256 of the manifest

A folder is written whole (:mod:`workbench.atomic`), and only after that may older ones go: at any instant a kill leaves
the previous checkpoint, the new one, or both. COMPLETE is removed before a folder is, so that one that a kill left half
removed does not count. On resume the newest whole one is taken; one that is damaged is moved aside with a message that
names it; and where folders are there but none is whole the run refuses to start over by itself.

Nothing is pickled: tensors are safetensors, everything else is JSON, whose numbers survive the trip exactly.
"""

__all__ = ["Contents", "latest", "list_checkpoints", "read", "rotate", "step_of", "write"]

import hashlib
import json
import logging
import shutil
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from workbench import atomic
from workbench.errors import TrainingError

_log = logging.getLogger(__name__)
_PREFIX, _DAMAGED = "step_", ".damaged"


@dataclass(frozen=True)
class Contents:
    """What a checkpoint holds.

    Attributes:
        tensors: By file (`weights.NAME`, …), then by key; any shapes.
        state: Plain values.
    """

    tensors: Mapping[str, Mapping[str, Tensor]]
    state: Mapping[str, Any]


def write(folder: Path, step: int, contents: Contents) -> Path:
    """Write a checkpoint and return its path; one of the same step is replaced.

    Raises:
        TrainingError: if it cannot be written whole (a full disk, say); the earlier checkpoints are untouched.
    """
    from safetensors import SafetensorError
    from safetensors.torch import save_file

    final = folder / f"{_PREFIX}{step:08d}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with atomic.replaced_folder(final) as aside:
            for name, tensors in contents.tensors.items():
                path = aside / f"{name}.safetensors"
                # A copy of each: safetensors refuses tensors that share memory or are laid out otherwise.
                save_file({key: value.detach().cpu().contiguous().clone() for key, value in tensors.items()}, path)
                path.chmod(0o644)
            (aside / "state.json").write_text(json.dumps(contents.state, indent=1), encoding="utf-8")
            manifest = {path.name: {"bytes": path.stat().st_size, "sha256": _digest(path)} for path in aside.iterdir()}
            (aside / "manifest.json").write_text(json.dumps(manifest, indent=1), encoding="utf-8")
            (aside / "COMPLETE").write_text(_digest(aside / "manifest.json") + "\n", encoding="utf-8")
    except (OSError, SafetensorError) as error:
        kept = list_checkpoints(folder)
        raise TrainingError(
            f"cannot write checkpoint {final}: {error}. Make room or choose another folder; "
            f"{f'{kept[-1].name} is untouched' if kept else 'there is no earlier one'}"
        ) from error
    return final


def read(path: Path) -> Contents:
    """Read a checkpoint and verify every byte of it.

    Raises:
        TrainingError: if it is not complete, or a file is missing, has another size or another SHA-256.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        mark = (path / "COMPLETE").read_text().strip()
    except FileNotFoundError as error:
        raise TrainingError(f"{path} was not finished (no COMPLETE in it)") from error
    try:
        if _digest(path / "manifest.json") != mark:
            raise TrainingError(f"{path / 'manifest.json'} is not the file that was written")
        manifest = json.loads((path / "manifest.json").read_text())
        for name, entry in manifest.items():
            file = path / name
            if file.stat().st_size != entry["bytes"] or _digest(file) != entry["sha256"]:
                raise TrainingError(f"{file} is not the file that was written (another size or SHA-256)")
        names = sorted(name.removesuffix(".safetensors") for name in manifest if name.endswith(".safetensors"))
        tensors = {name: load_file(path / f"{name}.safetensors") for name in names}
        return Contents(tensors, json.loads((path / "state.json").read_text()))
    except (OSError, SafetensorError, json.JSONDecodeError, KeyError) as error:
        raise TrainingError(f"{path} cannot be read: {error}") from error


def latest(folder: Path) -> tuple[Path, Contents] | None:
    """Return the newest whole checkpoint; None where there never was one.

    What is damaged is moved aside with a message. Leftovers of a write that was cut off are removed.

    Raises:
        TrainingError: if there are checkpoints and none of them is whole.
    """
    for leftover in folder.glob(f".{_PREFIX}*"):
        _remove(leftover)
    found = list_checkpoints(folder)
    for path in reversed(found):
        try:
            return path, read(path)
        except TrainingError as error:
            damaged = path.with_name(path.name + _DAMAGED)
            _remove(damaged)
            path.rename(damaged)
            _log.warning("skipping a damaged checkpoint, moved to %s: %s", damaged, error)
    damaged = sorted(folder.glob(f"{_PREFIX}*{_DAMAGED}"))
    if damaged and any(path.is_dir() and (path / "COMPLETE").exists() for path in damaged):
        raise TrainingError(
            f"no checkpoint in {folder} is whole ({', '.join(path.name for path in damaged)}): repair one, "
            "or remove the folder to start again from step 0"
        )
    return None


def list_checkpoints(folder: Path) -> list[Path]:
    """The checkpoints in a folder, oldest first; whether they are whole is for :func:`read` to say."""
    return sorted(path for path in folder.glob(f"{_PREFIX}*") if path.name.removeprefix(_PREFIX).isdigit())


def step_of(path: Path) -> int:
    """The step that a checkpoint was written at.

    Example:
        >>> step_of(Path("checkpoints/step_00001000"))
        1000
    """
    return int(path.name.removeprefix(_PREFIX))


def rotate(folder: Path, *, keep_last: int, keep: Collection[int] = ()) -> None:
    """Remove all but the newest `keep_last` checkpoints and those of the steps `keep`."""
    for path in list_checkpoints(folder)[:-keep_last]:
        if step_of(path) not in keep:
            # Unmarked first, so that a kill in between leaves an unfinished folder, not a damaged one.
            (path / "COMPLETE").unlink(missing_ok=True)
            _remove(path)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
