"""From a plan to a finished model: gather the parts, run the engine, give the model out with its card."""

__all__ = ["TokenizerPlan", "estimate_tokenizer", "launch_tokenizer"]

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

from workbench import atomic
from workbench.fit.engine.batches import Batches
from workbench.fit.engine.cost import Cost, measure
from workbench.fit.engine.distributed import World
from workbench.fit.engine.inputs import Inputs, hardware, required
from workbench.fit.engine.loop import Outcome, fit
from workbench.fit.engine.settings import from_mapping, override, to_mapping
from workbench.fit.tokenizer.alignment import make_foundation
from workbench.fit.tokenizer.card import tokenizer_card
from workbench.fit.tokenizer.perceptual import make_perceptual
from workbench.fit.tokenizer.pictures import make_batches
from workbench.fit.tokenizer.recipe import TokenizerRecipe
from workbench.fit.tokenizer.recipes import tokenizer_recipe
from workbench.fit.tokenizer.task import TokenizerTask
from workbench.images.sources import open_source
from workbench.models.load import load_tokenizer
from workbench.progress import Progress, no_progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class TokenizerPlan(Inputs):
    """A tokenizer to train.

    Attributes:
        recipe: A recipe's name, or its values.
        init_from: A model to begin from: a name, a folder or a hub id.
    """

    task: ClassVar[str] = "tokenizer"
    recipe: str | dict[str, Any] = "smoke"
    init_from: str | None = None


@dataclass(frozen=True)
class _Parts:
    """What a plan amounts to."""

    recipe: TokenizerRecipe
    task: TokenizerTask
    batches: Batches


def launch_tokenizer(
    plan: TokenizerPlan,
    *,
    world: World | None = None,
    progress: Progress = no_progress,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Outcome, Path]:
    """Train what the plan says, going on where an earlier run of it stopped.

    Returns:
        How the run ended, and the folder of the model: `config.json`, `model.safetensors` (fp16) and `README.md`.

    Raises:
        InputError: if the plan does not fit together.
        ModelError: if the model to begin from cannot be used.
        TrainingError: if the run cannot start, go on or be saved.
    """
    world = world or World()
    parts = _gather(plan, world)
    out = Path(plan.out or f"runs/{parts.recipe.name}")
    config = {"task": plan.task, **to_mapping(replace(plan, recipe=to_mapping(parts.recipe), set=(), out=str(out)))}
    outcome = fit(
        parts.task, parts.batches, parts.recipe.run, out=out, world=world, config=config, progress=progress, stop=stop
    )
    model = out / "model"
    tokenizer = parts.task.whole()
    if world.first:
        card = tokenizer_card(
            tokenizer,
            parts.recipe,
            outcome,
            data=plan.data,
            held_out=plan.held_out,
            init_from=plan.init_from,
            command=plan.command,
            machine=hardware(world.device),
        )
        with atomic.replaced_folder(model) as folder:
            tokenizer.save_pretrained(folder)
            atomic.write_text(folder / "README.md", card)
    return outcome, model


def estimate_tokenizer(plan: TokenizerPlan, *, world: World | None = None) -> tuple[Cost, str]:
    """Take a few steps of a plan and say what all of it would cost; writes nothing.

    Returns:
        The cost, and what a sample is called.

    Raises:
        InputError: if the plan does not fit together.
    """
    world = world or World()
    parts = _gather(plan, world)
    tokens = (parts.recipe.crops.side / parts.task.tokenizer.factor) ** 2
    machine = hardware(world.device)
    cost = measure(
        parts.task, parts.batches, parts.recipe.run, tokens_per_sample=tokens, world=world, device_name=machine
    )
    return cost, parts.task.unit


def _gather(plan: TokenizerPlan, world: World) -> _Parts:
    data = required(plan.data)
    if isinstance(plan.recipe, str):
        recipe = tokenizer_recipe(plan.recipe)
    else:
        recipe = from_mapping(TokenizerRecipe, plan.recipe, what="setting of the recipe")
    recipe = override(recipe, plan.set)
    start = load_tokenizer(plan.init_from) if plan.init_from else None
    perceptual = make_perceptual(recipe.losses.features, world.device) if recipe.losses.perceptual else None
    held_out = []
    if plan.held_out:
        source = open_source(plan.held_out)
        held_out = [sample.image for _, sample in zip(range(recipe.held_out_limit), source, strict=False)]
    weights = recipe.losses
    foundation = make_foundation(weights.alignment_features, world.device) if weights.alignment else None
    task = TokenizerTask(recipe, held_out=held_out, perceptual=perceptual, foundation=foundation, start=start)
    return _Parts(recipe, task, make_batches(data, recipe.crops, recipe.run))
