"""The extended binary Golay code [24, 12, 8], in the two coordinate orders that the codebooks use.

A *word* is 24 bits, position 0 first; as an integer, position 0 is the most significant bit. An *octad* is the set of
ones of a word of weight 8. The code is the only one of its length, dimension and least distance up to a permutation of
the 24 positions, so two constructions give two codes that are equivalent and yet share next to nothing:

* `lexicographic`: the binary lexicode, spanned by the greedy basis below (code A of the published codebook);
* `systematic`: generator [I | P], P a bordered right-circulant of 10100011101 (code B).

Words are listed by their 12-bit message, most significant bit first; octads by ascending positions.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapters 3, 10 and 11.
"""

__all__ = ["NUM_DODECADS", "NUM_OCTADS", "NUM_PAIRS", "NUM_WORDS", "GolayCode", "golay_code"]

import functools
from dataclasses import dataclass, field

import numpy as np

from workbench.errors import InputError, did_you_mean

NUM_WORDS = 4096
NUM_OCTADS = 759
NUM_DODECADS = 2576  # words of weight 12
NUM_PAIRS = 276  # of 24 positions
_LENGTH, _MESSAGE = 24, 12
_WEIGHTS = {0: 1, 8: NUM_OCTADS, 12: NUM_DODECADS, 16: NUM_OCTADS, 24: 1}
_LEXICODE_BASIS = (
    *(0x811724, 0x41144E, 0x21121D, 0x111178, 0x09063A, 0x050563),
    *(0x030356, 0x009669, 0x005555, 0x003333, 0x000F0F, 0x0000FF),
)
_CIRCULANT = "10100011101"


@dataclass(frozen=True, eq=False)
class GolayCode:
    """The words and octads that a generator matrix spans.

    Attributes:
        name: What the code is called.
        generator: Twelve words, uint8 zeros and ones, shape (12, 24).
        words: All words, uint8, shape (4096, 24); row m has the bits of m, most significant first, as its message.
        masks: The same as integers below 2²⁴, int32, shape (4096,).
        octads: Positions of the words of weight 8, each row and the list ascending, int8, shape (759, 8).

    Raises:
        InputError: if the generator does not span a doubly even code of least weight 8 and dimension 12.
    """

    name: str
    generator: np.ndarray = field(repr=False)
    words: np.ndarray = field(init=False, repr=False)
    masks: np.ndarray = field(init=False, repr=False)
    octads: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        shape = self.generator.shape
        if shape != (_MESSAGE, _LENGTH) or self.generator.max() > 1:
            raise InputError(f"a Golay generator is a 12 × 24 matrix of zeros and ones, got shape {shape}")
        messages = (np.arange(1 << _MESSAGE)[:, None] >> np.arange(_MESSAGE)[::-1]) & 1
        words = (messages.astype(np.uint8) @ self.generator.astype(np.uint8)) & 1
        weights, counts = np.unique(words.sum(1, dtype=np.int64), return_counts=True)
        census = dict(zip(weights.tolist(), counts.tolist(), strict=True))
        if census != _WEIGHTS:
            raise InputError(
                f"code {self.name!r} is not the extended Golay code: it has {census} words by weight, "
                f"the Golay code {_WEIGHTS}; check the generator"
            )
        octads = np.nonzero(words[words.sum(1, dtype=np.int64) == 8])[1].reshape(-1, 8).astype(np.int8)
        octads = octads[np.lexsort(octads.T[::-1])]
        masks = words.astype(np.int32) @ (np.int32(1) << np.arange(_LENGTH, dtype=np.int32)[::-1])
        for attribute, value in (("words", words), ("masks", masks), ("octads", octads)):
            value.flags.writeable = False
            object.__setattr__(self, attribute, value)


@functools.cache
def golay_code(name: str) -> GolayCode:
    """Return the Golay code `lexicographic` or `systematic`.

    Example:
        >>> golay_code("systematic").octads[0].tolist()
        [0, 1, 2, 3, 4, 6, 18, 21]

    Raises:
        InputError: if there is no code of that name.
    """
    known = {"lexicographic": _lexicographic, "systematic": _systematic}
    if name not in known:
        raise InputError(did_you_mean("Golay code", name, known))
    return GolayCode(name, known[name]())


def _lexicographic() -> np.ndarray:
    basis = np.array(_LEXICODE_BASIS)
    return ((basis[:, None] >> np.arange(_LENGTH)[::-1]) & 1).astype(np.uint8)


def _systematic() -> np.ndarray:
    first = np.array([int(bit) for bit in _CIRCULANT], dtype=np.uint8)
    parity = np.ones((_MESSAGE, _MESSAGE), dtype=np.uint8)
    for row in range(_MESSAGE - 1):
        parity[row, :-1] = np.roll(first, row)
    parity[-1, -1] = 0
    return np.concatenate([np.eye(_MESSAGE, dtype=np.uint8), parity], axis=1)
