"""Processes to be killed, forked from one that has imported everything, so that each starts at once.

In a module of a name of its own: a child finds its function by name, and there are several modules called conftest.
"""

import multiprocessing
import os
import sys
import time
from importlib import import_module
from multiprocessing import forkserver
from pathlib import Path

PATIENCE = 900.0  # seconds, far more than any machine needs


class Nursery:
    """Runs training programs in processes of their own."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.count = folder, 0
        self.context = multiprocessing.get_context("forkserver")
        self.context.set_forkserver_preload(["warm"])
        # The server does not look where this process looks for modules, only where the environment says.
        before = os.environ.get("PYTHONPATH")
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [str(Path(__file__).parent), before]))
        forkserver.ensure_running()
        if before is None:
            del os.environ["PYTHONPATH"]
        else:
            os.environ["PYTHONPATH"] = before

    def start(
        self, *arguments: object, program: str = "toy_task", environment: dict[str, str] | None = None
    ) -> "Child":
        self.count += 1
        said = self.folder / f"child_{self.count}.txt"
        given = (program, [str(argument) for argument in arguments], str(said), environment or {})
        process = self.context.Process(target=_child, args=given)
        process.start()
        return Child(process, said)


class Child:
    def __init__(self, process, said: Path) -> None:
        self.process, self._said = process, said

    def finish(self, timeout: float = PATIENCE) -> int:
        self.process.join(timeout)
        assert self.process.exitcode is not None, self.said
        return self.process.exitcode

    @property
    def said(self) -> str:
        return self._said.read_text() if self._said.exists() else ""

    def wait_for(self, condition, timeout: float = PATIENCE) -> None:
        end = time.monotonic() + timeout
        while not condition():
            assert self.process.is_alive(), self.said
            assert time.monotonic() < end, self.said
            time.sleep(0.01)


def _child(program: str, arguments: list[str], said: str, environment: dict[str, str]) -> None:
    os.environ.update(environment)
    handle = os.open(said, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(handle, 1)
    os.dup2(handle, 2)
    sys.stdout, sys.stderr = os.fdopen(1, "w"), os.fdopen(2, "w")
    import_module(program).main(arguments)
