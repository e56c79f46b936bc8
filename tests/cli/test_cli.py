"""The command line: one JSON object on stdout, one line of error on stderr, and the exit status that goes with it."""

import json

import numpy as np
import pytest

from workbench.__main__ import main
from workbench.cli import print_json, verb_names
from workbench.images.files import read_image, write_png


@pytest.fixture
def run(capsys):
    """Run the program in this process: (exit status, stdout, stderr)."""

    def call(*args):
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


@pytest.fixture
def album(tmp_path):
    rng = np.random.default_rng(0)
    for name, size in (("a.png", (16, 24)), ("deep/b.png", (180, 176))):
        write_png(rng.integers(0, 256, (*size, 3), dtype=np.uint8), tmp_path / "album" / name)
    return tmp_path / "album"


def test_every_module_of_the_command_line_is_a_verb(run):
    status, out, _ = run("--help")
    assert status == 0
    for name in verb_names():
        assert name in out, name
        assert run(name, "--help")[0] == 0


def test_version(run):
    status, out, err = run("--version")
    assert (status, err) == (0, "")
    assert out.startswith("workbench 0.")


@pytest.mark.parametrize(
    ("args", "said"),
    [
        (["reconstrukt"], "reconstruct"),
        (["reconstruct"], "Missing argument"),
        (["reconstruct", "x.png"], "--out"),
        (["models", "--nothing"], "--nothing"),
    ],
)
def test_bad_usage_is_one_line_and_status_2(run, args, said):
    status, out, err = run(*args)
    assert (status, out) == (2, "")
    assert said in err
    assert err.count("\n") == 1


def test_reconstruct_prints_one_json_object(run, album, tiny_model, tmp_path):
    status, out, err = run("reconstruct", album, "-o", tmp_path / "out", "--model", tiny_model, "--json")
    assert (status, err) == (0, "")
    result = json.loads(out)
    assert set(result) == {"model", "images", "mean", "errors"}
    assert result["model"] == "tiny"
    assert result["errors"] == []
    wanted = {"input", "output", "width", "height", "psnr", "ssim", "ms_ssim", "tokens", "bits", "bpp", "seconds"}
    for row in result["images"]:
        assert wanted <= set(row)
        assert read_image(row["output"]).shape == (row["height"], row["width"], 3)
        assert row["output"].startswith(str(tmp_path / "out"))
        assert row["tokens"] == -(-row["height"] // 8) * -(-row["width"] // 8)
        assert row["bpp"] == pytest.approx(row["bits"] / (row["height"] * row["width"]), rel=1e-4)
    small, large = result["images"]
    assert small["ms_ssim"] is None
    assert "176" in small["reasons"]["ms_ssim"]
    assert large["output"].endswith("out/deep/b.png")
    assert result["mean"]["ms_ssim"] == large["ms_ssim"]


def test_reconstruct_prints_a_table_for_people(run, album, tiny_model, tmp_path):
    status, out, err = run("reconstruct", album, "-o", tmp_path / "out", "--model", tiny_model)
    lines = out.splitlines()
    assert (status, err) == (0, "")
    assert lines[0] == "model tiny"
    assert lines[1].split() == ["picture", "psnr", "ssim", "ms_ssim", "tokens", "bpp", "seconds"]
    assert lines[-1].startswith("mean of 2")
    assert len({len(line) for line in lines[1:]}) == 1


def test_a_bad_picture_is_listed_and_the_status_is_1(run, album, tiny_model, tmp_path):
    (album / "bad.png").write_text("<svg onload='alert(1)'/>")
    args = ("reconstruct", album, tmp_path / "absent.jpg", "-o", tmp_path / "out", "--model", tiny_model)
    status, out, err = run(*args, "--json")
    assert status == 1
    result = json.loads(out)
    assert len(result["images"]) == 2
    assert [error["input"] for error in result["errors"]] == [str(album / "bad.png"), str(tmp_path / "absent.jpg")]
    lines = err.splitlines()
    assert "not a picture of an accepted kind" in lines[0]
    assert lines[-1] == "workbench: 2 of 4 pictures failed"
    status, _, err = run(*args)
    assert err.count("--force") == 2


@pytest.mark.parametrize(
    ("model", "status", "said"),
    [("photo-leach-mae", 2, "did you mean"), ("empty", 1, "no config.json"), ("broken", 1, "config.json")],
)
def test_a_model_that_cannot_be_used_is_one_line(run, album, tmp_path, tiny_model, model, status, said):
    (tmp_path / "empty").mkdir()
    (tmp_path / "broken").mkdir()
    for name in ("config.json", "model.safetensors"):
        (tmp_path / "broken" / name).write_text("{}")
    name = tmp_path / model if (tmp_path / model).exists() else model
    got, out, err = run("reconstruct", album, "-o", tmp_path / "out", "--model", name)
    assert (got, out) == (status, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_models_lists_what_is_bundled(run, tmp_path, monkeypatch):
    monkeypatch.setenv("WORKBENCH_CACHE", str(tmp_path))
    status, out, _ = run("models", "--json")
    assert status == 0
    rows = {row["name"]: row for row in json.loads(out)["models"]}
    leech = rows["photo-leech-mae"]
    assert leech["place"] == "bundled"
    assert leech["bits_per_token"] == pytest.approx(17.5846, abs=1e-4)
    assert leech["bytes"] < 12e6
    assert "photo-leech-mae" in run("models")[1]


def test_json_takes_no_number_that_is_none(capsys):
    with pytest.raises(ValueError, match="JSON"):
        print_json({"psnr": float("inf")})
    print_json({"n": np.int64(3), "x": np.float32(0.5)})
    assert json.loads(capsys.readouterr().out) == {"n": 3, "x": 0.5}
