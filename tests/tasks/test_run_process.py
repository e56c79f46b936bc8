"""The process of a run: alive or not beyond doubt, one at a time, ended gently and then by force, never a zombie."""

import json
import os
import subprocess
import sys
import threading
import time

import pytest

from workbench.errors import TrainingError
from workbench.tasks.runs.process import Process, alone, at_work, begin, end

PATIENCE = 300  # seconds: far more than any machine needs


def wait_for(what, *, patience=PATIENCE):
    until = time.monotonic() + patience
    while not (found := what()):
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.02)
    return found


@pytest.fixture
def run(tmp_path):
    """Start a Python program as the process of a run; returns its folder. All of them are ended afterwards."""
    root, ended = tmp_path / "runs", []

    def start(name, code):
        folder = root / name
        folder.mkdir(parents=True, exist_ok=True)
        with alone(root) as lock:
            begin(
                root,
                lock,
                name,
                [sys.executable, "-c", code],
                folder=folder,
                environment={},
                at_end=lambda: ended.append(name),
            )
        return folder

    start.root, start.ended = root, ended
    yield start
    if process := at_work(root):
        end(root, process.run, ask=True, wait=0)
    # The threads that wait for processes end with them.
    for thread in threading.enumerate():
        if thread.name.startswith("run "):
            thread.join(PATIENCE)


SLEEP = "import time; print('up', flush=True); time.sleep(600)"
STUBBORN = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN);" + SLEEP


def up(folder):
    return wait_for(lambda: (folder / "result.json").read_text())


def test_a_process_is_at_work_until_it_ends(run):
    assert at_work(run.root) is None
    folder = run("one", "print('said', flush=True); import sys; sys.stderr.write('aside'); input()")
    wait_for(lambda: run.ended == ["one"])
    assert at_work(run.root) is None
    assert (folder / "result.json").read_text() == "said\n"
    assert "aside" in (folder / "output.log").read_text()
    assert "EOFError" in (folder / "output.log").read_text()


def test_one_at_a_time_and_asked_to_end_it_does(run):
    up(run("one", SLEEP))
    process = at_work(run.root)
    assert process.run == "one"
    with pytest.raises(TrainingError, match="run 'one' is at work"):
        run("two", SLEEP)
    assert at_work(run.root) == process
    end(run.root, "two", ask=True, wait=0)  # not the one at work: nothing happens
    assert at_work(run.root) == process
    end(run.root, "one", ask=True, wait=PATIENCE)
    assert at_work(run.root) is None
    run("two", "pass")


def test_who_does_not_end_is_ended_by_force(run):
    folder = run("one", STUBBORN)
    up(folder)
    end(run.root, "one", ask=True, wait=0.2)
    assert at_work(run.root) is None
    wait_for(lambda: run.ended)
    assert "signal 9" in (folder / "output.log").read_text()


def test_no_zombie_stays(run):
    up(run("one", SLEEP))
    number = at_work(run.root).number
    end(run.root, "one", ask=True, wait=PATIENCE)
    wait_for(lambda: run.ended)
    with pytest.raises(ChildProcessError):  # it has been waited for already
        os.waitpid(number, os.WNOHANG)


def test_a_number_that_is_another_s_now_is_no_run(run):
    folder = run("one", "pass")
    wait_for(lambda: run.ended)
    (run.root / "running.json").write_text(json.dumps({"run": "one", "number": os.getpid()}))
    assert at_work(run.root) is None
    end(run.root, "one", ask=True, wait=0)  # and this process lives on
    assert folder.is_dir()


def test_the_process_outlives_who_started_it_and_is_found_by_others(run):
    folder = run.root / "one"
    folder.mkdir(parents=True)
    code = f"""
from pathlib import Path
from workbench.tasks.runs.process import alone, begin
root = Path({str(run.root)!r})
with alone(root) as lock:
    begin(root, lock, "one", [{sys.executable!r}, "-c", {SLEEP!r}], folder=root / "one", environment={{}}, at_end=int)
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=PATIENCE)
    up(folder)
    assert at_work(run.root).run == "one"
    with pytest.raises(TrainingError, match="one run at a time"):
        run("two", SLEEP)
    end(run.root, "one", ask=True, wait=PATIENCE)
    assert at_work(run.root) is None


def test_of_many_that_start_at_once_one_does(run):
    outcomes = []

    def attempt(name):
        try:
            run(name, SLEEP)
            outcomes.append(name)
        except TrainingError:
            outcomes.append(None)

    threads = [threading.Thread(target=attempt, args=(f"try{i}",)) for i in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
    assert len(outcomes) == 6
    (started,) = [name for name in outcomes if name]
    assert at_work(run.root).run == started


def test_looking_does_not_stand_in_the_way_of_starting(run):
    over = threading.Event()

    def look():
        while not over.is_set():
            at_work(run.root)
            time.sleep(0.001)

    lookers = [threading.Thread(target=look) for _ in range(3)]
    for looker in lookers:
        looker.start()
    try:
        for number in range(3):
            run(f"run{number}", "pass")
            wait_for(lambda number=number: len(run.ended) == number + 1)
    finally:
        over.set()
        for looker in lookers:
            looker.join(PATIENCE)


def test_a_program_that_is_not_there_is_named_and_the_lock_is_free(run, tmp_path):
    with pytest.raises(TrainingError, match="cannot start"), alone(run.root) as lock:
        begin(run.root, lock, "one", ["/no/such/program"], folder=tmp_path, environment={}, at_end=int)
    assert at_work(run.root) is None


def test_while_a_run_is_prepared_its_name_is_not_known(tmp_path):
    with alone(tmp_path):
        assert at_work(tmp_path) == Process()
        with pytest.raises(TrainingError, match="about to start"), alone(tmp_path):
            pass
    assert at_work(tmp_path) is None
