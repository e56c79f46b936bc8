"""Presets of the generator's trunk: `tiny` for two cores, and the paper's 12-, 16-, 24- and 32-layer ones.

The paper's have perceptrons of 4·C, block-causal attention over 7 or 10 scales and a drop-path of 0.1; the released
12-layer model shares its modulation, the released 24-layer one does not. After zhaoyue-zephyrus/InfinityCC.
"""

__all__ = ["TRUNKS", "trunk_preset"]

from collections.abc import Mapping
from typing import Any

from workbench.errors import InputError, did_you_mean

TRUNKS: Mapping[str, Mapping[str, Any]] = {
    "nano": {"width": 64, "depth": 2, "heads": 2, "modulation": "shared"},
    "tiny": {"width": 256, "depth": 6, "heads": 4, "modulation": "shared", "drop_path": 0.05},
    "layer12": {"width": 768, "depth": 12, "heads": 8, "modulation": "shared", "drop_path": 0.1},
    "layer16": {"width": 1152, "depth": 16, "heads": 12, "modulation": "shared", "drop_path": 0.1},
    "layer24": {"width": 1536, "depth": 24, "heads": 16, "modulation": "unshared", "drop_path": 0.1},
    "layer32": {"width": 2048, "depth": 32, "heads": 16, "modulation": "unshared", "drop_path": 0.1},
}


def trunk_preset(name: str) -> dict[str, Any]:
    """Return the numbers of a named trunk.

    Raises:
        InputError: if the name is unknown.
    """
    if name not in TRUNKS:
        raise InputError(did_you_mean("trunk", name, TRUNKS))
    return dict(TRUNKS[name])
