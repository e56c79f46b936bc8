"""A plan: which recipe on which data into which folder; the same in a file, on a command line and in the app.

    {"task": "tokenizer", "recipe": "photo-leech-mae", "set": ["run.minutes=30"], "data": ["photos/"],
     "held_out": ["dev.tar"], "out": "runs/first", "init_from": null}

`recipe` is a name, or all values of one: a run writes its plan in that form to `run.json`, so the file of any run
repeats it.
"""

__all__ = ["Plan", "hardware", "read_plan"]

import json
import os
import platform
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from workbench.errors import InputError
from workbench.fit.engine.settings import from_mapping


@dataclass(frozen=True)
class Plan:
    """What to train, on what, and where to.

    Attributes:
        task: What is trained.
        recipe: A recipe's name, or its values.
        data: Folders, files or tar shards to train on.
        out: The run's folder; None for `runs/` and the recipe's name.
        held_out: Pictures to evaluate on.
        set: Overrides `key=value` of the recipe.
        init_from: A model to begin from: a name, a folder or a hub id.
        command: The command line that made the plan, for the card.
    """

    data: tuple[str, ...]
    task: Literal["tokenizer"] = "tokenizer"
    recipe: str | dict[str, Any] = "smoke"
    out: str | None = None
    held_out: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    init_from: str | None = None
    command: str = field(default="", compare=False)


def read_plan(path: Path) -> Plan:
    """Read a plan from a JSON file.

    Raises:
        InputError: if it cannot be read, or has a key that is unknown or a value that does not fit.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the plan {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected one JSON object with data, recipe and out, got a {type(values).__name__}")
    return from_mapping(Plan, values, what="key of the plan")


def hardware(device: torch.device) -> str:
    """The machine in words, for cards and logs."""
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    name = platform.processor() or platform.machine()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        models = [line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines() if "model name" in line]
        name = models[0] if models else name
    return f"{name}, {torch.get_num_threads()} of {os.cpu_count()} cores"
