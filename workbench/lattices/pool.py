"""Our own threads: a kernel that releases the interpreter's lock is run on pieces of a batch, one thread each.

Kernels themselves stay single-threaded (numba's own work queue aborts a process that enters it from two threads).
The pool is made at first use, holds as many threads as torch is allowed (without torch: as many as `OMP_NUM_THREADS`
says, or one for each processor that the process may use), and is made anew in a forked child.
"""

__all__ = ["run_split"]

import functools
import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor


def run_split(kernel: Callable[[int, int], None], count: int, *, block: int = 1) -> None:
    """Call `kernel(start, stop)` on consecutive ranges that cover 0 … count, on several threads, and wait.

    Args:
        kernel: Must release the interpreter's lock and write only what belongs to its range.
        count: How many items there are.
        block: Ranges begin at multiples of this many items.

    Raises:
        Exception: the first error of any range, after all have ended.
    """
    threads = _num_threads()
    blocks = -(-count // block)
    if threads == 1 or blocks <= 1:
        if count:
            kernel(0, count)
        return
    pieces = min(blocks, 4 * threads if blocks >= 16 * threads else threads)
    bounds = [min(count, (blocks * piece // pieces) * block) for piece in range(pieces)] + [count]
    futures = [_pool(threads, os.getpid()).submit(kernel, *bounds[piece : piece + 2]) for piece in range(pieces)]
    errors = [error for future in futures if (error := future.exception()) is not None]
    if errors:
        raise errors[0]


def _num_threads() -> int:
    torch = sys.modules.get("torch")
    return torch.get_num_threads() if torch else _own_threads()


@functools.cache
def _own_threads() -> int:
    chosen = os.environ.get("OMP_NUM_THREADS", "")
    if chosen.isdecimal() and int(chosen):
        return int(chosen)
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


@functools.lru_cache(maxsize=4)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001  (a forked child needs threads of its own)
    return ThreadPoolExecutor(threads, thread_name_prefix="lattices")
