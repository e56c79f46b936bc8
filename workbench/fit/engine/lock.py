"""One process writes into a run's folder: an advisory lock that the system lets go of when its owner dies."""

__all__ = ["locked"]

import fcntl
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from workbench.errors import TrainingError


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold `folder/lock` for the length of the block.

    Raises:
        TrainingError: if another process holds it, or the folder cannot be written.
    """
    path = folder / "lock"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise TrainingError(f"cannot write into {folder}: {error.strerror}; choose another folder") from error
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            owner = os.read(handle, 200).decode(errors="replace").strip() or "another process"
            raise TrainingError(
                f"{folder} is in use by {owner}: stop that run first, or choose another folder"
            ) from error
        os.ftruncate(handle, 0)
        os.write(handle, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
        yield
    finally:
        os.close(handle)  # lets go of the lock; the file stays, since removing it would race with the next owner
