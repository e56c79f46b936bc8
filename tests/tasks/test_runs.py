"""Runs of the app: started, watched, stopped, gone on with and given out; and found again by another process."""

import json
import os
import subprocess
import sys
import time
import zipfile

import numpy as np
import pytest

from workbench.errors import InputError, TrainingError
from workbench.images.files import write_png
from workbench.tasks import catalogue, runs


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalogue, "_fetched", lambda: iter(()))
    return tmp_path / "cache"


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(6):
        write_png(rng.integers(0, 256, (70, 70, 3), dtype=np.uint8), tmp_path / "pictures" / f"{i}.png")
    return tmp_path / "pictures"


def leave(cache, name, *, result=None, said="", log=(), minutes=2.0):
    """A run as a process leaves it."""
    folder = cache / "runs" / name
    (folder / "run").mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({"recipe": {"run": {"minutes": minutes}}}))
    (folder / "output.log").write_text(said)
    (folder / "process.json").write_text(json.dumps({"process": os.getpid()}))
    (folder / "result.json").write_text(json.dumps(result) if result else "")
    (folder / "run" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    return folder


def test_a_run_that_died_is_a_message(cache):
    leave(cache, "dead", said="starting\nout of memory\n", log=[{"step": 3, "seconds": 30.0, "loss": 0.5}])
    state = runs.state_of("dead")
    assert state.state == "failed"
    assert "out of memory" in state.message
    assert (state.step, state.fraction) == (3, 0.25)
    assert state.losses == [(3, 0.5)]
    assert state.model is None


def test_a_run_that_was_stopped_can_go_on_and_a_done_one_is_given_out(cache, tiny_model):
    leave(cache, "half", result={"reason": "SIGTERM", "steps": 9})
    assert runs.state_of("half").state == "stopped"
    folder = leave(cache, "whole", result={"reason": "done", "steps": 9})
    (folder / "run" / "model").symlink_to(tiny_model)
    state = runs.state_of("whole")
    assert state.state == "done"
    assert "whole" in [entry.name for entry in catalogue.tokenizers()]
    archive = runs.pack_model("whole", cache)
    assert "whole/model.safetensors" in zipfile.ZipFile(archive).namelist()
    with pytest.raises(InputError, match="is done"):
        runs.resume("whole")
    with pytest.raises(InputError, match="no finished model"):
        runs.pack_model("half", cache)


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Größe", "x" * 41, "-x", "a b", None, "<b>"])
def test_names_that_could_be_paths_are_refused(cache, name):
    for ask in (runs.state_of, runs.stop, runs.resume, runs.check_name):
        with pytest.raises(InputError):
            ask(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantizer": "leach"}, "did you mean 'leech'"),
        ({"body": "huge"}, "unknown body"),
        ({"minutes": 0.0}, "minutes"),
        ({"minutes": 1e9}, "minutes"),
        ({"data": ()}, "no pictures"),
        ({"name": "photo-leech-mae"}, "taken"),
    ],
)
def test_wrong_settings_are_named_and_nothing_starts(cache, pictures, change, said):
    settings = {"name": "fine", "data": (pictures,)} | change
    with pytest.raises(InputError, match=said):
        runs.start(runs.Settings(**settings))
    assert runs.list_runs() == []


def test_an_unknown_run_is_named(cache):
    leave(cache, "mine")
    with pytest.raises(InputError, match="did you mean 'mine'"):
        runs.state_of("mien")


@pytest.mark.slow
def test_a_run_from_start_to_model(cache, pictures):
    runs.start(runs.Settings("first", quantizer="e8", body="smallest", minutes=0.2, data=(pictures,)))
    with pytest.raises(TrainingError, match="one run at a time"):
        runs.start(runs.Settings("second", data=(pictures,)))
    with pytest.raises(InputError, match="taken"):
        runs.start(runs.Settings("first", data=(pictures,)))
    until = time.monotonic() + 240
    while not runs.state_of("first").losses and time.monotonic() < until:
        time.sleep(0.2)
        assert runs.state_of("first").state == "running"
    # Another process, such as the app after a restart, finds the run at work, and can stop it.
    code = "from workbench.tasks import runs; print(runs.state_of('first').state); runs.stop('first', wait=120)"
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=300)
    assert other.stdout.strip() == "running"
    stopped = runs.state_of("first")
    assert stopped.state == "stopped"
    runs.resume("first")
    while runs.state_of("first").state == "running" and time.monotonic() < until + 240:
        time.sleep(0.2)
    done = runs.state_of("first")
    assert done.state == "done", done.message
    assert done.step > stopped.step
    assert done.preview is not None
    assert done.evaluations[-1]["psnr"] > 5
    assert runs.list_runs() == ["first"]
    assert catalogue.load_tokenizer(str(done.model)).quantizer.size == 240
