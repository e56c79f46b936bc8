"""The process of a training run: one at a time for all who share a cache, alive or not beyond doubt.

    <root>/lock           locked by the process for as long as it lives
    <root>/running.json   of which run it is, and its number

Whoever starts a process takes the lock first and hands it down to it as an open file. The system lets go of it when
the process ends, however it ends: no number that another process has got since is ever taken for a run, no run that
was killed looks alive, and of two apps that start a run at once one is told to wait.
"""

__all__ = ["Process", "alone", "at_work", "begin", "end"]

import contextlib
import fcntl
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from workbench import atomic
from workbench.errors import TrainingError

_LOOK = 0.05  # seconds between two looks at the lock
_PATIENCE = 20  # looks before the lock counts as taken: one who only looks holds it for an instant


@dataclass(frozen=True)
class Process:
    """A process at work.

    Attributes:
        run: The run it belongs to; empty while it is being prepared.
        number: Its number; `None` while it is being started.
    """

    run: str = ""
    number: int | None = None


def at_work(root: Path) -> Process | None:
    """The process that is at work under `root`, if there is one."""
    try:
        handle = os.open(root / "lock", os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
        return None
    except BlockingIOError:
        pass
    finally:
        os.close(handle)
    try:
        return Process(**json.loads((root / "running.json").read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return Process()


@contextmanager
def alone(root: Path) -> Iterator[int]:
    """Hold the lock for the length of the block, and beyond it for a process that was begun with it.

    Yields:
        The lock as an open file, for :func:`begin`.

    Raises:
        TrainingError: if a process is at work, or `root` cannot be written.
    """
    try:
        root.mkdir(parents=True, exist_ok=True)
        handle = os.open(root / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as error:
        raise TrainingError(f"cannot write into {root}: {error.strerror}") from error
    try:
        for look in range(_PATIENCE):
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if look == _PATIENCE - 1:
                    process = at_work(root)
                    who = f"run {process.run!r} is at work" if process and process.run else "a run is about to start"
                    raise TrainingError(f"{who}; one run at a time: stop it first, or wait until it is done") from error
                time.sleep(_LOOK)
        (root / "running.json").unlink(missing_ok=True)
        yield handle
    finally:
        os.close(handle)  # a process that was begun meanwhile has the lock still


def begin(
    root: Path,
    lock: int,
    run: str,
    command: Sequence[str],
    *,
    folder: Path,
    environment: Mapping[str, str],
    at_end: Callable[[], object],
) -> None:
    """Start the process of a run, in a session of its own, so that it outlives this one.

    Args:
        root: Where the lock is.
        lock: What :func:`alone` gave.
        run: Name of the run.
        command: Program and arguments.
        folder: Gets `result.json`, what it writes to stdout, and `output.log`, all else that it says.
        environment: Variables beside the ones of this process.
        at_end: Called when it has ended, if this process still lives then; from a thread.

    Raises:
        TrainingError: if it cannot be started.
    """
    _say(root, Process(run))
    try:
        with (folder / "output.log").open("ab") as said, (folder / "result.json").open("wb") as result:
            child = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=result,
                stderr=said,
                env={**os.environ, **environment},
                cwd=Path(__file__).parents[2],
                pass_fds=(lock,),
                start_new_session=True,
            )
    except OSError as error:
        raise TrainingError(f"cannot start the process of run {run!r}: {error}") from error
    _say(root, Process(run, child.pid))
    threading.Thread(target=_see_off, args=(child, folder, at_end), daemon=True, name=f"run {run}").start()


def end(root: Path, run: str, *, ask: bool, wait: float) -> None:
    """See to it that a run's process ends; returns when it has.

    Args:
        root: Where the lock is.
        run: Name of the run.
        ask: Ask it to end; False if somebody has: asked twice, it would end without saving.
        wait: Seconds that it may take to save its work; after them it is ended by force.

    Raises:
        TrainingError: if it does not end even so.
    """
    until, signals = time.monotonic() + wait, [signal.SIGTERM] if ask else []
    while (process := at_work(root)) and process.run == run:
        late = time.monotonic() - until
        if late > 30:
            raise TrainingError(f"run {run!r} cannot be ended: process {process.number} hangs in the system")
        if process.number is not None and (signals or late > 0):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.number, signals.pop() if signals else signal.SIGKILL)
        time.sleep(_LOOK)


def _say(root: Path, process: Process) -> None:
    atomic.write_text(root / "running.json", json.dumps({"run": process.run, "number": process.number}) + "\n")


def _see_off(child: subprocess.Popen, folder: Path, at_end: Callable[[], object]) -> None:
    """Wait for a process, so that it does not stay behind as a zombie; note what it could not say itself."""
    status = child.wait()
    with contextlib.suppress(OSError):  # the folder may be gone
        if status < 0:
            with (folder / "output.log").open("a", encoding="utf-8") as said:
                said.write(f"ended by signal {-status} ({signal.strsignal(-status)})\n")
        at_end()
