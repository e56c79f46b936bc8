"""Many processes are one: the order of samples does not depend on their number, and a dead one is survived."""

import os
import subprocess
import sys
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import torch
from nursery import PATIENCE
from PIL import Image
from toy_task import ToyBatches

from workbench.errors import InputError
from workbench.fit.engine import checkpoint
from workbench.fit.engine.distributed import World, blocks_of, joined, share
from workbench.fit.engine.journal import read_log
from workbench.models.tokenizer import Tokenizer

pytestmark = pytest.mark.timeout(3 * PATIENCE)
TOY = Path(__file__).with_name("toy_task.py")
PLAIN = ("--dropout", "0", "--noise", "0")
SETTINGS = ("--set", "steps=40", "log_every=1", "evaluate_every=20", "save_minutes=null")


@pytest.fixture(scope="module")
def together(nursery):
    """Runs a program in several processes that meet at one store, as under a launcher that restarts them.

    Every run is another attempt at the same store, which still holds the addresses of the attempts before. The store
    chooses its port when it binds it, so no one else can have taken it.
    """
    store = torch.distributed.TCPStore("127.0.0.1", 0, is_master=True, wait_for_workers=False)
    attempts = count()

    def run(size, *arguments, program="toy_task"):
        environment = {
            "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(store.port), "GLOO_SOCKET_IFNAME": "lo",
            "TORCHELASTIC_USE_AGENT_STORE": "True", "TORCHELASTIC_RESTART_COUNT": str(next(attempts)),
        }  # fmt: skip
        run_together(nursery, size, arguments, program, environment)

    return run


def run_together(nursery, size, arguments, program, environment):
    children = [
        nursery.start(
            *arguments,
            program=program,
            environment=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": str(size)},
        )
        for rank in range(size)
    ]
    codes = [child.finish() for child in children]
    assert codes == [0] * size, "\n".join(child.said for child in children)


def losses(out):
    return [line["loss"] for line in read_log(out) if "loss" in line]


@pytest.fixture(scope="module")
def alone(nursery, tmp_path_factory):
    out = tmp_path_factory.mktemp("alone")
    assert nursery.start(out, *PLAIN, *SETTINGS).finish() == 0
    return out


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_two_processes_give_the_curve_of_one_with_the_whole_batch(together, tmp_path, alone, kind):
    together(2, tmp_path, *PLAIN, *SETTINGS, f"parallel={kind}")
    # Sums over a batch are taken in another order: float32 rounding, carried through 40 steps of AdamW.
    assert losses(tmp_path) == pytest.approx(losses(alone), rel=1e-4)
    one, two = (checkpoint.latest(out / "checkpoints")[1] for out in (alone, tmp_path))
    assert one.tensors.keys() == two.tensors.keys()
    for file, tensors in one.tensors.items():
        for key, value in tensors.items():
            assert torch.allclose(two.tensors[file][key], value, rtol=1e-3, atol=1e-4), (file, key)


@pytest.mark.slow
def test_the_number_of_processes_may_change_in_the_middle(nursery, together, tmp_path):
    first = ("--set", "steps=20", "schedule=constant", *SETTINGS[2:])
    then = ("--set", "steps=40", "schedule=constant", *SETTINGS[2:])
    assert nursery.start(tmp_path / "one", *PLAIN, *then).finish() == 0
    together(2, tmp_path / "two", *PLAIN, *first, "parallel=fsdp")
    assert nursery.start(tmp_path / "two", *PLAIN, *then).finish() == 0
    assert losses(tmp_path / "two") == pytest.approx(losses(tmp_path / "one"), rel=1e-4)


@pytest.mark.slow
def test_a_killed_worker_is_replaced_and_the_run_goes_on(tmp_path, alone):
    out = tmp_path / "run"
    out.mkdir()
    result = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "--max-restarts=1"),
            *("--rdzv-backend=c10d", "--rdzv-endpoint=127.0.0.1:0", "--local-addr=127.0.0.1"),  # it takes a free port
            *(str(TOY), str(out), "--die-at", "25", *PLAIN, *SETTINGS, "save_every=10"),
        ],
        env=os.environ | {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"},
        capture_output=True,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert result.returncode == 0, result.stderr
    assert [line["event"] for line in read_log(out) if "event" in line] == ["started", "resumed from step_00000020"]
    assert losses(out) == pytest.approx(losses(alone), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["ddp", "fsdp"])
def test_a_tokenizer_and_its_judge_train_on_two_processes(nursery, together, tmp_path, kind):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(3):
        picture = np.random.default_rng(number).integers(0, 256, (40, 40, 3), np.uint8)
        Image.fromarray(picture).save(folder / f"{number}.png")
    arguments = [
        *("--recipe", "smoke", "--device", "cpu", "--data", folder, "--held-out", folder / "0.png", "--set"),
        *("run.steps=4", "run.batch_size=4", "run.log_every=1", "crops.side=32", "body_changes.width=32"),
        *("losses.adversarial=0.1", "judge.penalty=1", "judge.width=8", "judge.stages=2", "run.accumulate=2"),
    ]
    program = "training.tokenizer"
    assert nursery.start(*arguments, "--out", tmp_path / "one", program=program).finish() == 0
    sharing = [*arguments, f"run.parallel={kind}", "--out", tmp_path / "two"]
    together(2, *sharing, program=program)
    one, two = (read_log(tmp_path / name) for name in ("one", "two"))
    for a, b in zip(one, two, strict=True):
        for key in a.keys() & {"loss", "judge", "judge_slope", "tokenizer_gradient", "judge_gradient"}:
            assert b[key] == pytest.approx(a[key], rel=2e-3), (a["step"], key)
    a, b = (Tokenizer.from_pretrained(tmp_path / name / "model") for name in ("one", "two"))
    for x, y in zip(a.parameters(), b.parameters(), strict=True):
        assert torch.allclose(x, y, atol=2e-3)


def test_slices_of_a_batch_do_not_depend_on_who_takes_them():
    whole = next(ToyBatches().stream(3))
    parts = [next(ToyBatches().stream(3, part=part, parts=4)) for part in range(4)]
    for number, tensor in enumerate(whole):
        assert torch.equal(torch.cat([part[number] for part in parts]), tensor)


def test_one_process_agrees_with_itself():
    with joined("cpu") as world:
        assert world == World(torch.device("cpu"), 0, 1)
        assert world.first
        assert world.largest([1.5, -2]) == [1.5, -2]
        assert world.mean([3.0]) == [3.0]


def test_shards_need_several_processes():
    with pytest.raises(InputError, match="torchrun"):
        share({"net": torch.nn.Linear(1, 1)}, ("net",), "fsdp", World())


def test_blocks_are_found_by_their_name():
    from workbench.models.presets import body_preset, make_body

    body = make_body(body_preset("vit-tiny-8"), dimension=24)
    assert len(blocks_of(body.encoder)) == 2
    assert len(blocks_of(torch.nn.Linear(1, 1))) == 0
