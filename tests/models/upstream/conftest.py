"""The recorded models: small random weights under the published names, and what the published code made of them."""

import json
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from workbench.lattices.codes.registry import make_code


@dataclass(frozen=True)
class Recorded:
    """Weights under published names, inputs and outputs, configuration."""

    weights: dict[str, torch.Tensor]
    io: dict[str, torch.Tensor]
    config: dict


@pytest.fixture(scope="session")
def recorded(shared):
    """Load a recorded model by its folder's name."""

    def load(name: str) -> Recorded:
        folder = Path(shared) / "fixtures" / name
        config = json.loads((folder / "meta.json").read_text(encoding="utf-8"))["config"]
        return Recorded(load_file(folder / "weights.safetensors"), load_file(folder / "io.safetensors"), config)

    return load


@pytest.fixture(scope="session")
def small():
    """The numbers of the recorded models as our configurations say them."""
    f16 = {"kind": "f16", "window": 256, "width": 32, "blocks": 2}
    f16 |= {"times1": 1, "times2": 2, "times3": 1, "times4": 1, "times5": 1}
    vit = {"kind": "vit", "factor": 8, "window": 64, "width": 96, "depth": 2, "heads": 3, "hidden": 384}
    generator = {"width": 72, "depth": 4, "heads": 3, "mlp_ratio": 256 / 72}
    return {"f16": {"body": f16}, "vit": {"body": vit}, "generator": {"trunk": generator, "tokenizer": {"body": f16}}}


@pytest.fixture(scope="session")
def full_head():
    """Give a recorded generator, which has 128 outputs, all 196,560: the others are as good as impossible."""

    def widen(weights):
        missing = 196_560 - len(weights["head.bias"])
        return weights | {
            "head.weight": torch.nn.functional.pad(weights["head.weight"], (0, 0, 0, missing)),
            "head.bias": torch.nn.functional.pad(weights["head.bias"], (0, missing), value=-1e4),
        }

    return widen


@pytest.fixture(scope="session")
def book():
    """The codebook as published files hold it: float32 rows of unit length."""
    return make_code("leech-published").vectors().clone()
