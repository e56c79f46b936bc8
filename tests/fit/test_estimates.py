"""A dry run of a generator: what it says follows from what it measured, and what does not fit is said to."""

import pytest
import torch

from training.generator import main
from workbench.errors import InputError
from workbench.fit.engine import cost as dry_run
from workbench.fit.engine.distributed import World
from workbench.fit.engine.settings import Run
from workbench.fit.generator import estimate as generator_estimate
from workbench.fit.generator.estimate import estimate_generator
from workbench.fit.generator.launch import GeneratorPlan

SMALL = ("run.steps=1000", "run.batch_size=8", "run.accumulate=2", 'head={"kind": "full"}')


def plan(*settings, recipe="generator-smoke", tokenizer="flowers-64-tokenizer"):
    return GeneratorPlan(recipe=recipe, tokenizer=tokenizer, data=(), set=settings)


@pytest.mark.slow
def test_a_dry_run_needs_no_data_and_what_it_imagines_is_what_it_measures(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cost = estimate_generator(plan(*SMALL))
    assert (cost.part, cost.steps) == (4, 1000)
    assert cost.part % cost.measured_part == 0
    length = generator_estimate._tokenizer("flowers-64-tokenizer").length
    assert cost.tokens_per_second == pytest.approx(length * cost.samples_per_second)
    assert cost.samples_per_second == pytest.approx(8 / cost.seconds_per_step)
    assert cost.days == pytest.approx(1000 * cost.seconds_per_step / 86400)
    assert "projected" in "\n".join(cost.lines("images"))

    monkeypatch.setattr(generator_estimate, "free_memory", lambda device: 1000)
    imagined = estimate_generator(plan(*SMALL))
    assert imagined.parameters == cost.parameters
    assert imagined.activation_bytes == pytest.approx(cost.activation_bytes, rel=0.1)
    assert imagined.fixed_bytes == pytest.approx(cost.fixed_bytes, rel=0.1)
    assert imagined.seconds_per_step is imagined.days is None
    assert "it does not fit" in "\n".join(imagined.lines("images"))
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_the_largest_model_is_counted_without_being_built(monkeypatch, capsys):
    monkeypatch.setattr(generator_estimate, "free_memory", lambda device: 20_000_000_000)
    monkeypatch.setattr(generator_estimate, "GeneratorTask", lambda *_, **__: pytest.fail("built it"))
    arguments = ["--recipe", "imagenet256-infinitycc-32-leech", "--tokenizer", "imagenet256-tokenizer-f16-leech"]
    with pytest.raises(SystemExit) as ended:
        main([*arguments, "--device", "cpu", "--dry-run"])
    assert ended.value.code == 0
    said = capsys.readouterr().out
    assert "generator 2829" in said or "generator 2830" in said
    assert "state memory        45." in said
    assert "free memory         20.00 GB" in said
    assert "it does not fit" in said


def test_a_tokenizer_of_one_scale_is_refused():
    with pytest.raises(InputError, match="one scale"):
        estimate_generator(plan(tokenizer="smoke"))


def test_shards_share_the_state_and_averages_are_counted():
    two = World(torch.device("cpu"), 0, 2)
    assert dry_run.state_bytes(100, Run(steps=1, average_decay=None), World()) == 1600
    assert dry_run.state_bytes(100, Run(steps=1), two) == 2000
    assert dry_run.state_bytes(100, Run(steps=1, parallel="fsdp"), two) == 1000
