"""`workbench explore` prints what there is to see, as text and as one JSON object."""

import json

import numpy as np
import pytest

from workbench.__main__ import main
from workbench.images.files import write_png


@pytest.fixture
def run(capsys):
    def call(*args):
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


def test_code_as_json(run):
    status, out, err = run("explore", "code", "--json", "--positions", "0 1 2 3 4", "--vector", "1 " * 23 + "2")
    assert (status, err) == (0, "")
    seen = json.loads(out)
    assert seen["spectrum"]["16"] == 4600
    assert seen["least_distance"] == pytest.approx(1)
    assert len(seen["golay"]["octad"]) == 8
    assert np.array(seen["golay"]["arrangement"]).shape == (4, 6)
    assert seen["nearest"]["words"][0]["angle"] <= seen["nearest"]["words"][1]["angle"]


def test_code_as_text(run):
    status, out, _ = run("explore", "code", "--code", "leech4", "--positions", "0,1,2,3")
    assert status == 0
    assert "1,104 words in 24 dimensions" in out
    assert out.count("  four ") == 6


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["--code", "leach"], "did you mean 'leech'"),
        (["--index", "196560"], "0 to 196559"),
        (["--vector", "1 2 x"], "expected numbers"),
        (["--vector", "1 2 3"], "takes 24 numbers"),
        (["--positions", "1 1"], "different positions"),
    ],
)
def test_wrong_arguments_are_one_line(run, args, said):
    status, out, err = run("explore", "code", *args)
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert said in err


def test_usage_as_json_and_as_files(run, tmp_path, tiny_model):
    rng = np.random.default_rng(0)
    for name in "ab":
        write_png(rng.integers(0, 256, (40, 40, 3), dtype=np.uint8), tmp_path / "album" / f"{name}.png")
    args = ("explore", "usage", tmp_path / "album", "--model", tiny_model)
    status, out, err = run(*args, "--json", "-o", tmp_path / "out")
    assert (status, err) == (0, "")
    row = json.loads(out)
    assert row["tokens"] == 50
    assert row["size"] == 240
    assert {path.rsplit("/", 1)[1] for path in row["files"]} >= {"rank-frequency.html", "rank-frequency.csv"}
    (tmp_path / "album" / "c.png").write_text("none")
    status, out, err = run(*args)
    assert status == 1
    assert "50 tokens of 2 pictures" in out
    assert "c.png" in err
    assert run("explore", "usage", tmp_path / "nowhere", "--model", tiny_model)[0] == 1
