"""A rate that a file can reach: the code length of tokens under frequencies that were counted on other pictures.

The empirical entropy of a set takes the counts of that very set, which no decoder has: it is no rate of a file, and no
bound either, since few tokens show few codewords. Under a table q that both sides have beforehand, tokens t take

    -Σ log2 q(t)

bits, the cross-entropy times their number. q is that of the static coder (:mod:`workbench.coding.static`), smoothed
and in integers, so the payload of a `.leech` file with the same table is this long up to 8 bits; headers come on top.
"""

__all__ = ["Counted", "FittedTable", "fit_table", "table_beside"]

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np

from workbench import hub
from workbench.coding.entropy import EntropyModel
from workbench.coding.static import Static, fit_static
from workbench.coding.tables import load_tables
from workbench.errors import InputError
from workbench.images.sources import Source
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.tokenizer import Tokenizer, as_images
from workbench.progress import Progress, no_progress
from workbench.tasks.compress.codec import Codec


@dataclass(frozen=True)
class Counted:
    """What a table was fitted on.

    Attributes:
        pictures: Which pictures, in words.
        tokens: How many tokens; None where a file of tables does not say.
    """

    pictures: str
    tokens: int | None

    def __str__(self) -> str:
        tokens = "an unknown number of tokens" if self.tokens is None else f"{self.tokens:,} tokens"
        return f"{tokens} of {self.pictures}"


@dataclass(frozen=True, eq=False)
class FittedTable:
    """Frequencies of codewords, counted on pictures that are not to be measured.

    Attributes:
        model: The static coder.
        counted: What it was fitted on.
        seen: Digests of the pictures counted; empty where the table comes from a file.
    """

    model: EntropyModel = field(repr=False)
    counted: Counted
    seen: frozenset[bytes] = field(default=frozenset(), repr=False)

    def bits(self, picture: np.ndarray, indices: np.ndarray) -> float:
        """Code length of a picture's tokens.

        Args:
            picture: uint8, shape (H, W, 3).
            indices: As :class:`workbench.models.tokenizer.Reconstruction` has them.

        Raises:
            InputError: if the table was fitted on this picture.
        """
        if _digest(picture) in self.seen:
            raise InputError(
                f"a picture to be measured is one of those that the table was fitted on ({self.counted.pictures}): "
                "its rate would be too low; fit the table on other pictures"
            )
        return self.model.bits(_planes(indices))


def fit_table(
    tokenizer: Tokenizer, source: Source, *, limit: int | None = None, progress: Progress = no_progress
) -> FittedTable:
    """Count the tokens of pictures, each at its full size (at its own with a multi-scale model).

    Args:
        tokenizer: The model, of one scale or of several.
        source: Pictures that are not to be measured.
        limit: Take the first so many; None takes all.
        progress: Told the fraction done.

    Raises:
        InputError: if no picture can be read.
    """
    total = min(len(source), limit or len(source))
    seen: set[bytes] = set()
    tokens = pictures = 0

    def grids() -> Iterator[np.ndarray]:
        nonlocal tokens, pictures
        for sample in islice(source, limit):
            picture = tokenizer.prepare(sample.image)
            planes = _planes(tokenizer.tokenize(as_images(picture))[0].cpu().numpy())
            seen.add(_digest(picture))
            tokens, pictures = tokens + planes.size, pictures + 1
            progress(pictures / total, f"{tokenizer.name}: tokens of {pictures} of {total} pictures")
            yield planes

    period = 1 if tokenizer.scales else int(tokenizer.config["body"].get("period", 1))
    levels = fit_static(grids(), tokenizer.words, period=period)
    names = ", ".join(path.name for path in source.paths)
    return FittedTable(Static(levels), Counted(f"{pictures:,} pictures of {names}", tokens), frozenset(seen))


def table_beside(tokenizer: Tokenizer, name: str) -> FittedTable | None:
    """The static table that lies beside a model's weights; None where it has none.

    Args:
        tokenizer: The model.
        name: What it was loaded by.

    Raises:
        ModelError: if the tables are damaged or belong to another model.
    """
    tables = None if name.startswith("upstream:") else load_tables(hub.resolve(name))
    if tables is None or tables.levels is None or not isinstance(tokenizer, GridTokenizer):
        return None
    counted = Counted(tables.pictures or "the pictures that the model's card names", tables.tokens)
    return FittedTable(Codec(tokenizer, tables).entropy_model("static"), counted)


def _planes(indices: np.ndarray) -> np.ndarray:
    """Tokens of one picture, (L,), (h, w) or (h, w, d), as the coder takes them: (depth, rows, columns)."""
    return np.moveaxis(indices, 2, 0) if indices.ndim == 3 else indices.reshape(1, -1, indices.shape[-1])


def _digest(picture: np.ndarray) -> bytes:
    """What tells pictures apart, by size and pixels."""
    return hashlib.blake2b(str(picture.shape).encode() + picture.tobytes(), digest_size=16).digest()
