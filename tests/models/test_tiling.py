"""Tiles and windows: cutting and joining changes nothing."""

import itertools

import pytest
import torch
from torch import nn

from workbench.models.tiling import blend_windows, cut_windows, map_tiles, window_starts


@pytest.mark.parametrize(("rows", "columns", "tile"), [(5, 9, 4), (13, 3, 2), (4, 4, 8), (1, 17, 3)])
def test_a_local_map_by_tiles_is_the_map_of_the_whole(rows, columns, tile):
    torch.manual_seed(0)
    down = nn.Sequential(nn.Conv2d(2, 4, 3, stride=3), nn.Conv2d(4, 4, 3, padding=1), nn.Conv2d(4, 4, 3, padding=1))
    x = torch.randn(1, 2, 3 * rows, 3 * columns)
    tiled = map_tiles(down, x, unit_in=3, unit_out=1, halo=2, tile=tile)
    torch.testing.assert_close(tiled, down(x), atol=1e-5, rtol=0)


def test_too_small_a_halo_shows_at_the_seams():
    torch.manual_seed(0)
    blur = nn.Sequential(nn.Conv2d(1, 1, 3, padding=1), nn.Conv2d(1, 1, 3, padding=1))
    x = torch.randn(1, 1, 12, 12)
    assert not torch.allclose(map_tiles(blur, x, unit_in=1, unit_out=1, halo=1, tile=4), blur(x), atol=1e-4)


def test_every_patch_is_computed_for_once():
    seen = []

    def keep(x):
        seen.append(x.shape[-2:])
        return x

    x = torch.arange(35.0).reshape(1, 1, 5, 7)
    assert torch.equal(map_tiles(keep, x, unit_in=1, unit_out=1, halo=0, tile=3), x)
    assert sum(h * w for h, w in seen) == 35


@pytest.mark.parametrize("length", [16, 17, 23, 31, 32, 100, 257])
def test_windows_cover_a_side_and_share_enough(length):
    starts = window_starts(length, 16, 4)
    assert starts[0] == 0
    assert starts[-1] == max(length - 16, 0)
    gaps = [b - a for a, b in itertools.pairwise(starts)]
    assert all(0 < gap <= 12 for gap in gaps)


@pytest.mark.parametrize("size", [(16, 16), (16, 40), (33, 57)])
def test_blending_what_was_cut_gives_the_picture_back(size):
    x = torch.rand(2, 3, *size, dtype=torch.float64)
    windows = cut_windows(x, window=16, overlap=4)
    torch.testing.assert_close(blend_windows(windows, height=size[0], width=size[1], overlap=4), x)


def test_where_windows_disagree_the_ramp_is_monotone():
    windows = torch.stack([torch.zeros(1, 16, 16), torch.ones(1, 16, 16)])
    row = blend_windows(windows, height=16, width=28, overlap=4)[0, 0, 8]
    assert row[:12].eq(0).all()
    assert row[16:].eq(1).all()
    assert (row[11:17].diff() >= 0).all()


@pytest.mark.parametrize(
    ("height", "width", "overlap"), [(16, 20, 4), (16, 28, 4), (19, 40, 6), (16, 30, 2), (32, 48, 0)]
)
def test_the_ramp_rises_over_the_overlap_and_no_further(height, width, overlap):
    """Each pixel is the mean of its windows, weighted by its place from a window's edges, counted up to the overlap."""
    tops, lefts = (window_starts(side, 16, overlap) for side in (height, width))
    windows = torch.rand(len(tops) * len(lefts), 1, 16, 16, dtype=torch.float64)
    blended = blend_windows(windows, height=height, width=width, overlap=overlap)
    most = max(overlap, 1)
    weight = [min(place + 1, 16 - place, most) for place in range(16)]
    for row, column in itertools.product(range(height), range(width)):
        shares = values = 0.0
        for number, (top, left) in enumerate(itertools.product(tops, lefts)):
            if 0 <= row - top < 16 and 0 <= column - left < 16:
                share = weight[row - top] * weight[column - left]
                shares, values = shares + share, values + share * float(windows[number, 0, row - top, column - left])
        assert float(blended[0, 0, row, column]) == pytest.approx(values / shares)
