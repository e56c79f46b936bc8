"""A folder appears whole or not at all, and nothing stays behind."""

import pytest

from workbench.atomic import whole_folder


def test_it_appears_when_the_block_ends_well(tmp_path):
    with whole_folder(tmp_path / "deep" / "place") as folder:
        (folder / "file").write_text("x")
        assert not (tmp_path / "deep" / "place").exists()
    assert (tmp_path / "deep" / "place" / "file").read_text() == "x"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["place"]


def test_nothing_stays_when_it_does_not(tmp_path):
    with pytest.raises(IsADirectoryError), whole_folder(tmp_path / "place") as folder:
        folder.write_text("a folder is no file")
    assert list(tmp_path.iterdir()) == []


def test_of_two_the_first_stays(tmp_path):
    with whole_folder(tmp_path / "place") as slow:
        (slow / "who").write_text("slow")
        with whole_folder(tmp_path / "place") as quick:
            (quick / "who").write_text("quick")
    assert (tmp_path / "place" / "who").read_text() == "quick"
    assert [p.name for p in tmp_path.iterdir()] == ["place"]
