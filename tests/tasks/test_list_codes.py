"""The table of codes: the values that are known, and what it says of those that do not compare."""

import json
import math

import pytest

from workbench.__main__ import main
from workbench.errors import InputError
from workbench.tasks.explore.family import list_codes

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
    assert "1.0000" in capsys.readouterr().out
