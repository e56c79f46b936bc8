"""Runs of the app: started, watched, stopped, gone on with and given out; and found again by another process."""

import json
import os
import subprocess
import sys
import threading
import time
import zipfile

import numpy as np
import pytest

from workbench.errors import InputError, TrainingError
from workbench.images.files import write_png
from workbench.models import load as catalogue
from workbench.tasks.runs import data as training_data
from workbench.tasks.runs import runs
from workbench.tasks.runs.process import alone, at_work
from workbench.tasks.runs.settings import BODIES, QUANTIZERS, Settings, recipe_of

PATIENCE = 420  # seconds: far more than any machine needs


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(catalogue, "_fetched", lambda: iter(()))
    yield tmp_path / "cache"
    if process := at_work(tmp_path / "cache" / "runs"):
        runs.stop(process.run, wait=0)
    for thread in threading.enumerate():
        if thread.name.startswith("run "):
            thread.join(PATIENCE)


@pytest.fixture
def pictures(tmp_path):
    rng = np.random.default_rng(0)
    for i in range(6):
        write_png(rng.integers(0, 256, (70, 70, 3), dtype=np.uint8), tmp_path / "pictures" / f"{i}.png")
    return tmp_path / "pictures"


def leave(cache, name, *, result=None, said="", log=(), budget=None, asked=False):
    """A run as a process leaves it."""
    folder = cache / "runs" / name
    (folder / "run").mkdir(parents=True)
    (folder / "plan.json").write_text(json.dumps({"recipe": {"run": budget or {"minutes": 2.0}}}))
    (folder / "output.log").write_text(said)
    (folder / "result.json").write_text(json.dumps(result) if result else "")
    (folder / "run" / "log.jsonl").write_text("".join(json.dumps(line) + "\n" for line in log))
    if asked:
        (folder / "asked").touch()
    # Numbers of processes are given anew: this one is alive, and none of the run's.
    (cache / "runs" / "running.json").write_text(json.dumps({"run": name, "number": os.getpid()}))
    return folder


def test_a_run_that_died_is_a_message(cache):
    leave(cache, "dead", said="starting\nout of memory\n", log=[{"step": 3, "seconds": 30.0, "loss": 0.5}])
    state = runs.state_of("dead")
    assert state.state == "failed"
    assert "out of memory" in state.message
    assert (state.step, state.fraction) == (3, 0.25)
    assert state.losses == [(3, 0.5)]
    assert state.model is None
    leave(cache, "mute")
    assert "it said nothing" in runs.state_of("mute").message
    assert runs.list_runs() == ["mute", "dead"]


def test_what_a_crash_left_half_written_does_not_hide_the_run(cache):
    folder = leave(cache, "cut", log=[{"step": 1, "loss": 0.5}, {"step": 2, "loss": None}], budget={"steps": 4})
    with (folder / "run" / "log.jsonl").open("a") as log:
        log.write('{"step": 3, "lo')
    (folder / "result.json").write_text('{"reason": "do')
    (folder / "run" / "previews").mkdir()
    (folder / "run" / "previews" / "step_00000002.png").write_bytes(b"\x89PNG")
    state = runs.state_of("cut")
    assert (state.state, state.step, state.fraction) == ("failed", 2, 0.5)
    assert state.losses == [(1, 0.5)]
    assert state.preview is None


def test_a_run_that_was_stopped_can_go_on_and_a_done_one_is_given_out(cache, tiny_model):
    leave(cache, "half", result={"reason": "SIGTERM", "steps": 9})
    leave(cache, "early", asked=True)
    assert runs.state_of("half").state == runs.state_of("early").state == "stopped"
    folder = leave(cache, "whole", result={"reason": "done", "steps": 9})
    (folder / "run" / "model").symlink_to(tiny_model)
    assert "whole" not in [entry.name for entry in catalogue.tokenizers()]
    runs.give_out_finished()  # what an app does when it starts
    assert "whole" in [entry.name for entry in catalogue.tokenizers()]
    state = runs.state_of("whole")
    assert (state.state, state.fraction) == ("done", 1.0)
    assert sorted(p.name for p in cache.iterdir()) == ["runs", "whole"]
    archive = runs.pack_model("whole", cache)
    assert "whole/model.safetensors" in zipfile.ZipFile(archive).namelist()
    with pytest.raises(InputError, match="is done"):
        runs.resume("whole")
    with pytest.raises(InputError, match="no finished model"):
        runs.pack_model("half", cache)
    for name in ("half", "early", "whole"):
        runs.stop(name)  # nothing is at work


@pytest.mark.parametrize("name", ["", "../up", "a/b", "Größe", "x" * 41, "-x", "a b", None, 3, "<b>", "runs", "a\n"])
def test_names_that_could_be_paths_are_refused(cache, name):
    for ask in (runs.state_of, runs.stop, runs.resume, lambda name: runs.start(Settings(name))):
        with pytest.raises(InputError, match="a run is named by"):
            ask(name)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"quantizer": "leach"}, "did you mean 'leech'"),
        ({"body": "huge"}, "unknown body"),
        ({"minutes": 0.0}, "minutes"),
        ({"minutes": 1e9}, "minutes"),
        ({"minutes": float("nan")}, "minutes"),
        ({"seed": -1}, "seed"),
        ({"name": "photo-leech-mae"}, "taken"),
        ({"name": "leaf"}, "taken"),
    ],
)
def test_wrong_settings_are_named_and_nothing_starts(cache, pictures, change, said):
    settings = {"name": "fine", "data": (pictures,)} | change
    with pytest.raises(InputError, match=said):
        runs.start(Settings(**settings))
    assert runs.list_runs() == []
    assert not (cache / "runs" / "fine").exists()


