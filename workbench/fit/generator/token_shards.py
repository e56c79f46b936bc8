"""Token shards: the tokens of many pictures in one file, so that a generator trains without pictures or tokenizer.

    X.tokens.safetensors    tokens   all grids one after the other, row by row: uint32, or `bits` bits each in bytes
                            rows, columns, height, width (int32), label (int64, -1 without), one number a picture
                            keys     names in UTF-8, each ended by a zero byte
    X.json                  what made it (model, codebook, packing), its size and SHA-256, pictures passed over

Packed indices stand least significant bit first, and every grid begins on a whole byte: at 18 bits for 196,560 words a
16×16 grid takes 576 bytes instead of 1,024. The JSON is written last: a shard without it was not finished.
"""

__all__ = [
    "TokenShard",
    "bits_for",
    "holds_tokens",
    "load_tokens",
    "made_by",
    "pack_indices",
    "read_shard",
    "unpack_indices",
    "write_shard",
]

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from workbench import atomic
from workbench.errors import InputError, ModelError
from workbench.models.tokenizer import Tokenizer


@dataclass(frozen=True, eq=False)
class TokenShard:
    """The tokens of some pictures.

    Attributes:
        grids: int64, each (rows, columns).
        labels: int64 (N,); -1 without.
        sizes: int64 (N, 2), height and width of each picture in pixels.
        keys: Name of each.
        about: What made it.
    """

    grids: Sequence[np.ndarray]
    labels: np.ndarray
    sizes: np.ndarray
    keys: Sequence[str]
    about: Mapping[str, Any]


def bits_for(size: int) -> int:
    """Whole bits of an index of a codebook of `size` words.

    Example:
        >>> bits_for(196_560)
        18
    """
    return max(1, (size - 1).bit_length())


def made_by(tokenizer: Tokenizer) -> dict[str, Any]:
    """What a shard says of the tokenizer: tokens of two that differ in any of it do not mix."""
    about: dict[str, Any] = {
        "model": tokenizer.name,
        "weights": tokenizer.weights_hash,
        "codebook": tokenizer.fingerprint,
        "size": tokenizer.quantizer.size,
        "factor": tokenizer.factor,
    }
    scales, gains = getattr(tokenizer.quantizer, "scales", None), getattr(tokenizer.quantizer, "gains", None)
    if scales is not None and gains is not None:
        about |= {"scales": list(scales), "gains": [round(float(gain), 6) for gain in gains]}
    return about


def pack_indices(indices: np.ndarray, bits: int) -> bytes:
    """Write indices with `bits` bits each, least significant bit first, in ⌈N · bits / 8⌉ bytes.

    Args:
        indices: Integers in [0, 2^bits), any shape.
        bits: From 1 to 32.

    Raises:
        InputError: if an index does not fit.

    Example:
        >>> pack_indices(np.array([1, 2, 3]), 4).hex()
        '2103'
    """
    flat = np.asarray(indices, dtype=np.int64).ravel()
    if not 1 <= bits <= 32 or (flat.size and (flat.min() < 0 or flat.max() >> bits)):
        raise InputError(f"indices from {flat.min()} to {flat.max()} do not fit into {bits} bits")
    places = np.arange(bits, dtype=np.int64)
    return np.packbits((flat[:, None] >> places & 1).astype(np.uint8).ravel(), bitorder="little").tobytes()


