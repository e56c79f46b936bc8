"""Drawing pictures from a generator: scale by scale, with guidance, and with parts held to a given picture.

At each scale the generator sees the sum of the code grids so far, gives features for every cell of the scale at once,
and its head draws a token for each. Guidance runs the trunk with and without the class and mixes the two laws
(`heads/head.py`). Every control may differ from scale to scale.

Editing needs nothing else. A *kept* cell takes, instead of a drawn token, the codeword nearest to what is missing there
between the given picture's latents and the sum so far; so kept parts stay true to the picture whatever was drawn
around them. Keep all but a masked part to fill it in, all but a border to extend, or all coarse scales to draw only
the details again.
"""

__all__ = [
    "CONTROL_PRESETS",
    "Controls",
    "Given",
    "Stage",
    "check_controls",
    "keep_coarse",
    "keep_outside",
    "sample",
]

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.errors import InputError, ModelError
from workbench.models.generator import Generator
from workbench.models.heads.head import Sampling
from workbench.models.transformer import Cache
from workbench.quantizers.multiscale import MultiScaleResidualQuantizer

PerScale = float | int | tuple[float | int, ...]


@dataclass(frozen=True)
class Controls:
    """How tokens are drawn.

    A value is one number; or two, the first and the last scale's, with a straight line between; or one for each scale.

    Attributes:
        temperature: At least 0; 0 takes the most probable.
        top_k: Codewords kept; None keeps all.
        top_p: Share kept, in (0, 1]; None keeps all.
        guidance: 1 is the law of the class; more exaggerates it.
    """

    temperature: PerScale = 1.0
    top_k: PerScale | None = None
    top_p: PerScale | None = None
    guidance: PerScale = 1.5

    def at(self, step: int, scales: int) -> Sampling:
        """The values of one scale.

        Raises:
            InputError: if there are neither one, two, nor as many values as scales.
        """
        top_k = None if self.top_k is None else round(_at(self.top_k, step, scales, "top_k"))
        top_p = None if self.top_p is None else _at(self.top_p, step, scales, "top_p")
        temperature = _at(self.temperature, step, scales, "temperature")
        return Sampling(temperature, top_k, top_p, _at(self.guidance, step, scales, "guidance"))


