"""The 196,560 minimal vectors of the Leech lattice Λ24, their order, and index ↔ vector by rule.

In integers (norm² 32; a codeword is the integers over √32) there are three *shapes*, built on the Golay code:

| shape | rows | rule |
| --- | --- | --- |
| (±2⁸, 0¹⁶) | 0 … 97,151 | ±2 on an octad, an even number of minus signs: row 759·a + o |
| (∓3, ±1²³) | 97,152 … 195,455 | +1 on the ones of a word and -1 elsewhere, one entry times -3: row 4096·i + m |
| (±4², 0²²) | 195,456 … 196,559 | ±4 at two positions: row 4·p + s |

Here o counts the octads and m the words of a Golay code in the order of `golay.py`, a the even sign patterns of an
octad, least position first and minus before plus, i the position of the 3, p the pairs of positions, both in
lexicographic order, and s the signs (-, -), (-, +), (+, -), (+, +). This order, version 1, is a promise.

`LEECH` takes octads and words from one Golay code: the true first shell. `LEECH_PUBLISHED` is the published codebook,
whose octads come from another Golay code than its words: no lattice shell, least distance √3/2 in place of 1.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapter 4, section 11.
"""

__all__ = ["LEECH", "LEECH_PUBLISHED", "NORM_SQUARED", "SHAPE_STARTS", "LeechOrder"]

import functools
import itertools
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int

from workbench.errors import InputError
from workbench.lattices.golay.code import NUM_OCTADS, NUM_PAIRS, NUM_WORDS, GolayCode, golay_code

NORM_SQUARED = 32
_PLACES = 24
_EVEN_SIGNS = 128
SHAPE_STARTS = (0, _EVEN_SIGNS * NUM_OCTADS, _EVEN_SIGNS * NUM_OCTADS + _PLACES * NUM_WORDS, 196_560)
_TWOS, _THREES, _END = SHAPE_STARTS[1:]


