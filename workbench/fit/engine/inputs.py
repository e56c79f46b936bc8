"""What every training is given, whatever it trains; plans of tokenizers, generators, tables and studies add to it."""

__all__ = ["Inputs", "Trained", "hardware", "required"]

import os
import platform
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import torch

from workbench.errors import InputError


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """What to train on, and where to.

    Attributes:
        data: Folders, files or tar shards to train on.
        held_out: Likewise, to evaluate on.
        set: Overrides `key=value` of the recipe.
        out: The run's folder; None for the one that the task names.
        command: The command line that made the plan, for the card.
    """

    data: tuple[str, ...]
    held_out: tuple[str, ...] = ()
    set: tuple[str, ...] = ()
    out: str | None = None
    command: str = field(default="", compare=False)


@dataclass(frozen=True)
class Trained:
    """What came of a plan.

    Attributes:
        figures: One flat row: how the run ended, its scores.
        model: Where the result lies.
        exit_code: 0 done, 128 + n ended by signal n.
    """

    figures: Mapping[str, object]
    model: Path
    exit_code: int = 0


def required(data: tuple[str, ...]) -> tuple[str, ...]:
    """Return what is to be trained on.

    Raises:
        InputError: if it is nothing.
    """
    if not data:
        raise InputError("no data given: pass --data with folders of pictures, pictures or tar shards")
    return data


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
