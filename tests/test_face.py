"""The public names: lazy for the program, with real types for checkers, and the same list for both."""

import ast
import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import workbench
from workbench import lazy
from workbench.errors import InputError, WorkbenchError
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.load import Pair

REPOSITORY = Path(__file__).parents[1]
FACES = ["", ".coding", ".images", ".lattices", ".metrics", ".models", ".quantizers", ".tasks"]
NAMES = (
    "Code Quantizer Tokenizer Generator Codec make_code make_quantizer nearest reconstruct generate encode decode "
    "WorkbenchError"
).split()


def typed_names(package: str) -> dict[str, str]:
    """Name → home of what a package imports for type checkers."""
    path = REPOSITORY.joinpath(*package.split("."), "__init__.py")
    (block,) = [node for node in ast.parse(path.read_text(encoding="utf-8")).body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    assert all(alias.asname == alias.name for node in imports for alias in node.names)  # else checkers hide it
    return {alias.name: node.module for node in imports for alias in node.names}


@pytest.mark.parametrize("package", [f"workbench{face}" for face in FACES])
def test_what_loads_and_what_checkers_see_is_the_same(package):
    module, names = importlib.import_module(package), typed_names(package)
    assert set(names) == set(module.__all__) - {"__version__"}
    assert set(dir(module)) >= set(names)
    for name, home in names.items():
        assert getattr(module, name) is getattr(importlib.import_module(home), name), name
    with pytest.raises(AttributeError, match=rf"module '{package}' has no attribute 'absent'; it has "):
        module.absent  # noqa: B018


def test_the_five_nouns_and_their_makers_are_there():
    assert set(NAMES) <= set(workbench.__all__)
    assert (Path(workbench.__file__).parent / "py.typed").is_file()


@pytest.mark.parametrize("package", [f"workbench{face}" for face in FACES])
def test_a_face_loads_nothing_until_it_is_asked(package):
    code = f"import {package}, sys; dir({package}); print(*sorted(sys.modules))"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=REPOSITORY)
    assert not {"torch", "numpy", "numba", "PIL", "gradio"} & set(run.stdout.split())


def test_a_name_is_loaded_once_and_others_stay_errors():
    namespace = {"__name__": "p", "__all__": ["own"]}
    lazy.show(namespace, {"sqrt": "math"})
    assert namespace["__all__"] == ["own", "sqrt"]
    assert "sqrt" not in namespace
    assert namespace["__getattr__"]("sqrt")(4) == 2
    assert "sqrt" in namespace
    with pytest.raises(AttributeError, match="module 'p' has no attribute 'cos'"):
        namespace["__getattr__"]("cos")


@pytest.mark.slow
def test_a_consumer_is_checked_in_strict_mode(tmp_path):
    """The package as installed: found on a path, with py.typed."""
    pyright = shutil.which("pyright", path=str(Path(sys.executable).parent)) or shutil.which("pyright")
    if pyright is None:
        pytest.skip("pyright is not installed; it is in the extra dev")
    shutil.copy(REPOSITORY / "tests" / "consumer.py", tmp_path / "consumer.py")
    wrong = 'import workbench\ncode: int = workbench.make_code("leech")\nworkbench.absent\n'
    (tmp_path / "wrong.py").write_text(wrong)
    settings = {"typeCheckingMode": "strict", "extraPaths": [str(REPOSITORY)], "pythonVersion": "3.11"}
    (tmp_path / "pyrightconfig.json").write_text(json.dumps(settings))
    run = subprocess.run(
        [pyright, "--outputjson", "--pythonpath", sys.executable, "-p", str(tmp_path)],
        capture_output=True,
        text=True,
        check=False,
    )
    if not run.stdout.startswith("{"):
        pytest.skip(f"pyright does not run here: {run.stdout[-200:]} {run.stderr[-200:]}")
    found = [each for each in json.loads(run.stdout)["generalDiagnostics"] if each["severity"] == "error"]
    by_file = {name: [each for each in found if each["file"].endswith(name)] for name in ("consumer.py", "wrong.py")}
    assert not by_file["consumer.py"], "\n".join(each["message"] for each in by_file["consumer.py"])
    said = "\n".join(each["message"] for each in by_file["wrong.py"])
    assert '"Code" is not assignable to "int"' in said
    assert '"absent" is not a known attribute' in said


# ---- the verbs


@pytest.fixture
def picture():
    ramp = np.linspace(0, 255, 40).astype(np.uint8)
    return np.stack(np.broadcast_arrays(ramp, ramp[:24, None], np.uint8(90)), -1)  # shape: (24, 40, 3)


def test_a_picture_goes_there_and_back_however_it_is_given(picture, tiny_model, tmp_path):
    model = str(tiny_model)
    Image.fromarray(picture).save(tmp_path / "a.png")
    tensor = torch.from_numpy(picture).permute(2, 0, 1)
    found = [
        workbench.reconstruct(image, model).image
        for image in (
            picture,
            tmp_path / "a.png",
            str(tmp_path / "a.png"),
            Image.fromarray(picture),
            tensor,
            tensor / 255,
        )
    ]
    assert all(np.array_equal(image, found[0]) for image in found)
    assert found[0].shape == picture.shape
    assert np.array_equal(
        workbench.reconstruct(picture, workbench.Tokenizer.from_pretrained(tiny_model)).image, found[0]
    )
    data = workbench.encode(picture, model, effort=0)
    assert np.array_equal(workbench.decode(data, model), found[0])
    (tmp_path / "a.leech").write_bytes(data)
    codec = workbench.Codec(GridTokenizer.from_pretrained(tiny_model))
    assert np.array_equal(workbench.decode(tmp_path / "a.leech", codec), found[0])
    assert workbench.encode(picture, codec, effort=0) == data
    assert workbench.encode(picture, codec) == workbench.encode(picture, model, effort=2)
    with pytest.raises(WorkbenchError, match="photo-absent"):
        workbench.reconstruct(picture, "photo-absent")


def test_pictures_are_drawn_by_class(tiny_generator):
    from workbench.models.load import load_generator

    pair = load_generator(str(tiny_generator / "sketch"), str(tiny_generator / "pyramid"))
    assert isinstance(pair, Pair)
    drawn = workbench.generate(["daisy", 1], pair, seed=5)
    assert drawn.images.shape == (2, 32, 32, 3)
    assert drawn.settings.classes == ("daisy", "roses")
    assert workbench.generate("daisy", pair, seed=5, controls="faithful").images.shape == (1, 32, 32, 3)
    with pytest.raises(InputError, match="no controls are called 'wild'; known: balanced"):
        workbench.generate("daisy", pair, controls="wild")