def unpack_indices(data: bytes | np.ndarray, count: int, bits: int) -> np.ndarray:
    """The inverse of :func:`pack_indices`: int64 (count,).

    Raises:
        InputError: if the bytes are not those of `count` indices.
    """
    packed = np.frombuffer(data, np.uint8) if isinstance(data, bytes) else data
    if len(packed) != -(-count * bits // 8):
        raise InputError(f"{count} indices of {bits} bits take {-(-count * bits // 8)} bytes, got {len(packed)}")
    digits = np.unpackbits(packed, count=count * bits, bitorder="little").reshape(count, bits)
    return digits.astype(np.int64) @ (1 << np.arange(bits, dtype=np.int64))


def write_shard(
    folder: Path,
    name: str,
    grids: Sequence[np.ndarray],
    *,
    labels: Sequence[int],
    sizes: Sequence[tuple[int, int]],
    keys: Sequence[str],
    about: Mapping[str, Any],
) -> dict[str, Any]:
    """Write a shard and, last, its JSON; both whole or not at all.

    Args:
        folder: Where to.
        name: `X` in the names of the two files.
        grids: Integers, each (rows, columns).
        labels: Class of each picture; -1 without.
        sizes: Height and width of each.
        keys: Name of each.
        about: What made it; `packed` and `bits` say how tokens are written.

    Returns:
        The content of the JSON.

    Raises:
        InputError: if an index does not fit.
    """
    from safetensors.numpy import save

    bits = int(about["bits"])
    if about["packed"]:
        tokens = np.frombuffer(b"".join(pack_indices(grid, bits) for grid in grids), np.uint8)
    else:
        flat = np.concatenate([np.asarray(grid, np.int64).ravel() for grid in grids] or [np.zeros(0, np.int64)])
        if flat.size and not 0 <= flat.min() <= flat.max() < 1 << 32:
            raise InputError(f"indices from {flat.min()} to {flat.max()} do not fit into uint32")
        tokens = flat.astype(np.uint32)
    shapes = np.array([grid.shape for grid in grids], np.int32).reshape(-1, 2)
    pixels = np.array(sizes, np.int32).reshape(-1, 2)
    content = save(
        {
            "tokens": tokens,
            "rows": np.ascontiguousarray(shapes[:, 0]),
            "columns": np.ascontiguousarray(shapes[:, 1]),
            "height": np.ascontiguousarray(pixels[:, 0]),
            "width": np.ascontiguousarray(pixels[:, 1]),
            "label": np.array(labels, np.int64),
            "keys": np.frombuffer(b"".join(key.encode() + b"\0" for key in keys), np.uint8),
        }
    )
    file = folder / f"{name}.tokens.safetensors"
    with atomic.replacing(file) as opened:
        opened.write(content)
    record = {
        **about,
        "file": file.name,
        "pictures": len(grids),
        "tokens": int(shapes.prod(axis=1).sum()),
        "bytes": len(content),
        "sha256": hashlib.sha256(content).hexdigest(),
    }
    atomic.write_text(folder / f"{name}.json", json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    return record


def read_shard(path: Path) -> TokenShard:
    """Read a shard and verify it against its JSON.

    Args:
        path: `X.tokens.safetensors` or `X.json`.

    Raises:
        ModelError: if a file is missing, damaged or of another kind.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load

    name = path.name.removesuffix(".json").removesuffix(".tokens.safetensors")
    try:
        about = json.loads((path.parent / f"{name}.json").read_text(encoding="utf-8"))
        content = (path.parent / f"{name}.tokens.safetensors").read_bytes()
        if len(content) != about["bytes"] or hashlib.sha256(content).hexdigest() != about["sha256"]:
            raise ModelError(f"{path}: not the file that was written (another size or SHA-256); tokenize it again")
        arrays = load(content)
        counts = arrays["rows"].astype(np.int64) * arrays["columns"]
        bits, packed = about["bits"], about["packed"]
        ends = np.cumsum(-(-counts * bits // 8) if packed else counts)
        pieces = np.split(arrays["tokens"], ends[:-1]) if len(ends) else []
        flat = [
            unpack_indices(piece, int(count), bits) if packed else piece.astype(np.int64)
            for piece, count in zip(pieces, counts, strict=True)
        ]
        shapes = zip(arrays["rows"].tolist(), arrays["columns"].tolist(), strict=True)
        return TokenShard(
            grids=[one.reshape(shape) for one, shape in zip(flat, shapes, strict=True)],
            labels=arrays["label"],
            sizes=np.stack([arrays["height"], arrays["width"]], axis=1).astype(np.int64),
            keys=arrays["keys"].tobytes().decode().split("\0")[:-1],
            about=about,
        )
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        if isinstance(error, InputError):
            raise
        raise ModelError(f"{path}: not a shard of tokens that can be read ({error})") from error


def holds_tokens(path: str | Path) -> bool:
    """Whether a path is a folder of token shards."""
    return Path(path).is_dir() and any(Path(path).glob("*.tokens.safetensors"))


def load_tokens(folders: Sequence[str | Path], tokenizer: Tokenizer) -> tuple[np.ndarray, np.ndarray]:
    """Read all token shards of some folders, for training.

    Args:
        folders: As :func:`workbench.tasks.tokenize.tokenize_shards` left them.
        tokenizer: The one the tokens are to be of.

    Returns:
        Indices, int64 (N, rows, columns), and labels, int64 (N,), -1 without.

    Raises:
        ModelError: if there are none, one is damaged or made by another tokenizer, or grids differ in shape.
    """
    shards, wanted = [], made_by(tokenizer)
    for folder in folders:
        for path in sorted(Path(folder).glob("*.tokens.safetensors")):
            shards.append(read_shard(path))
            for key in wanted.keys() - {"model"}:
                if shards[-1].about.get(key) != wanted[key]:
                    raise ModelError(
                        f"{path} holds tokens of model {shards[-1].about.get('model')!r}, which has another {key} than "
                        f"{tokenizer.name!r} here: tokenize the pictures again with it"
                    )
    grids = [grid for shard in shards for grid in shard.grids]
    if not grids:
        raise ModelError(f"no tokens in {', '.join(map(str, folders))}: make them with `workbench tokenize`")
    shapes = {grid.shape for grid in grids}
    if len(shapes) > 1:
        raise ModelError(f"grids of {sorted(shapes)[:3]} do not go together: tokenize squares of one side (--square)")
    return np.stack(grids), np.concatenate([shard.labels for shard in shards])
