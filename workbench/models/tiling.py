"""Large pictures in bounded memory: local maps tile by tile, windowed maps window by window.

A *local* map (the convolutional body) reads at most `halo` patches around a patch: computed on a tile with that much
around it, and cropped, it gives what the whole picture gives, so every patch is computed for once. A *windowed* map
(the ViT) takes only a window of fixed side: windows overlap, each is coded by itself, and where decoded windows
overlap they are blended by linear ramps.
"""

__all__ = ["blend_windows", "cut_windows", "map_tiles", "window_starts"]

from collections.abc import Callable

import torch
from torch import Tensor


def map_tiles(
    function: Callable[[Tensor], Tensor], x: Tensor, *, unit_in: int, unit_out: int, halo: int, tile: int
) -> Tensor:
    """Apply a local map to `x` tile by tile.

    Args:
        function: Takes `(B, C, h · unit_in, w · unit_in)`, gives `(B, ..., h · unit_out, w · unit_out)`.
        x: The whole input, `(B, C, H, W)`, sides multiples of `unit_in`.
        unit_in: Side of a patch at the input, in its own samples.
        unit_out: Side of a patch at the output.
        halo: Patches that the map reads on each side of a patch.
        tile: Patches a side that are kept from one application.
    """
    rows, columns = x.shape[-2] // unit_in, x.shape[-1] // unit_in
    if rows <= tile and columns <= tile:
        return function(x)
    whole = x.new_empty(0)  # until the first tile tells the shape
    for top in range(0, rows, tile):
        for left in range(0, columns, tile):
            bottom, right = min(top + tile, rows), min(left + tile, columns)
            above, before = max(top - halo, 0), max(left - halo, 0)
            below, after = min(bottom + halo, rows), min(right + halo, columns)
            y = function(x[..., above * unit_in : below * unit_in, before * unit_in : after * unit_in])
            kept = y[
                ...,
                (top - above) * unit_out : (bottom - above) * unit_out,
                (left - before) * unit_out : (right - before) * unit_out,
            ]
            if not len(whole):
                whole = y.new_empty((*y.shape[:-2], rows * unit_out, columns * unit_out))
            whole[..., top * unit_out : bottom * unit_out, left * unit_out : right * unit_out] = kept
    return whole


def window_starts(length: int, window: int, overlap: int) -> list[int]:
    """First samples of the windows along one side: evenly spread, at least `overlap` shared, the last one flush.

    Example:
        >>> window_starts(256, 256, 32), window_starts(600, 256, 32)
        ([0], [0, 172, 344])
    """
    if length <= window:
        return [0]
    count = -(-(length - overlap) // (window - overlap))
    return [round(i * (length - window) / (count - 1)) for i in range(count)]


def cut_windows(x: Tensor, *, window: int, overlap: int) -> Tensor:
    """Cut `(B, C, H, W)` into `(B · rows · columns, C, window, window)`; sides at least `window`."""
    cuts = [
        x[..., top : top + window, left : left + window]
        for top in window_starts(x.shape[-2], window, overlap)
        for left in window_starts(x.shape[-1], window, overlap)
    ]
    return torch.stack(cuts, dim=1).flatten(0, 1)


def blend_windows(windows: Tensor, *, height: int, width: int, overlap: int) -> Tensor:
    """Join `(B · rows · columns, C, window, window)` into `(B, C, height, width)`, ramps where windows overlap."""
    window = windows.shape[-1]
    tops, lefts = window_starts(height, window, overlap), window_starts(width, window, overlap)
    windows = windows.unflatten(0, (-1, len(tops), len(lefts)))
    edge = torch.arange(1, window + 1, dtype=windows.dtype, device=windows.device)
    ramp = torch.minimum(edge, edge.flip(0)).clamp(max=max(overlap, 1))
    weight = ramp[:, None] * ramp  # shape: (window, window)
    total = windows.new_zeros((windows.shape[0], windows.shape[3], height, width))
    mass = windows.new_zeros((height, width))
    for i, top in enumerate(tops):
        for j, left in enumerate(lefts):
            total[..., top : top + window, left : left + window] += weight * windows[:, i, j]
            mass[top : top + window, left : left + window] += weight
    return total / mass
