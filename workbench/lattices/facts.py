"""What is known of each code, as indices that prove it.

A code is recognised by its fingerprint, so that a table of other rows under the same name is never believed to be it.
Every number follows from indices of codewords: the least distance from a *pair*, with the reason why no pair is
nearer; a hole (`covering.py`) from D codewords that are equally near to its direction, with the reason why none is
deeper, where there is one. The kissing number is that of the first codeword of the pair, which has as many nearest
codewords as any.

Why some holes are deepest. Let P = {x : x·v ≤ ‖v‖²/2 for the shortest vectors v of a lattice, of norm² 4}, so that the
error of the direction of x is 2 − 2/‖x‖ where x is on its boundary. In E8 this is the Voronoi cell, and ‖x‖ ≤ √2.
In K12, BW16 and Λ24 the cell has facets for the w of norm² 6 as well. If x·w ≤ 3 for all of these, then ‖x‖² ≤ R²
= 8/3, 3 and 2. Otherwise write x = αw + y with α ≥ 1/2 and y orthogonal to w. The v with v·w = 3 come in pairs
w/2 ± u, ‖u‖² = 5/2, so that |y·u| ≤ 2 − 3α, and α ≤ 2/3. Hence ‖y‖² ≤ c·(2 − 3α)²: in BW16 the u are a 2-design in 15
dimensions and c = 15/(5/2), in Λ24 a 4-design in 23 and c = 25/(15/2), and in K12 they are 15 pairs of five orthogonal
planes (three in each, with one component in common) and c = 14/3. Now ‖x‖² ≤ 6α² + c·(2 − 3α)² is convex in α: 8/3 at
α = 2/3, and 3/2 + c/4 = 8/3, 3 and 7/3 at α = 1/2. So ‖x‖² ≤ 8/3 for K12 and Λ24, at the direction of a w, and 3 for
BW16, at that of a deep hole of the lattice.
In the second shell of Λ24, x·w ≤ 3 for its codewords w, and the error is 2 − √6/‖x‖. If x·v ≤ 2 for all v, then
‖x‖² ≤ 2. Otherwise x = αv + y with 1/2 ≤ α ≤ 1; the 47,104 codewords w = 3v/4 + u with v·w = 3 have ‖u‖² = 15/4, and
the u are a 7-design in 23 dimensions, so that some y·u ≥ ‖y‖·‖u‖/√5 (the greatest Gauss node). Then
‖x‖² ≤ 4α² + 12·(1 − α)² ≤ 4, at the direction of a v.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapters 4, 21 and 23, for R and the facets.
"""

__all__ = ["LEAST_PAIRS", "CodeFacts", "facts_of", "least_pair"]

from dataclasses import dataclass

from workbench.lattices.code import Code

_DIGITS = 16  # of a fingerprint
_ALL_PAIRS = "all pairs compared"
_IN_LATTICE = "a difference of codewords is a vector of the lattice, and those have no smaller norm than the codewords"
_VORONOI = "the direction of a deep hole of the lattice"
_CLIMBED = "the deepest hole met when climbing from {} directions"


@dataclass(frozen=True)
class CodeFacts:
    """What is known of a code.

    Attributes:
        pair: Indices of two codewords at the least distance; no codeword has more nearest codewords than the first.
        pair_reason: Why no two are nearer.
        kissing: How many codewords are at the least distance from the first of the pair.
        strength: The greatest t for which the code is a spherical t-design.
        hole: Indices of D codewords that are equally near to one direction, and are its nearest.
        hole_reason: What that direction is, and why no direction is farther from all codewords, or how it was found.
        hole_is_deepest: Whether no direction is known to be farther; otherwise its error is a lower bound.
    """

    pair: tuple[int, int]
    pair_reason: str
    kissing: int
    strength: int
    hole: tuple[int, ...]
    hole_reason: str
    hole_is_deepest: bool


def facts_of(code: Code) -> CodeFacts | None:
    """What is known of a code, or None."""
    return _FACTS.get(code.fingerprint[:_DIGITS])


def least_pair(code: Code) -> tuple[tuple[int, int], str] | None:
    """Two codewords at the least distance and the reason why no two are nearer, or None if they are not known."""
    facts = facts_of(code)
    if facts is not None:
        return facts.pair, facts.pair_reason
    pair = LEAST_PAIRS.get(code.fingerprint[:_DIGITS])
    return None if pair is None else (pair, _ALL_PAIRS)


# Nearest pairs of `random` and `fibonacci` in 24 dimensions, 2¹⁴ to 2¹⁷ codewords.
LEAST_PAIRS: dict[str, tuple[int, int]] = {
    "2eda9634d905c4bc": (6361, 16380),
    "53a322bcf8c10f5d": (6361, 16380),
    "97c5e40a49f845b4": (10226, 44539),
    "0326baf858847f77": (20177, 128623),
    "2290911e6811fb55": (3691, 7382),
    "809ffb3ae22f4e40": (12886, 25772),
    "bf9e4f6c57c34289": (12886, 25772),
    "7651c62fb615a679": (12886, 25772),
}

