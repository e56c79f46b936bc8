"""The study of heads: what is compared was trained alike, and scoring costs nobody training time."""

from dataclasses import replace

import pytest
import torch

from workbench.errors import InputError, TrainingError
from workbench.fit.engine.loop import Outcome
from workbench.fit.generator.tokens import Tokens
from workbench.fit.studies import heads
from workbench.fit.studies.heads import HEADS, STUDY, Curve, Score, compare_heads, curve_of
from workbench.models.generator import Generator
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer


def tiny():
    """A tokenizer, tokens of two pictures and a study of four steps."""
    torch.manual_seed(0)
    quantizer = {"name": "multiscale", "base": "leech", "scales": [1, 2]}
    tokenizer = PyramidTokenizer(body=body_preset("conv-tiny-8"), quantizer=quantizer).eval()
    tokens = Tokens(torch.randint(0, 196_560, (2, 1, 5), dtype=torch.int32), torch.tensor([0, 1]))
    run = replace(STUDY.run, minutes=None, steps=4, batch_size=2, evaluate_every=2, precision="float32", warmup_steps=1)
    return tokenizer, tokens, replace(STUDY, run=run, trunk="nano", window=None)


def test_every_head_gets_the_same_pictures_and_a_curve(tmp_path):
    tokenizer, tokens, recipe = tiny()
    chosen = {name: HEADS[name] for name in ("digits", "lattice-1")}
    arguments = {"heads": chosen, "tokenizer": tokenizer, "tokens": tokens, "held_out": tokens, "out": tmp_path}
    curves = compare_heads(recipe, **arguments)
    assert [curve.name for curve in curves] == list(chosen)
    assert [score.step for score in curves[1].scores] == [2, 4]
    assert Generator.from_pretrained(tmp_path / "lattice-1" / "model").head.components == 1
    again = compare_heads(recipe, **arguments)
    assert [curve.scores for curve in again] == [curve.scores for curve in curves]


def test_an_interrupted_training_is_no_result(tmp_path, monkeypatch):
    tokenizer, tokens, recipe = tiny()
    stopped = Outcome(3, 1.0, "SIGTERM", tmp_path)
    monkeypatch.setattr(heads, "fit", lambda *_, **__: stopped)
    with pytest.raises(TrainingError, match="digits was interrupted at step 3"):
        compare_heads(
            recipe, heads={"digits": {"kind": "digits"}}, tokenizer=tokenizer, tokens=tokens, held_out=tokens,
            out=tmp_path,
        )  # fmt: skip


def test_seconds_of_scoring_are_taken_off():
    log = [
        {"step": 0, "event": "started"},
        {"step": 10, "seconds": 5.0, "loss": 1.0},
        {"step": 10, "evaluation": {"bits_per_token": 17.0, "scoring_seconds": 3.0}},
        {"step": 20, "seconds": 13.0, "loss": 1.0},
        {"step": 20, "evaluation": {"bits_per_token": 16.0, "scoring_seconds": 4.0}},
        {"step": 30, "seconds": 22.0, "loss": 1.0},
        {"step": 30, "evaluation": {"bits_per_token": 15.0, "scoring_seconds": 4.0}},
    ]
    assert curve_of(log) == (Score(10, 5.0, 17.0), Score(20, 10.0, 16.0), Score(30, 15.0, 15.0))


def test_a_score_between_two_lines_has_the_seconds_of_its_step():
    log = [
        {"step": 8, "evaluation": {"bits_per_token": 17.0, "scoring_seconds": 2.0}},
        {"step": 10, "seconds": 7.0, "loss": 1.0},
        {"step": 16, "evaluation": {"bits_per_token": 16.0, "scoring_seconds": 2.0}},
    ]
    assert curve_of(log) == (Score(8, 4.0, 17.0), Score(16, 8.0, 16.0))


def test_a_curve_is_read_between_its_scores_and_not_beyond():
    curve = Curve("x", 1, (Score(10, 5.0, 17.0), Score(40, 20.0, 13.0)))
    assert curve.at_step(20) == pytest.approx(15.0)
    assert curve.at_seconds(20.0) == 13.0
    with pytest.raises(InputError, match="not at 50"):
        curve.at_step(50)
