"""The study of heads: one trunk, one tokenizer, one order of pictures; only the output layer differs.

Every head trains for the same minutes at a constant rate, and its averaged weights are scored on the same held-out
pictures as it goes. So one training gives both comparisons: *at equal steps* (what a step teaches) and *at equal time*
(what a minute teaches). Minutes are those of training: scoring is not counted, and neither is the first step, which
compiles kernels. Bits are those of a token; the digits' law does not sum to one over the codewords: its bits say so.
"""

__all__ = ["HEADS", "STUDY", "Curve", "HeadsPlan", "Score", "compare_heads", "curve_of", "launch_heads"]

import json
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from workbench import atomic
from workbench.errors import InputError, TrainingError, did_you_mean
from workbench.fit.engine.inputs import Inputs, Trained, required
from workbench.fit.engine.journal import read_log
from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import Run, override, to_mapping
from workbench.fit.generator.recipes import GeneratorRecipe, generator_recipe
from workbench.fit.generator.task import GeneratorTask
from workbench.fit.generator.tokens import TokenBatches, Tokens, tokenize_pictures
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.progress import Progress, no_progress

# python -m training.heads --data flowers128-train-000.tar --held-out flowers128-dev-000.tar
# 1 CPU core · 100 minutes for all heads · expected at equal time: `lattice` with 16 components 0.9 bits ahead of `full`
STUDY = replace(
    generator_recipe("flowers-64"),
    name="heads",
    run=Run(
        minutes=8.0,
        batch_size=8,
        precision="bfloat16",
        schedule="constant",
        warmup_steps=50,
        average_decay=0.98,
        evaluate_every=40,
        keep_best=False,
        keep_last=1,
    ),
    views=2,
    weighting="uniform",
    window=4,  # few tokens a step, or the full head would take a hundred steps at most
    held_out_limit=8,
)

HEADS: Mapping[str, Mapping[str, Any]] = {
    "full": {"kind": "full"},
    "full-table": {"kind": "full", "table": True},
    "digits": {"kind": "digits"},
    **{f"lattice-{count}": {"kind": "lattice", "components": count} for count in (1, 4, 8, 16)},
    "lattice-1-words": {"kind": "lattice", "components": 1, "word_logits": True},
    "lattice-4-words": {"kind": "lattice", "components": 4, "word_logits": True},
    "lattice-4-words-table": {"kind": "lattice", "components": 4, "word_logits": True, "table": True},
    "lattice-16-table": {"kind": "lattice", "components": 16, "table": True},
}


@dataclass(frozen=True)
class Score:
    """Where a training stood.

    Attributes:
        step: Steps done.
        seconds: Of training.
        bits: A held-out token.
    """

    step: int
    seconds: float
    bits: float


@dataclass(frozen=True)
class Curve:
    """How a head learned.

    Attributes:
        name: Of the head.
        parameters: Numbers in its weights.
        scores: By growing step.
    """

    name: str
    parameters: int
    scores: tuple[Score, ...]

    def at_step(self, step: int) -> float:
        """Bits after so many steps, between two scores by a straight line in the logarithm of the step."""
        return self._at([score.step for score in self.scores], step, "steps")

    def at_seconds(self, seconds: float) -> float:
        """Bits after so many seconds of training, likewise."""
        return self._at([score.seconds for score in self.scores], seconds, "seconds")

    def _at(self, places: list[float], place: float, unit: str) -> float:
        if not places or not places[0] <= place <= places[-1]:
            raise InputError(f"{self.name} was scored from {places[:1]} to {places[-1:]} {unit}, not at {place}")
        return float(np.interp(np.log(place), np.log(places), [score.bits for score in self.scores]))


@dataclass(frozen=True, kw_only=True)
class HeadsPlan(Inputs):
    """Heads to compare.

    Attributes:
        recipe: What all share.
        tokenizer: A multi-scale tokenizer: a name, a folder or a hub id.
        only: Heads to train, names of :data:`HEADS`; all where it is empty.
    """

    task: ClassVar[str] = "heads"
    recipe: GeneratorRecipe = STUDY
    tokenizer: str = "flowers-64-tokenizer"
    only: tuple[str, ...] = ()


