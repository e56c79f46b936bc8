"""Weights in files: read strictly, written whole.

A safetensors file is `n` (uint64, little-endian), a JSON header of `n` bytes, then the bytes of the tensors. Everything
the header claims is checked before a tensor is read: its size, that no key stands twice, that the tensors fill the file
without gap or overlap, and that names and shapes are the expected ones. Nothing is ever unpickled here.
Source: the format's description at github.com/huggingface/safetensors.
"""

__all__ = ["TensorEntry", "file_digest", "load_weights", "read_header", "save_weights"]

import hashlib
import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from workbench import atomic
from workbench.errors import ModelError

HEADER_BYTES = 16 << 20
TENSORS = 20_000
_TYPES = {
    "F64": torch.float64, "F32": torch.float32, "F16": torch.float16, "BF16": torch.bfloat16,
    "I64": torch.int64, "I32": torch.int32, "I16": torch.int16, "I8": torch.int8, "U8": torch.uint8, "BOOL": torch.bool,
}  # fmt: skip
_NAMES = {dtype: name for name, dtype in _TYPES.items()}
_PICKLES = {b"PK\x03\x04": "a zip archive, as torch.save writes", b"\x80\x02": "a pickle", b"\x80\x04": "a pickle"}


@dataclass(frozen=True)
class TensorEntry:
    """What a header says of one tensor.

    Attributes:
        dtype: The format's name of it, as `F16`.
        shape: Its shape.
        start: First byte, counted from the end of the header.
        stop: Byte after the last.
    """

    dtype: str
    shape: tuple[int, ...]
    start: int
    stop: int


def load_weights(path: Path, expected: Mapping[str, tuple[int, ...]], *, device: str = "cpu") -> dict[str, Tensor]:
    """Return the tensors of a file, in the types they have there, after checking all of them.

    Args:
        path: A safetensors file.
        expected: The shape of every tensor; none may be missing and none left over.
        device: Where to put them.

    Raises:
        ModelError: if the file is damaged or another format, or a tensor is missing, unknown, of another shape, or
            holds a number that is not finite.
    """
    from safetensors import SafetensorError, safe_open

    entries = read_header(path)
    _match(path, entries, expected)
    weights = {}
    try:
        with safe_open(path, framework="pt", device=device) as file:
            for key in entries:
                weights[key] = file.get_tensor(key)
    except (SafetensorError, OSError) as error:
        raise ModelError(f"{path} cannot be read: {error}") from error
    for key, tensor in weights.items():
        if tensor.is_floating_point() and not bool(tensor.isfinite().all()):
            bad = int((~tensor.isfinite()).sum())
            raise ModelError(
                f"{path}: {bad} of {tensor.numel()} numbers of {key!r} are not finite; the file is damaged"
            )
    return weights


def read_header(path: Path) -> dict[str, TensorEntry]:
    """Return what the header of a safetensors file says, once it is consistent with itself and with the file.

    Raises:
        ModelError: if it is not.
    """
    try:
        with path.open("rb") as file:
            head = file.read(8)
            length = struct.unpack("<Q", head)[0] if len(head) == 8 else -1
            size = path.stat().st_size
            if not 2 <= length <= HEADER_BYTES or 8 + length > size:
                raise ModelError(f"{path} is not a safetensors file: {_what_it_is(head, length, size)}")
            text = file.read(length)
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}") from error
    try:
        table = json.loads(text.decode(), object_pairs_hook=_unrepeated)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{path}: the header is not sound JSON: {str(error)[:200]}") from error
    if not isinstance(table, dict):
        raise ModelError(f"{path}: the header is a {type(table).__name__}, expected an object")
    table.pop("__metadata__", None)
    if len(table) > TENSORS:
        raise ModelError(f"{path}: the header lists {len(table)} tensors, at most {TENSORS} are accepted")
    entries = {key: _entry(path, key, value) for key, value in table.items()}
    end = 0
    for key, entry in sorted(entries.items(), key=lambda item: (item[1].start, item[1].stop)):
        if entry.start != end:
            raise ModelError(f"{path}: tensor {key!r} begins at byte {entry.start}, the one before it ends at {end}")
        end = entry.stop
    if 8 + length + end != size:
        raise ModelError(f"{path}: the header accounts for {8 + length + end} bytes, the file has {size}")
    return entries


