"""The measurement of heads says what it measured, and refuses what it cannot."""

import json

import pytest

from workbench.errors import InputError
from workbench.tasks.bench.head import HEADS, measure_head, measure_heads


def test_a_head_is_measured_here():
    cost = measure_head("digits", width=16, tokens=64, repeats=1, threads=1)
    assert cost.name == "digits"
    assert cost.parameters == 216 * 17
    assert cost.seconds > 0
    assert cost.cpu_seconds > 0
    assert cost.peak_bytes is None or cost.peak_bytes >= 0


def test_heads_are_compared_with_the_best_full_one(monkeypatch):
    from workbench.tasks.bench import head

    costs = {
        "digits": head.HeadCost("digits", 0.5, 1.0, 10, 1),
        "full-64": head.HeadCost("full-64", 10.0, 20.0, 100, 2),
        "full-128": head.HeadCost("full-128", 8.0, 16.0, 200, 2),
    }

    class Pool:
        def __init__(self, *_, **__): ...
        def __enter__(self):
            return self

        def __exit__(self, *_): ...
        def submit(self, _, name, *__):
            return type("Future", (), {"result": lambda self: costs[name]})()

    monkeypatch.setattr(head, "ProcessPoolExecutor", Pool)
    result = measure_heads(list(costs), width=16, tokens=64, repeats=1, threads=1)
    assert result["full"] == "full-128"
    assert result["heads"][0]["times_faster"] == pytest.approx(16.0)
    assert result["heads"][0]["share_of_memory"] == pytest.approx(0.05)
    assert json.loads(json.dumps(result)) == result


def test_unknown_heads_and_numbers_are_refused():
    assert {"digits", "lattice-1", "lattice-8", "full-torch"} <= set(HEADS)
    with pytest.raises(InputError, match="did you mean 'digits'"):
        measure_heads(["digit"])
    with pytest.raises(InputError, match="at least 1, got 16, 0 and 5"):
        measure_heads(["digits"], width=16, tokens=0)
