"""Training runs of the app: each in a process of its own, one at a time, found again after a restart.

    <cache>/runs/NAME/   plan.json     what `python -m workbench fit` is given, and given again to go on
                         process.json  the number of the process
                         output.log    what it said; result.json: how it ended
                         run/          the engine's folder: log.jsonl, previews/, checkpoints/, model/
                         data/, held-out/

Whatever happens to the app, the process goes on; whatever happens to the process, the app reads what it left. A model
that is done is copied to `<cache>/NAME`, where every list of models finds it.
"""

__all__ = [
    "BODIES",
    "QUANTIZERS",
    "RunState",
    "Settings",
    "check_name",
    "folder_of",
    "list_runs",
    "pack_model",
    "resume",
    "start",
    "state_of",
    "stop",
]

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from workbench import hub
from workbench.errors import InputError, TrainingError, did_you_mean
from workbench.images.files import read_image
from workbench.tasks.fit.compare import CONTESTANTS
from workbench.tasks.fit.journal import read_log
from workbench.tasks.fit.recipes import tokenizer_recipe
from workbench.tasks.fit.run import to_mapping
from workbench.tasks.training_data import held_out_pictures

BODIES: Mapping[str, str] = MappingProxyType(
    {"smallest": "conv-tiny-8", "small": "conv-mini-8", "middle": "conv-small-8", "large": "conv-base-8"}
)
QUANTIZERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "leech": {"name": "leech"},
        "leech4": {"name": "leech4"},
        "e8": {"name": "e8"},
        **{name: CONTESTANTS[name].quantizer for name in ("bsq", "lfq", "fsq", "fibonacci", "vq")},
    }
)
MOST_MINUTES = 240.0
_NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}")

# Processes that this one started: they have to be waited for, or they stay as zombies and look alive.
_children: dict[str, subprocess.Popen] = {}


@dataclass(frozen=True)
class Settings:
    """What a person decides.

    Attributes:
        name: Of the run and of the model that it gives: lower-case letters, digits and hyphens.
        quantizer: A name of `QUANTIZERS`.
        body: A name of `BODIES`.
        minutes: Budget, at most 240.
        seed: Of everything.
        data: Folders of pictures to train on.
    """

    name: str
    quantizer: str = "leech"
    body: str = "smallest"
    minutes: float = 3.0
    seed: int = 0
    data: Sequence[Path] = ()