def save_weights(path: Path, state: Mapping[str, Tensor], *, dtype: torch.dtype | None = torch.float16) -> None:
    """Write tensors as safetensors, whole or not at all.

    Args:
        path: The file; replaced if it exists.
        state: What to write, from any device.
        dtype: What floats are stored in; None keeps theirs.

    Raises:
        ModelError: if a number is not finite, or is too large for `dtype`.
    """
    kept = {key: tensor.detach() for key, tensor in state.items()}
    types = {
        key: dtype if dtype is not None and tensor.is_floating_point() else tensor.dtype for key, tensor in kept.items()
    }
    header: dict[str, dict[str, Any]] = {}
    end = 0
    for key, tensor in kept.items():
        start, end = end, end + tensor.numel() * types[key].itemsize
        header[key] = {"dtype": _NAMES[types[key]], "shape": list(tensor.shape), "data_offsets": [start, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)  # tensors begin at a multiple of eight bytes
    with atomic.replacing(path) as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for key, tensor in kept.items():  # one at a time: a large model is never in memory twice
            file.write(_bytes(key, tensor, types[key]))


def file_digest(path: Path) -> str:
    """SHA-256 (hex) of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _bytes(key: str, tensor: Tensor, dtype: torch.dtype) -> memoryview:
    stored = tensor.to("cpu", dtype).contiguous()
    if stored.is_floating_point() and not bool(stored.isfinite().all()):
        least, most = (float(value) for value in torch.aminmax(tensor))
        raise ModelError(
            f"{key!r} cannot be stored as {dtype}: its numbers run from {least:.3g} to {most:.3g}; "
            "weights that are not finite, or too large for the type, are never saved"
        )
    return stored.flatten().view(torch.uint8).numpy().data


def _match(path: Path, entries: Mapping[str, TensorEntry], expected: Mapping[str, tuple[int, ...]]) -> None:
    missing, unknown = sorted(expected.keys() - entries.keys()), sorted(entries.keys() - expected.keys())
    if missing or unknown:
        parts = [f"{what} {_some(keys)}" for what, keys in (("lacks", missing), ("also holds", unknown)) if keys]
        raise ModelError(f"{path} does not fit this model: it {' and '.join(parts)}")
    for key, entry in entries.items():
        if entry.shape != tuple(expected[key]):
            raise ModelError(f"{path}: {key!r} has shape {entry.shape}, this model expects {tuple(expected[key])}")


def _some(keys: list[str]) -> str:
    shown = ", ".join(repr(key[:80]) for key in keys[:3])
    return shown if len(keys) <= 3 else f"{shown} and {len(keys) - 3} more"


def _entry(path: Path, key: str, value: Any) -> TensorEntry:  # noqa: ANN401 - anything may stand in a header
    if not isinstance(value, dict) or value.keys() != {"dtype", "shape", "data_offsets"}:
        raise ModelError(f"{path}: tensor {key[:80]!r} is not described by dtype, shape and data_offsets")
    dtype, shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise ModelError(f"{path}: tensor {key[:80]!r} has dtype {dtype!r}, accepted are {', '.join(_TYPES)}")
    if not _counts(shape) or len(shape) > 8 or not _counts(offsets) or len(offsets) != 2:
        raise ModelError(f"{path}: tensor {key[:80]!r} has shape {shape!r} and offsets {offsets!r}, expected counts")
    if offsets[1] - offsets[0] != math.prod(shape) * _TYPES[dtype].itemsize:
        raise ModelError(
            f"{path}: tensor {key[:80]!r} takes {math.prod(shape) * _TYPES[dtype].itemsize} bytes as {dtype} of shape "
            f"{tuple(shape)}, the header gives it {offsets[1] - offsets[0]}"
        )
    return TensorEntry(dtype, tuple(shape), *offsets)


def _counts(value: object) -> bool:
    return isinstance(value, list) and all(type(n) is int and 0 <= n < 1 << 48 for n in value)


def _unrepeated(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        keys = [key for key, _ in pairs]
        raise ValueError(f"key {next(key for key in keys if keys.count(key) > 1)[:80]!r} stands twice")
    return found


def _what_it_is(head: bytes, length: int, size: int) -> str:
    for magic, kind in _PICKLES.items():
        if head.startswith(magic):
            return f"it is {kind}, and nothing is unpickled here"
    if length < 0:
        return f"it has {size} bytes"
    return f"it claims a header of {length} bytes in a file of {size} (at most {HEADER_BYTES} are accepted)"
