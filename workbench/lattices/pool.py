"""Our own threads: a kernel that releases the interpreter's lock is run on pieces of a batch, one thread each.

Kernels themselves stay single-threaded (numba's own work queue aborts a process that enters it from two threads).
The pool is made at first use, holds as many threads as torch is allowed, and is made anew in a forked child.
"""

__all__ = ["run_split"]

import functools
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import torch


def run_split(kernel: Callable[[int, int], None], count: int, *, block: int = 1) -> None:
    """Call `kernel(start, stop)` on consecutive ranges that cover 0 … count, on several threads, and wait.

    Args:
        kernel: Must release the interpreter's lock and write only what belongs to its range.
        count: How many items there are.
        block: Ranges begin at multiples of this many items.

    Raises:
        Exception: the first error of any range, after all have ended.
    """
    threads = torch.get_num_threads()
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


@functools.lru_cache(maxsize=4)
def _pool(threads: int, process: int) -> ThreadPoolExecutor:  # noqa: ARG001  (a forked child needs threads of its own)
    return ThreadPoolExecutor(threads, thread_name_prefix="lattices")
