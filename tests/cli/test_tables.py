"""Printed tables stay in the terminal whatever files are called, and notes stand beside the figures."""

import json

import numpy as np
import pytest
from PIL import Image
from rich.cells import cell_len

from workbench.__main__ import main
from workbench.cli import print_notes, print_table

LONG = "a very long name of a picture " * 6 + ".png"
WIDE = "写真" * 60 + ".png"


@pytest.fixture
def run(capsys):
    """Run the program in this process: (exit status, stdout, stderr)."""

    def call(*args):
        with pytest.raises(SystemExit) as end:
            main([str(arg) for arg in args])
        out, err = capsys.readouterr()
        return end.value.code, out, err

    return call


@pytest.mark.parametrize("columns", [40, 80, 120])
@pytest.mark.parametrize("name", [LONG, WIDE, "x" * 300, "a.png"])
def test_a_table_fits_and_its_columns_stay_aligned(monkeypatch, capsys, columns, name):
    monkeypatch.setenv("COLUMNS", str(columns))
    print_table([("picture", "psnr", "ssim"), (name, "31.25", "0.9"), ("b.png", "1.00", "0.1")], indent="  ")
    lines = capsys.readouterr().out.splitlines()
    widths = {cell_len(line) for line in lines}
    assert len(widths) == 1
    assert widths.pop() <= columns
    assert lines[1].startswith("  " + name[:3])
    assert ".png" in lines[1] or name.startswith("x")
    assert ("…" in lines[1]) == (name != "a.png")
    assert [line.split()[-2:] for line in lines] == [["psnr", "ssim"], ["31.25", "0.9"], ["1.00", "0.1"]]


def test_figures_are_never_shortened_and_control_characters_never_printed(monkeypatch, capsys):
    monkeypatch.setenv("COLUMNS", "10")
    print_table([("a\nb\x1b[31m" + "c" * 30, "123456789", "1234567890")])
    out = capsys.readouterr().out
    assert out.count("\n") == 1
    assert "\x1b" not in out
    assert "123456789  1234567890" in out
    print_table([])
    assert not capsys.readouterr().out


def test_a_note_is_printed_once_for_all_its_pictures(capsys):
    rows = [{"input": f"in/{name}.png", "notes": ["left aside"]} for name in "abcde"]
    print_notes([*rows, {"input": "f.png"}, {"input": "g.png", "note": "too large", "notes": []}])
    assert capsys.readouterr().out.splitlines() == [
        "note: a.png, b.png, c.png and 2 more: left aside",
        "note: g.png: too large",
    ]


def test_long_names_and_notes_of_real_pictures(run, tmp_path, tiny_model, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    album = tmp_path / "album"
    album.mkdir()
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 256, (16, 24, 3), dtype=np.uint8))
    noise.save(album / LONG, icc_profile=b"junk")
    noise.save(album / "b.jfif", "JPEG")
    status, out, err = run("reconstruct", album, "-o", tmp_path / "out", "--model", tiny_model)
    assert (status, err) == (0, "")
    lines = out.splitlines()
    assert max(map(cell_len, lines[:-1])) <= 80
    assert len(lines) == 6
    assert lines[-1].startswith("note: a very")
    assert lines[-1].endswith("its colour profile is damaged and was left aside")
    status, out, _ = run("reconstruct", album, "-o", tmp_path / "again", "--model", tiny_model, "--json")
    rows = json.loads(out)["images"]
    assert [row.get("notes") for row in rows] == [["its colour profile is damaged and was left aside"], None]
    assert "notes" not in json.loads(out)["mean"]
