"""Compress: picture → tokens → bytes of a file, and back. The one place where tokenizer and coder meet.

    picture ─ tokenizer ─▶ indices ─ entropy model ─▶ payload ─ container ─▶ file

The file decodes to the same *indices* on every machine; the pixels that the decoder network makes of them may differ in
the last bit between machines. A file names its model by name and by hashes of weights, codebook and tables, and is
refused where one of them is another: a wrong picture is never shown. `bpp` counts all bits of the file.
"""

__all__ = [
    "EFFORT",
    "SUFFIX",
    "TRADE",
    "Compressed",
    "Decompressed",
    "compress_image",
    "decompress_image",
    "describe",
    "read_leech",
    "verify",
]

import io
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import torch

from workbench.coding.container import MAX_SIDE, Container, pack, read_container
from workbench.errors import ContainerError, InputError, UnknownModelError
from workbench.images.files import MAX_PIXELS
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.load import tokenizers
from workbench.models.refine import check_effort, refine
from workbench.progress import Progress, no_progress
from workbench.tasks.compress.codec import Codec, load_codec
from workbench.tasks.rehearse import rehearse_coder, rehearse_search

SUFFIX = ".leech"
# λ where nothing else is said: on photographs a little fewer bits, most of the gain in PSNR, and no loss of texture.
TRADE = 0.005
EFFORT = 2  # of the command line and the app: about two seconds for 768×512 pixels on one core

Source = str | Path | bytes | BinaryIO


@dataclass(frozen=True)
class Compressed:
    """A picture as a file.

    Attributes:
        data: The bytes of the file.
        container: What stands in it.
        indices: The tokens, int64, shape (depth, h, w).
        fixed_bits: Bits of the tokens where every codeword costs the same, without a header.
        model_bits: Code length by the entropy model, in bits; the payload is this long up to 8 bits.
        seconds: Wall time of tokenizer and coder together, without loading and compiling.
        note: What there is to say of a target that was asked for.
    """

    data: bytes = field(repr=False)
    container: Container
    indices: np.ndarray = field(repr=False)
    fixed_bits: float
    model_bits: float
    seconds: float
    note: str = ""

    def row(self) -> dict[str, object]:
        """The figures as one flat row, in the order in which they are shown."""
        bits = 8 * len(self.data)
        return {
            **describe(self.container),
            "bytes": len(self.data),
            "bpp": bits / (self.container.width * self.container.height),
            "bits_per_token": bits / self.container.tokens,
            "share_of_fixed": bits / self.fixed_bits,
            "seconds": self.seconds,
            **({"note": self.note} if self.note else {}),
        }


@dataclass(frozen=True)
class Decompressed:
    """A picture out of a file.

    Attributes:
        image: uint8, shape (H, W, 3).
        container: What stood in the file.
        indices: The tokens, int64, shape (depth, h, w).
        seconds: Wall time of coder and tokenizer together, without loading and compiling.
    """

    image: np.ndarray = field(repr=False)
    container: Container
    indices: np.ndarray = field(repr=False)
    seconds: float


def compress_image(
    image: np.ndarray,
    codec: Codec,
    *,
    entropy: str | None = None,
    effort: int = 0,
    trade: float = TRADE,
    progress: Progress = no_progress,
) -> Compressed:
    """Compress one picture. The same picture, model, settings and machine give the same bytes.

    Args:
        image: uint8, shape (H, W, 3), sides from 1 to 65,535.
        codec: The model with its entropy models.
        entropy: `fixed`, `static` or `context`; None for the best that the model has.
        effort: From 0 to 9: how long codewords are searched; see :mod:`workbench.models.refine`.
        trade: λ of that search: squared error, of pixel values in [0, 1], that a bit may cost.
        progress: Told the share done of the search.

    Raises:
        InputError: if the picture or the entropy model is not accepted.
        ModelError: if the model has no tables for that entropy model.
    """
    model = codec.entropy_model(entropy or codec.entropies[0])
    tokenizer = codec.tokenizer
    if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
        raise InputError(f"expected a uint8 picture of shape (H, W, 3), got {image.dtype} of shape {image.shape}")
    if max(image.shape) > MAX_SIDE:
        raise InputError(
            f"a picture of {image.shape[1]}×{image.shape[0]} pixels does not go into a {SUFFIX} file, whose sides are "
            f"at most {MAX_SIDE}: cut it"
        )
    rehearse_search(tokenizer, ranked=check_effort(effort) > 0)
    rehearse_coder(model, codec.depth, candidates=effort > 0)
    start = time.perf_counter()
    pixels = torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    own = tokenizer.tokenize(pixels)
    if effort:
        own = refine(tokenizer, pixels[0], own[0], effort=effort, rate=model, trade=trade, progress=progress).indices[
            None
        ]
    indices = np.ascontiguousarray(tokenizer.to_planes(own)[0].cpu().numpy())
    payload = model.encode(indices)
    container = Container(
        entropy=model.name,
        model=tokenizer.name,
        model_hash=codec.model_hash,
        codebook_hash=codec.codebook_hash,
        tables_digest=model.digest,
        width=image.shape[1],
        height=image.shape[0],
        depth=indices.shape[0],
        rows=indices.shape[1],
        columns=indices.shape[2],
        payload=payload,
    )
    data = pack(container)
    seconds = time.perf_counter() - start
    fixed_bits = codec.entropy_model("fixed").bits(indices)
    return Compressed(data, container, indices, fixed_bits, model.bits(indices), seconds)


