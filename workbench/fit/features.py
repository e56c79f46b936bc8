"""Training the small feature network: a classifier of labelled pictures, with smoothed labels.

What counts is not its accuracy but that its middle layers see edges, textures and parts; so it learns from random
crops, and is judged on whole held-out pictures.
"""

__all__ = ["FeatureRecipe", "FeatureTask"]

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.optim import Optimizer

from workbench.fit.engine.settings import Run
from workbench.fit.engine.step import Step, seed_of
from workbench.fit.optim.factory import OptimizerSettings, make_optimizers
from workbench.images.crops import Pictures
from workbench.models.features import FeatureNetwork


@dataclass(frozen=True)
class FeatureRecipe:
    """Everything that decides what the training gives, apart from the data.

    Attributes:
        name: What the network, and distances on it, are called.
        widths: Channels of its stages.
        side: Side of a training crop, in pixels.
        smoothing: Share of a label spread over all classes.
        run: Budget, schedule and how the engine goes about it.
        optimizer: How it learns.
    """

    # Two CPU cores with bf16: 8 minutes; about 75 % of held-out Imagenette and flower pictures right.
    #   python -m training.features --data imagenette128-train-*.tar flowers128-train-000.tar --held-out ...
    name: str = "leaf"
    widths: tuple[int, ...] = (24, 48, 96, 144, 192)
    side: int = 64
    smoothing: float = 0.1
    run: Run = field(
        default_factory=lambda: Run(
            minutes=8.0, batch_size=48, precision="bfloat16", warmup_steps=100, average_decay=None, evaluate_every=500
        )
    )
    optimizer: OptimizerSettings = field(
        default_factory=lambda: OptimizerSettings(kind="muon", rate=2e-3, muon_rate=0.02, weight_decay=0.02)
    )


class FeatureTask:
    """A feature network and the pictures it is judged on.

    Args:
        recipe: The settings.
        classes: Names of the classes.
        held_out: Labelled pictures of one size.
    """

    averaged = ("features",)
    sharded = ()
    unit = "images"
    best = ("accuracy", "max")

    def __init__(self, recipe: FeatureRecipe, *, classes: list[str], held_out: Pictures) -> None:
        self.recipe, self.held_out = recipe, held_out
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed_of(recipe.run.seed, "weights"))
            self.network = FeatureNetwork(widths=list(recipe.widths), classes=classes, name=recipe.name)
        self.network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.modules: dict[str, nn.Module] = {"features": self.network}

    def optimizers(self) -> Mapping[str, Optimizer]:
        """Muon for the convolutions, AdamW for the rest."""
        return make_optimizers("features", self.network, self.recipe.optimizer)

    def step(self, batch: Mapping[str, Tensor], engine: Step) -> dict[str, Tensor]:
        """Train on `images`, uint8 (B, 3, side, side), and `labels`, int64 (B,)."""
        images = (batch["images"].float() / 255).contiguous(memory_format=torch.channels_last)
        scores = engine.network("features")(images).float()
        loss = F.cross_entropy(scores, batch["labels"], label_smoothing=self.recipe.smoothing)
        engine.update("features", loss)
        return {"loss": loss, "accuracy": (scores.argmax(1) == batch["labels"]).float().mean()}

    @torch.inference_mode()
    def evaluate(self) -> dict[str, float]:
        """Share of the held-out pictures whose class is named."""
        self.network.eval()
        right = 0
        for start in range(0, len(self.held_out.images), 64):
            chosen = range(start, min(start + 64, len(self.held_out.images)))
            images = torch.stack([torch.from_numpy(self.held_out.images[i]).permute(2, 0, 1) for i in chosen])
            guess = self.network(images.float() / 255).argmax(1)
            right += int((guess.numpy() == self.held_out.labels[list(chosen)]).sum())
        return {"accuracy": right / len(self.held_out.images)}

    def preview(self) -> None:
        """Nothing to look at."""
