"""Training a tokenizer: encoder, quantizer and decoder against distortion, perception and a judge.

One forward pass serves both players: the reconstruction x̂ that the tokenizer is judged on is the one that the judge
learns to tell from x. While the tokenizer is updated the judge's weights want no gradient, and the other way round.
"""

__all__ = ["TokenizerTask", "take_over"]

import logging
from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from workbench.errors import InputError
from workbench.fit.engine.distributed import whole
from workbench.fit.engine.step import Step, seed_of
from workbench.fit.optim.factory import make_optimizers
from workbench.fit.tokenizer.alignment import Alignment, Foundation, alignment_loss, balance
from workbench.fit.tokenizer.losses import ADVERSARIAL, absolute_error, gradient_penalty, squared_error
from workbench.fit.tokenizer.recipe import TokenizerRecipe
from workbench.metrics.distortion import psnr
from workbench.models.discriminator import PatchDiscriminator
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.presets import body_preset
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.style_discriminator import StyleDiscriminator
from workbench.models.tokenizer import Tokenizer

_log = logging.getLogger(__name__)
Perceptual = Callable[[Tensor, Tensor], Tensor]
_PREVIEWS, _PREVIEW_SIDE = 6, 256


class TokenizerTask:
    """A tokenizer, perhaps a judge, and what they are held to.

    Args:
        recipe: The settings.
        held_out: Pictures to evaluate on, uint8 (H, W, 3), any sizes.
        perceptual: Distance of two batches of images in [0, 1]; needed where its weight is not 0.
        foundation: Features to align latents with; needed where the weight of that is not 0.
        start: A tokenizer of the same body whose weights to begin from; layers of another shape, such as those that
            meet another quantizer's codes, start anew and are named in the log.

    Raises:
        InputError: if the recipe does not fit together, or `start` is another network.
    """

    averaged = ("tokenizer",)
    sharded = ("tokenizer",)
    unit = "images"

    def __init__(
        self,
        recipe: TokenizerRecipe,
        *,
        held_out: Sequence[np.ndarray] = (),
        perceptual: Perceptual | None = None,
        foundation: Foundation | None = None,
        start: Tokenizer | None = None,
    ) -> None:
        if recipe.losses.perceptual and perceptual is None:
            raise InputError(f"losses.perceptual={recipe.losses.perceptual} needs a perceptual distance to be given")
        if recipe.losses.alignment and (foundation is None or recipe.run.compile):
            raise InputError(
                f"losses.alignment={recipe.losses.alignment} needs features to be given, and run.compile=false: "
                "its weight comes from gradients inside the network"
            )
        self.recipe, self.perceptual, self.foundation = recipe, perceptual, foundation
        self.held_out = list(held_out)[: recipe.held_out_limit]
        self.best = ("psnr", "max") if self.held_out else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(recipe.run.seed, "weights"))
            kind = PyramidTokenizer if recipe.quantizer == "multiscale" else GridTokenizer
            self.tokenizer: Tokenizer = kind(
                body=body_preset(recipe.body) | recipe.body_changes,
                quantizer={"name": recipe.quantizer, **recipe.quantizer_settings},
                name=recipe.name,
            ).to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            self.held_out = [self.tokenizer.prepare(picture) for picture in self.held_out]
            self.modules: dict[str, nn.Module] = {"tokenizer": self.tokenizer}
            if recipe.losses.adversarial:
                settings = recipe.judge
                if settings.kind == "style":
                    judge: nn.Module = StyleDiscriminator(width=settings.width, side=recipe.crops.side)
                else:
                    judge = PatchDiscriminator(width=settings.width, stages=settings.stages)
                self.modules["judge"] = judge.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
            if recipe.losses.alignment and foundation is not None:
                self.modules["alignment"] = Alignment(self.tokenizer.quantizer.dimension, foundation.width)
                self.tokenizer.encoder.register_forward_hook(self._see_latents)
        if recipe.crops.side % self.tokenizer.factor:
            raise InputError(
                f"crops.side={recipe.crops.side} is no multiple of the patch side {self.tokenizer.factor} "
                f"of body {recipe.body!r}"
            )
        if self.tokenizer.window not in (None, recipe.crops.side):
            raise InputError(f"body {recipe.body!r} takes crops.side={self.tokenizer.window}, got {recipe.crops.side}")
        if start is not None:
            self._begin_from(start)

    def optimizers(self) -> Mapping[str, Optimizer]:
        """AdamW or Muon for the tokenizer, AdamW for the judge."""
        result = make_optimizers("tokenizer", self.tokenizer, self.recipe.optimizer)
        if "alignment" in self.modules:
            result |= make_optimizers("tokenizer-alignment", self.modules["alignment"], self.recipe.optimizer)
        if "judge" in self.modules:
            result |= make_optimizers("judge", self.modules["judge"], self.recipe.judge.optimizer)
        return result

    def step(self, batch: Mapping[str, Tensor], engine: Step) -> dict[str, Tensor]:
        """Train on `images`, uint8 of shape (B, 3, side, side)."""
        weights = self.recipe.losses
        images = batch["images"].contiguous(memory_format=torch.channels_last).float() / 255
        made, result = engine.network("tokenizer")(images)
        made = made.float()
        if weights.clamp:
            made = made.clamp(0, 1)

        terms = {"distortion": absolute_error(made, images)}
        loss = weights.distortion * terms["distortion"] + result.aux_loss
        if weights.squared:
            terms["squared"] = squared_error(made, images)
            loss = loss + weights.squared * terms["squared"]
        if weights.perceptual and engine.fraction >= weights.perceptual_from and self.perceptual:
            with engine.arithmetic():
                terms["perceptual"] = self.perceptual(made, images).float().mean()
            loss = loss + weights.perceptual * terms["perceptual"]
        if self.foundation is not None and weights.alignment:
            latents = self._latents
            features = self.foundation(images, (latents.shape[-2], latents.shape[-1]))
            terms["alignment"] = alignment_loss(engine.network("alignment")(latents), features)
            loss = loss + weights.alignment * balance(loss, terms["alignment"], latents) * terms["alignment"]
        if weights.adversarial and engine.fraction >= weights.adversarial_from:
            judge = self.modules["judge"].requires_grad_(False)
            with engine.arithmetic():
                scores = judge(made)
            judge.requires_grad_(True)
            terms["adversarial"] = ADVERSARIAL[weights.adversarial_kind].fool(scores.float())
            loss = loss + weights.adversarial * terms["adversarial"]
        engine.update("tokenizer", loss)
        if weights.adversarial:
            terms |= self._teach_judge(images, made.detach(), engine)
        return {"loss": loss, **terms}

    def whole(self) -> Tokenizer:
        """The tokenizer in one piece: itself, or a copy of it where its weights are sharded over processes.

        Every process must call this alike.
        """
        state = self.tokenizer.state_dict()
        pieces = {key: whole(value) for key, value in state.items()}
        if all(pieces[key] is value for key, value in state.items()):
            return self.tokenizer
        copy = type(self.tokenizer)(**{key: value for key, value in self.tokenizer.config.items() if key != "kind"})
        copy.load_state_dict(pieces)
        return copy.to(next(iter(pieces.values())).device).eval()

    def evaluate(self) -> dict[str, float]:
        """Mean PSNR (dB, after rounding to uint8) on the held-out pictures, and how the codebook is used there."""
        if not self.held_out:
            return {}
        scores, indices, model = [], [], self.whole()
        for picture in self.held_out:
            result = model.reconstruct(picture)
            scores.append(psnr(picture, result.image))
            indices.append(result.indices.ravel())
        counts = np.unique(np.concatenate(indices), return_counts=True)[1]
        share = counts / counts.sum()
        return {
            "psnr": float(np.mean(scores)),
            "words": float(len(counts)),
            "entropy_bits": float(-(share * np.log2(share)).sum()),
        }

    def preview(self) -> np.ndarray | None:
        """Held-out pictures above their reconstructions, uint8."""
        columns, model = [], self.whole()
        for picture in self.held_out[:_PREVIEWS]:
            corner = picture[:_PREVIEW_SIDE, :_PREVIEW_SIDE]
            column = np.concatenate([corner, model.reconstruct(corner).image])
            space = np.zeros((2 * _PREVIEW_SIDE, _PREVIEW_SIDE, 3), np.uint8)
            space[: column.shape[0], : column.shape[1]] = column
            columns.append(space)
        return np.concatenate(columns, axis=1) if columns else None

    def _see_latents(self, encoder: nn.Module, given: tuple[Tensor, ...], latents: Tensor) -> None:  # noqa: ARG002
        self._latents = latents

    def _teach_judge(self, images: Tensor, made: Tensor, engine: Step) -> dict[str, Tensor]:
        """Update the judge on real and made pictures in one pass."""
        settings = self.recipe.judge
        both = torch.cat([images, made])
        slope = settings.penalty and engine.index % settings.penalty_every == 0
        real, fake = engine.network("judge")(both).float().chunk(2)
        loss = ADVERSARIAL[self.recipe.losses.adversarial_kind].judge(real, fake)
        terms = {"judge": loss, "judge_margin": real.mean() - fake.mean()}
        if slope:
            images = images.detach().requires_grad_()
            terms["judge_slope"] = gradient_penalty(images, engine.network("judge")(images))
            loss = loss + settings.penalty * settings.penalty_every * terms["judge_slope"]
        engine.update("judge", loss)
        return terms

    def _begin_from(self, start: Tokenizer) -> None:
        anew = take_over(start, self.tokenizer)
        if len(anew) > len(self.tokenizer.state_dict()) // 2:
            raise InputError(
                f"model {start.name!r} cannot be the start of recipe {self.recipe.name!r}: {len(anew)} of "
                f"{len(self.tokenizer.state_dict())} tensors have another shape; take a recipe of the same body"
            )
        if anew:
            _log.info("beginning from %s, apart from %s", start.name, ", ".join(anew))


@torch.no_grad()
def take_over(start: nn.Module, model: nn.Module, *, apart_from: tuple[str, ...] = ()) -> list[str]:
    """Copy every tensor of one network that has a namesake of the same shape in another.

    Args:
        start: Where the weights come from.
        model: Where they go to.
        apart_from: Beginnings of names to leave alone.

    Returns:
        The names in `model` that keep what they had.
    """
    theirs, ours = start.state_dict(), model.state_dict()
    shared = {
        key: theirs[key]
        for key, value in ours.items()
        if key in theirs and theirs[key].shape == value.shape and not key.startswith(apart_from or ("\0",))
    }
    model.load_state_dict(shared, strict=False)
    return [key for key in ours if key not in shared]
