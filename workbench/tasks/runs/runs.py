"""Training runs of the app: each in a process of its own, one at a time, found again after a restart.

    <cache>/runs/NAME/   plan.json    what `python -m workbench fit` is given, and given again to go on
                         output.log   what it said; result.json: how it ended; asked: there if it was asked to end
                         run/         the engine's folder: log.jsonl, previews/, checkpoints/, model/
                         data/, held-out/

Whatever happens to the app, the process goes on; whatever happens to the process, the app reads what it left. A model
that is done is copied to `<cache>/NAME`, where every list of models finds it.
"""

__all__ = [
    "RunState",
    "free_name",
    "give_out_finished",
    "list_runs",
    "pack_model",
    "resume",
    "start",
    "state_of",
    "stop",
]

import json
import logging
import os
import re
import shutil
import sys
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workbench import atomic, hub
from workbench.atomic import whole_folder
from workbench.errors import ImageError, InputError, TrainingError, did_you_mean
from workbench.fit.engine.journal import read_log
from workbench.images.files import read_image
from workbench.progress import Progress, no_progress
from workbench.tasks.runs import process as run_process
from workbench.tasks.runs.data import held_out_pictures, synthetic_folder, unpack
from workbench.tasks.runs.settings import Settings, check, recipe_of

_log = logging.getLogger(__name__)

_LEAST_ROOM = 1 << 30  # bytes free on the disk before a run may begin
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")
_RESERVED = frozenset({"runs", "drawn"})  # folders of the cache that hold no model
_SAVING = 60.0  # seconds that a run may take to save when it is asked to end


@dataclass(frozen=True)
class RunState:
    """How a run stands.

    Attributes:
        name: Of the run.
        state: `running`, `stopping` (it saves its work), `stopped` (it can go on), `failed` (it may), or `done`.
        message: A sentence for people.
        fraction: Share of the budget that is spent, in [0, 1].
        step: Steps done.
        losses: `(step, loss)` of each line of the log that has a finite loss.
        evaluations: `step`, `psnr` (dB), `words`, `entropy_bits` of each evaluation.
        preview: The newest preview, uint8, shape (H, W, 3): pictures above, what came back below.
        model: Folder of the finished model, None before.
    """

    name: str
    state: str
    message: str
    fraction: float
    step: int
    losses: Sequence[tuple[int, float]] = field(repr=False)
    evaluations: Sequence[Mapping[str, float]] = field(repr=False)
    preview: np.ndarray | None = field(repr=False)
    model: Path | None


def list_runs() -> list[str]:
    """Names of the runs there are, the newest first."""
    plans = [plan for plan in _root().glob("*/plan.json") if _NAME.fullmatch(plan.parent.name)]
    return [plan.parent.name for plan in sorted(plans, key=lambda plan: plan.stat().st_mtime_ns, reverse=True)]


def free_name() -> str:
    """A name that a new run can have."""
    return next(name for number in range(1, 1_000_000) if not _taken(name := f"mine-{number}"))


def start(settings: Settings, *, progress: Progress = no_progress) -> None:
    """Begin a run; returns when its process has been started.

    Args:
        settings: What a person decides.
        progress: Told how far its pictures are, where they have to be made.

    Raises:
        InputError: if a setting is wrong, the name is taken, or the archive cannot be used.
        TrainingError: if another run is at work, the disk is full, or the process cannot be started.
    """
    folder = _folder(settings.name)
    check(settings)
    if _taken(settings.name):
        raise _is_taken(settings.name)
    with run_process.alone(_root()) as lock:
        if _taken(settings.name):
            raise _is_taken(settings.name)
        _check_room()
        try:
            shutil.rmtree(folder, ignore_errors=True)  # what an app left that died while it prepared this run
            plan = {
                "task": "tokenizer",
                "recipe": recipe_of(settings),
                "data": [str(path) for path in _pictures(settings, folder, progress)],
                "held_out": [str(path) for path in held_out_pictures(folder / "held-out")],
                "out": str(folder / "run"),
            }
            atomic.write_text(folder / "plan.json", json.dumps(plan, indent=2) + "\n")
            _begin(settings.name, folder, lock)
        except BaseException as error:
            shutil.rmtree(folder, ignore_errors=True)
            if isinstance(error, OSError):
                raise TrainingError(f"cannot prepare run {settings.name!r} in {_root()}: {error}") from error
            raise


def resume(name: str) -> None:
    """Let a run that was stopped or failed go on from its last checkpoint.

    Raises:
        InputError: if there is no such run, or it is done.
        TrainingError: if a run is at work, the disk is full, or the process cannot be started.
    """
    if state_of(name).state == "done":
        raise InputError(f"run {name!r} is done; its model is in the lists")
    with run_process.alone(_root()) as lock:
        _check_room()
        _begin(name, _folder(name), lock)


def stop(name: str, *, wait: float = _SAVING) -> None:
    """Let a run save its work and end; returns when it has.

    Args:
        name: Of the run.
        wait: Seconds that saving may take. A run that takes longer is ended by force and keeps its last checkpoint.

    Raises:
        InputError: if there is no such run.
        TrainingError: if it cannot be ended.
    """
    if state_of(name).state not in ("running", "stopping"):
        return
    try:
        (_folder(name) / "asked").touch(exist_ok=False)
        first = True
    except FileExistsError:
        first = False
    run_process.end(_root(), name, ask=first, wait=wait)


