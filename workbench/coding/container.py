"""The file: a header, the payload of an entropy model, and a check over both. Format version 1.

All numbers are little-endian. Besides the model's name a file holds 48 bytes that are not payload.

| offset | bytes | field |
| --- | --- | --- |
| 0 | 4 | magic, `Λ24` in UTF-8: CE 9B 32 34 |
| 4 | 1 | format version, 1 |
| 5 | 1 | number of the entropy model, :data:`workbench.coding.entropy.NUMBERS` |
| 6 | 1 | depth: stages of a residual quantizer, 1 without one |
| 7 | 1 | length of the model's name, n |
| 8 | 8 | first bytes of the SHA-256 of the model's weights |
| 16 | 8 | first bytes of the SHA-256 of the codebook |
| 24 | 4 | digest of the entropy model's tables, zero where it has none |
| 28 | 2 + 2 | width and height of the picture in pixels |
| 32 | 2 + 2 | rows and columns of the token grid |
| 36 | 4 | length of the payload, p |
| 40 | n | the model's name: letters, digits, `.`, `_`, `-` |
| 40 + n | p | payload |
| 40 + n + p | 8 | BLAKE2b of everything before |

Every length and size is a claim, not a fact: it is held against the caps below before anything is allocated for it,
and the file must end exactly where its header says. A reader of version 1 refuses every other version by its number;
files of every version ever written stay in tests/golden with the indices that they must give.
"""

__all__ = [
    "FORMAT_VERSION",
    "MAX_PIXELS",
    "MAX_SIDE",
    "MAX_TOKENS",
    "OVERHEAD",
    "Container",
    "pack",
    "read_container",
    "unpack",
]

import hashlib
import io
import re
import struct
from dataclasses import dataclass, field
from typing import BinaryIO

from workbench.coding.entropy import name_of_number, number_of_name
from workbench.errors import ContainerError, InputError

MAGIC = "Λ24".encode()
FORMAT_VERSION = 1
MAX_PIXELS = 40_000_000
MAX_TOKENS = 2**22
MAX_SIDE = 2**16 - 1

_HEADER = struct.Struct("<4sBBBB8s8s4sHHHHI")
_CHECK_BYTES = 8
OVERHEAD = _HEADER.size + _CHECK_BYTES
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
# A picture smaller than a model's window is padded up to it, so a small picture may have more tokens than pixels.
_WINDOW_TOKENS = 4096
_TOKEN_BYTES = 20


