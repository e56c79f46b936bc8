"""From a tokenizer and pictures to the entropy tables beside its weights."""

__all__ = ["EntropyPlan", "launch_entropy"]

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np

from workbench import hub
from workbench.coding.tables import Tables, make_entropy_model, save_tables
from workbench.errors import InputError
from workbench.fit.engine.inputs import Inputs, Trained, required
from workbench.fit.engine.settings import override
from workbench.fit.entropy.network import EntropySettings
from workbench.fit.entropy.tables import MODELS, fit_tables, tokens_of, with_mirrored
from workbench.images.sources import open_source
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.progress import Progress, no_progress


@dataclass(frozen=True, kw_only=True)
class EntropyPlan(Inputs):
    """Entropy tables of a tokenizer to fit; they go into `out`, or beside its weights.

    Files coded with the tables that lay there before cannot be decoded afterwards.

    Attributes:
        model: A tokenizer: a bundled name or a folder.
        recipe: Settings of the context model.
        only: Fit this entropy model alone.
        every: Take every so many-th training picture.
    """

    task: ClassVar[str] = "entropy"
    model: str
    recipe: EntropySettings = field(default_factory=EntropySettings)
    only: Literal["static", "context"] | None = None
    every: int = 1


def launch_entropy(plan: EntropyPlan, *, progress: Progress = no_progress) -> Trained:
    """Tokenize the pictures, each as it is and once more mirrored and cut into other patches, and fit the tables.

    Args:
        plan: What to fit.
        progress: Told the share done and a line of text.

    Raises:
        InputError: if there is no data, or a number makes no sense.
        ModelError: if the tokenizer cannot be used.
        TrainingError: if none of the entropy models fits it.
    """
    if plan.every < 1:
        raise InputError(f"every={plan.every}: expected a whole number from 1")
    folder = Path(plan.out or hub.resolve(plan.model))
    tokenizer = GridTokenizer.from_pretrained(plan.model)
    images = itertools.islice((sample.image for sample in open_source(required(plan.data))), 0, None, plan.every)
    progress(0.0, "making tokens")
    grids = list(tokens_of(tokenizer, with_mirrored(images)))
    names = ", ".join(Path(path).name for path in plan.data)
    tables = fit_tables(
        tokenizer,
        grids,
        models=MODELS if plan.only is None else (plan.only,),
        pictures=f"{len(grids):,} pictures of {names}, mirrored ones among them",
        settings=override(plan.recipe, plan.set),
        progress=progress,
    )
    folder.mkdir(parents=True, exist_ok=True)
    path = save_tables(tables, folder)
    seen = (sample.image for sample in open_source(plan.held_out)) if plan.held_out else ()
    figures = {
        "pictures": len(grids),
        "tokens": sum(grid.size for grid in grids),
        "bytes": path.stat().st_size,
        "scores": _scores(tables, tokenizer, list(tokens_of(tokenizer, seen))),
    }
    return Trained(figures, path)


def _scores(tables: Tables, tokenizer: GridTokenizer, grids: Sequence[np.ndarray]) -> dict[str, float]:
    """Bits a held-out token under each entropy model, and their share of the fixed code's."""
    if not grids:
        return {}
    size, code = tokenizer.words, getattr(tokenizer.quantizer.stages[0], "code", None)
    tokens, found = sum(grid.size for grid in grids), {}
    for name in tables.names:
        model = make_entropy_model(name, size=size, code=code, tables=tables)
        found[f"{name}_bits"] = sum(model.bits(grid) for grid in grids) / tokens
        found[f"{name}_share"] = found[f"{name}_bits"] / math.log2(size)
    return found
