"""The engine: an interrupted run is an uninterrupted one, and a run that goes wrong says so and keeps what it had."""

import itertools
import json
import math
import os
import signal
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from toy_task import ToyBatches, ToyTask, rows

from workbench.errors import InputError, TrainingError
from workbench.fit.engine import checkpoint
from workbench.fit.engine.guard import Guard
from workbench.fit.engine.journal import read_log
from workbench.fit.engine.loop import fit
from workbench.fit.engine.schedule import rate_factor
from workbench.fit.engine.settings import Run, override

RUN = Run(steps=40, batch_size=16, log_every=3, evaluate_every=10, warmup_steps=5, save_minutes=None)
CLOCK = ("seconds", "rows_per_second")


def curve(out: Path) -> list[dict]:
    """The log without clock times and events."""
    lines = [line for line in read_log(out) if "event" not in line]
    return [{key: value for key, value in line.items() if key not in CLOCK} for line in lines]


def weights(task: ToyTask) -> list[torch.Tensor]:
    return [value.clone() for value in task.net.state_dict().values()]


def stop_after(calls: int):
    count = itertools.count()
    return lambda: next(count) >= calls


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """An uninterrupted run: its log and its weights."""
    out, task = tmp_path_factory.mktemp("whole"), ToyTask()
    outcome = fit(task, ToyBatches(), RUN, out=out)
    assert (outcome.reason, outcome.step, outcome.exit_code) == ("done", 40, 0)
    return curve(out), weights(task)


@pytest.mark.parametrize("stretch", [4, 39])
def test_a_run_in_pieces_is_the_whole_run(tmp_path, whole, stretch):
    for _ in range(60):
        started = (tmp_path / "checkpoints").exists()
        task = ToyTask(seed=int(started))  # other initial weights must not matter once it was saved
        outcome = fit(task, ToyBatches(), RUN, out=tmp_path, stop=stop_after(stretch))
        if outcome.reason == "done":
            break
        assert outcome.reason == "stopped"
    assert outcome.step == 40
    assert curve(tmp_path) == whole[0]
    assert all(map(torch.equal, weights(task), whole[1]))


