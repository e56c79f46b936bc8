"""What training a generator would cost here: measured where it fits into memory, else computed from shapes alone."""

__all__ = ["estimate_generator"]

from dataclasses import replace

import torch
from torch import nn

from workbench.errors import InputError
from workbench.fit.engine.cost import Cost, imagine, measure, state_bytes
from workbench.fit.engine.distributed import World
from workbench.fit.engine.inputs import hardware
from workbench.fit.engine.step import compute_twice
from workbench.fit.generator.launch import GeneratorPlan
from workbench.fit.generator.recipes import GeneratorRecipe
from workbench.fit.generator.task import GeneratorTask
from workbench.fit.generator.tokens import TokenBatches, Tokens
from workbench.fit.tokenizer.recipe import Losses
from workbench.fit.tokenizer.recipes import RECIPES
from workbench.fit.tokenizer.task import TokenizerTask
from workbench.models.generator import Generator
from workbench.models.generator_presets import trunk_preset
from workbench.models.heads.full import FullHead
from workbench.models.memory import free_memory
from workbench.models.pyramid_tokenizer import PyramidTokenizer

_PICTURES = 64


def estimate_generator(plan: GeneratorPlan, *, world: World | None = None) -> Cost:
    """Say what a plan would cost, from a few steps on random tokens; reads no data and writes nothing.

    Args:
        plan: What to train. Its tokenizer may also be the recipe of one, which need not have been trained.
        world: The processes; None for this one alone.

    Raises:
        InputError: if the plan does not fit together.
        ModelError: if the tokenizer cannot be used.
    """
    world = world or World()
    recipe, machine = plan.full_recipe(), hardware(world.device)
    tokenizer = _tokenizer(plan.tokenizer)
    shape = Generator.empty(
        {
            "trunk": trunk_preset(recipe.trunk) | recipe.trunk_changes,
            "head": recipe.head,
            "scales": tokenizer.quantizer.scales,
            "classes": recipe.classes,
            "tokenizer": {"code": tokenizer.quantizer.base.name},
        }
    )
    count = sum(p.numel() for p in shape.parameters())
    needed, free = state_bytes(count, recipe.run, world), free_memory(world.device)
    if free is not None and needed > free:
        # The kernels of other heads want numbers to work on.
        each, fixed = _imagined(shape, recipe, tokenizer) if isinstance(shape.head, FullHead) else (None, 0)
        return Cost(
            parameters={"generator": count},
            state_bytes=needed,
            activation_bytes=each,
            fixed_bytes=fixed,
            part=recipe.run.batch_size // (world.size * recipe.run.accumulate),
            free_bytes=free,
            device=machine,
            steps=recipe.run.steps,
        )
    luck = torch.Generator().manual_seed(0)
    length = tokenizer.length
    indices = torch.randint(tokenizer.quantizer.size, (_PICTURES, 1, length), generator=luck, dtype=torch.int32)
    tokens = Tokens(indices, torch.randint(len(recipe.classes), (_PICTURES,), generator=luck))
    task = GeneratorTask(recipe, tokenizer=tokenizer, tokens=tokens)
    batches = TokenBatches(tokens, recipe.run.batch_size, recipe.run.seed)
    return measure(task, batches, recipe.run, tokens_per_sample=length, world=world, device_name=machine)


def _tokenizer(name: str) -> PyramidTokenizer:
    if name not in RECIPES:
        return PyramidTokenizer.from_pretrained(name)
    if RECIPES[name].quantizer != "multiscale":
        raise InputError(f"{name!r} is the recipe of a tokenizer of one scale, expected one of several")
    return PyramidTokenizer.from_config(TokenizerTask(replace(RECIPES[name], losses=Losses())).tokenizer.config).eval()


def _imagined(shape: nn.Module, recipe: GeneratorRecipe, tokenizer: PyramidTokenizer) -> tuple[int, int]:
    """Bytes that the backward pass keeps for each picture, and besides."""
    length, dimension = tokenizer.length, tokenizer.quantizer.dimension
    if recipe.run.gradient_checkpointing:
        compute_twice(shape)

    def compute(model: nn.Module, count: int) -> None:
        first = tokenizer.quantizer.scales[0] ** 2
        shares = torch.zeros(count, len(recipe.classes))  # a class as shares: a number would have to be looked at
        with torch.autocast("cpu", torch.bfloat16, enabled=recipe.run.precision == "bfloat16"):
            inputs = torch.zeros(count, length - first, dimension)
            model(inputs, shares, torch.zeros(count, length, dtype=torch.long), torch.ones(count, length))

    return imagine(shape, compute)
