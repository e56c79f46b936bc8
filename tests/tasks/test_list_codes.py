"""The table of codes: the values that are known, and what it says of those that do not compare."""

import json
import math

import numpy as np
import pytest
import torch

from workbench.__main__ import main
from workbench.errors import InputError
from workbench.lattices.code import Code
from workbench.lattices.codes.registry import make_code
from workbench.lattices.covering import hole_error, search_holes
from workbench.lattices.designs import design_strength
from workbench.lattices.geometry import normalised_second_moment
from workbench.quantizers.composite import ProductQuantizer
from workbench.quantizers.registry import make_quantizer
from workbench.tasks.explore.family import list_codes, measure_code
from workbench.tasks.explore.structure import structure_of

QUICK = ("leech", "leech-published", "bsq", "lfq", "fsq", "vq", "e8", "e8x3", "k12")


@pytest.fixture(scope="module")
def reports():
    return {report.name: report for report in list_codes(QUICK, samples=1500)}


def test_known_distances(reports):
    known = {"leech": 1, "leech-published": math.sqrt(3) / 2, "bsq": 2 / math.sqrt(18), "lfq": 2 / math.sqrt(18)}
    known |= {"fsq": 2 / 8, "e8": 1, "e8x3": 1 / math.sqrt(3), "k12": 1}
    for name, value in known.items():
        assert reports[name].min_distance == pytest.approx(value, abs=1e-6), name
        assert reports[name].min_distance_exact


def test_errors_stand_above_the_bound_and_below_a_worst(reports):
    for report in reports.values():
        if report.cap_bound is None:
            continue
        low, high = report.mean_squared_error_interval
        assert report.cap_bound < low < report.mean_squared_error < high < report.worst_squared_error
        assert report.over_bound == pytest.approx(report.mean_squared_error / report.cap_bound)
    assert reports["leech"].mean_squared_error < reports["leech-published"].mean_squared_error
    assert reports["leech"].mean_squared_error == pytest.approx(0.4448, abs=0.004)


def test_lfq_is_bsq_in_directions(reports):
    assert reports["lfq"].mean_squared_error == pytest.approx(reports["bsq"].mean_squared_error)


def test_what_does_not_apply_is_none_and_says_why(reports):
    assert reports["vq"].mean_squared_error is None
    assert "learned" in reports["vq"].note
    assert reports["fsq"].cap_bound is None
    assert "box" in reports["fsq"].note
    assert reports["fsq"].mean_squared_error == pytest.approx(5 / (3 * 64) + 1 / (3 * 36))
    assert reports["fsq"].random_error is None
    for field in ("covering", "kissing", "design_strength", "normalised_second_moment", "random_over_bound"):
        assert getattr(reports["vq"], field) is None


def test_structure(reports):
    # Kissing number, design strength, error of the farthest direction, whether that is exact.
    known = {
        "leech": (4600, 11, 2 - 48 / math.sqrt(48 * 32), True),
        "leech-published": (176, 7, 2 - 48 / math.sqrt(48 * 32), False),
        "bsq": (18, 3, 2 - 2 / math.sqrt(18), True),
        "lfq": (18, 3, 2 - 2 / math.sqrt(18), True),
        "fsq": (10, None, 5 / 64 + 1 / 36, True),
        "e8": (56, 7, 2 - math.sqrt(2), True),
        "e8x3": (3 * 56, 3, 2 - math.sqrt(2 / 3), True),
        "k12": (82, 5, 2 - math.sqrt(3 / 2), True),
    }
    for name, (kissing, strength, covering, exact) in known.items():
        report = reports[name]
        assert (report.kissing, report.design_strength, report.covering_exact) == (kissing, strength, exact), name
        assert report.covering == pytest.approx(covering, abs=1e-9), name
        assert report.worst_squared_error <= report.covering + 1e-6
        assert report.covering_how


@pytest.mark.parametrize("settings", [{"name": "bsq", "dimension": 5}, {"name": "lfq", "dimension": 5}])
def test_structure_of_a_small_cube(settings):
    quantizer = make_quantizer(**settings)
    corners = quantizer.lookup(torch.arange(quantizer.size)).sign().numpy().astype(np.int8)
    code, found = Code("cube", corners, math.sqrt(5)), structure_of(quantizer)
    distances = torch.cdist(code.vectors().double(), code.vectors().double()) + 9 * torch.eye(32)
    assert float(distances.min()) == pytest.approx(found.min_distance)
    assert float(distances[found.min_distance_pair]) == pytest.approx(found.min_distance)
    assert int((distances < found.min_distance + 1e-6).sum(1).max()) == found.kissing
    assert design_strength(code) == found.design_strength
    assert hole_error(code, search_holes(code, starts=8)) == pytest.approx(found.covering)


def test_structure_of_a_small_grid():
    quantizer = make_quantizer("fsq", levels=[4, 2, 4])
    grid, found = quantizer.lookup(torch.arange(32)).double(), structure_of(quantizer)
    distances = torch.cdist(grid, grid) + 9 * torch.eye(32)
    assert float(distances.min()) == pytest.approx(found.min_distance)
    assert int((distances < found.min_distance + 1e-6).sum(1).max()) == found.kissing == 4
    corner = torch.ones(1, 3, dtype=torch.float64)
    assert float(torch.cdist(corner, grid).min() ** 2) == pytest.approx(found.covering)
    assert structure_of(make_quantizer("fsq", levels=[2, 2])).kissing == 2