def state_of(name: str) -> RunState:
    """Read how a run stands, and give its model out when it is done.

    Raises:
        InputError: if there is no such run.
    """
    folder = _folder(name)
    try:
        run = json.loads((folder / "plan.json").read_text(encoding="utf-8"))["recipe"]["run"]
        steps, minutes = run.get("steps"), run.get("minutes") or 1.0
    except FileNotFoundError:
        raise InputError(did_you_mean("run", name, list_runs())) from None
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise InputError(f"{folder / 'plan.json'} is not the plan of a run: {error}; remove {folder}") from error
    state, said = _stand(name, folder)  # before the log: what a run that has ended wrote is all there
    log = read_log(folder / "run")
    losses = [(line["step"], line["loss"]) for line in log if line.get("loss") is not None]
    evaluations = [{"step": line["step"], **line["evaluation"]} for line in log if "evaluation" in line]
    step = max((line.get("step", 0) for line in log), default=0)
    seconds = max((line.get("seconds", 0.0) for line in log), default=0.0)
    spent = step / steps if steps else seconds / (60 * minutes)
    fraction = 1.0 if state == "done" else min(spent, 1.0)
    message = {
        "running": f"{fraction:.0%} of its budget is spent" if log else "starting",
        "stopping": "it saves its work and ends",
        "stopped": f"at {fraction:.0%} of its budget; it can go on",
        "done": f"its model is in the lists as {name}",
        "failed": f"the run ended before it was done: {said}",
    }[state]
    model = _give_out(folder, hub.cache_directory() / name) if state == "done" else None
    return RunState(name, state, message, fraction, step, losses, evaluations, _preview(folder), model)


def give_out_finished() -> None:
    """Put the models of runs that ended while nobody looked into the lists."""
    for name in list_runs():
        if _result(_folder(name)) == "done":
            try:
                _give_out(_folder(name), hub.cache_directory() / name)
            except OSError as error:
                _log.warning("the model of run %s cannot be put into the lists: %s", name, error)


def pack_model(name: str, folder: Path) -> Path:
    """Write the finished model of a run as `NAME.zip` into a folder.

    Raises:
        InputError: if it is not done.
    """
    model = state_of(name).model
    if model is None:
        raise InputError(f"run {name!r} has no finished model yet")
    path = folder / f"{name}.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(model.iterdir()):
            archive.write(file, f"{name}/{file.name}")
    return path


def _root() -> Path:
    return hub.cache_directory() / "runs"


def _folder(name: str) -> Path:
    """The folder of a run; refuses a name that none can have."""
    if not isinstance(name, str) or not _NAME.fullmatch(name) or name in _RESERVED:
        raise InputError(f"a run is named by lower-case letters, digits and hyphens, up to 40, got {name!r}")
    return _root() / name


def _taken(name: str) -> bool:
    places = (_folder(name) / "plan.json", hub.cache_directory() / name, hub.PRETRAINED / name)
    return any(place.exists() for place in places)


def _is_taken(name: str) -> InputError:
    return InputError(f"the name {name!r} is taken; choose another, such as {free_name()!r}")


def _check_room() -> None:
    free = shutil.disk_usage(_root()).free
    if free < _LEAST_ROOM:
        raise TrainingError(
            f"{free >> 20} MiB are free in {_root()}, a run wants {_LEAST_ROOM >> 20}: make room there first, "
            "or set WORKBENCH_CACHE to a folder on another disk"
        )


def _pictures(settings: Settings, folder: Path, progress: Progress) -> list[Path]:
    """What the run trains on, made where it has to be."""
    places = [Path(path).resolve() for path in settings.data]
    if settings.archive is not None:
        unpack(settings.archive, folder / "data")
        places.append(folder / "data")
    return places or [synthetic_folder(hub.cache_directory() / "drawn", progress=progress)]


def _begin(name: str, folder: Path, lock: int) -> None:
    (folder / "asked").unlink(missing_ok=True)
    spare = max((os.cpu_count() or 2) - 1, 1)  # one core stays with the app
    place = hub.cache_directory() / name

    def give_out_if_done() -> None:
        if _result(folder) == "done":
            _give_out(folder, place)

    run_process.begin(
        _root(),
        lock,
        name,
        [sys.executable, "-m", "workbench", "fit", str(folder / "plan.json"), "--json"],
        folder=folder,
        environment={"OMP_NUM_THREADS": str(spare), "PYTHONUNBUFFERED": "1"},
        at_end=give_out_if_done,
    )


def _stand(name: str, folder: Path) -> tuple[str, str]:
    """State of a run, and the last thing it said if it failed."""
    process = run_process.at_work(_root())
    asked = (folder / "asked").exists()
    if process is not None and process.run == name:
        return "stopping" if asked else "running", ""
    reason = _result(folder)
    if reason == "done":
        return "done", ""
    if reason is not None or asked:
        return "stopped", ""
    try:
        said = (folder / "output.log").read_text(encoding="utf-8", errors="replace").strip()
    except FileNotFoundError:
        said = ""
    return "failed", said.rpartition("\n")[2] or "it said nothing"


def _result(folder: Path) -> str | None:
    """The reason with which a run ended, None if it could not say."""
    try:
        return str(json.loads((folder / "result.json").read_text(encoding="utf-8"))["reason"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _give_out(folder: Path, place: Path) -> Path | None:
    """Copy a finished model to where lists find it, whole or not at all."""
    model = folder / "run" / "model"
    if not place.exists() and model.is_dir():
        with whole_folder(place, beside=folder) as aside:
            shutil.copytree(model, aside, dirs_exist_ok=True)
    return place if place.is_dir() else None


def _preview(folder: Path) -> np.ndarray | None:
    previews = sorted((folder / "run" / "previews").glob("step_*.png"))
    try:
        return read_image(previews[-1]) if previews else None
    except ImageError:
        return None