def read_leech(source: Source, *, max_pixels: int = MAX_PIXELS) -> Container:
    """Read a file and check that it is whole; no model is needed.

    Args:
        source: A path, the bytes of a file, or a binary file object, which is read to its end.
        max_pixels: The largest picture that is accepted.

    Raises:
        ContainerError: if it is a folder or a pipe, cannot be read, or is not a whole file of this format.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        return read_container(io.BytesIO(source), max_pixels=max_pixels)
    if not isinstance(source, str | Path):
        return read_container(source, max_pixels=max_pixels)
    path = Path(source)
    try:
        if not path.is_file():
            kind = "a folder" if path.is_dir() else "a pipe or a device" if path.exists() else "not there"
            raise ContainerError(f"{path} is {kind}, expected a {SUFFIX} file")
        with path.open("rb") as file:
            return read_container(file, max_pixels=max_pixels)
    except (OSError, ValueError) as error:  # ValueError: a name that no file can have
        raise ContainerError(f"{path} cannot be read: {error}") from error


def decompress_image(
    source: Source, *, model: str | None = None, codec: Codec | None = None, max_pixels: int = MAX_PIXELS
) -> Decompressed:
    """Turn a file back into the picture.

    Args:
        source: See :func:`read_leech`.
        model: Where to find the model, if not under the name in the file; it must be the same model.
        codec: The model itself, where it is loaded already.
        max_pixels: The largest picture that is accepted.

    Raises:
        ContainerError: if the file is damaged, or was made with another model, codebook or tables.
        ModelError: if the model is not at hand.
    """
    container = read_leech(source, max_pixels=max_pixels)
    codec = _matching(container, codec or _codec_of(container, model))
    if container.entropy in codec.entropies:
        rehearse_coder(codec.entropy_model(container.entropy), codec.depth)
    start = time.perf_counter()
    indices = _decode(container, codec)
    tokens = codec.tokenizer.from_planes(torch.from_numpy(indices)[None])
    pixels = codec.tokenizer.detokenize(tokens, size=(container.height, container.width))[0]
    image = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
    return Decompressed(image, container, indices, time.perf_counter() - start)


def verify(source: Source, *, model: str | None = None, max_pixels: int = MAX_PIXELS) -> Container:
    """Check all of a file but the pixels, and return what stands in it.

    The model at hand is the one it was made with, and the payload is to the last byte what its coder writes for the
    indices in it.

    Raises:
        ContainerError, ModelError: as :func:`decompress_image`.
    """
    container = read_leech(source, max_pixels=max_pixels)
    _decode(container, _matching(container, _codec_of(container, model)))
    return container


def describe(container: Container) -> dict[str, object]:
    """What a file says about itself, as a flat row; hashes in hex."""
    return {
        "model": container.model,
        "entropy": container.entropy,
        "width": container.width,
        "height": container.height,
        "depth": container.depth,
        "rows": container.rows,
        "columns": container.columns,
        "tokens": container.tokens,
        "payload_bytes": len(container.payload),
        "model_hash": container.model_hash.hex(),
        "codebook_hash": container.codebook_hash.hex(),
        "tables_digest": container.tables_digest.hex(),
    }


def _codec_of(container: Container, model: str | None) -> Codec:
    """The codec that a file names.

    The name in a file is a claim of a stranger's: it may name a model at hand, and never a path or a download.
    """
    if model is None and not any(entry.name == container.model for entry in tokenizers(GridTokenizer)):
        raise UnknownModelError(
            f"the file was made with model {container.model!r}, which is not at hand: say where it is with --model"
        )
    return load_codec(model or container.model)


def _matching(container: Container, codec: Codec) -> Codec:
    """The codec, once its weights and codebook are known to be those that a file was made with."""
    for label, there, here in (
        ("weights", container.model_hash, codec.model_hash),
        ("codebook", container.codebook_hash, codec.codebook_hash),
    ):
        if there != here:
            raise ContainerError(
                f"the file was made with other {label} than those of model {codec.tokenizer.name!r}: it says "
                f"{there.hex()}, the model has {here.hex()}; use the version of {container.model!r} that made it"
            )
    return codec


def _decode(container: Container, codec: Codec) -> np.ndarray:
    """The indices in a file, int64, shape (depth, h, w), once everything that decides them is known to match."""
    if container.entropy not in codec.entropies:
        raise ContainerError(
            f"the file was coded with the {container.entropy!r} entropy model, for which model "
            f"{codec.tokenizer.name!r} has no tables here"
        )
    grid = codec.tokenizer.grid(container.height, container.width)
    if container.shape != (codec.depth, *grid):
        raise ContainerError(
            f"the file claims {container.depth}×{container.rows}×{container.columns} tokens, but model "
            f"{codec.tokenizer.name!r} makes {codec.depth}×{grid[0]}×{grid[1]} of a picture of "
            f"{container.width}×{container.height} pixels: it was made by other software"
        )
    model = codec.entropy_model(container.entropy)
    if model.digest != container.tables_digest:
        raise ContainerError(
            f"the file was coded with other {container.entropy!r} tables than those of model "
            f"{codec.tokenizer.name!r}: it says {container.tables_digest.hex()}, the tables are {model.digest.hex()}"
        )
    return model.decode(container.payload, container.shape)
