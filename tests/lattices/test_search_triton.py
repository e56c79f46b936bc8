"""The GPU kernel, run by Triton's interpreter on the CPU: the indices of the exhaustive search, bit for bit.

The interpreter has to be chosen before Triton is imported, so it works in a process of its own, once for all tests.
"""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from workbench.lattices.codes.leech import LEECH, LEECH_PUBLISHED
from workbench.lattices.codes.registry import make_code
from workbench.lattices.search.cuda.tables import tables_of
from workbench.lattices.search.exhaustive import nearest_exhaustive

pytest.importorskip("triton")

CODES = ("leech", "leech-published", "leech2", "leech3", "leech4")
REPOSITORY = Path(__file__).parents[2]
PROGRAM = """
import sys
import torch
from workbench.errors import InputError
from workbench.lattices.codes.registry import leech_shapes, make_code
from workbench.lattices.search.cuda import search as search_triton
torch.set_num_threads(1)
search_triton._BLOCK = 1024  # the interpreter takes the same time for any number of lanes
exact, asked = search_triton.nearest_structured, []
search_triton.nearest_structured = lambda rows, structure: (asked.append(len(rows)), exact(rows, structure))[1]
given = torch.load(sys.argv[1])
answers = {}
for name, rows in given.items():
    code, kind = name.split("/")
    asked.clear()
    try:
        answers[name] = (search_triton.nearest_on_cuda(rows, leech_shapes(make_code(code)), first_row=1000), sum(asked))
    except InputError as error:
        answers[name] = (str(error), sum(asked))
torch.save(answers, sys.argv[2])
"""


def plain_rows():
    """Directions at random, as an encoder gives them."""
    return torch.randn(512, 24, generator=torch.Generator().manual_seed(24))


def hard_rows(name):
    """Codewords, points half-way between codewords, few distinct entries, zeros, and scales at the ends of float32."""
    generator = torch.Generator().manual_seed(1)
    table = torch.tensor(make_code(name).integers, dtype=torch.float32)
    pick = table[torch.randint(len(table), (6, 64), generator=generator)]
    small = torch.randint(-1, 2, (128, 24), generator=generator).float()
    rows = [pick[0], pick[1] + pick[2], pick[3] + pick[4] + pick[5], small, torch.zeros(2, 24)]
    noise = torch.randn(6, 24, generator=generator)
    scales = torch.tensor([1e-44, 1e-38, 1e-20, 1e20, 1e36, 3e38])[:, None]
    return torch.cat([*rows, noise / noise.abs().amax(1, keepdim=True) * scales])


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """What the kernel says to all questions, and how many rows it left to the search in integers."""
    given = {f"{name}/plain": plain_rows() for name in ("leech", "leech-published", "leech2")}
    given |= {f"{name}/hard": hard_rows(name) for name in CODES}
    given["leech/double"] = plain_rows()[:64].double() + 1e-12
    bad = plain_rows()[:40]
    bad[7, 3], bad[9, 0] = torch.nan, torch.inf
    given["leech4/bad"] = bad
    folder = tmp_path_factory.mktemp("triton")
    torch.save(given, folder / "given.pt")
    environment = os.environ | {"TRITON_INTERPRET": "1", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-W", "ignore", "-c", PROGRAM, folder / "given.pt", folder / "answers.pt"]
    run = subprocess.run(command, env=environment, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert run.returncode == 0, run.stderr[-2000:]
    return given, torch.load(folder / "answers.pt")


@pytest.mark.slow
@pytest.mark.parametrize("case", [f"{name}/hard" for name in CODES] + ["leech/plain", "leech-published/plain"])
def test_indices_are_those_of_the_exhaustive_search(answers, case):
    given, found = answers
    assert torch.equal(found[case][0], nearest_exhaustive(given[case], make_code(case.split("/")[0])))


@pytest.mark.slow
def test_float64_points_are_decided_as_they_are(answers):
    given, found = answers
    assert torch.equal(found["leech/double"][0], nearest_exhaustive(given["leech/double"], make_code("leech")))


@pytest.mark.slow
@pytest.mark.parametrize("case", ["leech/plain", "leech-published/plain", "leech2/plain"])
def test_hardly_any_point_is_too_close_to_call_in_float32(answers, case):
    _, found = answers
    assert found[case][1] <= 2


@pytest.mark.slow
def test_the_first_row_that_is_not_finite_is_named(answers):
    assert answers[1]["leech4/bad"][0].startswith("row 1007 has an entry that is not finite")


@pytest.mark.parametrize("order", [LEECH, LEECH_PUBLISHED])
def test_every_octad_lies_in_one_cell(order):
    tables = tables_of(order)
    members = tables.cell_octads[tables.cell_octads >= 0]
    assert sorted(members.tolist()) == list(range(759))
    assert (tables.cell_octads >= 0).sum(1).tolist() == [8] * 84 + [4] * 21 + [1] * 3


@pytest.mark.parametrize("order", [LEECH, LEECH_PUBLISHED])
def test_the_patterns_of_a_class_are_its_head_times_walsh_functions(order):
    tables = tables_of(order)
    walsh = np.array([[(i & p).bit_count() & 1 for p in range(8)] for i in range(8)])
    for triple in range(512):
        c, i, j = triple >> 6, triple >> 3 & 7, triple & 7
        bits = (tables.word_masks[triple] >> np.arange(24) & 1).reshape(3, 8)
        heads = (tables.word_signs[c] > 0).reshape(3, 8)
        turned = bits ^ heads ^ walsh[[i, j, i ^ j]]
        assert (turned == turned[:, :1]).all(), triple  # up to the complement of a brick


@pytest.mark.parametrize("order", [LEECH, LEECH_PUBLISHED])
def test_pairs_are_disjoint_and_cover_each_brick(order):
    tables = tables_of(order)
    assert (np.sort(tables.pair_places, axis=1) == np.arange(24)).all()


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("name", CODES)
def test_on_a_gpu_indices_are_those_of_the_cpu(name):
    from workbench.lattices.search.nearest import nearest

    rows = torch.cat([plain_rows(), hard_rows(name), torch.randn(100_000, 24)])
    assert torch.equal(nearest(rows.cuda(), make_code(name)).cpu(), nearest(rows, make_code(name)))
