"""The measurement of the search: what it reports, and that its contenders search indeed."""

import json

import pytest
import torch

from workbench.__main__ import main
from workbench.errors import InputError
from workbench.lattices.codes.registry import make_code
from workbench.lattices.search.nearest import nearest
from workbench.tasks.bench import search as bench
from workbench.tasks.bench.ceilings import Ceilings

KEYS = {
    *("ratio_naive", "ratio_tiled", "structured_us_per_vector", "naive_us_per_vector", "tiled_us_per_vector"),
    *("device", "structured_limit_us", "exhaustive_limit_us", "bytes_per_second", "operations_per_second"),
    *("threads", "vectors", "disagreements", "peak_bytes_per_vector"),
}


def test_contenders_find_the_nearest_codeword():
    code = make_code("leech")
    x = torch.randn(90, 24, generator=torch.Generator().manual_seed(0))
    expected = nearest(x, code)
    assert torch.equal(bench._naive(x, code.vectors(), 64), expected)
    assert torch.equal(bench._Tiles(code.vectors(), 64, 500).search(x), expected)


def test_report(monkeypatch, capsys):
    monkeypatch.setattr(bench, "hard_points", lambda code, generator: torch.zeros(2, code.dimension))
    with pytest.raises(SystemExit) as end:
        main(["bench", "search", "--vectors", "64", "--checked", "6", "--threads", "1", "--json"])
    assert end.value.code == 0
    report = json.loads(capsys.readouterr().out)
    assert report.keys() >= KEYS
    assert (report["vectors"], report["threads"], report["checked"], report["disagreements"]) == (64, 1, 8, 0)
    for name in ("naive", "tiled"):
        ratio = report[f"{name}_us_per_vector"] / report["structured_us_per_vector"]
        assert report[f"ratio_{name}"] == pytest.approx(ratio)
    assert report["exhaustive_limit_us"] >= 0.999e6 * 2 * 24 * 196_560 / report["operations_per_second"]
    assert 0 < report["structured_limit_us"] <= report["exhaustive_limit_us"]


def test_a_limit_is_the_slower_of_bytes_and_operations():
    ceilings = Ceilings(bytes_per_second=100.0, operations_per_second=10.0)
    assert ceilings.seconds(50, 1) == 0.5
    assert ceilings.seconds(50, 20) == 2.0


def test_disagreements_are_counted(monkeypatch):
    monkeypatch.setattr(bench, "hard_points", lambda code, generator: torch.zeros(2, code.dimension))
    monkeypatch.setattr(bench, "nearest_exhaustive", lambda x, code: nearest(x, code) + (x.abs().sum(1) == 0))
    cost = bench.measure_search(vectors=64, checked=3, threads=1)
    assert (cost.checked, cost.disagreements) == (5, 2)


def test_numbers_that_make_no_sense():
    with pytest.raises(InputError, match="vectors ≥ 1"):
        bench.measure_search(vectors=0)


def test_hard_points_are_hard():
    """They hold zeros, ties and both ends of the range of float32, and nothing that is not finite."""
    code = make_code("leech")
    x = bench.hard_points(code, torch.Generator().manual_seed(0))
    assert x.isfinite().all()
    sizes = x.abs().amax(1)
    assert (sizes == 0).any()
    assert 0 < sizes[sizes > 0].min() < 1e-40
    assert sizes.max() > 1e35
    scores = x[:600] @ torch.from_numpy(code.integers.astype("float32")).T
    assert ((scores == scores.amax(1, keepdim=True)).sum(1) > 1).float().mean() > 0.5
