"""The matched comparison: one body, one data order, one loss; only the quantizer differs.

A body is trained without a quantizer first: its latents are unit vectors, passed on as they are. Every contestant then
takes those weights, apart from the two layers that meet the code vector, whose width is the code's own; and trains for
the same steps on the same batches. So what differs at the end is what the quantizer did, and on two cores a contestant
costs minutes. `seed` moves the batches and the new layers; contestants of one seed see the same batches, so their
differences are paired.
"""

__all__ = [
    "CONTESTANTS",
    "CompareRecipe",
    "Contestant",
    "QuantizersPlan",
    "contest",
    "launch_quantizers",
    "paired",
    "train_contestants",
]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from workbench import atomic
from workbench.errors import InputError, TrainingError, did_you_mean
from workbench.fit.engine.inputs import Inputs, Trained, required
from workbench.fit.engine.loop import fit
from workbench.fit.engine.settings import Run, override, to_mapping
from workbench.fit.optim.factory import OptimizerSettings
from workbench.fit.tokenizer.perceptual import make_perceptual
from workbench.fit.tokenizer.recipe import Crops, Losses, TokenizerRecipe
from workbench.fit.tokenizer.task import TokenizerTask, take_over
from workbench.images.crops import CropSampler, Pictures, load_pictures
from workbench.images.sources import open_source
from workbench.metrics.intervals import Interval, student_interval
from workbench.models.tokenizer import Tokenizer
from workbench.progress import Progress, no_progress


@dataclass(frozen=True)
class Contestant:
    """A quantizer and the seeds it is trained with.

    Attributes:
        quantizer: Name and settings, as :func:`workbench.quantizers.registry.make_quantizer` takes them.
        seeds: One training each; the model of the first is the one given out.
    """

    quantizer: Mapping[str, Any]
    seeds: tuple[int, ...] = (0,)


CONTESTANTS: Mapping[str, Contestant] = {
    "leech": Contestant({"name": "leech"}, seeds=(0, 1, 2)),
    "bsq": Contestant({"name": "bsq", "dimension": 18, "entropy": 0.01}, seeds=(0, 1, 2)),
    "bsq-free": Contestant({"name": "bsq", "dimension": 18}, seeds=(0, 1, 2)),
    # Its points have no fixed norm: what is sharp for unit vectors is 18 times too sharp, and something must hold them.
    "lfq": Contestant({"name": "lfq", "dimension": 18, "entropy": 0.01, "sharpness": 5.0, "commitment": 0.01}),
    "lfq-free": Contestant({"name": "lfq", "dimension": 18, "commitment": 0.01}),
    "fsq": Contestant({"name": "fsq", "levels": [8, 8, 8, 6, 8, 8]}),
    "random": Contestant({"name": "random", "size": 196_560, "dimension": 24, "seed": 0}),
    "fibonacci": Contestant({"name": "fibonacci", "size": 196_560, "dimension": 24}),
    "vq": Contestant({"name": "vq", "size": 4096, "dimension": 24}),
}


@dataclass(frozen=True)
class CompareRecipe:
    """What all contestants share.

    Attributes:
        body: A preset of :mod:`workbench.models.presets`.
        crops: How training pictures become a batch.
        optimizer: How the tokenizer learns.
        losses: What it is held to; without a judge.
        base: Budget of the body without a quantizer.
        run: Budget of each contestant; its seed is replaced by the contestant's.
    """

    # python -m training.compare --data imagenette128-train-*.tar photos-train-000.tar --held-out kodak
    # Two CPU cores with bf16: 25 minutes for all thirteen trainings.
    body: str = "conv-mini-8"
    crops: Crops = field(default_factory=lambda: Crops(side=64))
    optimizer: OptimizerSettings = field(default_factory=lambda: OptimizerSettings(kind="muon", beta2=0.99))
    losses: Losses = field(default_factory=Losses)
    base: Run = field(
        default_factory=lambda: Run(
            steps=800, batch_size=32, precision="bfloat16", warmup_steps=40, evaluate_every=None, average_decay=0.99
        )
    )
    run: Run = field(
        default_factory=lambda: Run(
            steps=400, batch_size=32, precision="bfloat16", warmup_steps=20, evaluate_every=None, average_decay=0.99
        )
    )


@dataclass(frozen=True, kw_only=True)
class QuantizersPlan(Inputs):
    """Quantizers to compare.

    Attributes:
        recipe: What all share.
        only: Contestants to train, names of :data:`CONTESTANTS`; None for all, empty for none of them.
        contestants: Others to train besides, by name.
    """

    task: ClassVar[str] = "quantizers"
    recipe: CompareRecipe = field(default_factory=CompareRecipe)
    only: tuple[str, ...] | None = None
    contestants: dict[str, Contestant] = field(default_factory=dict)

    @property
    def folder(self) -> Path:
        """Where the runs lie."""
        return Path(self.out or "runs/compare")

    def chosen(self) -> dict[str, Contestant]:
        """Who takes part.

        Raises:
            InputError: if a name is unknown.
        """
        for name in self.only or ():
            if name not in CONTESTANTS:
                raise InputError(did_you_mean("contestant", name, CONTESTANTS))
        known = CONTESTANTS if self.only is None else self.only
        return {name: CONTESTANTS[name] for name in known} | self.contestants


