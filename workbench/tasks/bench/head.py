"""Time and memory of one training step, forward and backward, of the heads at one width and number of tokens.

Each head is measured in a process of its own. Time is the least of a few steps, or of two where steps are long.
Memory is the growth of the process's peak over what it held before the head was made, once code and tables are loaded:
weights, gradients and whatever the step needs, but no optimiser. The full head tries several chunks, and torch's own
chunked linear cross-entropy where it exists; its best is what the others are compared with.
"""

__all__ = ["HEADS", "HeadCost", "measure_head", "measure_heads"]

import gc
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from workbench.errors import InputError, did_you_mean
from workbench.lattices.codes.registry import make_code
from workbench.models.heads.digits import DigitsHead
from workbench.models.heads.full import FullHead
from workbench.models.heads.head import Head
from workbench.models.heads.lattice import LatticeHead
from workbench.progress import Progress, no_progress

_CHUNKS = (64, 128, 256)
_ENOUGH = 15.0  # seconds of one head
_LATTICE = {
    "lattice-1": {"components": 1},
    "lattice-8": {"components": 8},
    "lattice-1-words": {"components": 1, "word_logits": True},
    "lattice-8-words": {"components": 8, "word_logits": True},
}
HEADS = ("digits", *_LATTICE, *(f"full-{chunk}" for chunk in _CHUNKS), "full-torch")
_STATUS, _CLEAR = Path("/proc/self/status"), Path("/proc/self/clear_refs")


@dataclass(frozen=True)
class HeadCost:
    """What one step of a head costs.

    Attributes:
        name: One of `HEADS`.
        seconds: Of the fastest step.
        cpu_seconds: Processor time of the step that took least of it, all threads together.
        peak_bytes: Growth of the peak; None where the system does not tell.
        parameters: Numbers in the weights.
    """

    name: str
    seconds: float
    cpu_seconds: float
    peak_bytes: int | None
    parameters: int


def measure_heads(
    names: Sequence[str] = HEADS,
    *,
    width: int = 256,
    tokens: int = 4096,
    repeats: int = 5,
    threads: int | None = None,
    progress: Progress = no_progress,
) -> dict[str, Any]:
    """Measure heads, each in a process of its own, and compare them with the best of the full ones.

    Args:
        names: Some of `HEADS`.
        width: Features a token.
        tokens: Tokens a step.
        repeats: Steps to time at most; after two, steps are timed only until 15 seconds are spent.
        threads: Of each process; None for torch's own number.
        progress: Told the share done and a line of text.

    Returns:
        `width`, `tokens`, `threads`, `full` (the name of the best) and `heads`: for each its seconds, cpu_seconds,
        peak_bytes, parameters, and, where a full head was measured, times_faster and share_of_memory.

    Raises:
        InputError: if a name is unknown or a number is below 1.
    """
    unknown = [name for name in names if name not in HEADS]
    if unknown:
        raise InputError(did_you_mean("head", unknown[0], HEADS))
    if min(width, tokens, repeats) < 1:
        raise InputError(f"width, tokens and repeats must be at least 1, got {width}, {tokens} and {repeats}")
    threads = threads or torch.get_num_threads()
    costs: list[HeadCost] = []
    for number, name in enumerate(names):
        progress(number / len(names), name)
        with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
            costs.append(pool.submit(measure_head, name, width, tokens, repeats, threads).result())
    full = min((cost for cost in costs if cost.name.startswith("full")), key=lambda cost: cost.seconds, default=None)
    rows = []
    for cost in costs:
        row: dict[str, Any] = {
            "name": cost.name,
            "seconds": cost.seconds,
            "cpu_seconds": cost.cpu_seconds,
            "peak_bytes": cost.peak_bytes,
            "parameters": cost.parameters,
        }
        if full is not None:
            row["times_faster"] = full.seconds / cost.seconds
            row["share_of_memory"] = _share(cost.peak_bytes, full.peak_bytes)
        rows.append(row)
    return {
        "width": width,
        "tokens": tokens,
        "threads": threads,
        "full": None if full is None else full.name,
        "heads": rows,
    }


def measure_head(name: str, width: int, tokens: int, repeats: int, threads: int) -> HeadCost:
    """Measure one head in this process."""
    torch.set_num_threads(threads)
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(tokens, width, generator=generator).requires_grad_()
    indices = torch.randint(0, 196_560, (tokens,), generator=generator)
    weights = torch.full((tokens,), 1 / tokens)
    _step(_make(name, width), name, features[:32], indices[:32], weights[:32])  # loads code and tables
    features.grad = None
    before = _settle()
    head = _make(name, width)
    seconds, cpu_seconds = [], []
    while len(seconds) < min(2, repeats) or (len(seconds) < repeats and sum(seconds) < _ENOUGH):
        start, cpu_start = time.perf_counter(), time.process_time()
        _step(head, name, features, indices, weights)
        seconds.append(time.perf_counter() - start)
        cpu_seconds.append(time.process_time() - cpu_start)
        features.grad = None
        head.zero_grad(set_to_none=True)
    peak = _memory("VmHWM")
    grown = None if before is None or peak is None else max(0, peak - before)
    size = sum(parameter.numel() for parameter in head.parameters())
    return HeadCost(name, min(seconds), min(cpu_seconds), grown, size)


def _share(part: int | None, whole: int | None) -> float | None:
    return part / whole if part is not None and whole else None


def _make(name: str, width: int) -> Head:
    code = make_code("leech")
    if name == "digits":
        return DigitsHead(width, code)
    if name in _LATTICE:
        return LatticeHead(width, code, **_LATTICE[name])
    chunk = name.removeprefix("full-")
    return FullHead(width, code, chunk=int(chunk) if chunk.isdigit() else None)


def _step(head: Head, name: str, features: Tensor, indices: Tensor, weights: Tensor) -> None:
    if name == "full-torch" and isinstance(head, FullHead):
        options = torch.nn.LinearCrossEntropyOptions()
        loss = nn.functional.linear_cross_entropy(
            features, head.weight, indices, linear_bias=head.bias, options=options
        )
    else:
        loss, _ = head.loss(features, indices, weights)
    loss.backward()


def _settle() -> int | None:
    """Forget the peak so far; returns the bytes held now, or None where the system does not tell."""
    gc.collect()
    try:
        _CLEAR.write_text("5")
    except OSError:
        return None
    return _memory("VmRSS")


def _memory(field: str) -> int | None:
    try:
        lines = _STATUS.read_text().splitlines()
    except OSError:
        return None
    values = [line.split()[1] for line in lines if line.startswith(f"{field}:")]
    return int(values[0]) * 1024 if values else None
