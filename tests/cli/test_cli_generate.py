"""`workbench generate` and `workbench edit`: pictures that know their settings, and one line for what is wrong."""

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from workbench.__main__ import main
from workbench.images.files import read_image, write_png


@pytest.fixture
def run(capsys, tiny_generator, monkeypatch):
    """Run the program in this process, with the tiny models in its cache: (exit status, stdout, stderr)."""
    monkeypatch.setenv("WORKBENCH_CACHE", str(tiny_generator))

    def call(*args):
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "picture.png"
    write_png(np.random.default_rng(0).integers(0, 256, (40, 40, 3), dtype=np.uint8), path)
    return path


def test_a_grid_and_a_folder_hold_the_same_pictures(run, tmp_path):
    common = ("--model", "sketch", "--label", "roses", "-n", 3, "--seed", 4, "--guidance", "1:2", "--json")
    status, out, err = run("generate", *common, "-o", tmp_path / "grid.png")
    assert (status, err) == (0, "")
    result = json.loads(out)
    assert result["outputs"] == [str(tmp_path / "grid.png")]
    assert (result["model"], result["classes"], result["seed"]) == ("sketch", ["roses"] * 3, 4)
    assert (result["guidance"], result["temperature"], result["top_k"]) == ([1.0, 2.0], [0.9, 0.6], None)
    status, out, _ = run("generate", *common, "-o", tmp_path / "folder")
    assert status == 0
    grid = read_image(tmp_path / "grid.png")
    assert grid.shape == (64, 64, 3)
    for number, path in enumerate(json.loads(out)["outputs"]):
        top, left = 32 * (number // 2), 32 * (number % 2)
        assert np.array_equal(read_image(path), grid[top : top + 32, left : left + 32])
    with Image.open(tmp_path / "grid.png") as image:
        assert json.loads(image.text["workbench"])["seed"] == 4
    assert run("generate", *common, "-o", tmp_path / "grid.png") == (
        1,
        "",
        f"workbench: {tmp_path / 'grid.png'} exists; add --force to replace it, or name another file with -o\n",
    )
    assert run("generate", *common, "-o", tmp_path / "grid.png", "--force")[0] == 0


def test_any_number_of_pictures_goes_into_a_folder_by_portions(run, tmp_path):
    common = ("--model", "sketch", "-n", 70, "--seed", 4, "--json")
    status, out, _ = run("generate", *common, "-o", tmp_path / "folder")
    assert status == 0
    row = json.loads(out)
    assert len(row["outputs"]) == len(set(row["outputs"])) == len(row["seeds"]) == 70
    assert (row["seeds"][69], row["classes"][:3]) == (73, ["daisy", "roses", "daisy"])
    assert Path(row["outputs"][69]).name == "roses-4-70.png"
    alone = ("--model", "sketch", "-n", 1, "--seed", 73, "--label", "roses", "-o", tmp_path / "alone.png")
    assert run("generate", *alone)[0] == 0
    assert np.array_equal(read_image(tmp_path / "alone.png"), read_image(row["outputs"][69]))
    for refused in (("-n", 70, "-o", tmp_path / "grid.png"), ("-n", 0, "-o", tmp_path / "none")):
        assert "pictures at a time" in run("generate", "--model", "sketch", *refused)[2]
    assert "pictures at a time" in run("generate", *common, "--label", 1, "--to", "daisy", "-o", tmp_path / "way")[2]


def test_without_a_label_classes_come_in_turn_and_a_way_leads_from_one_to_another(run, tmp_path):
    args = ("generate", "--model", "sketch", "-n", 3, "--seed", 0)
    status, out, _ = run(*args, "-o", tmp_path / "a.png")
    assert status == 0
    assert "3 × daisy, roses, by sketch, seed 0" in out
    status, out, _ = run(*args, "-o", tmp_path / "b.png", "--label", 1, "--to", "daisy", "--json")
    assert json.loads(out)["classes"][1] == "roses 50% daisy 50%"


@pytest.mark.parametrize(
    ("args", "status", "said"),
    [
        (["--label", "rosse"], 2, "did you mean 'roses'"),
        (["--label", "7"], 2, "[0, 2), got 7"),
        (["-n", "0"], 2, "1 to 64 pictures at a time, got 0"),
        (["-n", "65"], 2, "got 65"),
        (["--temperature", "-0.5"], 2, "temperature must be at least 0"),
        (["--temperature", "hot"], 2, "temperature takes numbers, one or FIRST:LAST, got 'hot'"),
        (["--top-k", "196561"], 2, "from 1 to 196,560"),
        (["--top-k", "1.5"], 2, "whole numbers"),
        (["--top-p", "0"], 2, "top-p must be above 0"),
        (["--guidance", "1:2:3:4"], 2, "guidance takes one value, two"),
        (["--preset", "balancd"], 2, "did you mean 'balanced'"),
        (["--seed", "-1"], 2, "seed must be from 0"),
        (["--model", "scetch"], 2, "unknown generator 'scetch'"),
        (["--tokenizer", "OTHER"], 1, "was trained on the tokens of 'pyramid'"),
        (["--tokenizer", "tiny"], 2, "unknown tokenizer 'tiny'"),
    ],
)
def test_what_is_wrong_is_one_line(run, tmp_path, tiny_generator, args, status, said):
    other = tmp_path / "other"
    shutil.copytree(tiny_generator / "pyramid", other)
    content = bytearray((other / "model.safetensors").read_bytes())
    content[-1] ^= 1
    (other / "model.safetensors").write_bytes(content)
    args = [str(other) if arg == "OTHER" else arg for arg in args]
    model = [] if "--model" in args else ["--model", "sketch"]
    got, out, err = run("generate", *model, *args, "-o", tmp_path / "out.png")
    assert (got, out) == (status, "")
    assert said in err
    assert err.count("\n") == 1
    assert not (tmp_path / "out.png").exists()


def test_greedy_needs_no_seed(run, tmp_path):
    pictures = []
    for name in ("a.png", "b.png"):
        args = ("--model", "sketch", "--label", "none", "-n", 1, "--temperature", 0)
        assert run("generate", *args, "-o", tmp_path / name)[0] == 0
        pictures.append(read_image(tmp_path / name))
    assert np.array_equal(*pictures)


def test_edits(run, picture, tmp_path):
    mask = np.zeros((40, 40), dtype=np.uint8)
    mask[:, :20] = 255
    write_png(mask, tmp_path / "mask.png")
    common = ("--model", "sketch", "--label", "roses", "--seed", 1, "--json")
    for name, args, said in (
        ("fill", ["--mask", tmp_path / "mask.png"], "filled 50% of a picture"),
        ("extend", ["--border", 0.25], "drew a border of 25% around a picture"),
        ("details", ["--keep", 2], "kept 2 of 3 scales of a picture"),
    ):
        status, out, err = run("edit", name, picture, *args, *common, "-o", tmp_path / f"{name}.png")
        assert (status, err) == (0, "")
        assert json.loads(out)["edit"] == said
        assert read_image(tmp_path / f"{name}.png").shape == (32, 32, 3)
    status, _, err = run("edit", "details", picture, "--keep", 3, *common, "-o", tmp_path / "x.png")
    assert status == 2
    assert "1 to 2 scales to keep" in err
    status, _, err = run("edit", "fill", picture, "--mask", tmp_path / "absent.png", *common, "-o", tmp_path / "x.png")
    assert status == 1
    assert "absent.png" in err


def test_how_much_a_mask_paints_is_said(run, picture, tmp_path):
    mask = np.full((40, 40), 255, dtype=np.uint8)
    common = ("--model", "sketch", "--label", "roses", "--seed", 1)
    for blank, share, warned in ((20, 0.5, False), (1, 0.975, True)):
        mask[:, :blank] = 0
        write_png(mask, tmp_path / "mask.png", force=True)
        args = ("edit", "fill", picture, "--mask", tmp_path / "mask.png", *common, "--force", "-o", tmp_path / "a.png")
        status, out, err = run(*args)
        assert status == 0
        assert f"the mask paints {share:.1%} of the picture" in out
        assert ("warning" in err) == warned
        said = json.loads(run(*args, "--json")[1])
        assert said["painted"] == share
        assert ("warning" in said) == warned
        mask[:] = 255
    write_png(mask * 0, tmp_path / "mask.png", force=True)
    status, _, err = run(*args)
    assert status == 2
    assert "nothing is masked" in err
