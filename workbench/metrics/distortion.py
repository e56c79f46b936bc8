"""Distortion: how far a picture is from another, pixel by pixel and window by window.

    PSNR     10 log10(1 / MSE), in dB, of values in [0, 1]; infinite for equal pictures        more is better
    SSIM     mean over 11×11 Gaussian windows (σ = 1.5) of luminance × contrast-structure      in [-1, 1], 1 is best
    MS-SSIM  contrast-structure at four halvings, SSIM at the fifth, each to its weight         in [0, 1], 1 is best

Windows lie wholly inside the picture (as in the authors' own code, scikit-image and CompressAI; torchmetrics also takes
windows over a mirrored border, and differs in the third digit). Each channel is measured by itself, negative factors of
MS-SSIM count as 0, and the answer is the mean over channels. All sums run in float64.
Sources: Wang et al., "Image quality assessment", 2004 (SSIM, C1 = 0.01², C2 = 0.03²); Wang et al., "Multiscale
structural similarity", 2003.
"""

__all__ = ["MS_SSIM_LEAST_SIDE", "SSIM_LEAST_SIDE", "measure", "ms_ssim", "psnr", "ssim"]

import functools
import math
from collections.abc import Callable, Mapping

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from workbench.errors import InputError

Picture = np.ndarray | Tensor

SSIM_LEAST_SIDE = 11
_MS_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MS_SSIM_LEAST_SIDE = SSIM_LEAST_SIDE * 2 ** (len(_MS_WEIGHTS) - 1)
_C1, _C2 = 0.01**2, 0.03**2
_STRIP = 64  # rows of windows at a time: bounds the memory on large pictures, and keeps a strip in the cache


def psnr(x: Picture, y: Picture) -> float:
    """Peak signal-to-noise ratio in dB; `math.inf` for equal pictures.

    Args:
        x: One picture: uint8 of shape (H, W, 3) as an array, or floats in [0, 1] of shape (3, H, W) as a tensor.
        y: The other, of the same size.

    Raises:
        InputError: if one is no picture, or their sizes differ.
    """
    a, b = _pair(x, y)
    # Strips keep the float64 copies small; whole levels of 255 make the sum exact for uint8.
    strips = zip(a.split(_STRIP, 1), b.split(_STRIP, 1), strict=True)
    squares = sum(float((_levels(p) - _levels(q)).square().sum()) for p, q in strips)
    return math.inf if squares == 0 else 10 * math.log10(255**2 * a.numel() / squares)


def ssim(x: Picture, y: Picture) -> float:
    """Structural similarity, in [-1, 1].

    Args:
        x: One picture, as for :func:`psnr`, both sides at least 11.
        y: The other, of the same size.

    Raises:
        InputError: if one is no picture, their sizes differ or they are too small.
    """
    a, b = _pair(x, y)
    _check_side(a, SSIM_LEAST_SIDE, "SSIM")
    return float(_similarity(a, b)[0].mean())


def ms_ssim(x: Picture, y: Picture) -> float:
    """Multi-scale structural similarity over five scales, in [0, 1].

    Args:
        x: One picture, as for :func:`psnr`, both sides at least 176.
        y: The other, of the same size.

    Raises:
        InputError: if one is no picture, their sizes differ or they are too small.
    """
    a, b = _pair(x, y)
    _check_side(a, MS_SSIM_LEAST_SIDE, "MS-SSIM")
    return _over_scales(a, b, _similarity(a, b))


def measure(
    x: Picture, y: Picture, *, others: Mapping[str, Callable[..., float]] | None = None
) -> tuple[dict[str, float | None], dict[str, str]]:
    """Measure a picture against another in every way that says something.

    Args:
        x: The original, as for :func:`psnr`.
        y: What came back, of the same size.
        others: Further measures by name, such as a perceptual distance; one that cannot take the pictures says so by
            an InputError.

    Returns:
        Values under `psnr`, `ssim`, `ms_ssim` and the names in `others`, None where a measure says nothing; and for
        each None the reason. No value is NaN or infinite.

    Raises:
        InputError: if one is no picture, or their sizes differ.
    """
    a, b = _pair(x, y)
    # SSIM and the finest scale of MS-SSIM look at the same windows, which are most of the work of both.
    finest = functools.cache(lambda: _similarity(a, b))
    ways: dict[str, Callable[[], float]] = {
        "psnr": lambda: psnr(a, b),
        "ssim": lambda: float(finest()[0].mean()),
        "ms_ssim": lambda: _over_scales(a, b, finest()),
    }
    for name, way in (others or {}).items():
        ways[name] = functools.partial(way, x, y)
    least = {"ssim": SSIM_LEAST_SIDE, "ms_ssim": MS_SSIM_LEAST_SIDE}
    values: dict[str, float | None] = {}
    reasons: dict[str, str] = {}
    for name, way in ways.items():
        values[name] = None
        side = min(a.shape[1:])
        if side < least.get(name, 1):
            reasons[name] = f"needs at least {least[name]} pixels a side, the picture has {side}"
            continue
        try:
            value = float(way())
        except InputError as error:
            reasons[name] = str(error)
            continue
        if math.isfinite(value):
            values[name] = value
        else:
            reasons[name] = "the pictures are equal" if value == math.inf and name == "psnr" else f"it came to {value}"
    return values, reasons


