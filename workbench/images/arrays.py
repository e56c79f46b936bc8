"""Pictures as numbers: the one place where uint8 becomes float and back.

A picture is uint8 of shape (H, W, 3), sRGB; networks see floats of shape (3, H, W) in [0, 1]. Between the two stands
v = u / 255 and its inverse u = round(255 · clamp(v, 0, 1)), exact on all 256 levels in float32 and float64.
"""

__all__ = ["as_picture", "to_float", "to_uint8"]

import numpy as np
import torch
from torch import Tensor

from workbench.errors import InputError


def to_float(pictures: np.ndarray) -> Tensor:
    """Turn pictures into what networks take.

    Args:
        pictures: uint8, shape (..., H, W, 3); strides may be anything.

    Returns:
        float32 in [0, 1], shape (..., 3, H, W).

    Raises:
        InputError: if the type or the shape is another.
    """
    if pictures.dtype != np.uint8 or pictures.ndim < 3 or pictures.shape[-1] != 3:
        raise InputError(f"expected uint8 of shape (..., H, W, 3), got {pictures.dtype} of shape {pictures.shape}")
    planes = np.ascontiguousarray(np.moveaxis(pictures, -1, -3))
    return torch.from_numpy(planes).float().div_(255)


def to_uint8(images: Tensor) -> np.ndarray:
    """Turn what networks give into pictures: clamped, then rounded.

    Args:
        images: Floats, nominally in [0, 1], shape (..., 3, H, W), on any device.

    Returns:
        uint8, shape (..., H, W, 3), contiguous.

    Raises:
        InputError: if the type or the shape is another, or a value is NaN.
    """
    if not images.is_floating_point() or images.ndim < 3 or images.shape[-3] != 3:
        raise InputError(f"expected floats of shape (..., 3, H, W), got {images.dtype} of shape {tuple(images.shape)}")
    images = images.detach().to("cpu", torch.float32)
    if bool(torch.isnan(images).any()):
        raise InputError("a picture holds NaN where values in [0, 1] were expected: the network that gave it diverged")
    levels = images.clamp(0, 1).mul_(255).round_().to(torch.uint8)
    return levels.movedim(-3, -1).contiguous().numpy()


def as_picture(array: np.ndarray) -> np.ndarray:
    """Accept an array in any of the usual layouts as one picture.

    Grey is repeated over the channels, alpha is flattened over white, 16 bits are scaled to 8 (65535 → 255), truth
    values become black and white, floats count as [0, 1].

    Args:
        array: Shape (H, W), (H, W, 1), (H, W, 2), (H, W, 3) or (H, W, 4); uint8, uint16, bool or float; any strides.

    Returns:
        uint8, shape (H, W, 3), contiguous, never a view of the argument.

    Raises:
        InputError: if the shape or the type is another, or a float is not finite or far outside [0, 1].
    """
    planes = array[:, :, None] if array.ndim == 2 else array
    if planes.ndim != 3 or planes.shape[2] not in (1, 2, 3, 4) or not planes.size:
        raise InputError(f"expected a picture of shape (H, W) or (H, W, 1 to 4), got shape {array.shape}")
    levels = _levels(planes)
    if planes.shape[2] in (2, 4):
        alpha = levels[:, :, -1:].astype(np.uint16)
        over = levels[:, :, :-1] * alpha + 255 * (255 - alpha)
        levels = ((over + 127) // 255).astype(np.uint8)
    return np.array(np.broadcast_to(levels, (*levels.shape[:2], 3)), order="C")


def _levels(planes: np.ndarray) -> np.ndarray:
    """Scale any accepted type to uint8 of the same shape."""
    if planes.dtype == np.uint8:
        return planes
    if planes.dtype == np.bool_:
        return planes.astype(np.uint8) * np.uint8(255)
    if planes.dtype.kind == "u" and planes.dtype.itemsize == 2:
        return ((planes.astype(np.uint32) + 128) // 257).astype(np.uint8)
    if planes.dtype.kind == "f":
        low, high = planes.min(), planes.max()
        if not (low >= -1e-3 and high <= 1 + 1e-3):  # NaN fails both
            raise InputError(
                f"expected floats in [0, 1], got values from {low:.3g} to {high:.3g}: "
                "divide 0–255 by 255, and replace what is not finite"
            )
        return np.round(np.clip(planes, 0, 1) * planes.dtype.type(255)).astype(np.uint8)
    raise InputError(f"expected a picture as uint8, uint16, bool or floats in [0, 1], got {planes.dtype}")
