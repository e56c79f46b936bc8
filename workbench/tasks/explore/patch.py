"""The vector behind one patch of a picture: what the encoder says there, before it is quantized."""

__all__ = ["Patch", "patch_vector"]

from dataclasses import dataclass
from typing import cast

import numpy as np
import torch

from workbench.errors import InputError
from workbench.models.conv import ConvEncoder
from workbench.models.tokenizer import Tokenizer, as_images


@dataclass(frozen=True)
class Patch:
    """A patch and its vector.

    Attributes:
        row: Row of the token grid.
        column: Column of the token grid.
        pixels: uint8, shape (f, f, 3), less at the right and lower edge.
        vector: float64, shape (D,): the encoder's answer.
    """

    row: int
    column: int
    pixels: np.ndarray
    vector: np.ndarray


@torch.inference_mode()
def patch_vector(image: np.ndarray, tokenizer: Tokenizer, *, x: int, y: int) -> Patch:
    """The encoder's vector for the patch that holds a pixel.

    Only as much of the picture is encoded as the patch depends on, so a large picture costs no more than a small one.

    Args:
        image: uint8, shape (H, W, 3).
        tokenizer: A model of one scale with a convolutional body.
        x: Column of the pixel.
        y: Row of the pixel.

    Raises:
        InputError: if the pixel is outside the picture, or the model is of another kind.
    """
    height, width = image.shape[:2]
    if not (0 <= x < width and 0 <= y < height):
        raise InputError(f"pixel ({x}, {y}) is outside a picture of {width}×{height}")
    if tokenizer.window is not None or tokenizer.scales:
        raise InputError(f"model {tokenizer.name!r} has no vector of its own for a patch; choose a convolutional one")
    factor, halo = tokenizer.factor, max(cast(ConvEncoder, tokenizer.encoder).halo, 1)
    row, column = y // factor, x // factor
    # Cut at multiples of the halo: it holds whole periods of the phases, so they stay where they are in the picture.
    top, left = (max((place // halo - 1) * halo, 0) for place in (row, column))
    rows = slice(top * factor, min((row + halo + 1) * factor, height))
    columns = slice(left * factor, min((column + halo + 1) * factor, width))
    near = as_images(np.ascontiguousarray(image[rows, columns])).float() / 255
    over = [-side % factor for side in near.shape[-2:]]
    near = torch.nn.functional.pad(near, (0, over[1], 0, over[0]), mode="replicate")
    vector = tokenizer.encode(near.to(tokenizer.device))[0, :, row - top, column - left].double().cpu().numpy()
    pixels = image[row * factor : (row + 1) * factor, column * factor : (column + 1) * factor]
    return Patch(row, column, pixels.copy(), vector)