def _pair(x: Picture, y: Picture) -> tuple[Tensor, Tensor]:
    """Two pictures as tensors (3, H, W), uint8 or float."""
    a, b = _planes(x), _planes(y)
    if a.shape != b.shape:
        raise InputError(
            f"pictures of one size expected, got {a.shape[2]}×{a.shape[1]} and {b.shape[2]}×{b.shape[1]} pixels"
        )
    return a, b


def _planes(picture: Picture) -> Tensor:
    if isinstance(picture, np.ndarray):
        if picture.dtype == np.uint8 and picture.ndim == 3 and picture.shape[2] == 3 and picture.size:
            return torch.from_numpy(np.ascontiguousarray(np.moveaxis(picture, 2, 0)))
    elif picture.ndim == 3 and picture.shape[0] == 3 and picture.numel():
        if picture.dtype == torch.uint8:
            return picture
        if picture.is_floating_point():
            low, high = torch.aminmax(picture)
            if low >= -1e-3 and high <= 1 + 1e-3:  # NaN fails both
                return picture.detach()
            raise InputError(f"expected floats in [0, 1], got values from {float(low):.3g} to {float(high):.3g}")
    raise InputError(
        "expected a uint8 array of shape (H, W, 3) or a tensor of shape (3, H, W), uint8 or floats in [0, 1], "
        f"got {picture.dtype} of shape {tuple(picture.shape)}"
    )


def _levels(planes: Tensor) -> Tensor:
    """float64 in [0, 255]."""
    return planes.double() if planes.dtype == torch.uint8 else planes.double() * 255


def _unit(planes: Tensor) -> Tensor:
    """float64 in [0, 1]."""
    return planes.double() / 255 if planes.dtype == torch.uint8 else planes.double()


def _check_side(planes: Tensor, least: int, name: str) -> None:
    if min(planes.shape[1:]) < least:
        raise InputError(
            f"{name} needs at least {least} pixels a side, the picture has {planes.shape[2]}×{planes.shape[1]}"
        )


def _similarity(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """Means over the windows of SSIM and of its contrast-structure factor, one a channel, shape (3,)."""
    reach = SSIM_LEAST_SIDE - 1
    rows = a.shape[1] - reach
    whole, structure = torch.zeros(2, 3, dtype=torch.float64)
    for top in range(0, rows, _STRIP):
        x, y = (_unit(planes[:, top : min(top + _STRIP, rows) + reach]) for planes in (a, b))
        mean_x, mean_y = _blur(x), _blur(y)
        var_x = (_blur(x * x) - mean_x * mean_x).clamp_(min=0)
        var_y = (_blur(y * y) - mean_y * mean_y).clamp_(min=0)
        cov = _blur(x * y) - mean_x * mean_y
        contrast_structure = (2 * cov + _C2) / (var_x + var_y + _C2)
        luminance = (2 * mean_x * mean_y + _C1) / (mean_x * mean_x + mean_y * mean_y + _C1)
        structure += contrast_structure.sum(dim=(1, 2)).cpu()
        whole += (luminance * contrast_structure).sum(dim=(1, 2)).cpu()
    windows = rows * (a.shape[2] - reach)
    return whole / windows, structure / windows


def _over_scales(a: Tensor, b: Tensor, finest: tuple[Tensor, Tensor]) -> float:
    """MS-SSIM of two pictures whose :func:`_similarity` at full size is known."""
    whole, structure = finest
    product = torch.ones(3, dtype=torch.float64)
    for weight in _MS_WEIGHTS[:-1]:
        product *= structure.clamp(min=0) ** weight
        a, b = F.avg_pool2d(_unit(a), 2), F.avg_pool2d(_unit(b), 2)
        whole, structure = _similarity(a, b)
    product *= whole.clamp(min=0) ** _MS_WEIGHTS[-1]
    return float(product.mean())


def _blur(planes: Tensor) -> Tensor:
    """Gaussian window means of (3, H, W), windows inside: (3, H - 10, W - 10)."""
    taps = [math.exp(-(((i - SSIM_LEAST_SIDE // 2) / 1.5) ** 2) / 2) for i in range(SSIM_LEAST_SIDE)]
    total = sum(taps)
    for axis in (1, 2):
        length = planes.shape[axis] - SSIM_LEAST_SIDE + 1
        out = planes.narrow(axis, 0, length) * (taps[0] / total)
        for i, tap in enumerate(taps[1:], start=1):
            out.add_(planes.narrow(axis, i, length), alpha=tap / total)
        planes = out
    return planes
