"""How much memory there is to be had, and what a big load will take of it."""

__all__ = ["announce", "free_memory"]

import logging
import os
from pathlib import Path

import torch

_BIG = 200_000_000  # bytes from which a load is announced
_BYTES_A_SECOND = 5e8  # a disk of no great speed, and checking every number

_log = logging.getLogger(__name__)


def free_memory(device: torch.device | None = None) -> int | None:
    """Bytes that can be had now without swapping, where the system tells.

    Args:
        device: Whose; None for the machine's.
    """
    if device is not None and device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    facts = Path("/proc/meminfo")
    if facts.exists():  # of Linux, which counts what its caches would give back
        for line in facts.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024 * int(line.split()[1])
    try:
        return os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    except (AttributeError, OSError, ValueError):
        return None


def announce(what: str, size: int, *, copies: int = 1) -> None:
    """Say what a big load will take, before it begins.

    Args:
        what: The sentence's beginning.
        size: Bytes that are read.
        copies: How many of these stay in memory.
    """
    if size < _BIG:
        return
    free = free_memory()
    memory = f", {copies * size / 1e9:.1f} GB of memory" if copies else ""
    have = f" ({free / 1e9:.1f} GB are free)" if free is not None and copies else ""
    _log.warning("%s: %.1f GB to read%s%s, about %.0f s", what, size / 1e9, memory, have, size / _BYTES_A_SECOND)
