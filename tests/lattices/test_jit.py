"""Kernels: no stale machine code, and a working program where nothing can be written."""

import ast
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.lattices.jit import COMPILING, kernel_sources

PACKAGE = Path(__file__).parents[2] / "workbench"
INNER = "from workbench.lattices.jit import kernel\n\n@kernel\ndef inner(x):\n    return x + 1\n"
OUTER = (
    "from workbench.lattices.inner import inner\nfrom workbench.lattices.jit import kernel\n\n"
    "@kernel\ndef outer(x):\n    return 10 * inner(x)\n"
)
CALL = "from workbench.lattices.outer import outer; print(outer(1))"


@pytest.fixture
def package(tmp_path):
    """A folder with a copy of what compiles, and two kernels more, one of which calls the other."""
    copy = tmp_path / "site" / "workbench"
    for room in ("lattices", "coding"):
        shutil.copytree(PACKAGE / room, copy / room, ignore=shutil.ignore_patterns("__pycache__"))
    for path in PACKAGE.glob("*.py"):
        shutil.copy(path, copy)
    (copy / "lattices" / "inner.py").write_text(INNER)
    (copy / "lattices" / "outer.py").write_text(OUTER)
    return copy


@pytest.fixture
def unwritable(package):
    """The same where no code can be kept beside it, whoever runs the test: a file has the folder's name."""
    (package / "__pycache__").write_text("")
    return package


def call(package, *, code=CALL, **environment):
    """Run code with a copy of the package; returns the last word printed, and the lines on stderr."""
    settings = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "PYTHONPATH": str(package.parent)}
    run = subprocess.run(
        [sys.executable, "-c", code],
        env=settings | environment,
        cwd=package.parent,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    return run.stdout.strip(), run.stderr.splitlines()


def digests(folder):
    return {path.name for path in folder.glob("*-*")}


def test_a_change_of_a_callee_in_another_file_is_seen_and_old_code_removed(package):
    folder = package / "__pycache__" / "kernels"
    assert call(package) == ("20", [COMPILING])
    assert call(package) == ("20", [])
    before = digests(folder)
    foreign = folder / "00000000-0123456789abcdef"  # another processor's, in use
    foreign.mkdir()
    (folder / "notes").mkdir()
    (package / "lattices" / "inner.py").write_text(INNER.replace("+ 1", "- 1"))
    assert call(package) == ("0", [COMPILING])
    assert digests(folder) == {*digests(folder) - before, foreign.name}
    assert len(digests(folder)) == 2
    assert (folder / "notes").is_dir()
    os.utime(foreign, (1, 1))  # unused for years
    call(package, code="from workbench.lattices import jit; jit._folders(('other', 'processor'))")
    assert foreign.name not in digests(folder)
    assert len(digests(folder)) == 2


def test_code_compiled_from_a_source_that_changed_meanwhile_is_not_kept(package):
    edit = f"{CALL.split(';')[0]}; import pathlib, time; time.sleep(0.05); "
    edit += "p = pathlib.Path('workbench/lattices/inner.py'); p.write_text(p.read_text().replace('+ 1', '- 1')); "
    result, said = call(package, code=edit + "print(outer(1))")
    assert result == "20"
    assert len(said) == 2
    assert "not kept" in said[0]
    assert not (package / "__pycache__" / "kernels").exists()
    assert call(package)[0] == "0"


@pytest.mark.parametrize("home", [None, "/proc/none", "/dev/null"])
def test_where_nothing_can_be_written_a_private_temporary_folder_serves(unwritable, tmp_path, home):
    environment = {"TMPDIR": str(tmp_path)} | ({"HOME": home} if home else {"WORKBENCH_CACHE": "/proc/none"})
    result, said = call(unwritable, **environment)
    (folder,) = tmp_path.glob("workbench-kernels-*")
    assert result == "20"
    assert len(said) == 2
    assert str(folder) in said[0]
    assert folder.stat().st_mode & 0o777 == 0o700
    assert call(unwritable, **environment) == ("20", said[:1])


@pytest.mark.parametrize("spoil", ["file", "link", "open"])
def test_a_temporary_folder_that_others_can_enter_is_not_used(unwritable, tmp_path, spoil):
    folder = tmp_path / f"workbench-kernels-{os.getuid()}"
    aim = tmp_path / "aim"
    aim.mkdir(mode=0o700)
    {
        "file": lambda: folder.write_text(""),
        "link": lambda: folder.symlink_to(aim),
        "open": lambda: folder.mkdir() or folder.chmod(0o777),
    }[spoil]()
    result, said = call(unwritable, TMPDIR=str(tmp_path), HOME="/proc/none")
    assert result == "20"
    assert len(said) == 2
    assert "at every start" in said[0]
    assert not list(aim.iterdir())


def test_code_that_lies_ready_is_used_where_it_can_only_be_read(package, tmp_path):
    call(package)
    kept = package / "__pycache__" / "kernels"
    (digest,) = digests(kept)
    # Root may write everywhere: what tells whether a folder can be written is made to fail.
    code = (
        "import tempfile\ndef refuse(*a, **k): raise OSError(30, 'Read-only file system')\n"
        "tempfile.TemporaryFile = refuse\n" + CALL
    )
    assert call(package, code=code, TMPDIR=str(tmp_path), HOME="/proc/none") == ("20", [])
    assert digests(kept) == {digest}


def test_a_chosen_folder_comes_first(package, tmp_path):
    chosen = tmp_path / "chosen"
    assert call(package, NUMBA_CACHE_DIR=str(chosen)) == ("20", [COMPILING])
    assert call(package, NUMBA_CACHE_DIR=str(chosen)) == ("20", [])
    assert list(chosen.glob("kernels-*/*/*.nbi"))
    assert not (package / "__pycache__").exists()


def test_without_a_home_of_any_kind_the_cache_of_models_is_nowhere(monkeypatch):
    from workbench import hub

    for name in ("WORKBENCH_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def no_home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", no_home)
    assert not hub.cache_directory().exists()
    with pytest.raises(hub.UnknownModelError):
        hub.resolve("no-such-model")


def test_interpreted_kernels_are_refused_in_one_line(tiny_model, tmp_path):
    from PIL import Image

    Image.new("RGB", (16, 16)).save(tmp_path / "a.png")
    run = subprocess.run(
        [sys.executable, "-m", "workbench", "encode", "a.png", "--model", tiny_model, "-o", "a.leech"],
        env=os.environ | {"NUMBA_DISABLE_JIT": "1"},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 1
    assert "NUMBA_DISABLE_JIT is set" in run.stderr.splitlines()[0]
    assert "Traceback" not in run.stderr


def test_all_that_is_compiled_counts_in_the_digest():
    sources = set(kernel_sources())
    for path in PACKAGE.rglob("*.py"):
        nodes = list(ast.walk(ast.parse(path.read_text())))
        imported = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        imported |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        numba = {name for name in imported if name.split(".")[0] in ("numba", "llvmlite")}
        assert not numba or path.name in ("jit.py", "lanes.py"), f"{path}: kernels are compiled by lattices/jit.py"
        if "workbench.lattices.jit" in imported:
            assert path in sources, path
    assert {path.name for path in sources} >= {"rangecoder.py", "entropy.py", "loss.py", "screen.py", "trio.py"}
