"""What a tokenizer's training is made of, as plain frozen values; the named ones are in :mod:`recipes`."""

__all__ = ["Crops", "Judge", "Losses", "TokenizerRecipe"]

from dataclasses import dataclass, field
from typing import Any, Literal

from workbench.errors import InputError
from workbench.fit.engine.settings import Run
from workbench.fit.optim.factory import OptimizerSettings


@dataclass(frozen=True)
class Crops:
    """How training pictures become a batch.

    Attributes:
        side: Side of a crop, in pixels.
        shortest: Resize so that the shorter side has this many pixels before cropping; None only enlarges what is
            smaller than a crop.
        flip: Mirror half of the crops left to right.
        plain: Share of crops that are replaced by plain colours and ramps, in [0, 1].
        draw: Draw pictures alike, or by their `pixels`, so that every place is seen equally often.
        memory: Keep all pictures decoded in memory; else decode each when it is wanted, in passes over all of them.
        workers: Threads that decode ahead, where pictures are not in memory.
        unreadable: Pictures that may be unreadable, each named and passed over, before the run stops.
    """

    side: int = 96
    shortest: int | None = None
    flip: bool = True
    plain: float = 0.0
    draw: Literal["pictures", "pixels"] = "pixels"
    memory: bool = True
    workers: int = 2
    unreadable: int = 100


@dataclass(frozen=True)
class Losses:
    """Weights of the losses, and the share of the budget at which each is let in.

    Attributes:
        distortion: Weight of the mean absolute error.
        squared: Weight of the squared error (times 10; see `losses.squared_error`).
        perceptual: Weight of the perceptual distance.
        perceptual_from: Share of the budget before it counts, in [0, 1].
        features: What the perceptual distance looks at: `leaf` (bundled), `squeezenet:PATH`, `lpips-vgg`, `lpips-alex`.
        adversarial: Weight of the adversarial loss.
        adversarial_from: Share of the budget before it counts; the judge learns from the start.
        adversarial_kind: `hinge` or `softplus`.
        alignment: Weight of the alignment of latents with a foundation model, in units of the reconstruction's
            gradient.
        alignment_features: Which: `dinov2-small`, `dinov2-base` or `dinov2-large` (`NAME:FILE` for a file at hand), or
            `leaf`.
        clamp: Clamp reconstructions to [0, 1] before any loss, which cuts the gradient outside.
    """

    distortion: float = 1.0
    squared: float = 0.0
    perceptual: float = 0.0
    perceptual_from: float = 0.0
    features: str = "leaf"
    adversarial: float = 0.0
    adversarial_from: float = 0.0
    adversarial_kind: Literal["hinge", "softplus"] = "hinge"
    alignment: float = 0.0
    alignment_features: str = "dinov2-large"
    clamp: bool = False


@dataclass(frozen=True)
class Judge:
    """The discriminator, where there is an adversarial loss.

    Attributes:
        kind: `patch`, small and local; or `style`, StyleGAN2's, which sees a whole crop.
        width: Channels of the first stage.
        stages: Halvings of `patch`; `style` goes down to 4 pixels.
        penalty: Weight of the squared slope at real pictures; 0 is none.
        penalty_every: Steps between two of them; the weight is multiplied by as much.
        optimizer: How it learns.
    """

    kind: Literal["patch", "style"] = "patch"
    width: int = 48
    stages: int = 3
    penalty: float = 0.0
    penalty_every: int = 16
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(rate=4e-4, beta1=0.5))


@dataclass(frozen=True)
class TokenizerRecipe:
    """Everything that decides what a tokenizer's training gives, apart from the data.

    Attributes:
        name: What the run, and the model that it gives, are called.
        run: Budget, schedule and how the engine goes about it.
        body: A preset of :mod:`workbench.models.presets`.
        body_changes: Numbers of the body that differ from the preset.
        quantizer: A name of :mod:`workbench.quantizers.registry`.
        quantizer_settings: Its settings.
        crops: How training pictures become a batch.
        losses: Weights of the losses.
        judge: The discriminator.
        optimizer: How the tokenizer learns.
        held_out_limit: Pictures, of those held out, that an evaluation looks at.
    """

    name: str
    run: Run
    body: str = "conv-base-8"
    body_changes: dict[str, int] = field(default_factory=dict)
    quantizer: str = "leech"
    quantizer_settings: dict[str, Any] = field(default_factory=dict)
    crops: Crops = field(default_factory=Crops)
    losses: Losses = field(default_factory=Losses)
    judge: Judge = field(default_factory=Judge)
    optimizer: OptimizerSettings = field(default_factory=OptimizerSettings)
    held_out_limit: int = 24

    def __post_init__(self) -> None:
        """Check the shares.

        Raises:
            InputError: if one is outside [0, 1].
        """
        for key in ("perceptual_from", "adversarial_from"):
            if not 0 <= getattr(self.losses, key) <= 1:
                raise InputError(f"losses.{key}={getattr(self.losses, key)}: expected a share of the budget in [0, 1]")
        if not 0 <= self.crops.plain <= 1:
            raise InputError(f"crops.plain={self.crops.plain}: expected a share of the crops in [0, 1]")