def test_structure_of_a_small_product():
    # The product of two squares is the cube in four dimensions.
    squares = [make_quantizer("bsq", dimension=2) for _ in range(2)]
    both = structure_of(ProductQuantizer(squares))
    cube = structure_of(make_quantizer("bsq", dimension=4))
    assert both.min_distance == pytest.approx(cube.min_distance)
    assert (both.kissing, both.design_strength) == (cube.kissing, cube.design_strength)
    assert structure_of(make_quantizer("product", parts=["e8", "k12"])).design_strength is None
    assert both.covering == pytest.approx(cube.covering)


def test_strength_of_the_product_of_three_e8(reports):
    # Moments of v·y for independent parts, from those of one: they agree with the sphere to degree 3, not at 4.
    code = make_code("e8")
    y = np.random.default_rng(0).standard_normal((3, 8))
    products = (code.integers * code.steps) @ y.T / math.sqrt(3)
    moments = [(products**k).mean(0) for k in range(5)]
    second = moments[2].sum()
    assert second == pytest.approx((y**2).sum() / 24)
    assert np.abs(moments[1]).max() < 1e-12
    assert np.abs(moments[3]).max() < 1e-12
    fourth = moments[4].sum() + 3 * (second**2 - (moments[2] ** 2).sum())
    assert fourth != pytest.approx(3 * (y**2).sum() ** 2 / (24 * 26), rel=1e-3)
    assert reports["e8x3"].design_strength == 3


def test_random_codewords_are_the_control(reports):
    for report in reports.values():
        if report.random_error is None:
            continue
        assert report.cap_bound < report.random_error
        assert report.random_over_bound == pytest.approx(report.random_error / report.cap_bound)
    assert reports["leech"].over_bound < reports["leech"].random_over_bound
    assert reports["e8"].over_bound < reports["e8"].random_over_bound < 1.18
    assert reports["bsq"].over_bound > 1.2 > reports["bsq"].random_over_bound
    assert reports["e8x3"].over_bound > reports["e8x3"].random_over_bound


def test_roundness_separates_fsq_from_bsq(reports):
    # Boxes of sides 1/4 and 1/3 in six dimensions against balls of their volume; the ball of volume 1: 1/(8·V^(1/3)).
    cube = measure_code("fsq", {"name": "fsq", "levels": [8] * 6}, samples=2)
    assert cube.normalised_second_moment == pytest.approx(1 / 12)
    assert cube.over_bound == pytest.approx(8 / 12 * (math.pi**3 / 6) ** (1 / 3))
    assert cube.over_bound < reports["fsq"].over_bound < 1.2 < 1.3 < reports["bsq"].over_bound
    assert reports["fsq"].normalised_second_moment == pytest.approx(
        reports["fsq"].mean_squared_error / 6 / (math.prod([1 / 4] * 5) / 3) ** (1 / 3)
    )
    for name in ("leech", "bsq", "e8"):
        report = reports[name]
        assert report.normalised_second_moment == pytest.approx(
            normalised_second_moment(report.mean_squared_error, report.dimension, report.size)
        )


def test_error_of_bsq_is_that_of_the_orthants(reports):
    # E‖z‖₁ of a uniform direction, by Γ functions.
    mean = 18 * math.exp(math.lgamma(9) - math.lgamma(9.5)) / math.sqrt(math.pi)
    low, high = reports["bsq"].mean_squared_error_interval
    assert low - (high - low) < 2 - 2 * mean / math.sqrt(18) < high + (high - low)


def test_every_pair_compares_all_and_tells_progress():
    told = []
    (report,) = list_codes(
        ["bw16"], samples=2, every_pair=True, progress=lambda share, message: told.append((share, message))
    )
    assert report.min_distance_how == "all 4,320 points with all others"
    assert report.min_distance == pytest.approx(1)
    shares = [share for share, _ in told]
    assert shares == sorted(shares)
    assert len(shares) > 3
    assert shares[-1] == 1


def test_unknown_code():
    with pytest.raises(InputError, match="did you mean 'leech'"):
        list_codes(["leechh"])


def test_command_line(capsys):
    with pytest.raises(SystemExit) as end:
        main(["codes", "e8", "vq", "--samples", "200", "--json"])
    assert end.value.code == 0
    first, second = json.loads(capsys.readouterr().out)["codes"]
    assert (first["name"], first["size"], first["dimension"]) == ("e8", 240, 8)
    assert first["bits"] == pytest.approx(math.log2(240))
    assert second["mean_squared_error"] is None
    with pytest.raises(SystemExit):
        main(["codes", "e8", "--samples", "200"])
    out = capsys.readouterr().out
    assert "1.0000" in out
    assert "0.5858" in out
    assert "worst of 200" in out
    with pytest.raises(SystemExit):
        main(["codes", "leech-published", "--samples", "2"])
    assert "≥0.7753" in capsys.readouterr().out
