"""The verbs in one call each, for a few lines of Python: reconstruct, generate, encode, decode.

    import workbench

    data = workbench.encode("photo.jpg")
    pixels = workbench.decode(data)

Models go by name and stay loaded; who has one in hand passes it. The modules of this room do the same with every
setting, progress and intermediate results.
"""

__all__ = ["decode", "encode", "generate", "reconstruct"]

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image
from torch import Tensor

from workbench.errors import InputError
from workbench.images.files import read_image
from workbench.models.load import Pair, default_generator, default_tokenizer, load_generator, load_tokenizer
from workbench.models.refine import can_refine
from workbench.models.sampling import CONTROL_PRESETS, Controls
from workbench.models.tokenizer import Tokenizer, as_images, as_picture, check_images
from workbench.tasks.compress.codec import Codec, load_codec
from workbench.tasks.compress.picture import EFFORT, compress_image, decompress_image
from workbench.tasks.generate import Drawn, Order, finished
from workbench.tasks.generate import generate as generate_stages
from workbench.tasks.reconstruct import Reconstructed, reconstruct_image

PictureOrPath = str | Path | Image.Image | np.ndarray | Tensor


def reconstruct(image: PictureOrPath, model: str | Tokenizer | None = None, *, effort: int = 0) -> Reconstructed:
    """Send a picture through tokens and back, and measure what came back.

    Args:
        image: The path of a picture; a PIL image; uint8 of shape (H, W, 3); or a tensor (3, H, W), uint8 or in [0, 1].
        model: A tokenizer or its name; None for the default one.
        effort: From 0 to 9: how long better codewords are searched; see :mod:`workbench.models.refine`.

    Raises:
        InputError: if the picture or the effort is not accepted.
        ImageError: if the file cannot be read.
        ModelError: if there is no such model.
    """
    tokenizer = model if isinstance(model, Tokenizer) else load_tokenizer(model or default_tokenizer())
    return reconstruct_image(_pixels(image), tokenizer, effort=effort)


def generate(
    labels: str | int | Sequence[str | int] = "none",
    model: str | Pair | None = None,
    *,
    seed: int = 0,
    controls: str | Controls = "balanced",
) -> Drawn:
    """Draw pictures, one for each label; `.images` has them, uint8 of shape (n, H, W, 3).

    Args:
        labels: Classes by name or number, `none` for no class.
        model: A generator with its tokenizer, or its name; None for the default one.
        seed: From 0 to 2³¹ − 1.
        controls: How tokens are drawn, or a name of `CONTROL_PRESETS`.

    Raises:
        InputError: if a class, the seed or a control is not accepted.
        ModelError: if there is no such model.
    """
    if isinstance(controls, str):
        if controls not in CONTROL_PRESETS:
            raise InputError(f"no controls are called {controls!r}; known: {', '.join(CONTROL_PRESETS)}")
        controls = CONTROL_PRESETS[controls]
    pair = model if isinstance(model, Pair) else load_generator(model or default_generator())
    chosen = [labels] if isinstance(labels, str | int) else list(labels)
    return finished(generate_stages(pair, Order(chosen, seed, controls)))


def encode(image: PictureOrPath, model: str | Codec | None = None, *, effort: int | None = None) -> bytes:
    """Compress a picture to the bytes of a `.leech` file.

    Args:
        image: As of :func:`reconstruct`; sides up to 65,535.
        model: A codec or the name of its tokenizer; None for the default one.
        effort: From 0 to 9: how long codewords are searched; None for 2, or 0 where the model allows no search.

    Raises:
        InputError: if the picture or the effort is not accepted.
        ImageError: if the file cannot be read.
        ModelError: if there is no such model.
    """
    codec = model if isinstance(model, Codec) else load_codec(model)
    if effort is None:
        effort = EFFORT if can_refine(codec.tokenizer) else 0
    return compress_image(_pixels(image), codec, effort=effort).data


def decode(source: str | Path | bytes, model: str | Codec | None = None) -> np.ndarray:
    """Turn a `.leech` file back into the picture, uint8 of shape (H, W, 3).

    Args:
        source: Its bytes, or its path.
        model: The codec that made it, or the name of its tokenizer; None looks for the name that stands in the file.

    Raises:
        ContainerError: if the file is damaged, or was made with another model.
        ModelError: if the model is not at hand.
    """
    if isinstance(model, Codec):
        return decompress_image(source, codec=model).image
    return decompress_image(source, model=model).image


def _pixels(image: PictureOrPath) -> np.ndarray:
    """A picture as uint8 (H, W, 3)."""
    if isinstance(image, str | Path):
        return read_image(image)
    return as_picture(check_images(as_images(image))[0])