def test_an_archive_that_cannot_be_used_leaves_nothing(cache, tmp_path):
    (tmp_path / "bad.zip").write_bytes(b"nothing")
    with pytest.raises(InputError, match=r"bad\.zip"):
        runs.start(Settings("mine", archive=tmp_path / "bad.zip"))
    assert runs.list_runs() == []
    assert not (cache / "runs" / "mine").exists()
    assert runs.free_name() == "mine-1"


def test_a_full_disk_is_said_before_anything_begins(cache, pictures, monkeypatch):
    monkeypatch.setattr(runs, "_LEAST_ROOM", 1 << 60)
    with pytest.raises(TrainingError, match="make room"):
        runs.start(Settings("mine", data=(pictures,)))
    assert runs.list_runs() == []


def test_while_a_run_is_prepared_no_other_starts(cache, pictures):
    with alone(cache / "runs"), pytest.raises(TrainingError, match="one run at a time"):
        runs.start(Settings("mine", data=(pictures,)))
    assert runs.list_runs() == []


@pytest.mark.parametrize("plan", ["", "[]", "{}", '{"recipe": {"run": 3}}', '{"recipe": null}'])
def test_a_plan_that_is_damaged_is_named_and_the_app_starts(cache, plan):
    leave(cache, "broken", result={"reason": "done"})
    (cache / "runs" / "broken" / "plan.json").write_text(plan)
    (cache / "runs" / "Not a run").mkdir()
    (cache / "runs" / "Not a run" / "plan.json").write_text("{}")
    assert runs.list_runs() == ["broken"]
    runs.give_out_finished()
    with pytest.raises(InputError, match="remove"):
        runs.state_of("broken")


def test_an_unknown_run_is_named(cache):
    leave(cache, "mine")
    with pytest.raises(InputError, match="did you mean 'mine'"):
        runs.state_of("mien")


def test_names_that_are_free_are_free(cache):
    assert runs.free_name() == "mine-1"
    leave(cache, "mine-1")
    (cache / "mine-2").mkdir()
    assert runs.free_name() == "mine-3"


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("quantizer", QUANTIZERS)
def test_every_choice_is_a_recipe(body, quantizer):
    from workbench.models.presets import body_preset
    from workbench.quantizers.registry import make_quantizer

    recipe = recipe_of(Settings("mine", quantizer, body, minutes=7.0, seed=3))
    assert (recipe["run"]["minutes"], recipe["run"]["seed"], recipe["name"]) == (7.0, 3, "mine")
    assert body_preset(recipe["body"])["factor"] == 8
    assert make_quantizer(recipe["quantizer"], **recipe["quantizer_settings"]).size >= 240


def wait_for(what):
    until = time.monotonic() + PATIENCE
    while not (found := what()):
        assert time.monotonic() < until, "waited too long"
        time.sleep(0.1)
    return found


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_a_run_from_start_to_model(cache, pictures, monkeypatch):
    examples = training_data.list_examples()[-1:]
    monkeypatch.setattr(training_data, "list_examples", lambda: examples)
    # A budget that no machine spends: it is stopped, and its plan then asks for a few steps more.
    runs.start(Settings("first", quantizer="e8", minutes=240.0, data=(pictures,)))
    for name in ("first", "second"):
        with pytest.raises((TrainingError, InputError), match=r"one run at a time|taken"):
            runs.start(Settings(name, data=(pictures,)))
    assert runs.list_runs() == ["first"]
    wait_for(lambda: runs.state_of("first").losses or runs.state_of("first").state != "running")
    # Another process, such as the app after a restart, finds the run at work, and can stop it.
    code = """
from workbench.tasks.runs import runs
print(runs.state_of("first").state)
runs.stop("first", wait=300)
print(runs.state_of("first").state)
"""
    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=PATIENCE)
    assert other.stdout.split() == ["running", "stopped"]
    stopped = runs.state_of("first")
    assert (stopped.state, stopped.model) == ("stopped", None)
    assert stopped.step > 0

    plan = cache / "runs" / "first" / "plan.json"
    values = json.loads(plan.read_text())
    steps = 10 * (stopped.step // 10 + 2)
    values["recipe"]["run"] |= {"minutes": None, "steps": steps}
    plan.write_text(json.dumps(values))
    runs.resume("first")
    wait_for(lambda: runs.state_of("first").state != "running")
    done = runs.state_of("first")
    assert done.state == "done", done.message
    assert (done.step, done.fraction) == (steps, 1.0)
    assert [step for step, _ in done.losses] == list(range(10, steps + 1, 10))
    assert done.preview is not None
    assert done.evaluations[-1]["psnr"] > 5
    assert catalogue.load_tokenizer(str(done.model)).quantizer.size == 240


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_process_that_is_killed_is_a_message_and_the_run_can_go_on(cache, pictures):
    runs.start(Settings("first", quantizer="e8", data=(pictures,), minutes=240.0))
    number = json.loads((cache / "runs" / "running.json").read_text())["number"]
    os.kill(number, 9)
    wait_for(lambda: runs.state_of("first").state == "failed" and "signal 9" in runs.state_of("first").message)
    runs.resume("first")
    assert runs.state_of("first").state == "running"
    runs.stop("first")
    assert runs.state_of("first").state == "stopped"


def test_pictures_that_cannot_be_trained_on_are_a_message(cache, tmp_path):
    (tmp_path / "empty").mkdir()
    runs.start(Settings("first", data=(tmp_path / "empty",)))
    wait_for(lambda: runs.state_of("first").state != "running")
    state = runs.state_of("first")
    assert state.state == "failed"
    assert "no pictures in" in state.message