@dataclass(frozen=True)
class Container:
    """What a file says.

    Attributes:
        entropy: Name of the entropy model.
        model: Name of the tokenizer.
        model_hash: First 8 bytes of the SHA-256 of its weights.
        codebook_hash: First 8 bytes of the SHA-256 of its codebook.
        tables_digest: 4 bytes that name the entropy model's tables.
        width: Width of the picture in pixels.
        height: Height of the picture in pixels.
        depth: Stages of a residual quantizer, 1 without one.
        rows: Rows of the token grid.
        columns: Columns of the token grid.
        payload: What the entropy model wrote.
    """

    entropy: str
    model: str
    model_hash: bytes
    codebook_hash: bytes
    tables_digest: bytes
    width: int
    height: int
    depth: int
    rows: int
    columns: int
    payload: bytes = field(repr=False)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the indices: (depth, rows, columns)."""
        return self.depth, self.rows, self.columns

    @property
    def tokens(self) -> int:
        """Number of tokens."""
        return self.depth * self.rows * self.columns


def pack(container: Container) -> bytes:
    """Return the bytes of a file.

    Raises:
        InputError: if a field is not one that :func:`unpack` accepts.
    """
    name = container.model.encode()
    try:
        number = number_of_name(container.entropy)
        _check_fields(container, len(container.payload), MAX_PIXELS)
        header = _HEADER.pack(
            MAGIC, FORMAT_VERSION, number, container.depth, len(name),
            container.model_hash, container.codebook_hash, container.tables_digest,
            container.width, container.height, container.rows, container.columns, len(container.payload),
        )  # fmt: skip
    except (ContainerError, struct.error) as error:
        raise InputError(f"this cannot be written as a .leech file: {error}") from error
    for label, value, length in (
        ("model hash", container.model_hash, 8),
        ("codebook hash", container.codebook_hash, 8),
        ("digest of the tables", container.tables_digest, 4),
    ):
        if len(value) != length:
            raise InputError(f"the {label} has {length} bytes, got {len(value)}")
    body = header + name + container.payload
    return body + _check(body)


def unpack(data: bytes, *, max_pixels: int = MAX_PIXELS) -> Container:
    """Read the bytes of a whole file; see :func:`read_container`."""
    return read_container(io.BytesIO(data), max_pixels=max_pixels)


def read_container(file: BinaryIO, *, max_pixels: int = MAX_PIXELS) -> Container:
    """Read a file up to its end.

    Reads the header, then as many bytes as it declares within the caps, and one more to see that there is none.

    Args:
        file: Open for reading in binary mode; it need not be seekable.
        max_pixels: The largest picture that is accepted.

    Raises:
        ContainerError: if the file is cut off, too long, damaged, of another version, or beyond the caps.
        OSError: if it cannot be read.
    """
    header = _read(file, _HEADER.size)
    if not header:
        raise ContainerError("the file is empty")
    if not header.startswith(MAGIC[: len(header)]):
        raise ContainerError(f"this is no .leech file: it starts with {header[:4].hex(' ')}, expected {MAGIC.hex(' ')}")
    if len(header) > 4 and header[4] != FORMAT_VERSION:
        raise ContainerError(
            f"the file has format version {header[4]}, this version of the workbench reads {FORMAT_VERSION}"
            + (": update it" if header[4] > FORMAT_VERSION else ": it is damaged")
        )
    if len(header) < _HEADER.size:
        raise ContainerError(f"the file is cut off: it ends after {len(header)} bytes, within the header")
    (_, _, number, depth, name_length, model_hash, codebook_hash, tables_digest,
     width, height, rows, columns, payload_length) = _HEADER.unpack(header)  # fmt: skip
    claim = Container(
        "", "", model_hash, codebook_hash, tables_digest, width, height, depth, rows, columns, payload=b""
    )
    _check_sizes(claim, payload_length, max_pixels)
    wanted = name_length + payload_length + _CHECK_BYTES
    rest = _read(file, wanted + 1)
    if len(rest) < wanted:
        raise ContainerError(
            f"the file is cut off: it ends after {len(header) + len(rest)} bytes, its header says "
            f"{len(header) + wanted}"
        )
    if len(rest) > wanted:
        raise ContainerError(
            f"the file goes on after its end, {len(header) + wanted} bytes: something was appended to it"
        )
    body, check = header + rest[:-_CHECK_BYTES], rest[-_CHECK_BYTES:]
    if _check(body) != check:
        raise ContainerError(
            "the file is damaged: what it holds does not match the check at its end; copy or download it again "
            f"as a binary file (check {check.hex()}, its contents give {_check(body).hex()})"
        )
    container = Container(
        entropy=name_of_number(number),
        model=rest[:name_length].decode("latin-1"),
        model_hash=model_hash,
        codebook_hash=codebook_hash,
        tables_digest=tables_digest,
        width=width,
        height=height,
        depth=depth,
        rows=rows,
        columns=columns,
        payload=rest[name_length:-_CHECK_BYTES],
    )
    _check_fields(container, payload_length, max_pixels)
    return container


def _read(file: BinaryIO, count: int) -> bytes:
    """Up to `count` bytes, fewer only at the end of the file: a pipe may hand them out in pieces."""
    pieces = []
    while count > 0 and (piece := file.read(min(count, 2**20))):
        pieces.append(piece)
        count -= len(piece)
    return b"".join(pieces)


def _check(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=_CHECK_BYTES, person=b"leech file").digest()


def _check_sizes(claim: Container, payload_length: int, max_pixels: int) -> None:
    """Hold the declared sizes against the caps and against each other."""
    for label, value in (
        ("width", claim.width),
        ("height", claim.height),
        ("depth", claim.depth),
        ("number of rows", claim.rows),
        ("number of columns", claim.columns),
    ):
        if not 1 <= value <= MAX_SIDE:
            raise ContainerError(f"the {label} is {value}, expected 1 to {MAX_SIDE}")
    pixels = claim.width * claim.height
    if pixels > max_pixels:
        raise ContainerError(
            f"the picture has {claim.width}×{claim.height} = {pixels:,} pixels, at most {max_pixels:,} are accepted"
        )
    most = min(MAX_TOKENS, claim.depth * (pixels + _WINDOW_TOKENS))
    if claim.tokens > most:
        raise ContainerError(
            f"{claim.tokens:,} tokens are claimed for a picture of {claim.width}×{claim.height} pixels, "
            f"at most {most:,} are accepted"
        )
    if payload_length > _TOKEN_BYTES * (claim.tokens + 1):
        raise ContainerError(f"a payload of {payload_length:,} bytes is too long for {claim.tokens:,} tokens")


def _check_fields(container: Container, payload_length: int, max_pixels: int) -> None:
    _check_sizes(container, payload_length, max_pixels)
    if not _NAME.fullmatch(container.model):
        raise ContainerError(
            f"the model's name is {container.model!r}, expected 1 to 64 letters, digits, dots, dashes and underscores"
        )
    if container.entropy == "fixed" and any(container.tables_digest):
        raise ContainerError("the 'fixed' entropy model has no tables, but the file names some")
