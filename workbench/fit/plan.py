"""A plan: what to train, by which recipe, on which data, into which folder; the same in a file and on a command line.

    {"task": "tokenizer", "recipe": "photo-leech-mae", "set": ["run.minutes=30"], "data": ["photos/"],
     "held_out": ["dev.tar"], "out": "runs/first", "init_from": null}

`task` is `tokenizer`, `generator`, `entropy` (tables of a codec), `heads` or `quantizers` (studies); the other keys are
those of its class. Where there is a recipe it is a name, or all values of one: a run writes its plan in that form to
`run.json`, so the file of any run repeats it.
"""

__all__ = ["PLANS", "Plan", "estimate", "launch", "plan_of", "read_plan"]

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from workbench.errors import InputError, did_you_mean
from workbench.fit.engine.cost import Cost
from workbench.fit.engine.distributed import World
from workbench.fit.engine.inputs import Trained
from workbench.fit.engine.loop import Outcome
from workbench.fit.engine.settings import from_mapping
from workbench.fit.entropy.launch import EntropyPlan, launch_entropy
from workbench.fit.generator.estimate import estimate_generator
from workbench.fit.generator.launch import GeneratorPlan, launch_generator
from workbench.fit.studies.heads import HeadsPlan, launch_heads
from workbench.fit.studies.quantizers import QuantizersPlan, launch_quantizers
from workbench.fit.tokenizer.launch import TokenizerPlan, estimate_tokenizer, launch_tokenizer
from workbench.progress import Progress, no_progress

Plan = TokenizerPlan | GeneratorPlan | EntropyPlan | HeadsPlan | QuantizersPlan

PLANS: Mapping[str, type[Plan]] = {
    kind.task: kind for kind in (TokenizerPlan, GeneratorPlan, EntropyPlan, HeadsPlan, QuantizersPlan)
}


def read_plan(path: Path) -> Plan:
    """Read a plan from a JSON file.

    Raises:
        InputError: if it cannot be read, or has a key that is unknown or a value that does not fit.
    """
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"cannot read the plan {path}: {error.strerror}") from error
    except ValueError as error:
        raise InputError(f"{path} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise InputError(f"{path}: expected one JSON object with data, recipe and out, got a {type(values).__name__}")
    return plan_of(values)


def plan_of(values: Mapping[str, Any]) -> Plan:
    """Build a plan from plain values; without `task`, a generator's where it names a tokenizer, else a tokenizer's.

    Raises:
        InputError: if a key is unknown or a value does not fit.
    """
    task = values.get("task", "generator" if "tokenizer" in values else "tokenizer")
    if task not in PLANS:
        raise InputError(did_you_mean("task", str(task), PLANS))
    return from_mapping(PLANS[task], {key: values[key] for key in values if key != "task"}, what="key of the plan")


def launch(
    plan: Plan,
    *,
    world: World | None = None,
    progress: Progress = no_progress,
    stop: Callable[[], bool] = lambda: False,
) -> Trained:
    """Train what the plan says, going on where an earlier run of it stopped.

    Args:
        plan: What to train.
        world: The processes; None for this one alone. Tables and studies are made by one.
        progress: Told the share done and a line of text.
        stop: Asked before every step of a tokenizer or generator.

    Raises:
        InputError: if the plan does not fit together.
        ModelError: if a model to begin from cannot be used.
        TrainingError: if the run cannot start, go on or be saved.
    """
    if isinstance(plan, TokenizerPlan):
        return _trained(*launch_tokenizer(plan, world=world, progress=progress, stop=stop))
    if isinstance(plan, GeneratorPlan):
        return _trained(*launch_generator(plan, world=world, progress=progress, stop=stop))
    if world is not None and world.size > 1:
        raise InputError(f"task {plan.task!r} is for one process, got {world.size}: start it without torchrun")
    if isinstance(plan, EntropyPlan):
        return launch_entropy(plan, progress=progress)
    if isinstance(plan, HeadsPlan):
        return launch_heads(plan, progress=progress)
    return launch_quantizers(plan, progress=progress)


def estimate(plan: Plan, *, world: World | None = None) -> tuple[Cost, str]:
    """Take a few steps of a plan and say what all of it would cost; writes nothing.

    Returns:
        The cost, and what a sample is called.

    Raises:
        InputError: if the plan does not fit together, or is no tokenizer's or generator's.
    """
    if isinstance(plan, TokenizerPlan):
        return estimate_tokenizer(plan, world=world)
    if isinstance(plan, GeneratorPlan):
        return estimate_generator(plan, world=world), "images"
    raise InputError(f"task {plan.task!r}: the cost of tokenizers and generators alone can be estimated")


def _trained(outcome: Outcome, model: Path) -> Trained:
    figures = {
        "reason": outcome.reason,
        "steps": outcome.step,
        "seconds": round(outcome.seconds, 1),
        "scores": dict(outcome.scores),
        "skipped": outcome.skipped,
    }
    return Trained(figures, model, outcome.exit_code)
