"""How much memory there is to be had."""

__all__ = ["free_memory"]

import os
from pathlib import Path

import torch


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
