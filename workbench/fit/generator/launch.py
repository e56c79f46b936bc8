"""From a recipe, a tokenizer and pictures to a finished generator: tokens, the engine, the model with its card."""

__all__ = ["GeneratorPlan", "launch_generator"]

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar

import torch

from workbench import atomic
from workbench.errors import InputError
from workbench.fit.engine.distributed import World, whole
from workbench.fit.engine.inputs import Inputs, hardware, required
from workbench.fit.engine.loop import Outcome, fit
from workbench.fit.engine.settings import flat, from_mapping, override, to_mapping
from workbench.fit.generator.recipes import GeneratorRecipe, generator_recipe
from workbench.fit.generator.task import GeneratorTask
from workbench.fit.generator.token_shards import holds_tokens, load_tokens
from workbench.fit.generator.tokens import TokenBatches, Tokens, tokenize_pictures
from workbench.fit.tokenizer.task import take_over
from workbench.models.generator import Generator
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.progress import Progress, no_progress

_log = logging.getLogger(__name__)


@dataclass(frozen=True, kw_only=True)
class GeneratorPlan(Inputs):
    """A generator to train; its data may also be folders of token shards of `workbench tokenize`.

    Attributes:
        recipe: A recipe's name, or its values.
        tokenizer: A multi-scale tokenizer: a name, a folder or a hub id.
        init_from: A generator whose weights to begin from, as far as shapes agree.
    """

    task: ClassVar[str] = "generator"
    recipe: str | dict[str, Any] = "generator-smoke"
    tokenizer: str
    init_from: str | None = None

    def full_recipe(self) -> GeneratorRecipe:
        """The recipe with its overrides.

        Raises:
            InputError: if there is none of that name, or a key or value does not fit.
        """
        if isinstance(self.recipe, str):
            return override(generator_recipe(self.recipe), self.set)
        return override(from_mapping(GeneratorRecipe, self.recipe, what="setting of the recipe"), self.set)


def launch_generator(
    plan: GeneratorPlan,
    *,
    world: World | None = None,
    progress: Progress = no_progress,
    stop: Callable[[], bool] = lambda: False,
) -> tuple[Outcome, Path]:
    """Train what the plan says, going on where an earlier run of it stopped.

    Args:
        plan: What to train.
        world: The processes; None for this one alone.
        progress: Told the share done and a line of text.
        stop: Asked before every step.

    Returns:
        How the run ended, and the folder of the model.

    Raises:
        InputError: if the plan does not fit together.
        ModelError: if the tokenizer cannot be used.
        TrainingError: if the run cannot start, go on or be saved, or kept tokens are stale.
    """
    world = world or World()
    required(plan.data)
    recipe = plan.full_recipe()
    out = Path(plan.out or f"runs/{recipe.name}")
    tokenizer = PyramidTokenizer.from_pretrained(plan.tokenizer).to(world.device)
    tokens, held_out = _tokens(plan, recipe, tokenizer, out, world, progress)
    tokenizer.to("cpu")
    task = GeneratorTask(recipe, tokenizer=tokenizer, tokens=tokens, held_out=held_out)
    if plan.init_from:
        start = Generator.from_pretrained(plan.init_from)
        anew = take_over(start, task.generator)
        _log.info("beginning from %s, apart from %s", start.name, ", ".join(anew) or "nothing")
    batches = TokenBatches(tokens, recipe.run.batch_size, recipe.run.seed)
    model = out / "model"
    config = {"task": plan.task, **to_mapping(replace(plan, recipe=to_mapping(recipe), set=(), out=str(out)))}
    outcome = fit(task, batches, recipe.run, out=out, world=world, config=config, progress=progress, stop=stop)
    weights = {key: whole(value) for key, value in task.generator.state_dict().items()}
    if world.first:
        finished = type(task.generator)(**{key: value for key, value in task.generator.config.items() if key != "kind"})
        finished.load_state_dict(weights)
        with atomic.replaced_folder(model) as folder:
            finished.save_pretrained(folder)
            atomic.write_text(folder / "README.md", _card(task, plan, outcome, hardware(world.device)))
    return outcome, model