@dataclass(frozen=True)
class LeechOrder:
    """Which Golay code gives the octads and which the words; from that, every codeword and its index by rule.

    Attributes:
        octad_code: Name of the Golay code of shape (±2⁸, 0¹⁶).
        word_code: Name of the Golay code of shape (∓3, ±1²³).
    """

    octad_code: str
    word_code: str

    @property
    def octads(self) -> GolayCode:
        """The Golay code whose octads shape (±2⁸, 0¹⁶) uses."""
        return golay_code(self.octad_code)

    @property
    def words(self) -> GolayCode:
        """The Golay code whose words shape (∓3, ±1²³) uses."""
        return golay_code(self.word_code)

    def table(self) -> Int[np.ndarray, "196560 24"]:
        """All codewords in order, int8."""
        twos = np.zeros((_EVEN_SIGNS, NUM_OCTADS, _PLACES), dtype=np.int8)
        np.put_along_axis(
            twos,
            np.broadcast_to(self.octads.octads.astype(np.int64), (_EVEN_SIGNS, NUM_OCTADS, 8)),
            np.broadcast_to(2 * _even_signs()[:, None], (_EVEN_SIGNS, NUM_OCTADS, 8)),
            axis=2,
        )
        threes = np.tile(2 * self.words.words.astype(np.int8) - 1, (_PLACES, 1, 1))
        diagonal = np.arange(_PLACES)
        threes[diagonal, :, diagonal] *= -3
        fours = np.zeros((NUM_PAIRS, 4, _PLACES), dtype=np.int8)
        first, second = _pairs().T
        fours[np.arange(NUM_PAIRS), :, first] = (-4, -4, 4, 4)
        fours[np.arange(NUM_PAIRS), :, second] = (-4, 4, -4, 4)
        return np.concatenate([part.reshape(-1, _PLACES) for part in (twos, threes, fours)])

    def index_to_vector(self, indices: Int[np.ndarray, "*batch"]) -> Int[np.ndarray, "*batch 24"]:
        """Return the integers of codewords, int8, shape (..., 24), by rule, without the table.

        Raises:
            InputError: if an index lies outside [0, 196560).
        """
        indices = np.asarray(indices)
        flat = indices.reshape(-1).astype(np.int64)
        outside = flat[(flat < 0) | (flat >= _END)]
        if outside.size:
            raise InputError(f"indices of the Leech shell lie in [0, {_END}), got {outside[0]}")
        vectors = np.zeros((flat.size, _PLACES), dtype=np.int8)

        twos = np.flatnonzero(flat < _TWOS)
        signs, octads = np.divmod(flat[twos], NUM_OCTADS)
        vectors[twos[:, None], self.octads.octads[octads]] = 2 * _even_signs()[signs]

        threes = np.flatnonzero((flat >= _TWOS) & (flat < _THREES))
        places, words = np.divmod(flat[threes] - _TWOS, NUM_WORDS)
        vectors[threes] = 2 * self.words.words[words].astype(np.int8) - 1
        vectors[threes, places] *= -3

        fours = np.flatnonzero(flat >= _THREES)
        pairs, signs = np.divmod(flat[fours] - _THREES, 4)
        vectors[fours, _pairs()[pairs, 0]] = 8 * (signs >> 1) - 4
        vectors[fours, _pairs()[pairs, 1]] = 8 * (signs & 1) - 4
        return vectors.reshape(*indices.shape, _PLACES)

    def vector_to_index(self, vectors: Int[np.ndarray, "*batch 24"]) -> Int[np.ndarray, "*batch"]:
        """Return the indices of codewords given as integers, int64, shape (...), by rule, without the table.

        Raises:
            InputError: if a vector is not a codeword.
        """
        vectors = np.asarray(vectors)
        if vectors.shape[-1:] != (_PLACES,) or vectors.dtype.kind not in "iu":
            raise InputError(f"expected integers of shape (..., 24), got {vectors.dtype} of shape {vectors.shape}")
        flat = vectors.reshape(-1, _PLACES).astype(np.int64)
        greatest = np.abs(flat).max(1, initial=0)
        indices = np.zeros(len(flat), dtype=np.int64)

        twos = np.flatnonzero(greatest == 2)
        octad_masks, order = _octad_masks(self.octad_code)
        found = np.searchsorted(octad_masks, _mask(flat[twos] != 0)).clip(max=NUM_OCTADS - 1)
        octads = order[found]
        # The last of the eight signs makes their number even, so the first seven are the rank, plus before minus as 1.
        plus = np.take_along_axis(flat[twos], self.octads.octads[octads, :7].astype(np.int64), axis=1) > 0
        indices[twos] = (plus @ (64 >> np.arange(7))) * NUM_OCTADS + octads

        threes = np.flatnonzero(greatest == 3)
        places = np.abs(flat[threes]).argmax(1)
        bits = flat[threes] > 0
        bits[np.arange(len(threes)), places] ^= True
        word_masks, order = _word_masks(self.word_code)
        words = order[np.searchsorted(word_masks, _mask(bits)).clip(max=NUM_WORDS - 1)]
        indices[threes] = _TWOS + places * NUM_WORDS + words

        fours = np.flatnonzero(greatest == 4)
        first = (flat[fours] != 0).argmax(1)
        second = _PLACES - 1 - (flat[fours, ::-1] != 0).argmax(1)
        pairs = first * (2 * _PLACES - 1 - first) // 2 + second - first - 1
        signs = 2 * (flat[fours, first] > 0) + (flat[fours, second] > 0)
        indices[fours] = (_THREES + pairs * 4 + signs).clip(max=_END - 1)

        wrong = (self.index_to_vector(indices) != flat).any(1)
        if wrong.any():
            raise InputError(f"not a word of this codebook: {flat[wrong.argmax()].tolist()}")
        return indices.reshape(vectors.shape[:-1])


LEECH = LeechOrder(octad_code="systematic", word_code="systematic")
LEECH_PUBLISHED = LeechOrder(octad_code="lexicographic", word_code="systematic")


@functools.cache
def _even_signs() -> np.ndarray:
    """Eight signs with an even number of minus signs, in lexicographic order, minus first; int8, shape (128, 8)."""
    bits = (np.arange(256)[:, None] >> np.arange(8)[::-1]) & 1
    return (2 * bits[bits.sum(1) % 2 == 0] - 1).astype(np.int8)


@functools.cache
def _pairs() -> np.ndarray:
    return np.array(list(itertools.combinations(range(_PLACES), 2)))


def _mask(bits: np.ndarray) -> np.ndarray:
    """Rows of 24 bits as integers, position 0 the most significant bit."""
    return bits @ (1 << np.arange(_PLACES, dtype=np.int64)[::-1])


@functools.cache
def _octad_masks(name: str) -> tuple[np.ndarray, np.ndarray]:
    """Octads as masks in ascending order, and which octad each is."""
    bits = np.zeros((NUM_OCTADS, _PLACES), dtype=bool)
    np.put_along_axis(bits, golay_code(name).octads.astype(np.int64), True, axis=1)
    masks = _mask(bits)
    order = masks.argsort()
    return masks[order], order


@functools.cache
def _word_masks(name: str) -> tuple[np.ndarray, np.ndarray]:
    masks = golay_code(name).masks
    order = masks.argsort()
    return masks[order], order
