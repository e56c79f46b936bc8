"""Colour spaces given by numbers, as ICC profiles: primaries, a white point and a transfer curve.

Primaries are chromaticities (x, y) in the order white, red, green, blue. A curve maps a level v in [0, 1] to light:
(a·v + b)^g from v = d on, c·v below it. :func:`matrix_profile` makes of both a profile of version 4 that littleCMS
reads: the primaries as XYZ relative to D50, adapted from their white by the Bradford matrix, and one parametric curve.

`CODE_POINTS` and `CODE_CURVES` hold the numbers of ITU-T H.273 (CICP) that are known here.
"""

__all__ = ["BT709", "CODE_CURVES", "CODE_POINTS", "Curve", "gamma_curve", "matrix_profile"]

import struct
from collections.abc import Sequence

import numpy as np

Curve = tuple[float, float, float, float, float]  # g, a, b, c, d

_D65, _C = (0.3127, 0.3290), (0.310, 0.316)
_D50_XYZ = np.array([0.9642, 1.0, 0.8249])  # as profiles write it
_BRADFORD = np.array([[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]])

BT709 = (*_D65, 0.64, 0.33, 0.30, 0.60, 0.15, 0.06)
_SMPTE_170M = (*_D65, 0.630, 0.340, 0.310, 0.595, 0.155, 0.070)
CODE_POINTS: dict[int, Sequence[float]] = {
    1: BT709,
    4: (*_C, 0.67, 0.33, 0.21, 0.71, 0.14, 0.08),  # BT.470 System M
    5: (*_D65, 0.64, 0.33, 0.29, 0.60, 0.15, 0.06),  # BT.470 System B, G
    6: _SMPTE_170M,
    7: _SMPTE_170M,  # SMPTE 240M
    8: (*_C, 0.681, 0.319, 0.243, 0.692, 0.145, 0.049),  # film
    9: (*_D65, 0.708, 0.292, 0.170, 0.797, 0.131, 0.046),  # BT.2020
    11: (0.314, 0.351, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # DCI-P3
    12: (*_D65, 0.680, 0.320, 0.265, 0.690, 0.150, 0.060),  # Display P3
    22: (*_D65, 0.630, 0.340, 0.295, 0.605, 0.155, 0.077),  # EBU Tech. 3213
}


def gamma_curve(exponent: float) -> Curve:
    """The power v^exponent."""
    return (exponent, 1.0, 0.0, 0.0, 0.0)


CODE_CURVES: dict[int, Curve] = {
    **dict.fromkeys((1, 6, 11, 14, 15), gamma_curve(2.4)),  # cameras of BT.709 and its kin, on the display of BT.1886
    4: gamma_curve(2.2),
    5: gamma_curve(2.8),
    7: (1 / 0.45, 1 / 1.1115, 0.1115 / 1.1115, 1 / 4, 0.0912),  # SMPTE 240M
    8: gamma_curve(1.0),
    13: (2.4, 1 / 1.055, 0.055 / 1.055, 1 / 12.92, 0.04045),  # sRGB
    17: (2.6, (52.37 / 48) ** (1 / 2.6), 0.0, 0.0, 0.0),  # SMPTE ST 428-1
}


def matrix_profile(primaries: Sequence[float], curve: Curve) -> bytes | None:
    """An ICC profile of an RGB space; None where the primaries are those of no such space.

    Args:
        primaries: x and y of white, red, green and blue.
        curve: From levels to light.
    """
    x, y = np.array(primaries[0::2]), np.array(primaries[1::2])
    if not (np.isfinite([x, y]).all() and (y > 1e-3).all() and (x >= 0).all() and (x + y <= 1.001).all()):
        return None
    xyz = np.stack([x / y, np.ones(4), (1 - x - y) / y])  # shape: (3, 4), each of luminance 1
    white, corners = xyz[:, 0], xyz[:, 1:]
    if abs(np.linalg.det(corners)) < 1e-6:
        return None
    columns = corners * np.linalg.solve(corners, white)
    cones = (_BRADFORD @ _D50_XYZ) / (_BRADFORD @ white)
    columns = np.linalg.solve(_BRADFORD, cones[:, None] * (_BRADFORD @ columns))
    if np.abs(columns).max() > 100:
        return None
    tone = b"para" + bytes(4) + struct.pack(">HH", 3, 0) + _fixed(curve)
    tags = {name: b"XYZ " + bytes(4) + _fixed(columns[:, i]) for i, name in enumerate((b"rXYZ", b"gXYZ", b"bXYZ"))}
    tags |= {b"wtpt": b"XYZ " + bytes(4) + _fixed(_D50_XYZ), b"rTRC": tone, b"gTRC": tone, b"bTRC": tone}
    start = 128 + 4 + 12 * len(tags)
    table, content = struct.pack(">I", len(tags)), b""
    for name, data in tags.items():
        table += struct.pack(">4sII", name, start + len(content), len(data))
        content += data
    header = struct.pack(">I4xI4s4s4s", start + len(content), 0x04200000, b"mntr", b"RGB ", b"XYZ ")
    header += struct.pack(">6H", 2026, 1, 1, 0, 0, 0) + b"acsp" + bytes(28) + _fixed(_D50_XYZ)
    return header.ljust(128, b"\0") + table + content


def _fixed(values: Sequence[float] | np.ndarray) -> bytes:
    """Numbers as ICC's signed 16.16 fixed point."""
    return struct.pack(f">{len(values)}i", *(round(float(value) * 65536) for value in values))