def launch_heads(plan: HeadsPlan, *, progress: Progress = no_progress) -> Trained:
    """Train the heads and write `results.json`: the curve of each, and its bits at equal steps and at equal time.

    Raises:
        InputError: if a head is unknown, or there is no data.
        ModelError: if the tokenizer cannot be used.
        TrainingError: if a training was interrupted.
    """
    for name in plan.only:
        if name not in HEADS:
            raise InputError(did_you_mean("head", name, HEADS))
    recipe, out = override(plan.recipe, plan.set), Path(plan.out or "runs/heads")
    tokenizer = PyramidTokenizer.from_pretrained(plan.tokenizer)
    paths = (required(plan.data), required(plan.held_out))
    tokens = tokenize_pictures(
        paths[0], tokenizer, out / "tokens.safetensors", classes=recipe.classes, views=recipe.views
    )
    held_out = tokenize_pictures(paths[1], tokenizer, out / "held_out.safetensors", classes=recipe.classes)
    step = max(1, len(held_out.labels) // recipe.held_out_limit)  # the pictures stand by class: some of each
    curves = compare_heads(
        recipe,
        heads={name: HEADS[name] for name in plan.only or HEADS},
        tokenizer=tokenizer,
        tokens=tokens,
        held_out=Tokens(held_out.indices[::step], held_out.labels[::step]),
        out=out,
        progress=progress,
    )
    steps = min(curve.scores[-1].step for curve in curves)
    seconds = min(curve.scores[-1].seconds for curve in curves)
    rows = {}
    for curve in curves:
        last = curve.scores[-1]
        row = {"bits_at_equal_steps": curve.at_step(steps), "bits_at_equal_time": curve.at_seconds(seconds)}
        rows[curve.name] = row | {"seconds_a_step": last.seconds / last.step, **asdict(curve)}
    report = {"steps": steps, "seconds": seconds, "heads": rows}
    atomic.write_text(out / "results.json", json.dumps(report, indent=1) + "\n")
    scores = {name: round(row["bits_at_equal_time"], 3) for name, row in rows.items()}
    return Trained({"steps": steps, "seconds": seconds, "scores": scores}, out / "results.json")


def compare_heads(
    recipe: GeneratorRecipe,
    *,
    heads: Mapping[str, Mapping[str, Any]],
    tokenizer: PyramidTokenizer,
    tokens: Tokens,
    held_out: Tokens,
    out: Path,
    progress: Progress = no_progress,
) -> list[Curve]:
    """Train the recipe with each head; trainings found finished in `out` are not repeated.

    Args:
        recipe: What all share; its own head is not used.
        heads: Settings by name, see `HEADS`.
        tokenizer: In evaluation mode.
        tokens: To train on.
        held_out: To score on.
        out: Folder of the runs, each below it, with its finished generator in `model`.
        progress: Told the share of all done.

    Raises:
        TrainingError: if a training was interrupted.
    """
    curves = []
    for place, (name, settings) in enumerate(heads.items()):
        own = replace(recipe, name=f"{recipe.name}-{name}", head=dict(settings))
        task = _Watched(own, tokenizer=tokenizer, tokens=tokens, held_out=held_out)

        def show(fraction: float, message: str, place: int = place, name: str = name) -> None:
            progress((place + fraction) / len(heads), f"{name}: {message}")

        batches = TokenBatches(tokens, own.run.batch_size, own.run.seed)
        outcome = fit(task, batches, own.run, out=out / name, config=to_mapping(own), progress=show)
        if outcome.reason != "done":
            raise TrainingError(f"{name} was interrupted at step {outcome.step}: the same command goes on from there")
        if not (out / name / "model").exists():
            task.generator.save_pretrained(out / name / "model")
        curves.append(
            Curve(name, sum(p.numel() for p in task.generator.head.parameters()), curve_of(read_log(out / name)))
        )
    return curves


def curve_of(log: list[dict[str, Any]]) -> tuple[Score, ...]:
    """The scores in a run's log, with the seconds spent on scoring taken off.

    Seconds stand in the lines between scores; those of a score follow from the pace of the steps around it.
    """
    steps, seconds, scoring, found = [0], [0.0], 0.0, []
    for line in log:
        if "seconds" in line:
            steps.append(line["step"])
            seconds.append(line["seconds"] - scoring)
        if "evaluation" in line:
            found.append((line["step"], line["evaluation"]["bits_per_token"]))
            scoring += line["evaluation"]["scoring_seconds"]
    pace = seconds[-1] / max(1, steps[-1])
    return tuple(
        Score(step, float(np.interp(step, steps, seconds)) + pace * max(0, step - steps[-1]), bits)
        for step, bits in found
    )


class _Watched(GeneratorTask):
    """A generator's training that knows how long its scoring took, and draws nothing meanwhile."""

    def evaluate(self) -> dict[str, float]:
        began = time.monotonic()
        scores = super().evaluate()
        return scores | {"scoring_seconds": time.monotonic() - began}

    def preview(self) -> None:
        return None