# fmt: off
_HOLES: dict[str, tuple[int, ...]] = {
    "leech": (
        24928, 26973, 33305, 37576, 37840, 49305, 51395, 62423, 85230, 85883, 86348, 92290, 122321,
        128737, 136885, 146930, 147120, 147185, 148080, 148985, 149680, 150225, 157427, 178675,
    ),
    "leech-published": (
        2, 3, 14, 34, 51, 58, 90, 91, 110, 115, 116, 123, 154, 157, 182, 99209, 99211, 99212, 99264,
        99274, 99333, 99336, 99433, 99800,
    ),
    "leech2": (
        3025, 12708, 13652, 24698, 24928, 25702, 26973, 33305, 37576, 37840, 39106, 49305, 50076,
        51395, 62423, 63479, 74309, 75858, 75859, 85883, 86348, 86487, 91281, 92290,
    ),
    "leech3": (
        10352, 25169, 25432, 39733, 49778, 49968, 50928, 51297, 51833, 52027, 52088, 52528, 53073,
        53234, 57592, 57969, 60275, 76784, 81523, 86392, 89585, 89713, 89976, 92272,
    ),
    "leech4": (
        38, 132, 210, 218, 298, 372, 454, 514, 554, 578, 582, 590, 644, 692, 700, 760, 769, 794,
        844, 856, 865, 868, 873, 881,
    ),
    "leech-shell3": (
        5276362, 5280452, 5284196, 5288783, 5292621, 5296224, 5301006, 5301058, 5308566, 5308620,
        5325290, 5329137, 5341300, 5345497, 5350154, 5350234, 5362488, 15327193, 15545612, 15934451,
        16055620, 16419973, 16468736, 16565909,
    ),
    "random": (
        9959, 25947, 27085, 43344, 50144, 62313, 77726, 78290, 86780, 98974, 100436, 118693, 130562,
        138365, 145764, 150224, 155587, 155837, 155934, 176762, 178284, 179082, 184959, 195122,
    ),
    "fibonacci": (
        32439, 56244, 62673, 72732, 84310, 91115, 93514, 99043, 113553, 122724, 130268, 134934,
        151286, 156827, 165040, 180541, 180669, 182011, 186797, 190447, 191599, 191727, 191855,
        194890,
    ),
    "e8": (
        19, 59, 91, 115, 121, 195, 221, 239,
    ),
    "bw16": (
        29, 269, 320, 329, 734, 748, 1203, 1207, 1216, 1768, 2665, 3610, 3625, 4162, 4244, 4300,
    ),
    "k12": (
        11, 14, 20, 92, 173, 385, 439, 484, 556, 595, 648, 697,
    ),
}
# fmt: on

_FACTS: dict[str, CodeFacts] = {
    "c1a07712983ce842": CodeFacts(
        pair=(0, 2),
        pair_reason=_IN_LATTICE,
        kissing=4600,
        strength=11,
        hole=_HOLES["leech"],
        hole_reason="the direction of a vector of norm² 48",
        hole_is_deepest=True,
    ),
    "2fd256896526ea71": CodeFacts(
        pair=(97288, 48596),
        pair_reason="products within a shape and with (±4²) are at most 16 of 32; octads and signs come from different "
        "Golay codes, so between (±2⁸) and (∓3, ±1²³) all eight signs may agree, the 3 among them: 2·(3 + 7) = 20",
        kissing=176,
        strength=7,
        hole=_HOLES["leech-published"],
        hole_reason="the direction of a vector of norm² 48, and " + _CLIMBED.format(60),
        hole_is_deepest=False,
    ),
    "cd7fcada124b7e3d": CodeFacts(
        pair=(0, 2),
        pair_reason=_IN_LATTICE,
        kissing=2268,
        strength=3,
        hole=_HOLES["leech2"],
        hole_reason="a coordinate axis, " + _CLIMBED.format(100),
        hole_is_deepest=False,
    ),
    "4ae2aff50cdfa013": CodeFacts(
        pair=(0, 3),
        pair_reason=_IN_LATTICE,
        kissing=2300,
        strength=3,
        hole=_HOLES["leech3"],
        hole_reason=_CLIMBED.format(60),
        hole_is_deepest=False,
    ),
    "b68a52b464bfb216": CodeFacts(
        pair=(0, 4),
        pair_reason=_IN_LATTICE,
        kissing=88,
        strength=3,
        hole=_HOLES["leech4"],
        hole_reason="a direction of 24 equal entries: the two greatest of a unit vector have no smaller sum than 2/√24",
        hole_is_deepest=True,
    ),
    "1548f5b0fdf7ce0d": CodeFacts(
        pair=(0, 1),
        pair_reason="a difference of codewords is a vector of Λ24, of norm² 32 at least, where codewords have 48",
        kissing=11178,
        strength=11,
        hole=_HOLES["leech-shell3"],
        hole_reason="the direction of a vector of norm² 32",
        hole_is_deepest=True,
    ),
    "57c49c4643d380d1": CodeFacts(
        pair=(20177, 128623),
        pair_reason=_ALL_PAIRS,
        kissing=1,
        strength=0,
        hole=_HOLES["random"],
        hole_reason=_CLIMBED.format(30),
        hole_is_deepest=False,
    ),
    "11617da74314dc2e": CodeFacts(
        pair=(12886, 25772),
        pair_reason=_ALL_PAIRS,
        kissing=1,
        strength=0,
        hole=_HOLES["fibonacci"],
        hole_reason=_CLIMBED.format(30),
        hole_is_deepest=False,
    ),
    "caa49cec415a43b1": CodeFacts(
        pair=(0, 1),
        pair_reason=_IN_LATTICE,
        kissing=56,
        strength=7,
        hole=_HOLES["e8"],
        hole_reason=_VORONOI,
        hole_is_deepest=True,
    ),
    "71bec13f2daaf37b": CodeFacts(
        pair=(0, 1),
        pair_reason=_IN_LATTICE,
        kissing=280,
        strength=7,
        hole=_HOLES["bw16"],
        hole_reason=_VORONOI,
        hole_is_deepest=True,
    ),
    "0d78aa15b48915e6": CodeFacts(
        pair=(0, 1),
        pair_reason=_IN_LATTICE,
        kissing=82,
        strength=5,
        hole=_HOLES["k12"],
        hole_reason=_VORONOI + ", and of a vector of the second shell",
        hole_is_deepest=True,
    ),
}
