"""Fitting the entropy models of a tokenizer on tokens of training pictures.

The static model is counted (:mod:`workbench.coding.static`), the network of the context model trained, a stage at a
time (:mod:`workbench.fit.entropy.network`). Nothing here decides a byte: files carry a digest of the rounded
tables.
"""

__all__ = ["MODELS", "fit_tables", "tokens_of", "with_mirrored"]

from collections.abc import Iterable, Iterator, Sequence

import numpy as np
import torch

from workbench.coding.context import Stage
from workbench.coding.static import fit_static
from workbench.coding.tables import Tables
from workbench.errors import TrainingError
from workbench.fit.entropy.network import EntropySettings, fit_stage
from workbench.lattices.code import Code
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.progress import Progress

MODELS = ("static", "context")  # the entropy models that have tables
_LEECH = ("leech", "leech-published")


def fit_tables(
    tokenizer: GridTokenizer,
    grids: Sequence[np.ndarray],
    *,
    models: Sequence[str] = MODELS,
    pictures: str | None = None,
    settings: EntropySettings | None = None,
    progress: Progress | None = None,
) -> Tables:
    """Fit the entropy models that a tokenizer's codebook allows.

    Args:
        tokenizer: The model whose tokens they are, loaded from a folder.
        grids: What :func:`tokens_of` gave.
        models: Which of them; tables are large, and `context` does without those of `static`.
        pictures: Which pictures they are tokens of, in words; goes into the file.
        settings: Of the context model.
        progress: Told the fraction done and what is going on.

    Raises:
        TrainingError: if there are no tokens, the tokenizer's weights were never saved, or none of the models fits it.
    """
    if not grids or tokenizer.weights_hash is None:
        raise TrainingError(
            f"entropy models are fitted on tokens of a saved tokenizer: got {len(grids)} grids and weights "
            f"{tokenizer.weights_hash or 'that were never saved'}"
        )
    body = tokenizer.config["body"]
    period = int(body.get("period", 1))
    code = getattr(tokenizer.quantizer.stages[0], "code", None)
    levels = fit_static(grids, tokenizer.words, period=period) if "static" in models else None
    stages: list[Stage] = []
    if "context" in models and isinstance(code, Code) and code.name in _LEECH:
        depth = len(grids[0])
        for number in range(depth):

            def report(fraction: float, message: str, number: int = number) -> None:
                if progress:
                    progress((number + fraction) / depth, f"context model, stage {number + 1}: {message}")

            stage = fit_stage(grids, code, number=number, period=period, settings=settings, progress=report)
            stages.append(stage)
    if levels is None and not stages:
        name = tokenizer.config["quantizer"]["name"]
        raise TrainingError(f"{name!r} allows none of {', '.join(models)}: fit 'static'")
    tokens = sum(grid.size for grid in grids)
    return Tables(tokenizer.fingerprint, tokenizer.weights_hash, levels, tuple(stages), pictures, tokens)


def tokens_of(tokenizer: GridTokenizer, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the indices of pictures, int64 of shape (depth, h, w).

    Args:
        tokenizer: The model.
        pictures: uint8, each of shape (H, W, 3).
    """
    for picture in pictures:
        indices = tokenizer.tokenize(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None])
        yield tokenizer.to_planes(indices)[0].cpu().numpy()


def with_mirrored(pictures: Iterable[np.ndarray], *, most: int = 15, seed: int = 0) -> Iterator[np.ndarray]:
    """Yield each picture, and again mirrored and without some rows and columns, so that it falls into other patches.

    Args:
        pictures: uint8, each of shape (H, W, 3).
        most: At most so many rows and columns are left away, and never half of them.
        seed: Of how many.
    """
    generator = np.random.default_rng(seed)
    for picture in pictures:
        yield picture
        top, left = (int(generator.integers(min(most, side // 2) + 1)) for side in picture.shape[:2])
        yield picture[top:, left:][:, ::-1]
