"""Words as things to look at: what each decodes to, and a map of many of them in two or three dimensions.

A word is decoded alone: a small grid that holds nothing else goes through the decoder, and the middle of the answer is
kept. The map is made of the codewords themselves: principal axes at once, UMAP (McInnes et al., 2018, cosine distance,
seeded, so single-threaded) when there is time. Near on the map is near in the code as far as a plane can tell.
"""

__all__ = [
    "MOST",
    "WordMap",
    "code_vectors",
    "decode_words",
    "map_words",
    "principal_axes",
    "sheet",
    "with_umap",
]

import warnings
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch

from workbench.errors import InputError
from workbench.models.tokenizer import Tokenizer
from workbench.tasks.explore.code import CODES, shape_labels

MOST = 20_000  # words on a map
_GRID = 3  # a word is decoded in a grid of so many a side
_BATCH = 256


@dataclass(frozen=True)
class WordMap:
    """Words as points.

    Attributes:
        words: Their indices, int64, shape (n,).
        counts: How often each was used, int64, shape (n,).
        points: Where they lie, float64, shape (n, 2) or (n, 3).
        shapes: The number of the shape of each, int64, shape (n,); zeros where the code has no shapes.
        colours: Mean colour of what each decodes to, uint8, shape (n, 3).
        patches: What each decodes to, uint8, shape (n, f, f, 3).
        method: `principal axes` or `UMAP`.
    """

    words: np.ndarray
    counts: np.ndarray
    points: np.ndarray
    shapes: np.ndarray
    colours: np.ndarray
    patches: np.ndarray
    method: str


@torch.inference_mode()
def decode_words(
    words: np.ndarray, tokenizer: Tokenizer, *, progress: Callable[[float, str], object] | None = None
) -> np.ndarray:
    """What words look like.

    Args:
        words: Indices, shape (n,).
        tokenizer: The model.
        progress: Told the fraction done and a message.

    Returns:
        uint8, shape (n, f, f, 3), f the tokenizer's factor.

    Raises:
        InputError: if an index is out of range.
    """
    factor = tokenizer.factor
    whole = tokenizer.side or tokenizer.window  # pixels
    side = _GRID if whole is None else whole // factor
    middle = slice(side // 2 * factor, (side // 2 + 1) * factor)
    base = getattr(tokenizer.quantizer, "base", tokenizer.quantizer)
    batch = max(1, _BATCH * _GRID**2 // side**2)
    patches = []
    for start in range(0, len(words), batch):
        if progress:
            progress(start / len(words), f"decoding {len(words):,} words")
        indices = torch.from_numpy(np.asarray(words[start : start + batch])).long()
        codes = base.indices_to_codes(indices, channel_first=False)  # shape: (b, D)
        images = tokenizer.decode(codes[:, :, None, None].expand(-1, -1, side, side)).clamp(0, 1)
        patches.append((images[:, :, middle, middle] * 255).round().to(torch.uint8).permute(0, 2, 3, 1).cpu().numpy())
    return np.concatenate(patches) if patches else np.zeros((0, factor, factor, 3), np.uint8)


def map_words(
    words: np.ndarray,
    counts: np.ndarray,
    tokenizer: Tokenizer,
    *,
    most: int = 4000,
    dimensions: int = 2,
    seed: int = 0,
    progress: Callable[[float, str], object] | None = None,
) -> WordMap:
    """Lay out the words that were used along their principal axes; see :func:`with_umap` for the finer map.

    Args:
        words: Indices of the words that were used, most frequent first, shape (n,).
        counts: How often, shape (n,).
        tokenizer: The model.
        most: A larger set is sampled down to so many, at most 20,000, each word alike.
        dimensions: 2 or 3.
        seed: Of the sample.
        progress: Told the fraction done and a message.

    Raises:
        InputError: if a number is out of range, or there are fewer than four words.
    """
    if dimensions not in (2, 3):
        raise InputError(f"a map has 2 or 3 dimensions, got {dimensions}")
    if not 4 <= most <= MOST:
        raise InputError(f"a map shows from 4 to {MOST:,} words, got {most}")
    if len(words) < 4:
        raise InputError(f"a map needs at least 4 words, and {len(words)} were used; count more pictures")
    if len(words) > most:
        chosen = np.sort(np.random.default_rng(seed).choice(len(words), most, replace=False))
        words, counts = words[chosen], counts[chosen]
    patches = decode_words(words, tokenizer, progress=progress)
    name = getattr(tokenizer.quantizer, "base", tokenizer.quantizer).name
    return WordMap(
        words=words,
        counts=counts,
        points=principal_axes(code_vectors(words, tokenizer), dimensions),
        shapes=shape_labels(name)[words] if name in CODES else np.zeros(len(words), np.int64),
        colours=patches.reshape(len(patches), -1, 3).mean(axis=1).round().astype(np.uint8),
        patches=patches,
        method="principal axes",
    )


def with_umap(plain: WordMap, tokenizer: Tokenizer, *, seed: int = 0) -> WordMap:
    """The same words laid out by UMAP; slow: seconds for a thousand words, minutes for twenty thousand.

    Raises:
        InputError: if umap-learn is not installed.
    """
    dimensions = plain.points.shape[1]
    with warnings.catch_warnings():
        # 2026-11: umap-learn 0.5 warns that it lacks Tensorflow, and that a seed makes it single-threaded.
        warnings.simplefilter("ignore")
        try:
            import umap
        except ImportError as error:
            raise InputError("UMAP needs umap-learn: install the extra `app`") from error
        layout = umap.UMAP(
            n_components=dimensions,
            n_neighbors=min(15, len(plain.words) - 1),
            metric="cosine",
            random_state=seed,
            n_jobs=1,
            init="random" if len(plain.words) < 4 * dimensions else "spectral",
        )
        points = np.asarray(layout.fit_transform(code_vectors(plain.words, tokenizer)), np.float64)
    return WordMap(plain.words, plain.counts, points, plain.shapes, plain.colours, plain.patches, "UMAP")


def code_vectors(words: np.ndarray, tokenizer: Tokenizer) -> np.ndarray:
    """The codewords of indices, float32, shape (n, D)."""
    base = getattr(tokenizer.quantizer, "base", tokenizer.quantizer)
    return base.indices_to_codes(torch.from_numpy(np.asarray(words)).long(), channel_first=False).float().numpy()


def principal_axes(vectors: np.ndarray, dimensions: int) -> np.ndarray:
    """Points along the directions of most variance, float64, shape (n, dimensions), signs by the largest entry."""
    centred = vectors.astype(np.float64) - vectors.mean(axis=0)
    _, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, ::-1][:, :dimensions]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), range(axes.shape[1])])
    points = centred @ axes
    return np.pad(points, ((0, 0), (0, dimensions - points.shape[1])))


def sheet(patches: np.ndarray, columns: int) -> np.ndarray:
    """Patches side by side in rows of so many: uint8, shape (rows · f, columns · f, 3); what is over is black."""
    count, factor = patches.shape[:2]
    rows = max(-(-count // columns), 1)
    padded = np.zeros((rows * columns, *patches.shape[1:]), np.uint8)
    padded[:count] = patches
    return padded.reshape(rows, columns, factor, factor, 3).swapaxes(1, 2).reshape(rows * factor, columns * factor, 3)
