"""How the files in `v1` were made, once: `python tests/golden/make_v1.py` (it refuses to make them again)."""

from pathlib import Path

import numpy as np

from workbench.coding.container import FORMAT_VERSION, Container, pack
from workbench.coding.context import num_inputs, round_stage
from workbench.coding.shell import GROUPS
from workbench.coding.static import to_levels
from workbench.coding.tables import Tables, make_entropy_model, save_tables
from workbench.lattices.codes.registry import make_code

FOLDER = Path(__file__).parent / "v1"


def stage(rng, number):
    """A small context network of random integers."""
    return round_stage(
        weights=rng.normal(size=(1, num_inputs(number), 3)) * 0.05,
        bias=rng.normal(size=(1, 3)),
        score_weights=rng.normal(size=(3, 216)) * 0.3,
        score_bias=rng.normal(size=(1, 216)) * 0.5,
        group_bias=rng.normal(size=(1, GROUPS)),
        member_bias=np.tile(rng.normal(size=(1, 240)), 819),
    )


def main():
    """Write one file for each entropy model, with its indices and its tables."""
    if FORMAT_VERSION != 1 or any(FOLDER.glob("*.leech")):
        raise SystemExit("files of version 1 exist, or this is another version: they are never made again")
    rng = np.random.default_rng(20)
    for name, code, shape in (
        ("fixed", "leech", (1, 9, 11)),
        ("static", "e8", (2, 9, 11)),
        ("context", "leech", (2, 9, 11)),
    ):
        code = make_code(code)
        indices = rng.integers(0, code.size, shape)
        levels = to_levels(rng.exponential(size=(2, 4, code.size)) ** 3) if name == "static" else None
        stages = (stage(rng, 0), stage(rng, 1)) if name == "context" else ()
        tables = Tables(code.fingerprint, "0" * 64, levels, stages)
        if name != "fixed":
            (FOLDER / name).mkdir(parents=True)
            save_tables(tables, FOLDER / name)
        model = make_entropy_model(name, size=code.size, code=code, tables=tables)
        data = pack(
            Container(
                entropy=name, model="golden", model_hash=bytes(8), codebook_hash=bytes.fromhex(code.fingerprint[:16]),
                tables_digest=model.digest, width=85, height=72, depth=shape[0], rows=9, columns=11,
                payload=model.encode(indices),
            )
        )  # fmt: skip
        (FOLDER / f"{name}.leech").write_bytes(data)
        np.save(FOLDER / f"{name}.npy", indices.astype("<i4"))


if __name__ == "__main__":
    main()
