"""A file or folder appears whole or not at all, whenever the process is killed; and nothing stays behind."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from workbench import atomic
from workbench.atomic import replaced_folder, replacing, whole_folder, write_text

# Writes the second version over the first, killed before call number N of the system; then says what is to be seen.
KILLED = """
import json, os, sys
from pathlib import Path
from workbench import atomic

what, exchange, base = sys.argv[1], sys.argv[2] == "exchange", Path(sys.argv[3])
if not exchange:
    atomic._exchanged = lambda first, second: False

def write(folder, content):
    if what == "file":
        with atomic.replacing(folder / "it") as file:
            file.write(content.encode() * 1000)
            file.flush()
            file.write(content.encode() * 1000)
        return
    manager = atomic.whole_folder if what == "whole" else atomic.replaced_folder
    with manager(folder / "it") as inside:
        for name in "abc":
            (inside / name).write_text(content * 1000)

def seen(folder):
    it = folder / "it"
    if not it.exists():
        return None
    parts = [it] if it.is_file() else sorted(it.iterdir())
    return [[part.name, part.read_text()[:1], len(part.read_text())] for part in parts]

def kill_at(number, call):
    def counted(*args, **kwargs):
        nonlocal_count[0] += 1
        if nonlocal_count[0] == number:
            os._exit(9)
        return call(*args, **kwargs)
    return counted

found, number, status = [], 0, 9
while status == 9:
    number += 1
    folder = base / str(number)
    folder.mkdir()
    if what != "whole":
        write(folder, "1")
    child = os.fork()
    if not child:
        nonlocal_count = [0]
        for name in ("mkdir", "open", "fsync", "chmod", "link", "replace", "rename", "unlink", "rmdir"):
            setattr(os, name, kill_at(number, getattr(os, name)))
        atomic._exchanged = kill_at(number, atomic._exchanged)
        write(folder, "2")
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    after = seen(folder)
    write(folder, "3")
    found.append([after, seen(folder), sorted(path.name for path in folder.iterdir())])
print(json.dumps(found))
"""


@pytest.mark.skipif(not hasattr(sys, "getdlopenflags"), reason="children are forked")
@pytest.mark.parametrize(
    ("what", "how"), [("file", "exchange"), ("whole", "exchange"), ("replaced", "exchange"), ("replaced", "rename")]
)
def test_killed_at_any_step_it_is_as_before_or_as_after(what, how, tmp_path):
    command = [sys.executable, "-c", KILLED, what, how, str(tmp_path)]
    done = subprocess.run(command, cwd=Path(__file__).parents[1], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)

    def version(number):
        return [["it", number, 2000]] if what == "file" else [[name, number, 1000] for name in "abc"]

    before = None if what == "whole" else version("1")
    assert len(found) > 5
    for number, (after, finally_seen, names) in enumerate(found):
        allowed = [before, version("2")]
        if how == "rename":  # between the two renamings the old folder has its temporary name
            allowed.append(None)
        assert after in allowed, number
        assert finally_seen == (version("3") if what != "whole" or after is None else after), number
        if what == "replaced":
            assert names == ["it"], number
    assert found[0][0] == before
    assert found[-1][0] == version("2")
    assert sum(after is None for after, *_ in found) <= (1 if what == "replaced" else len(found))


def test_it_appears_when_the_block_ends_well(tmp_path):
    with whole_folder(tmp_path / "deep" / "place") as folder:
        (folder / "file").write_text("x")
        assert not (tmp_path / "deep" / "place").exists()
    assert (tmp_path / "deep" / "place" / "file").read_text() == "x"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["place"]


@pytest.mark.parametrize("manager", [whole_folder, replaced_folder])
def test_nothing_stays_when_it_does_not(tmp_path, manager):
    with pytest.raises(IsADirectoryError), manager(tmp_path / "place") as folder:
        folder.write_text("a folder is no file")
    assert list(tmp_path.iterdir()) == []


def test_of_two_the_first_stays(tmp_path):
    with whole_folder(tmp_path / "place") as slow:
        (slow / "who").write_text("slow")
        with whole_folder(tmp_path / "place") as quick:
            (quick / "who").write_text("quick")
    assert (tmp_path / "place" / "who").read_text() == "quick"
    assert [p.name for p in tmp_path.iterdir()] == ["place"]


@pytest.mark.parametrize("exchange", [True, False])
def test_a_folder_takes_the_place_of_another(tmp_path, monkeypatch, exchange):
    if not exchange:
        monkeypatch.setattr(atomic, "_exchanged", lambda first, second: False)
    for content in "123":
        with replaced_folder(tmp_path / "place") as folder:
            (folder / content).write_text(content)
        assert [path.name for path in (tmp_path / "place").iterdir()] == [content]
    with pytest.raises(ZeroDivisionError), replaced_folder(tmp_path / "place"):
        raise ZeroDivisionError
    assert [path.name for path in (tmp_path / "place").iterdir()] == ["3"]
    assert [path.name for path in tmp_path.iterdir()] == ["place"]


@pytest.mark.parametrize("links", [True, False])
def test_a_file_that_appeared_meanwhile_stays(tmp_path, monkeypatch, links):
    def refuse(*_):
        raise PermissionError

    if not links:
        monkeypatch.setattr(Path, "hardlink_to", refuse)
    with replacing(tmp_path / "a", force=False) as file:
        file.write(b"first")
    with pytest.raises(FileExistsError), replacing(tmp_path / "a", force=False) as file:
        file.write(b"second")
    assert (tmp_path / "a").read_bytes() == b"first"
    write_text(tmp_path / "a", "third")
    assert (tmp_path / "a").read_bytes() == b"third"
    assert [path.name for path in tmp_path.iterdir()] == ["a"]