CONTROL_PRESETS: Mapping[str, Controls] = {
    # Fine scales hold most of the tokens, each drawn by itself: a lower temperature keeps them from adding up to noise.
    "balanced": Controls(temperature=(0.9, 0.6), guidance=(2.0, 2.5)),
    "faithful": Controls(temperature=(0.8, 0.3), guidance=(3.0, 2.0)),
    "varied": Controls(temperature=(1.0, 0.7), guidance=1.5),
    "as-learned": Controls(temperature=1.0, guidance=1.0),
    # Of the released 12- and 24-layer models, which have full heads: guidance rises and k falls with the scale.
    "published-12": Controls(guidance=(1.0, 3.0), top_k=(10_000, 4_000), top_p=0.95),
    "published-24": Controls(
        guidance=(1.0, 2.5), top_k=(2_000, 1_700, 1_400, 1_100, 800, 500, 200), top_p=0.98
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Given:
    """A picture that parts are held to.

    Attributes:
        latents: Of the tokenizer's encoder, float (B or 1, D, side, side).
        keep: For each scale the cells that are held, bool (B or 1, s, s).
    """

    latents: Tensor
    keep: tuple[Tensor, ...]

    def of(self, number: int) -> "Given":
        """What one picture of a batch is held to."""
        latents, *keep = (each[number % len(each)][None] for each in (self.latents, *self.keep))
        return Given(latents, tuple(keep))


@dataclass(frozen=True)
class Stage:
    """What is known after a scale.

    Attributes:
        step: Number of the scale, from 0.
        scale: Side of its grid.
        indices: All tokens so far, int64 (B, n), which the tokenizer's `detokenize` takes.
    """

    step: int
    scale: int
    indices: Tensor


@torch.no_grad()
def sample(
    model: Generator,
    quantizer: MultiScaleResidualQuantizer,
    labels: Tensor,
    *,
    generator: torch.Generator,
    controls: Controls = CONTROL_PRESETS["balanced"],
    given: Given | None = None,
    stop: Callable[[], bool] = lambda: False,
) -> Iterator[Stage]:
    """Draw a picture for each label; yields after every scale.

    The same labels, seed and controls give the same tokens on the same machine.

    Args:
        model: The generator, in evaluation mode.
        quantizer: That of its tokenizer.
        labels: int64 (B,), -1 for no class; or shares of the classes, (B, classes).
        generator: Source of randomness, on the model's device.
        controls: How tokens are drawn.
        given: A picture that parts are held to.
        stop: Asked before every scale; True ends the drawing.

    Raises:
        InputError: if a control is out of range or the given picture does not fit.
        ModelError: if generator and quantizer do not belong together.
    """
    if quantizer.scales != model.scales:
        raise ModelError(
            f"generator {model.name!r} draws scales {list(model.scales)}, the tokenizer has {list(quantizer.scales)}"
        )
    check_controls(model, controls)
    condition = model.condition(labels)
    batch, count = len(condition), len(model.scales)
    settings = [controls.at(step, count) for step in range(count)]
    guided = any(each.guidance != 1.0 for each in settings)
    if guided:
        condition = torch.cat([condition, model.class_vectors.weight[:1].expand(batch, -1)])
    if given is not None:
        _check_given(given, quantizer, batch)
    total = torch.zeros(batch, quantizer.dimension, quantizer.side, quantizer.side, device=condition.device)
    rows: list[Tensor] = []
    cache = Cache()
    for step, scale in enumerate(model.scales):
        if stop():
            return
        inputs = quantizer.next_input(total, step) if step else None
        if guided and inputs is not None:
            inputs = torch.cat([inputs, inputs])
        features = model.features_of_scale(step, inputs, condition, cache)
        tokens = model.head.sample(
            features[:batch],
            generator=generator,
            sampling=settings[step],
            unconditional=features[batch:] if guided else None,
        )
        grid = tokens.unflatten(1, (scale, scale))
        if given is not None:
            missing = given.latents - total
            if scale != quantizer.side:
                missing = F.interpolate(missing, size=(scale, scale), mode="area")
            held = quantizer.base.codes_to_indices(missing * quantizer.base.scale, channel_first=True)
            grid = torch.where(given.keep[step], held, grid)
        total = quantizer.add(total, grid, step)
        rows.append(grid.flatten(1))
        yield Stage(step, scale, torch.cat(rows, 1))


def check_controls(model: Generator, controls: Controls) -> None:
    """Raise InputError for a control that is out of range at some scale of a generator."""
    count = len(model.scales)
    for step in range(count):
        controls.at(step, count).check(model.head.size, model.head.max_k)


def keep_outside(mask: Tensor, scales: Sequence[int]) -> tuple[Tensor, ...]:
    """Cells to hold so that all but a masked part stays: for each scale those that the mask does not touch.

    Args:
        mask: True where new content goes, bool (B, H, W) at any resolution that the finest grid divides.
        scales: Sides of the grids.
    """
    touched = mask[:, None].float()
    return tuple(F.adaptive_max_pool2d(touched, scale)[:, 0] == 0 for scale in scales)


def keep_coarse(count: int, scales: Sequence[int]) -> tuple[Tensor, ...]:
    """Cells to hold so that the first `count` scales stay and the finer ones are drawn again."""
    return tuple(torch.full((1, scale, scale), step < count) for step, scale in enumerate(scales))


def _at(value: PerScale, step: int, scales: int, name: str) -> float:
    values = value if isinstance(value, tuple) else (value,)
    if not all(math.isfinite(each) for each in values):
        raise InputError(f"{name} must be a finite number, got {value}")
    if len(values) == 1:
        return values[0]
    if len(values) == scales:
        return values[step]
    if len(values) == 2:
        return values[0] + (values[1] - values[0]) * step / max(1, scales - 1)
    raise InputError(f"{name} takes one value, two (first and last scale) or {scales}, got {len(values)}")


def _check_given(given: Given, quantizer: MultiScaleResidualQuantizer, batch: int) -> None:
    shape = (quantizer.dimension, quantizer.side, quantizer.side)
    sides = [tuple(each.shape[1:]) for each in given.keep]
    if tuple(given.latents.shape[1:]) != shape or sides != [(scale, scale) for scale in quantizer.scales]:
        raise InputError(
            f"expected latents of shape (B, {', '.join(map(str, shape))}) and a mask for each scale of "
            f"{list(quantizer.scales)}, got {tuple(given.latents.shape)} and masks {sides}"
        )
    if any(len(each) not in (1, batch) for each in (given.latents, *given.keep)):
        raise InputError(f"the given picture must be one, or one for each of {batch} labels")
