"""Training a generator: the negative log-likelihood of token rows under teacher forcing.

What the trunk sees of a row comes from the tokenizer's quantizer (`multiscale.py`), on the fly. Bits are counted a
token: nats over log 2, averaged over all cells of all scales, and for each scale by itself.
"""

__all__ = ["GeneratorTask"]

import itertools
import math
from collections.abc import Mapping

import numpy as np
import torch
from einops import rearrange
from torch import Tensor, nn
from torch.optim import Optimizer

from workbench.errors import InputError
from workbench.fit.engine.step import Step, seed_of
from workbench.fit.generator.recipes import GeneratorOptimizer, GeneratorRecipe
from workbench.fit.generator.tokens import Tokens
from workbench.fit.optim.dion import Dion, Lion
from workbench.models.generator import Generator
from workbench.models.generator_presets import trunk_preset
from workbench.models.heads.full import FullHead
from workbench.models.heads.head import Sampling
from workbench.models.heads.lattice import LatticeHead
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.models.sampling import sample

_BATCH = 32
_GUESSED = 8  # held-out pictures whose most probable tokens are compared with the right ones


class GeneratorTask:
    """A generator and the tokens it is held to.

    Args:
        recipe: The settings.
        tokenizer: In evaluation mode; it is not trained.
        tokens: Of the training pictures, for the head's table of frequencies.
        held_out: Tokens to evaluate on, in their first view.

    Raises:
        InputError: if the recipe does not fit together.
    """

    averaged = ("generator",)
    sharded = ("generator",)
    unit = "images"

    def __init__(
        self,
        recipe: GeneratorRecipe,
        *,
        tokenizer: PyramidTokenizer,
        tokens: Tokens,
        held_out: Tokens | None = None,
    ) -> None:
        if len(tokens.indices) < 1:
            raise InputError("no picture to train on")
        self.recipe, self.tokenizer = recipe, tokenizer.requires_grad_(False)
        self.quantizer = tokenizer.quantizer
        self.held_out = held_out
        self.best = ("bits_per_token", "min") if held_out is not None else None
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(recipe.run.seed, "weights"))
            self.generator = Generator(
                trunk=trunk_preset(recipe.trunk) | recipe.trunk_changes,
                head=recipe.head,
                scales=self.quantizer.scales,
                classes=recipe.classes,
                tokenizer={
                    "name": tokenizer.name,
                    "code": self.quantizer.base.name,
                    "weights": tokenizer.weights_hash,
                },
                class_dropout=recipe.class_dropout,
                name=recipe.name,
            )
        head = self.generator.head
        if isinstance(head, FullHead | LatticeHead) and head.table:
            head.set_frequencies(tokens.counts(head.size))
        self.modules: dict[str, nn.Module] = {"generator": self.generator}
        areas = torch.tensor([scale**2 for scale in self.quantizer.scales])
        shares = (areas[-1] / areas).sqrt() if recipe.weighting == "area" else torch.ones(len(areas))
        weights = shares.repeat_interleave(areas)
        self.weights = weights / weights.sum()
        self.best_possible = math.log2(self.quantizer.size)
        side, window = self.quantizer.side, recipe.window or self.quantizer.side
        if side % window or (window < side and window % 2):
            raise InputError(
                f"expected an even window that divides the finest grid of {side} cells a side, got {window}"
            )

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Of the blocks' matrices, and of all else."""
        return _optimizers(self.generator, self.recipe.optimizer)

    def step(self, batch: Mapping[str, Tensor], engine: Step) -> dict[str, Tensor]:
        """Train on `indices` (B, L) and `labels` (B,)."""
        indices = batch["indices"]
        self.quantizer.to(indices.device)
        with torch.no_grad():
            if self.recipe.self_correction:
                share = self.recipe.self_correction * float(torch.rand((), generator=engine.generator))
                inputs, indices = self.quantizer.corrected(indices, share=share, generator=engine.generator)
            else:
                inputs = self.quantizer.inputs(indices)
        cells, weights = self._cells(engine.generator)
        weights = weights.to(indices.device).expand(len(indices), -1) / len(indices)
        loss, nll = engine.network("generator")(inputs, batch["labels"], indices[:, cells], weights, cells)
        engine.update("generator", loss)
        return {"loss": loss.detach(), **self._bits(nll)}

    def _cells(self, luck: torch.Generator) -> tuple[Tensor, Tensor]:
        """The cells of a step and their weights, whose mean over steps is that of all cells.

        Windows of the finest grid lie half a window apart, so that no border is always the same.
        """
        cells, start, side = torch.arange(self.quantizer.length), self.quantizer.starts[-2], self.quantizer.side
        window = self.recipe.window or side
        if window == side:
            return cells, self.weights
        places = range(0, side - window + 1, window // 2)
        seen = torch.tensor([sum(place <= cell < place + window for place in places) for cell in range(side)])
        shares = self.weights[start:].view(side, side) * len(places) ** 2 / (seen[:, None] * seen[None, :])
        top, left = (places[i] for i in torch.randint(len(places), (2,), generator=luck).tolist())
        part = slice(top, top + window), slice(left, left + window)
        fine = cells[start:].view(side, side)[part].flatten()
        return torch.cat([cells[:start], fine]), torch.cat([self.weights[:start], shares[part].flatten()])

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Bits a token on the held-out pictures, in all and by scale, and the share of tokens guessed right."""
        if self.held_out is None:
            return {}
        device = next(self.generator.parameters()).device
        rows = self.held_out.indices[:, 0].long().to(device)
        labels = self.held_out.labels.to(device)
        parts, right, guessed = [], 0, set()
        for start in range(0, len(rows), _BATCH):
            part = rows[start : start + _BATCH]
            features = self.generator.features(self.quantizer.inputs(part), labels[start : start + _BATCH])
            parts.append(-self.generator.head.log_prob(features, part))
            if start < _GUESSED:
                guess = self.generator.head.sample(
                    features[: _GUESSED - start], generator=torch.Generator(device), sampling=Sampling(temperature=0.0)
                )
                right += int((guess == part[: _GUESSED - start]).sum())
                guessed |= set(guess.flatten().tolist())
        scores = {name: float(value) for name, value in self._bits(torch.cat(parts)).items()}
        tried = min(_GUESSED, len(rows)) * rows.shape[1]
        return scores | {"accuracy": right / tried, "words_guessed": float(len(guessed))}

    @torch.inference_mode()
    def preview(self) -> np.ndarray | None:
        """Samples, a row a class, uint8."""
        device = next(self.generator.parameters()).device
        labels = torch.arange(min(10, len(self.recipe.classes)), device=device).repeat_interleave(self.recipe.previews)
        luck = torch.Generator(device).manual_seed(seed_of(self.recipe.run.seed, "preview"))
        *_, last = sample(self.generator, self.quantizer, labels, generator=luck)
        images = self.tokenizer.to(device).detokenize(last.indices)
        grid = rearrange(images, "(r c) d h w -> (r h) (c w) d", c=self.recipe.previews)
        return (grid * 255).round().to(torch.uint8).cpu().numpy()

    def _bits(self, nll: Tensor) -> dict[str, Tensor]:
        """Mean bits of a token, in all and by scale, from nats (B, L), or fewer of the finest scale."""
        bits = nll / math.log(2)
        scales, starts = self.quantizer.scales, (*self.quantizer.starts[:-1], bits.shape[1])
        means = [bits[:, start:end].mean() for start, end in itertools.pairwise(starts)]
        parts = (scale**2 * each for scale, each in zip(scales, means, strict=True))
        mean = sum(parts, bits.new_zeros(())) / self.quantizer.length
        return {"bits_per_token": mean, **{f"bits_{scale}": each for scale, each in zip(scales, means, strict=True)}}


def _optimizers(model: Generator, settings: GeneratorOptimizer) -> dict[str, Optimizer]:
    named = [(name, parameter) for name, parameter in model.named_parameters() if parameter.requires_grad]
    matrices = [p for name, p in named if name.startswith("trunk.") and p.ndim == 2]
    head = [p for name, p in named if name.startswith("head.") and p.ndim == 2]
    chosen = {id(parameter) for parameter in (*matrices, *head)}
    rest = [p for _, p in named if id(p) not in chosen]
    groups = [
        {"params": rest, "weight_decay": 0.0},
        {"params": head, "weight_decay": 0.0, "lr": settings.rate * settings.head_factor},
    ]
    decay, rate = settings.weight_decay, settings.matrix_rate
    if settings.kind == "dion":
        return {
            "generator": Lion(groups, lr=settings.rate, beta1=settings.beta1, beta2=settings.beta2),
            "generator-dion": Dion(matrices, lr=rate, weight_decay=decay, rank_fraction=settings.rank_fraction),
        }
    if settings.kind == "adamw":
        groups.append({"params": matrices, "weight_decay": decay})
    adamw = torch.optim.AdamW(groups, lr=settings.rate, betas=(settings.beta1, settings.beta2), weight_decay=0.0)
    if settings.kind == "adamw":
        return {"generator": adamw}
    muon = torch.optim.Muon(matrices, lr=rate, weight_decay=decay, momentum=0.95)
    return {"generator": adamw, "generator-muon": muon}