@dataclass(frozen=True)
class RunState:
    """How a run stands.

    Attributes:
        name: Of the run.
        state: `running`, `stopped` (it can go on), `done` or `failed`.
        message: A sentence for people.
        fraction: Share of the budget that is spent, in [0, 1].
        step: Steps done.
        losses: `(step, loss)` of each line of the log.
        evaluations: `step`, `psnr`, `words`, `entropy_bits` of each evaluation.
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


def check_name(name: str) -> None:
    """Refuse a name that a new run cannot have.

    Raises:
        InputError: if it is badly formed or taken.
    """
    taken = (folder_of(name) / "plan.json").exists() or (hub.cache_directory() / name).exists()
    if taken or name in hub.bundled():
        raise InputError(f"the name {name!r} is taken; choose another")


def folder_of(name: str) -> Path:
    """The folder of a run.

    Raises:
        InputError: if the name is none that a run can have.
    """
    if not _NAME.fullmatch(name or ""):
        raise InputError(f"a run is named by lower-case letters, digits and hyphens, up to 40, got {name!r}")
    return hub.cache_directory() / "runs" / name


def list_runs() -> list[str]:
    """Names of the runs there are, the newest first."""
    plans = (hub.cache_directory() / "runs").glob("*/plan.json")
    return [plan.parent.name for plan in sorted(plans, key=lambda p: p.stat().st_mtime, reverse=True)]


def start(settings: Settings) -> None:
    """Begin a run.

    Raises:
        InputError: if a setting is wrong, or the name is taken.
        TrainingError: if another run is at work.
    """
    folder = folder_of(settings.name)
    if settings.quantizer not in QUANTIZERS:
        raise InputError(did_you_mean("quantizer", settings.quantizer, QUANTIZERS))
    if settings.body not in BODIES:
        raise InputError(did_you_mean("body", settings.body, BODIES))
    if not 0.1 <= settings.minutes <= MOST_MINUTES:
        raise InputError(f"a run takes from 0.1 to {MOST_MINUTES:g} minutes, got {settings.minutes}")
    if not settings.data:
        raise InputError("no pictures to train on: give a folder, an archive, or choose the drawn set")
    check_name(settings.name)
    _check_alone()
    held_out = held_out_pictures(folder / "held-out")
    plan = {
        "task": "tokenizer",
        "recipe": _recipe(settings),
        "data": [str(path) for path in settings.data],
        "held_out": [str(path) for path in held_out],
        "out": str(folder / "run"),
    }
    hub.write_text(folder / "plan.json", json.dumps(plan, indent=2) + "\n")
    _spawn(settings.name)


def resume(name: str) -> None:
    """Let a run that was stopped or failed go on from its last checkpoint.

    Raises:
        InputError: if there is no such run, or it is done.
        TrainingError: if a run is at work.
    """
    state = state_of(name)
    if state.state == "done":
        raise InputError(f"run {name!r} is done; its model is in the lists")
    _check_alone()
    _spawn(name)


def stop(name: str, *, wait: float = 60.0) -> None:
    """Ask a run to save and end, and wait until it has.

    Raises:
        InputError: if there is no such run.
        TrainingError: if it does not end in time.
    """
    if state_of(name).state != "running":
        return
    number = _process(folder_of(name))
    with contextlib.suppress(ProcessLookupError):
        os.kill(number, signal.SIGTERM)
    until = time.monotonic() + wait
    while _running(name):
        if time.monotonic() > until:
            raise TrainingError(
                f"run {name!r} has not ended {wait:.0f} seconds after it was asked to; it saves its work"
            )
        time.sleep(0.1)


def state_of(name: str) -> RunState:
    """Read how a run stands, and give its model out when it is done.

    Raises:
        InputError: if there is no such run.
    """
    folder = folder_of(name)
    if not (folder / "plan.json").is_file():
        raise InputError(did_you_mean("run", name, list_runs()))
    plan = json.loads((folder / "plan.json").read_text(encoding="utf-8"))
    log = read_log(folder / "run")
    losses = [(line["step"], line["loss"]) for line in log if "loss" in line]
    evaluations = [{"step": line["step"], **line["evaluation"]} for line in log if "evaluation" in line]
    step = max((line.get("step", 0) for line in log), default=0)
    seconds = max((line.get("seconds", 0.0) for line in log), default=0.0)
    fraction = min(seconds / (60 * plan["recipe"]["run"]["minutes"]), 1.0)
    state, message = _stand(name, folder, fraction)
    model = _publish(name, folder) if state == "done" else None
    return RunState(name, state, message, fraction, step, losses, evaluations, _preview(folder), model)


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


def _recipe(settings: Settings) -> dict[str, Any]:
    """All values of the recipe: the one of a quick run, with what the person decided."""
    base = tokenizer_recipe("smoke")
    quantizer = dict(QUANTIZERS[settings.quantizer])
    run = replace(
        base.run,
        minutes=settings.minutes,
        seed=settings.seed,
        batch_size=16,
        log_every=10,
        evaluate_every=100,
        save_minutes=1.0,
    )
    recipe = replace(
        base,
        name=settings.name,
        body=BODIES[settings.body],
        quantizer=quantizer.pop("name"),
        quantizer_settings=quantizer,
        run=run,
        held_out_limit=6,
    )
    return to_mapping(recipe)


def _check_alone() -> None:
    for name in list_runs():
        if _running(name):
            raise TrainingError(f"run {name!r} is at work; one run at a time: stop it first, or wait until it is done")


def _spawn(name: str) -> None:
    """Start the process of a run; it outlives this one."""
    folder = folder_of(name)
    (folder / "result.json").unlink(missing_ok=True)
    spare = max((os.cpu_count() or 2) - 1, 1)  # one core stays with the app
    environment = {**os.environ, "OMP_NUM_THREADS": str(spare), "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "workbench", "fit", str(folder / "plan.json"), "--json"]
    with (folder / "output.log").open("ab") as said, (folder / "result.json").open("wb") as result:
        child = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=result,
            stderr=said,
            env=environment,
            cwd=Path(__file__).parents[2],
            start_new_session=True,
        )
    _children[name] = child
    hub.write_text(folder / "process.json", json.dumps({"process": child.pid}) + "\n")


def _process(folder: Path) -> int:
    return int(json.loads((folder / "process.json").read_text(encoding="utf-8"))["process"])


def _running(name: str) -> bool:
    """Whether the process of a run is alive, whoever started it."""
    child = _children.get(name)
    if child is not None and child.poll() is not None:
        del _children[name]
    folder = folder_of(name)
    if not (folder / "process.json").is_file():
        return False
    return str(folder / "plan.json") in _command_of(_process(folder))


def _command_of(process: int) -> str:
    """The command line of a process, empty if there is none: its number alone may long be another's."""
    if Path("/proc/self/cmdline").exists():
        try:
            return Path(f"/proc/{process}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except OSError:
            return ""
    return subprocess.run(
        ["ps", "-o", "command=", "-p", str(process)], capture_output=True, text=True, check=False
    ).stdout


def _stand(name: str, folder: Path, fraction: float) -> tuple[str, str]:
    """State of a run and a sentence about it."""
    if _running(name):
        return "running", f"running, {fraction:.0%} of its time"
    try:
        result = json.loads((folder / "result.json").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        said = (folder / "output.log").read_text(encoding="utf-8", errors="replace").strip().splitlines()
        last = said[-1] if said else "it said nothing"
        return "failed", f"the run ended before it was done: {last}"
    if result["reason"] == "done":
        return "done", f"done after {result['steps']:,} steps; the model is in the lists as {name}"
    return "stopped", f"stopped at {fraction:.0%} of its time; it can go on"


def _publish(name: str, folder: Path) -> Path | None:
    """Copy a finished model to where lists find it, whole or not at all."""
    model, place = folder / "run" / "model", hub.cache_directory() / name
    if not place.exists() and model.is_dir():
        aside = place.with_name(f".{name}.part")
        shutil.rmtree(aside, ignore_errors=True)
        shutil.copytree(model, aside)
        aside.rename(place)
    return place if place.is_dir() else None


def _preview(folder: Path) -> np.ndarray | None:
    previews = sorted((folder / "run" / "previews").glob("step_*.png"))
    return read_image(previews[-1]) if previews else None
