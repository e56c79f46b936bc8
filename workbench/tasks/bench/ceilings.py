"""What a device can do at most, measured: bytes moved and operations, each a second.

No method can take less than its bytes over the one and its operations over the other. Bytes are those of a sum of two
large arrays into a third; operations those of a float32 matrix product (TF32 off), a multiplication and an addition
counted as two. Code without multiplications can reach half of that at best.
"""

__all__ = ["Ceilings", "finish", "measure_ceilings"]

import time
from collections.abc import Callable
from dataclasses import dataclass

import torch

_NUMBERS = 1 << 24  # 64 MiB an array, larger than caches
_SIDE, _SIDE_CUDA = 1024, 8192
_ROUNDS = 3


@dataclass(frozen=True)
class Ceilings:
    """The most that a device does.

    Attributes:
        bytes_per_second: Read and written together.
        operations_per_second: Float32 multiplications and additions.
    """

    bytes_per_second: float
    operations_per_second: float

    def seconds(self, moved: float, operations: float) -> float:
        """The least time for so many bytes and operations."""
        return max(moved / self.bytes_per_second, operations / self.operations_per_second)


def measure_ceilings(device: torch.device) -> Ceilings:
    """Measure a device with as many threads as torch has now; takes about a second."""
    a, b = torch.ones(2, _NUMBERS, device=device)
    c = torch.empty_like(a)
    side = _SIDE_CUDA if device.type == "cuda" else _SIDE
    x = torch.ones(side, side, device=device)
    y = torch.empty_like(x)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("highest")
    try:
        moving = _best(lambda: torch.add(a, b, out=c), device)
        counting = _best(lambda: torch.mm(x, x, out=y), device)
    finally:
        torch.set_float32_matmul_precision(before)
    return Ceilings(3 * a.nbytes / moving, 2 * side**3 / counting)


def finish(device: torch.device) -> None:
    """Wait until a device has done what it was given."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _best(work: Callable[[], object], device: torch.device) -> float:
    work()
    times = []
    for _ in range(_ROUNDS):
        finish(device)
        start = time.perf_counter()
        work()
        finish(device)
        times.append(time.perf_counter() - start)
    return min(times)
