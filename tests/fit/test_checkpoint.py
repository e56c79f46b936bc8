"""A checkpoint is whole or not there: what goes in comes out, and no damage goes unseen."""

import errno
import json
import os

import pytest
import torch

from workbench.errors import TrainingError
from workbench.fit.engine import checkpoint
from workbench.fit.engine.checkpoint import Contents


def contents(value: float) -> Contents:
    shared = torch.arange(6.0).reshape(2, 3)
    tensors = {
        "weights.net": {"a": torch.full((3, 2), value).T, "b": shared, "c": shared[0], "empty": torch.zeros(0)},
        "optimizer.net": {"step": torch.tensor(value)},
    }
    return Contents(tensors, {"step": int(value), "third": 1 / 3, "text": "Λ"})


def test_everything_comes_back_bit_for_bit(tmp_path):
    path = checkpoint.write(tmp_path, 7, contents(7))
    back = checkpoint.read(path)
    assert back.state == contents(7).state
    for file, tensors in contents(7).tensors.items():
        for key, value in tensors.items():
            assert torch.equal(back.tensors[file][key], value)
    assert not list(tmp_path.glob(".*"))


@pytest.mark.parametrize(
    "name", ["weights.net.safetensors", "optimizer.net.safetensors", "state.json", "manifest.json"]
)
@pytest.mark.parametrize("damage", ["flip", "cut", "gone"])
def test_a_damaged_one_is_passed_over_by_name(tmp_path, caplog, name, damage):
    checkpoint.write(tmp_path, 1, contents(1))
    newest = checkpoint.write(tmp_path, 2, contents(2))
    content = bytearray((newest / name).read_bytes())
    if damage == "gone":
        (newest / name).unlink()
    elif damage == "cut":
        (newest / name).write_bytes(content[:-1])
    else:
        content[len(content) // 2] ^= 1
        (newest / name).write_bytes(content)
    path, found = checkpoint.latest(tmp_path)
    assert path.name == "step_00000001"
    assert found.state["step"] == 1
    assert newest.name in caplog.text
    assert newest.with_name("step_00000002.damaged").is_dir()


def test_one_that_was_not_finished_is_passed_over(tmp_path, caplog):
    checkpoint.write(tmp_path, 1, contents(1))
    (checkpoint.write(tmp_path, 2, contents(2)) / "COMPLETE").unlink()
    (tmp_path / ".step_00000003.new").mkdir()
    assert checkpoint.latest(tmp_path)[0].name == "step_00000001"
    assert "not finished" in caplog.text
    assert not (tmp_path / ".step_00000003.new").exists()


def test_a_run_never_starts_over_where_a_finished_checkpoint_was(tmp_path):
    path = checkpoint.write(tmp_path, 1, contents(1))
    (path / "state.json").write_text("{}")
    with pytest.raises(TrainingError, match=r"no checkpoint .* is whole .*start again from step 0"):
        checkpoint.latest(tmp_path)
    with pytest.raises(TrainingError, match="is whole"):  # nor on a second try
        checkpoint.latest(tmp_path)


def test_nothing_there_means_a_new_run(tmp_path):
    assert checkpoint.latest(tmp_path / "absent") is None


@pytest.mark.parametrize("moment", range(12))
def test_a_full_disk_at_any_moment_leaves_the_earlier_ones(tmp_path, monkeypatch, moment):
    checkpoint.write(tmp_path, 1, contents(1))
    calls = 0
    real = os.fsync

    def full(handle):
        nonlocal calls
        calls += 1
        if calls == moment + 1:
            raise OSError(errno.ENOSPC, "No space left on device")
        real(handle)

    monkeypatch.setattr(os, "fsync", full)
    if moment < 7:  # three files, the manifest, the mark, the folder, its parent
        with pytest.raises(TrainingError, match=r"No space left.*step_0000000. is untouched"):
            checkpoint.write(tmp_path, 2, contents(2))
    else:
        try:
            checkpoint.write(tmp_path, 2, contents(2))
        except TrainingError:
            pass
    monkeypatch.setattr(os, "fsync", real)
    assert checkpoint.latest(tmp_path)[1].state["step"] in (1, 2)


def test_only_the_newest_and_the_best_are_kept(tmp_path):
    for step in range(1, 7):
        checkpoint.write(tmp_path, step, contents(step))
    checkpoint.rotate(tmp_path, keep_last=2, keep={3})
    assert [checkpoint.step_of(path) for path in checkpoint.list_checkpoints(tmp_path)] == [3, 5, 6]


def test_the_manifest_says_what_was_written(tmp_path):
    path = checkpoint.write(tmp_path, 1, contents(1))
    manifest = json.loads((path / "manifest.json").read_text())
    assert sorted(manifest) == ["optimizer.net.safetensors", "state.json", "weights.net.safetensors"]
    assert all((path / name).stat().st_size == entry["bytes"] for name, entry in manifest.items())
