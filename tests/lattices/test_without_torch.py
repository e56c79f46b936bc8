"""Searching and coding without torch: arrays give the indices that tensors give, and nothing imports a framework."""

import subprocess
import sys

import numpy as np
import pytest
import torch

from workbench.errors import InputError
from workbench.lattices.codes.registry import code_names, make_code
from workbench.lattices.search.fixed import fixed_point, fixed_point_array
from workbench.lattices.search.nearest import nearest

SETTINGS = {"random": {"size": 50, "dimension": 5}, "fibonacci": {"size": 60, "dimension": 3}}
WITHOUT_TORCH = """
import importlib.abc, sys

class Blocked(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.split(".")[0] in ("torch", "gradio", "triton", "torchvision"):
            raise ImportError(f"{name} is blocked")

sys.meta_path.insert(0, Blocked())
import numpy as np
from workbench.coding.container import Container, pack, unpack
from workbench.coding.context import Context
from workbench.coding.fixed import Fixed
from workbench.coding.static import Static, fit_static
from workbench.coding.shell import shell_coder
from workbench.coding.tables import make_entropy_model
from workbench.lattices.codes.leech import LEECH
from workbench.lattices.codes.registry import code_names, make_code
from workbench.lattices.search.nearest import nearest

rng = np.random.default_rng(0)
for name in ("e8", "bw16", "k12", "leech", "leech-published", "leech-shell3"):
    code = make_code(name)
    index = rng.integers(0, code.size, 40)
    points = (code.integers_at(index) * code.steps).astype(np.float32)
    assert (nearest(points, code) == index).all(), name
assert (LEECH.vector_to_index(LEECH.index_to_vector(index % 196560)) == index % 196560).all()
assert make_code("fibonacci", size=20, dimension=3).size == make_code("random", size=20, dimension=3).size

grid = rng.integers(0, 9, (1, 4, 5))
for model in (Fixed(9), Static(fit_static([grid], 9))):
    payload = model.encode(grid)
    assert (model.decode(payload, grid.shape) == grid).all()
    made = Container(
        entropy=model.name, model="m", model_hash=bytes(8), codebook_hash=bytes(8), tables_digest=model.digest,
        width=40, height=32, depth=1, rows=4, columns=5, payload=payload,
    )
    assert unpack(pack(made)) == made
shell_coder(make_code("leech"))
assert not {"torch", "gradio"} & set(sys.modules)
print("done")
"""


@pytest.mark.parametrize("name", code_names())
@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_arrays_give_the_indices_of_tensors(name, dtype):
    code = make_code(name, **SETTINGS.get(name, {}))
    points = np.random.default_rng(1).standard_normal((3, 7, 2 * code.dimension)).astype(dtype)[..., ::2]
    found = nearest(points, code)
    assert found.dtype == np.int64
    assert found.shape == (3, 7)
    assert np.array_equal(found, nearest(torch.from_numpy(np.ascontiguousarray(points)), code).numpy())


def test_arrays_that_are_no_points():
    code = make_code("e8")
    for x in (np.zeros((3, 8), np.int64), np.zeros(7), np.float64(1)):
        with pytest.raises(InputError, match=r"expected floats of shape \(\.\.\., 8\)"):
            nearest(np.asarray(x), code)
    points = np.zeros((2, 3, 8))
    points[1, 0, 4] = np.nan
    for name in ("e8", "leech"):
        code = make_code(name)
        with pytest.raises(InputError, match="row 3 has an entry that is not finite"):
            nearest(np.resize(points, (2, 3, 8)) if name == "e8" else np.tile(points, 3), code)
    assert nearest(np.zeros((0, 24)), make_code("leech")).shape == (0,)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fixed_point_of_arrays_equals_that_of_tensors(dtype):
    x = torch.randn(200, 24, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    x *= 2.0 ** torch.randint(-120, 120, (200, 1), generator=torch.Generator().manual_seed(6))
    x[::5, ::3] = 0
    x[7] = 0
    x[8] *= 1e-30
    x = x.to(dtype)
    assert np.array_equal(fixed_point_array(x.numpy()), fixed_point(x).numpy())


def test_lattices_and_coding_work_where_torch_and_gradio_cannot_be_imported():
    run = subprocess.run([sys.executable, "-c", WITHOUT_TORCH], capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr
    assert run.stdout == "done\n"