def test_the_callers_random_stream_is_left_alone(tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    torch.manual_seed(5)
    fit(ToyTask(), ToyBatches(), override(RUN, ["steps=3"]), out=tmp_path)
    assert torch.equal(torch.rand(3), expected)


def test_every_step_has_its_own_randomness(tmp_path):
    drawn = []

    class Listening(ToyTask):
        def step(self, batch, engine):
            drawn.append((engine.index, float(torch.rand((), generator=engine.generator)), float(torch.rand(()))))
            return super().step(batch, engine)

    fit(Listening(), ToyBatches(), override(RUN, ["steps=4"]), out=tmp_path / "a")
    first, drawn = drawn, []
    fit(Listening(), ToyBatches(), override(RUN, ["steps=4", "seed=1"]), out=tmp_path / "b")
    values = [value for _, *values in first + drawn for value in values]
    assert len(set(values)) == len(values) == 16


def test_accumulated_parts_are_the_batch(tmp_path):
    logs = []
    for parts in (1, 4):
        task = ToyTask(dropout=0.0, noise=0.0)
        fit(task, ToyBatches(), override(RUN, [f"accumulate={parts}"]), out=tmp_path / str(parts))
        logs.append([line["loss"] for line in curve(tmp_path / str(parts)) if "loss" in line])
    assert logs[0] == pytest.approx(logs[1], rel=1e-4)


def test_gradients_are_clipped_to_the_norm(tmp_path):
    moved = {}
    for limit in ("null", "1e-3"):
        task = ToyTask(dropout=0.0)
        task.optimizers = lambda task=task: {"net": torch.optim.SGD(task.net.parameters(), lr=1.0)}
        before = weights(task)
        settings = ["steps=1", f"clip_norm={limit}", "average_decay=null", "warmup_steps=0"]
        fit(task, ToyBatches(), override(RUN, settings), out=tmp_path / limit)
        moved[limit] = torch.cat([(a - b).flatten() for a, b in zip(before, weights(task), strict=True)])
    assert moved["1e-3"].norm() == pytest.approx(1e-3, rel=1e-3)
    assert torch.cosine_similarity(moved["null"], moved["1e-3"], dim=0) > 0.9999


def test_the_average_is_what_a_run_gives_out(tmp_path):
    task, seen = ToyTask(), []
    task.optimizers = lambda: {"net": torch.optim.SGD(task.net.parameters(), lr=1e-2)}
    plain = task.step

    def step(batch, engine):
        scalars = plain(batch, engine)
        seen.append(torch.nn.utils.parameters_to_vector(task.net.parameters()).detach().clone())
        return scalars

    task.step = step
    average = torch.nn.utils.parameters_to_vector(task.net.parameters()).detach().clone()
    fit(task, ToyBatches(), override(RUN, ["steps=20", "average_decay=0.6"]), out=tmp_path)
    for number, now in enumerate(seen, start=1):
        decay = min(0.6, (1 + number) / (10 + number))
        average = decay * average + (1 - decay) * now
    given = torch.nn.utils.parameters_to_vector(task.net.parameters())
    assert torch.allclose(given, average, atol=1e-6)
    assert not torch.allclose(given, seen[-1], atol=1e-6)
    saved = checkpoint.read(tmp_path / "checkpoints" / "step_00000020").tensors
    assert torch.equal(saved["weights.net"]["0.weight"].flatten(), seen[-1][:64])


def test_a_bad_batch_changes_nothing_and_is_counted(tmp_path):
    task = ToyTask(bad=[4])
    before = {}
    plain = task.step

    def step(batch, engine):
        before[engine.index] = weights(task)
        return plain(batch, engine)

    task.step = step
    outcome = fit(task, ToyBatches(), override(RUN, ["steps=10"]), out=tmp_path)
    assert outcome.skipped == 1
    assert all(map(torch.equal, before[4], before[5]))
    assert not all(map(torch.equal, before[5], before[6]))
    assert read_log(tmp_path)[-2]["skipped"] == 1


def test_too_many_bad_batches_stop_the_run_with_the_last_good_weights(tmp_path):
    task = ToyTask(bad=range(10, 99))
    with pytest.raises(TrainingError, match=r"stopped at step 16: 6 batches .*step_00000016"):
        fit(task, ToyBatches(), override(RUN, ["max_strikes=5"]), out=tmp_path)
    saved = checkpoint.read(tmp_path / "checkpoints" / "step_00000016").tensors["weights.net"]
    assert all(torch.isfinite(value).all() for value in saved.values())
    outcome = fit(ToyTask(), ToyBatches(), override(RUN, ["max_strikes=5"]), out=tmp_path)
    assert (outcome.step, outcome.skipped) == (40, 6)


def test_a_spike_is_bad_and_a_lasting_change_is_not():
    guard = Guard(spike=10.0)
    assert all(guard.admits("net", 1.0 + 0.1 * (n % 3)) for n in range(100))
    assert not guard.admits("net", 100.0)
    assert guard.admits("net", 5.0)
    assert guard.admits("other", 100.0)
    refused = sum(not guard.admits("net", 30.0) for _ in range(100))
    assert 0 < refused < 50
    assert not guard.admits("net", float("inf"))


def test_a_spike_enters_the_mean_clipped_and_what_is_not_finite_not_at_all():
    guard = Guard(spike=10.0)
    assert all(guard.admits("net", 1.0) for _ in range(50))
    assert guard.usual["net"] == 0
    assert not guard.admits("net", 1e30)
    assert guard.usual["net"] == pytest.approx(0.02 * math.log(10))  # as a norm of exactly ten times the usual
    assert not guard.admits("net", math.inf)
    assert not guard.admits("net", math.nan)
    assert guard.usual["net"] == pytest.approx(0.02 * math.log(10))
    assert guard.seen == {"net": 50}
    assert guard.admits("net", 9.0)
    assert (guard.skipped, guard.strikes) == (3, pytest.approx(3 - 0.01))
    assert guard.seen == {"net": 51}


def test_the_guard_learns_the_usual_before_it_refuses():
    guard = Guard(spike=10.0)
    norms = [1.0, 1000.0, 10.0]
    assert all(guard.admits("net", norm) for norm in norms)
    assert guard.usual["net"] == pytest.approx(math.log(np.prod(norms)) / 3)  # the mean of the first few
    assert guard.admits("net", 0.0)  # no logarithm, but no spike either
    assert guard.usual["net"] == pytest.approx(math.log(np.prod(norms)) / 3)
    assert guard.strikes == 0
    blind = Guard(spike=None)
    assert all(blind.admits("net", 10.0 ** (n % 30)) for n in range(100))
    assert not blind.admits("net", math.nan)
    again = Guard(spike=10.0)
    again.restore(guard.state())
    assert again == guard


def test_a_second_run_in_the_folder_is_refused(tmp_path):
    refusals = []

    class Nosy(ToyTask):
        def step(self, batch, engine):
            if engine.index == 2:
                with pytest.raises(TrainingError, match=f"in use by process {os.getpid()}"):
                    fit(ToyTask(), ToyBatches(), RUN, out=tmp_path)
                refusals.append(True)
            return super().step(batch, engine)

    assert fit(Nosy(), ToyBatches(), override(RUN, ["steps=4"]), out=tmp_path).reason == "done"
    assert refusals


def test_a_batch_that_does_not_divide_is_refused(tmp_path):
    with pytest.raises(InputError, match=r"batch_size=16 .* 1 processes × 3 parts"):
        fit(ToyTask(), ToyBatches(), override(RUN, ["accumulate=3"]), out=tmp_path)


def test_other_networks_than_those_saved_are_refused(tmp_path):
    fit(ToyTask(), ToyBatches(), override(RUN, ["steps=4"]), out=tmp_path)
    task = ToyTask()
    task.net.add_module("extra", torch.nn.Linear(1, 1))
    with pytest.raises(TrainingError, match=r"lacks .*extra"):
        fit(task, ToyBatches(), RUN, out=tmp_path)


def test_changed_settings_are_told(tmp_path, caplog):
    fit(ToyTask(), ToyBatches(), override(RUN, ["steps=4"]), out=tmp_path, config={"rate": 1})
    fit(ToyTask(), ToyBatches(), override(RUN, ["steps=6"]), out=tmp_path, config={"rate": 2})
    assert "rate: 1 → 2" in caplog.text


def test_a_budget_in_minutes_counts_running_time_only(tmp_path, monkeypatch):
    now = 0.0

    class Slow(ToyTask):
        def step(self, batch, engine):
            nonlocal now
            now += 1.0
            return super().step(batch, engine)

    monkeypatch.setattr("workbench.fit.engine.loop.time", SimpleNamespace(monotonic=lambda: now))
    run = override(RUN, ["minutes=1", "log_every=1", "evaluate_every=null"])
    first = fit(Slow(), ToyBatches(), run, out=tmp_path, stop=stop_after(25))
    now += 1000.0  # the interruption
    second = fit(Slow(), ToyBatches(), run, out=tmp_path)
    assert (first.reason, second.reason) == ("stopped", "done")
    assert first.seconds == 24  # the first step of a session compiles, and is not counted
    assert (second.step, second.seconds) == (62, 60)
    lines = [line for line in curve(tmp_path) if "rate" in line]
    spent = [max(0, step - 1) if step <= 25 else max(24, step - 2) for step in range(62)]
    assert [line["rate"] for line in lines] == [
        pytest.approx(rate_factor(run, step=step, fraction=seconds / 60)) for step, seconds in enumerate(spent)
    ]


def test_the_best_checkpoint_outlives_the_rotation(tmp_path):
    scores = iter([5.0, 1.0, 3.0, 4.0, 2.0])
    task = ToyTask()
    task.evaluate = lambda: {"error": next(scores)}
    run = override(RUN, ["steps=25", "evaluate_every=5", "save_every=5", "keep_last=1"])
    fit(task, ToyBatches(), run, out=tmp_path)
    assert [checkpoint.step_of(p) for p in checkpoint.list_checkpoints(tmp_path / "checkpoints")] == [10, 25]


def test_evaluation_sees_the_average_and_training_goes_on_from_the_weights(tmp_path):
    kinds = []

    class Curious(ToyTask):
        def evaluate(self):
            kinds.append((self.net.training, torch.is_grad_enabled(), self.net[0].weight.clone()))
            return super().evaluate()

        def step(self, batch, engine):
            kinds.append(self.net[0].weight.detach().clone())
            return super().step(batch, engine)

    fit(Curious(), ToyBatches(), override(RUN, ["steps=3", "evaluate_every=1", "average_decay=0.9"]), out=tmp_path)
    (training, grad, average), after = kinds[3], kinds[4]
    assert (training, grad) == (False, False)
    assert not torch.equal(average, after)


def test_pictures_and_configuration_are_written(tmp_path):
    fit(ToyTask(), ToyBatches(), override(RUN, ["steps=10"]), out=tmp_path, config={"name": "Λ"})
    assert json.loads((tmp_path / "run.json").read_text()) == {"name": "Λ"}
    assert [p.name for p in (tmp_path / "previews").iterdir()] == ["step_00000010.png"]


def test_progress_speaks_and_a_thread_may_train(tmp_path):
    said = []
    run = override(RUN, ["steps=5"])
    thread = threading.Thread(
        target=fit,
        args=(ToyTask(), ToyBatches(), run),
        kwargs={"out": tmp_path, "progress": lambda fraction, message: said.append((fraction, message))},
    )
    thread.start()
    thread.join()
    assert said
    assert said[0][0] <= 1
    assert "rows/s" in said[0][1]


def test_tensorboard_files_are_written_on_demand(tmp_path):
    pytest.importorskip("tensorboard")
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # tensorboard's own
        fit(ToyTask(), ToyBatches(), override(RUN, ["steps=5", "tensorboard=true"]), out=tmp_path)
    assert list((tmp_path / "tensorboard").glob("events*"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_saves_and_ends_with_its_code(tmp_path, nursery, number):
    child = nursery.start(tmp_path, "--set", "steps=100000", "save_minutes=null", "evaluate_every=null")
    child.wait_for(lambda: any("loss" in line for line in read_log(tmp_path)))
    os.kill(child.process.pid, number)
    assert child.finish() == 128 + number
    reason, step = child.said.splitlines()[-1].split()
    assert reason == signal.Signals(number).name
    assert checkpoint.latest(tmp_path / "checkpoints")[1].state["step"] == int(step)


@pytest.mark.parametrize(("largest", "log_every"), [(1500, 1000), (900, 1)])
def test_a_disk_that_fills_up_ends_the_run_and_leaves_the_checkpoint(tmp_path, nursery, largest, log_every):
    settings = ["save_every=10", "evaluate_every=null", f"log_every={log_every}"]
    assert nursery.start(tmp_path, "--set", "steps=20", *settings).finish() == 0
    # A limit on the size of any file is what a full disk looks like to a process that has none of its own.
    child = nursery.start(tmp_path, "--largest-file", str(largest), "--set", "steps=60", *settings)
    assert child.finish() == 1
    assert ("cannot write checkpoint" if log_every > 1 else "cannot write into") in child.said
    assert ("step_00000020 is untouched" if log_every > 1 else "newest checkpoint") in child.said
    assert checkpoint.latest(tmp_path / "checkpoints")[0].name == "step_00000020"


def test_batches_begin_where_the_run_goes_on():
    assert torch.equal(next(ToyBatches().stream(5))[0], rows(5, 16)[0])