def _tokens(
    plan: GeneratorPlan,
    recipe: GeneratorRecipe,
    tokenizer: PyramidTokenizer,
    out: Path,
    world: World,
    progress: Progress,
) -> tuple[Tokens, Tokens | None]:
    """Tokens of the training and of the held-out pictures; the first process makes them, the others wait for it."""
    if all(map(holds_tokens, plan.data)):
        indices, labels = load_tokens(plan.data, tokenizer)
        if not 0 <= labels.min() <= labels.max() < len(recipe.classes):
            raise InputError(
                f"tokens of classes {labels.min()} to {labels.max()}, the recipe has {len(recipe.classes)} "
                "(-1: a picture without a class)"
            )
        ready = Tokens(torch.from_numpy(indices).flatten(1)[:, None].int(), torch.from_numpy(labels))
    else:
        ready = None
    settings = {"classes": recipe.classes, "seed": recipe.run.seed, "progress": progress}
    made = []
    for turn in (True, False):
        if world.first == turn:
            file = out / "tokens.safetensors"
            made = [ready or tokenize_pictures(plan.data, tokenizer, file, views=recipe.views, **settings)]
            if plan.held_out:
                made.append(tokenize_pictures(plan.held_out, tokenizer, out / "held_out.safetensors", **settings))
        world.wait()
    held_out = made[1] if len(made) > 1 else None
    if held_out is not None:
        order = torch.randperm(len(held_out.labels), generator=torch.Generator().manual_seed(0))
        order = order[: recipe.held_out_limit]
        held_out = Tokens(held_out.indices[order], held_out.labels[order])
    return made[0], held_out


def _card(task: GeneratorTask, plan: GeneratorPlan, outcome: Outcome, machine: str) -> str:
    """The text of `README.md`."""
    model, recipe = task.generator, task.recipe
    parameters = sum(p.numel() for p in model.parameters())
    names = {
        key: ", ".join(path.rstrip("/").rpartition("/")[2] for path in getattr(plan, key))
        for key in ("data", "held_out")
    }
    classes = ", ".join(model.classes) if len(model.classes) <= 20 else f"{len(model.classes)} classes"
    return "\n".join(
        [
            f"# {model.name}",
            "",
            f"A class-conditional image generator: {parameters / 1e6:.2f} M parameters, {model.length} tokens a "
            f"picture in scales {', '.join(map(str, model.scales))}, drawn through the tokenizer `{plan.tokenizer}`. "
            f"Classes: {classes}. Head: {recipe.head}.",
            "",
            "## Training",
            "",
            f"- data: {names['data']}, {recipe.views} views of each picture",
            f"- recipe: `{recipe.name}`, seed {recipe.run.seed}, begun from {plan.init_from or 'random weights'}",
            f"- command: `{plan.command or 'not recorded'}`",
            f"- hardware: {machine}; {outcome.seconds / 3600:.2f} hours",
            f"- {outcome.step:,} steps of {recipe.run.batch_size} pictures, {outcome.skipped} bad batches",
            "",
            "## Scores",
            "",
            f"On {names['held_out'] or 'nothing held out'}: bits a token under teacher forcing, in all and by scale "
            f"(knowing nothing is {task.best_possible:.2f}), and the share of tokens whose most probable codeword is "
            "the right one.",
            "",
            "| score | value |",
            "| --- | --- |",
            *(f"| {name} | {value:.4g} |" for name, value in outcome.scores.items()),
            "",
            "## Limits",
            "",
            "It knows the classes named above and pictures like those it was trained on, at one size. The terms of the "
            "training pictures apply to the weights.",
            "",
            "## Settings",
            "",
            "```",
            *(f"{key} = {value}" for key, value in flat(to_mapping(recipe)).items() if key != "classes"),
            "```",
            "",
        ]
    )
