"""The package as others get it: light to import, only ours in the wheel, settings that a clone needs in place."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import numpy as np
import pytest

from workbench.coding.fixed import Fixed
from workbench.lattices.jit import COMPILING

REPOSITORY = Path(__file__).parents[1]
HEAVY = ("torch", "numpy", "numba", "gradio", "PIL", "huggingface_hub", "torchvision", "lpips", "rich")


def loaded_by(statement: str) -> set[str]:
    """Names of the modules that a fresh interpreter holds after a statement."""
    code = f"import sys\n{statement}\nsys.stderr.write(' '.join(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    return set(run.stderr.split())


def test_importing_the_package_loads_nothing_heavy():
    modules = loaded_by("import workbench; workbench.__version__; dir(workbench)")
    assert not modules & set(HEAVY)


def test_the_help_of_the_command_line_loads_nothing_heavy():
    modules = loaded_by("from workbench.__main__ import main\ntry: main(['--help'])\nexcept SystemExit: pass")
    assert not modules & (set(HEAVY) - {"rich"})


def test_public_names_load_on_first_use():
    import workbench

    assert "nearest" in dir(workbench)
    for name in workbench.__all__:
        assert getattr(workbench, name) is not None, name
    with pytest.raises(AttributeError, match="it has"):
        workbench.absent  # noqa: B018


def test_old_names_of_modules_give_the_modules_that_moved():
    from workbench.moved import MOVED

    code = f"""
import importlib, sys, warnings
warnings.simplefilter("ignore")
for old, new in {dict(MOVED)}.items():
    module, moved = importlib.import_module(new), importlib.import_module(old)
    assert module is moved, old
    assert module.__spec__.name == module.__name__ == new, module.__spec__
"""
    subprocess.run([sys.executable, "-c", code], check=True, cwd=REPOSITORY)
    run = subprocess.run(
        [sys.executable, "-W", "error", "-c", "import workbench.tasks.catalogue"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert "workbench.models.load now" in run.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    folder = tmp_path_factory.mktemp("wheel")
    source = folder / "source"
    ignored = shutil.ignore_patterns(".git", ".venv", "runs", "build", "*.egg-info", "__pycache__", "*.ipynb")
    shutil.copytree(REPOSITORY, source, ignore=ignored)
    pip = [sys.executable, "-m", "pip"]
    build = [*pip, "wheel", "--quiet", "--no-deps", "--no-build-isolation", "-w", folder, source]
    subprocess.run(build, check=True, capture_output=True, timeout=300)
    return next(folder.glob("*.whl"))


@pytest.mark.slow
def test_the_wheel_holds_the_package_and_nothing_else(wheel):
    names = zipfile.ZipFile(wheel).namelist()
    tops = {name.split("/")[0] for name in names}
    assert {top for top in tops if not top.endswith(".dist-info")} == {"workbench"}
    assert "workbench/CHANGELOG.md" in names
    assert "workbench/ui/look.css" in names
    for weights in (REPOSITORY / "workbench" / "pretrained").rglob("*.safetensors"):
        assert weights.relative_to(REPOSITORY).as_posix() in names


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("unshare") is None, reason="needs a folder that not even root can write into")
def test_the_wheel_works_where_neither_it_nor_a_home_can_be_written(wheel, tmp_path):
    mount = ["unshare", "--map-root-user", "--mount"]
    if subprocess.run([*mount, "true"], capture_output=True, check=False).returncode:
        pytest.skip("no namespaces of mounts here")
    site, temporary = tmp_path / "site", tmp_path / "temporary"
    temporary.mkdir()
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--target", site, wheel], check=True)
    work = (
        "import numpy; from workbench.coding.fixed import Fixed; print(Fixed(9).encode(numpy.array([[[5, 8]]])).hex())"
    )
    homes = ["-u HOME XDG_CACHE_HOME=/dev/null", "HOME=/dev/null", "HOME=/proc/none"]  # unset, unwritable, nonexistent
    script = [f"mount --bind {site} {site}", f"mount -o remount,ro,bind {site}", f"! touch {site}/workbench/a"]
    script += [f"env {home} {sys.executable} -c '{work}'" for home in homes]
    script += [f"env {homes[-1]} {sys.executable} -m workbench models --json"]
    environment = {"PATH": os.environ["PATH"], "PYTHONPATH": str(site), "TMPDIR": str(temporary)}
    done = subprocess.run(
        [*mount, "bash", "-ec", "\n".join(script)],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert done.stderr.count("no cache can be written") == len(homes)
    assert done.stderr.count(COMPILING) == 1
    assert done.stdout.split("\n", 3)[0:2] == [Fixed(9).encode(np.array([[[5, 8]]])).hex()] * 2
    assert "photo-leech" in done.stdout


def test_the_lock_names_no_host_and_no_path():
    lines = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8").splitlines()
    pinned = [line for line in lines if re.match(r"[a-z0-9]", line)]
    assert len(pinned) > 50
    assert all(re.match(r"[a-z0-9][a-z0-9._-]*==\S+( ; .*)? \\$", line) for line in pinned)
    assert not [line for line in lines if "://" in line or "/" in line.partition("via ")[2].split()[-1:]]


def test_every_dependency_is_locked():
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [*project["dependencies"], *(d for extra in project["optional-dependencies"].values() for d in extra)]
    locked = re.findall(r"^([a-z0-9._-]+)==", (REPOSITORY / "requirements.lock").read_text(encoding="utf-8"), re.M)
    names = {re.match(r"[A-Za-z0-9._-]+", line)[0].lower().replace("_", "-") for line in wanted}
    assert names <= set(locked)


def test_make_stops_at_a_python_outside_the_range(tmp_path):
    old = tmp_path / "python-old"
    old.write_text('#!/bin/sh\n[ "$1" = --version ] && echo Python 3.9.6 && exit 0\nexit 1\n')
    old.chmod(0o755)
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for name in ("requirements.lock", "pyproject.toml"):
        (tmp_path / name).touch()
    run = subprocess.run(["make", "-C", tmp_path, f"PYTHON={old}", "app"], capture_output=True, text=True, check=False)
    assert run.returncode != 0
    assert "3.11 to 3.14" in run.stderr
    assert "Python 3.9.6" in run.stderr
    assert "make PYTHON=python3" in run.stderr
    assert not (tmp_path / ".venv").exists()
