"""How the files in `v1-depth-3` were made, once: three tokens a patch, as the last rung of the ladder has them."""

from pathlib import Path

import numpy as np

from workbench.coding.container import FORMAT_VERSION, Container, pack
from workbench.coding.static import to_levels
from workbench.coding.tables import Tables, make_entropy_model, save_tables
from workbench.lattices.codes.registry import make_code

FOLDER = Path(__file__).parent / "v1-depth-3"


def main():
    """Write a file for the fixed and one for the static model; `v1` holds one of two stages for the context model."""
    if FORMAT_VERSION != 1 or FOLDER.exists():
        raise SystemExit("these files exist, or this is another version: they are never made again")
    rng = np.random.default_rng(21)
    for name, code in (("fixed", "leech"), ("static", "e8")):
        code = make_code(code)
        indices = rng.integers(0, code.size, (3, 5, 7))
        levels = to_levels(rng.exponential(size=(3, 4, code.size)) ** 3) if name == "static" else None
        tables = Tables(code.fingerprint, "0" * 64, levels)
        FOLDER.mkdir(exist_ok=True)
        if levels is not None:
            (FOLDER / name).mkdir()
            save_tables(tables, FOLDER / name)
        model = make_entropy_model(name, size=code.size, code=code, tables=tables)
        data = pack(
            Container(
                entropy=name, model="golden", model_hash=bytes(8), codebook_hash=bytes.fromhex(code.fingerprint[:16]),
                tables_digest=model.digest, width=53, height=37, depth=3, rows=5, columns=7,
                payload=model.encode(indices),
            )
        )  # fmt: skip
        (FOLDER / f"{name}.leech").write_bytes(data)
        np.save(FOLDER / f"{name}.npy", indices.astype("<i4"))


if __name__ == "__main__":
    main()
