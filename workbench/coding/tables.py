"""The tables of entropy models: one safetensors file beside a model's weights, integers only.

`entropy.safetensors` holds `static.levels` (uint8, shape (depth, P², K)) and, for codes that the context model knows,
`context.S.NAME` for every stage S and every table of :class:`workbench.coding.context.Stage`. Its metadata names the
codebook and the weights whose tokens were counted, so tables cannot come to lie beside another model unnoticed; and,
where it is known, which pictures these were and how many tokens they have.
"""

__all__ = ["TABLES_FILE", "Tables", "load_tables", "make_entropy_model", "save_tables"]

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from workbench import atomic
from workbench.coding.context import Context, Stage
from workbench.coding.entropy import NUMBERS, EntropyModel
from workbench.coding.fixed import Fixed
from workbench.coding.static import Static
from workbench.errors import InputError, ModelError, did_you_mean
from workbench.lattices.code import Code

TABLES_FILE = "entropy.safetensors"
_MOST_BYTES = 64 << 20


@dataclass(frozen=True, eq=False)
class Tables:
    """What was counted and trained on the tokens of one model.

    Attributes:
        codebook: SHA-256 (hex) of the codebook.
        weights: SHA-256 (hex) of the model's weights.
        levels: For the static model, uint8, shape (depth, P², K); None where there are none.
        stages: For the context model; empty where there are none.
        pictures: Which pictures the tables were fitted on, in words; None where it is not known.
        tokens: How many tokens these have; likewise.
    """

    codebook: str
    weights: str
    levels: np.ndarray | None = field(default=None, repr=False)
    stages: Sequence[Stage] = field(default=(), repr=False)
    pictures: str | None = None
    tokens: int | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The entropy models that can be made with these tables."""
        found = ("static",) * (self.levels is not None) + ("context",) * bool(self.stages)
        return ("fixed", *found)


def make_entropy_model(name: str, *, size: int, code: Code | None = None, tables: Tables | None = None) -> EntropyModel:
    """Return an entropy model by name.

    Args:
        name: `fixed`, `static` or `context`.
        size: Number of codewords, K.
        code: The codebook, where it is a lattice's; `context` needs a full Leech shell.
        tables: What was counted on the model's tokens; `fixed` needs none.

    Raises:
        InputError: if the name is unknown, or the codebook is none that this model can code.
        ModelError: if there are no tables for it, or they are damaged.
    """
    if name == "fixed":
        return Fixed(size)
    if name not in ("static", "context"):
        raise InputError(did_you_mean("entropy model", name, NUMBERS))
    if tables is None or name not in tables.names:
        raise ModelError(
            f"this model has no tables for the {name!r} entropy model: use one of "
            f"{', '.join(tables.names if tables else ('fixed',))}, or make them with training/entropy.py"
        )
    if name == "context":
        if code is None:
            raise InputError("the 'context' entropy model needs a Leech codebook: use 'static'")
        return Context(code, tables.stages)
    model = Static(np.asarray(tables.levels))
    if model.size != size:
        raise ModelError(f"the static model is for {model.size:,} codewords, the codebook has {size:,}")
    return model


def save_tables(tables: Tables, folder: Path) -> Path:
    """Write the tables into a model's folder, whole or not at all; returns the path.

    Raises:
        OSError: if it cannot be written.
    """
    from safetensors.numpy import save

    arrays = {} if tables.levels is None else {"static.levels": np.ascontiguousarray(tables.levels)}
    for number, stage in enumerate(tables.stages):
        arrays |= {f"context.{number}.{name}": np.ascontiguousarray(table) for name, table in stage._asdict().items()}
    metadata = {"codebook": tables.codebook, "weights": tables.weights, "kind": "entropy"}
    counted = {"pictures": tables.pictures, "tokens": tables.tokens}
    content = save(arrays, metadata | {name: str(value) for name, value in counted.items() if value is not None})
    path = folder / TABLES_FILE
    with atomic.replacing(path) as file:
        file.write(content)
    return path


def load_tables(folder: Path) -> Tables | None:
    """Read the tables of a model's folder; None where it has none.

    Raises:
        ModelError: if the file is damaged or holds something else.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    path = folder / TABLES_FILE
    if not path.is_file():
        return None
    try:
        if path.stat().st_size > _MOST_BYTES:
            raise ModelError(f"{path} has {path.stat().st_size:,} bytes, at most {_MOST_BYTES:,} are read")
        content = path.read_bytes()
        arrays = load(content)
        metadata = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")]).get("__metadata__", {})
        codebook, weights = str(metadata["codebook"]), str(metadata["weights"])
        pictures, tokens = metadata.get("pictures"), int(metadata["tokens"]) if "tokens" in metadata else None
    except (OSError, SafetensorError, KeyError, ValueError) as error:
        raise ModelError(f"{path} cannot be read ({error}): make it anew with training/entropy.py") from error
    stages = []
    while f"context.{len(stages)}.weights" in arrays:
        prefix = f"context.{len(stages)}."
        missing = [name for name in Stage._fields if prefix + name not in arrays]
        if missing:
            raise ModelError(f"{path} lacks {', '.join(prefix + name for name in missing)}: it is damaged")
        stages.append(Stage(*(arrays.pop(prefix + name) for name in Stage._fields)))
    levels = arrays.pop("static.levels", None)
    if arrays:
        raise ModelError(f"{path} holds unknown tables {', '.join(sorted(arrays))}: it was made by another version")
    return Tables(codebook, weights, levels, tuple(stages), pictures, tokens)
