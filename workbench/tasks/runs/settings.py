"""What a person decides about a training run of the app, and the recipe that it amounts to."""

__all__ = ["BODIES", "LEAST_MINUTES", "MOST_MINUTES", "QUANTIZERS", "Settings", "check", "recipe_of"]

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from workbench.errors import InputError, did_you_mean
from workbench.fit.engine.settings import to_mapping
from workbench.fit.optim.factory import OptimizerSettings
from workbench.fit.studies.quantizers import CONTESTANTS
from workbench.fit.tokenizer.recipes import tokenizer_recipe

BODIES: Mapping[str, str] = MappingProxyType(
    {"smallest": "conv-tiny-8", "small": "conv-mini-8", "middle": "conv-small-8", "large": "conv-base-8"}
)
QUANTIZERS: Mapping[str, Mapping[str, Any]] = MappingProxyType(
    {
        "leech": {"name": "leech"},
        "leech4": {"name": "leech4"},
        "e8": {"name": "e8"},
        **{name: CONTESTANTS[name].quantizer for name in ("bsq", "lfq", "fsq", "fibonacci", "vq")},
    }
)
LEAST_MINUTES, MOST_MINUTES = 0.1, 240.0


@dataclass(frozen=True)
class Settings:
    """What a person decides.

    Attributes:
        name: Of the run and of the model that it gives: lower-case letters, digits and hyphens.
        quantizer: A name of `QUANTIZERS`.
        body: A name of `BODIES`.
        minutes: Budget, from 0.1 to 240.
        seed: Of everything, at least 0.
        data: Folders, pictures or shards to train on.
        archive: An archive of pictures to train on besides; with neither, the run trains on the drawn set.
    """

    name: str
    quantizer: str = "leech"
    body: str = "smallest"
    minutes: float = 2.0
    seed: int = 0
    data: Sequence[Path] = ()
    archive: Path | None = None


def check(settings: Settings) -> None:
    """Refuse settings that no run can have; whether a name is free is not asked here.

    Raises:
        InputError: naming the setting, what it is, and what it may be.
    """
    if settings.quantizer not in QUANTIZERS:
        raise InputError(did_you_mean("quantizer", settings.quantizer, QUANTIZERS))
    if settings.body not in BODIES:
        raise InputError(did_you_mean("body", settings.body, BODIES))
    if not LEAST_MINUTES <= settings.minutes <= MOST_MINUTES:
        raise InputError(
            f"a run takes from {LEAST_MINUTES:g} to {MOST_MINUTES:g} minutes, got {settings.minutes}; "
            "longer ones are for the command line: workbench fit"
        )
    if settings.seed < 0:
        raise InputError(f"a seed is at least 0, got {settings.seed}")


def recipe_of(settings: Settings) -> dict[str, Any]:
    """All values of the recipe: the one of a quick run, with what the person decided."""
    base = tokenizer_recipe("smoke")
    quantizer = dict(QUANTIZERS[settings.quantizer])
    run = replace(
        base.run,
        minutes=settings.minutes,
        seed=settings.seed,
        batch_size=16,
        average_decay=0.99,
        log_every=10,
        evaluate_every=50,
        save_minutes=1.0,
    )
    recipe = replace(
        base,
        name=settings.name,
        body=BODIES[settings.body],
        quantizer=quantizer.pop("name"),
        quantizer_settings=quantizer,
        run=run,
        optimizer=OptimizerSettings(kind="muon", rate=1e-3, muon_rate=0.02, beta2=0.99),
        held_out_limit=6,
    )
    return to_mapping(recipe)
