"""The GPU search compiles for data-centre GPUs, where none is at hand: to machine code, all in registers."""

import re
import subprocess
from pathlib import Path

import pytest
import torch

from workbench.lattices.codes.leech import LEECH
from workbench.lattices.search.cuda.tables import tables_of

triton = pytest.importorskip("triton")
TOOLS = Path(triton.__file__).parent / "backends" / "nvidia" / "bin"
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not (TOOLS / "ptxas").exists(), reason="Triton came without NVIDIA's assembler"),
]
TABLES = ("word_places", "word_masks", "messages", "octad_places", "pair_places", "cell_octads", "octads")


@pytest.mark.parametrize("capability", [80, 90])
def test_it_becomes_machine_code_without_spilling(capability, tmp_path, monkeypatch):
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.delenv("TRITON_INTERPRET", raising=False)
    from triton.backends.compiler import GPUTarget
    from triton.compiler import ASTSource

    from workbench.lattices.search.cuda.search import _BLOCK, _search

    tables = tables_of(LEECH)
    integers = {torch.int32: "*i32", torch.int64: "*i64"}
    types = {name: integers[torch.from_numpy(getattr(tables, name)).dtype] for name in TABLES}
    types |= {"x": "*fp32", "found": "*i64", "count": "i32", "word_signs": "*fp32", "first": "i32"}
    constants = {"TWOS": True, "THREES": True, "FOURS": True, "BLOCK": _BLOCK}
    signature = {name: types.get(name, "constexpr") for name in _search.arg_names}
    source = ASTSource(fn=_search, signature=signature, constexprs=constants)
    options = {"num_warps": _BLOCK // 32, "enable_fp_fusion": True}
    compiled = triton.compile(source, target=GPUTarget("cuda", capability, 32), options=options)
    assert compiled.metadata.shared == 0
    (tmp_path / "search.cubin").write_bytes(compiled.asm["cubin"])
    command = [TOOLS / "cuobjdump", "-res-usage", tmp_path / "search.cubin"]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    used = {name: int(value) for name, value in re.findall(r"(REG|STACK|LOCAL):(\d+)", said)}
    assert used["REG"] <= 255
    assert (used["STACK"], used["LOCAL"]) == (0, 0)