def launch_quantizers(plan: QuantizersPlan, *, progress: Progress = no_progress) -> Trained:
    """Train the contestants; the models of the first seeds go into `models/compare-NAME`.

    `python -m training.compare` measures them too.

    Raises:
        InputError: if a contestant is unknown, or there is no data.
        TrainingError: if a training was interrupted.
    """
    models = train_contestants(plan, progress=progress)
    figures = {"contestants": len(models), "trainings": sum(len(own) for own in models.values())}
    return Trained(figures, plan.folder / "models")


def train_contestants(plan: QuantizersPlan, *, progress: Progress = no_progress) -> dict[str, list[Tokenizer]]:
    """The tokenizers of each contestant, one a seed; finished trainings are not repeated. See `launch_quantizers`."""
    recipe = override(plan.recipe, plan.set)
    pictures = load_pictures(open_source(required(plan.data)), at_least=recipe.crops.side)
    weights = [image.shape[0] * image.shape[1] for image in pictures.images]
    models = contest(recipe, pictures, out=plan.folder, contestants=plan.chosen(), weights=weights, progress=progress)
    for name, tokenizers in models.items():
        with atomic.replaced_folder(plan.folder / "models" / f"compare-{name}") as folder:
            tokenizers[0].save_pretrained(folder)
    return models


def contest(
    recipe: CompareRecipe,
    pictures: Pictures,
    *,
    out: Path,
    contestants: Mapping[str, Contestant] = CONTESTANTS,
    weights: Sequence[float] | np.ndarray | None = None,
    progress: Progress = no_progress,
) -> dict[str, list[Tokenizer]]:
    """Train the shared body, then every contestant from it; finished trainings found in `out` are not repeated.

    Args:
        recipe: What all share.
        pictures: Training pictures, in memory.
        out: Folder of the runs; each has its own below it.
        contestants: Who takes part.
        weights: How often each picture is drawn.
        progress: Told the fraction of all trainings done.

    Returns:
        The tokenizers of each contestant, one a seed.

    Raises:
        TrainingError: if a training was interrupted: what comes after it must not begin from half of it.
    """
    trainings = [(name, seed) for name, contestant in contestants.items() for seed in contestant.seeds]
    total = len(trainings) + 1

    def train(task: TokenizerTask, run: Run, place: int, what: str) -> Tokenizer:
        sampler = CropSampler(pictures.images, recipe.crops.side, run.batch_size, run.seed, weights=weights)
        outcome = fit(
            task, sampler, run, out=out / what, config=to_mapping(task.recipe),
            progress=lambda fraction, message: progress((place + fraction) / total, f"{what}: {message}"),
        )  # fmt: skip
        if outcome.reason != "done":
            raise TrainingError(f"{what} was interrupted at step {outcome.step}: the same command goes on from there")
        return task.tokenizer.eval()

    base_task = _task(recipe, "base", {"name": "leech"}, recipe.base)
    base_task.tokenizer.quantizer.estimator = _unquantized
    base = train(base_task, recipe.base, 0, "base")
    models: dict[str, list[Tokenizer]] = {name: [] for name in contestants}
    for place, (name, seed) in enumerate(trainings, start=1):
        run = replace(recipe.run, seed=seed)
        task = _task(recipe, f"compare-{name}", contestants[name].quantizer, run)
        take_over(base, task.tokenizer, apart_from=("encoder.head.", "decoder.words.0."))
        models[name].append(train(task, run, place, f"{name}-{seed}"))
    return models


def paired(ours: Sequence[float], theirs: Sequence[float], *, level: float = 0.95) -> Interval:
    """Interval of the mean difference `ours − theirs` over paired seeds, by Student's t.

    Raises:
        InputError: if they are not paired, or fewer than two.
    """
    if len(ours) != len(theirs):
        raise InputError(f"expected paired values, got {len(ours)} and {len(theirs)}")
    return student_interval(np.subtract(ours, theirs), level=level)


def _task(recipe: CompareRecipe, name: str, quantizer: Mapping[str, Any], run: Run) -> TokenizerTask:
    settings = {key: value for key, value in quantizer.items() if key != "name"}
    losses = recipe.losses
    perceptual = make_perceptual(losses.features, torch.device("cpu")) if losses.perceptual else None
    return TokenizerTask(
        TokenizerRecipe(
            name=name, run=run, body=recipe.body, quantizer=quantizer["name"], quantizer_settings=settings,
            crops=recipe.crops, optimizer=recipe.optimizer, losses=losses,
        ),
        perceptual=perceptual,
    )  # fmt: skip


def _unquantized(point: Tensor, codes: Tensor) -> Tensor:  # noqa: ARG001 - the place of an estimator
    """Pass the point itself: a body without a quantizer."""
    return point
