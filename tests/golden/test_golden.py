"""Files of every format version ever written decode to the indices that were put into them, and are written the same.

`vN` holds a file for each entropy model, its indices beside it, and the tables that it was coded with. They are never
made again: a change that fails here needs a new format version, and a reader for the old one.
"""

from pathlib import Path

import numpy as np
import pytest

from workbench.coding.container import pack, unpack
from workbench.coding.entropy import NUMBERS
from workbench.coding.tables import load_tables, make_entropy_model
from workbench.lattices.codes.registry import make_code

FILES = sorted(Path(__file__).parent.glob("v*/*.leech"))


def test_there_is_a_file_for_every_entropy_model():
    assert {path.stem for path in FILES if path.parent.name == "v1"} == set(NUMBERS)


@pytest.mark.parametrize("path", FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_golden_file_gives_its_indices_and_is_written_the_same(path):
    data = path.read_bytes()
    container = unpack(data)
    indices = np.load(path.with_suffix(".npy")).astype(np.int64)
    assert container.entropy == path.stem
    assert container.shape == indices.shape
    code = next(
        code for code in map(make_code, ("leech", "e8")) if code.fingerprint[:16] == container.codebook_hash.hex()
    )
    tables = load_tables(path.with_suffix(""))
    model = make_entropy_model(container.entropy, size=code.size, code=code, tables=tables)
    assert model.digest == container.tables_digest
    assert np.array_equal(model.decode(container.payload, container.shape), indices)
    assert model.encode(indices) == container.payload
    assert pack(container) == data
