"""`kill -9` at random moments: a run that was killed goes on to a completed step and on the very same curve."""

import random

import pytest
from nursery import PATIENCE

from workbench.fit.engine import checkpoint
from workbench.fit.engine.journal import read_log

pytestmark = pytest.mark.timeout(8 * PATIENCE)
SETTINGS = ("--set", "steps=120", "log_every=10", "save_every=9", "evaluate_every=40", "save_minutes=null")
LOSSES = 12  # in the log of a whole run


def curve(out):
    clock = ("seconds", "rows_per_second")
    lines = [line for line in read_log(out) if "event" not in line]
    return [{key: value for key, value in line.items() if key not in clock} for line in lines]


def survive(nursery, tmp_path, kills):
    assert nursery.start(tmp_path / "whole", *SETTINGS).finish() == 0
    expected = curve(tmp_path / "whole")
    luck, killed, rounds = random.Random(kills), 0, 0
    while killed < kills:
        # A run that gets to its end before all kills are spent is followed by another.
        out, rounds = tmp_path / f"killed_{rounds}", rounds + 1
        while True:
            before = _newest(out)
            child = nursery.start(out, *SETTINGS, "--delay", "0.002")
            if killed < kills:
                _wait(child.process, out, luck)
            else:
                child.process.join(PATIENCE)
            if child.process.exitcode is None:
                child.process.kill()
                child.finish()
                killed += 1
                continue
            assert child.finish() == 0, child.said
            break
        assert curve(out) == expected
        starts = [line for line in read_log(out) if "event" in line]
        assert all(line["event"] == f"resumed from step_{line['step']:08d}" for line in starts if line["step"])
        assert before is None or starts[-1]["step"] == before, child.said
    return killed


def _wait(process, out, luck):
    """Until a random moment: one in five before anything may have begun, the others after a random step."""
    if luck.random() < 0.2:
        process.join(luck.uniform(0.0, 0.5))
        return
    sessions = _count(out, "event")
    while process.exitcode is None and _count(out, "event") == sessions:
        process.join(0.005)
    goal = luck.uniform(_count(out, "loss"), LOSSES + 0.5)
    while process.exitcode is None and _count(out, "loss") < goal:
        process.join(0.005)
    process.join(luck.uniform(0.0, 0.05))


def _count(out, key):
    """Lines of the log that have a key."""
    log = out / "log.jsonl"
    return log.read_bytes().count(f'"{key}"'.encode()) if log.exists() else 0


def _newest(out):
    whole = [p for p in checkpoint.list_checkpoints(out / "checkpoints") if (p / "COMPLETE").exists()]
    return checkpoint.step_of(whole[-1]) if whole else None


@pytest.mark.slow
def test_five_kills(nursery, tmp_path):
    assert survive(nursery, tmp_path, 5) == 5


@pytest.mark.heavy
def test_fifty_kills(nursery, tmp_path):
    assert survive(nursery, tmp_path, 50) == 50
