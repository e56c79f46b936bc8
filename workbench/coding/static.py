"""The static model: one frequency for each codeword, counted on training pictures.

The frequencies of the K codewords are integers of sum 2²⁴, none of them zero, so every index can be coded: a codeword
never seen in training costs at most 24 bits. What a file of tables holds are *levels*, one byte a codeword, from which
the frequencies follow in integers: in proportion to 2^(level / 8). Rounding to an eighth of an octave costs less than
a thousandth of a bit a token.

Each stage of a residual quantizer has levels of its own, and so has each *phase*: the place of a token modulo a small
period in each direction, for tokenizers that treat the phases of a coarse grid differently. The period is 1 otherwise.

Counts are smoothed by absolute discounting: every codeword that was seen gives up a part d < 1 of its count, which is
shared out by a coarser law: a blend of the other phases' law and of even use. Phases may use the same codewords, or
hardly one in common; the weight in the blend is the likeliest for the codewords that a phase has seen once.
Source: Ney, Essen, Kneser, "On structuring probabilistic dependences in stochastic language modelling", 1994.
"""

__all__ = ["SUM_BITS", "Static", "fit_static", "frequencies_of_levels", "static_laws", "to_levels"]

import hashlib
import math
from collections.abc import Iterable

import numpy as np

from workbench.coding import rangecoder
from workbench.coding.entropy import EntropyModel, check_indices, damaged
from workbench.coding.fixedpoint import SCORE, exp2_table
from workbench.coding.rangecoder import Int, capacity
from workbench.errors import InputError, ModelError
from workbench.lattices.jit import kernel

SUM_BITS = 24
_TOP = 255
_STEPS = 8  # levels an octave
_ROUNDS = 12  # of the fit of one weight, which moves little after a few


class Static(EntropyModel):
    """Frequencies that depend on the codeword, and on no other token.

    Args:
        levels: uint8, shape (depth, P², K) for a period P.

    Raises:
        ModelError: if they are anything else.
    """

    name = "static"

    def __init__(self, levels: np.ndarray) -> None:
        if levels.ndim != 3 or levels.dtype != np.uint8 or not levels.size:
            raise ModelError(f"expected uint8 levels of shape (depth, P², K), got {levels.dtype} of {levels.shape}")
        self.depth, phases, self.size = levels.shape
        self._period = math.isqrt(phases)
        if self._period**2 != phases or self.size > 2 ** (SUM_BITS - 1):
            raise ModelError(
                f"expected levels of P² phases and at most {2 ** (SUM_BITS - 1):,} codewords, got {phases} phases "
                f"of {self.size:,}: the table is damaged"
            )
        self.digest = hashlib.blake2b(
            np.ascontiguousarray(levels).tobytes() + str(levels.shape).encode(), digest_size=4, person=b"static"
        ).digest()
        self._bounds = np.zeros((self.depth, phases, self.size + 1), np.int64)
        np.cumsum(frequencies_of_levels(levels), axis=2, out=self._bounds[..., 1:])

    def encode(self, indices: np.ndarray) -> bytes:
        """See :meth:`EntropyModel.encode`.

        Raises:
            InputError: also if there are more stages than the levels are for.
        """
        indices = self._check(check_indices(indices, self.size))
        buffer = np.zeros(capacity(indices.size), np.uint8)
        return buffer[: _encode(indices, self._bounds, self._period, buffer)].tobytes()

    def decode(self, payload: bytes, shape: tuple[int, int, int]) -> np.ndarray:
        """See :meth:`EntropyModel.decode`."""
        indices = self._check(np.empty(shape, np.int64))
        if not _decode(np.frombuffer(payload, np.uint8), self._bounds, self._period, indices):
            raise damaged(self.name, payload, shape)
        return indices

    def bits(self, indices: np.ndarray) -> float:
        """See :meth:`EntropyModel.bits`."""
        indices = self._check(check_indices(indices, self.size))
        stages, phases = np.arange(len(indices))[:, None, None], _phases(indices.shape, self._period)
        shares = self._bounds[stages, phases, indices + 1] - self._bounds[stages, phases, indices]
        return float(indices.size * SUM_BITS - np.log2(shares).sum())

    def token_bits(self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """See :meth:`EntropyModel.token_bits`."""
        self._check(indices)
        stages, phases = np.arange(len(indices)), _phases(indices.shape, self._period)[0][places[:, 0], places[:, 1]]
        phases = phases[:, None, None]
        shares = self._bounds[stages, phases, candidates + 1] - self._bounds[stages, phases, candidates]
        return (SUM_BITS - np.log2(shares)).sum(-1)

    def _check(self, indices: np.ndarray) -> np.ndarray:
        if len(indices) > self.depth:
            raise InputError(f"the static model is for {self.depth} stages, the indices have {len(indices)}")
        return indices


def frequencies_of_levels(levels: np.ndarray) -> np.ndarray:
    """Frequencies for uint8 levels (..., K): at least 1 each, of sum 2²⁴ exactly; int64, same shape. Integers only."""
    down = (_TOP - levels.astype(np.int64)) * (SCORE // _STEPS)
    weights = exp2_table()[down % SCORE] >> (down // SCORE)  # at most 2^30 each, so their sum is below 2^54
    spare = 2**SUM_BITS - levels.shape[-1]
    total = np.maximum(weights.sum(-1, keepdims=True), 1)
    frequencies = 1 + weights * spare // total
    best = levels.argmax(-1)[..., None]
    rest = 2**SUM_BITS - frequencies.sum(-1, keepdims=True)
    np.put_along_axis(frequencies, best, np.take_along_axis(frequencies, best, -1) + rest, -1)
    return frequencies


def to_levels(weights: np.ndarray) -> np.ndarray:
    """Levels whose frequencies are nearly in proportion to positive weights (..., K); uint8, same shape.

    Raises:
        InputError: if a weight is not positive and finite.
    """
    weights = np.asarray(weights, np.float64)
    if not (np.isfinite(weights).all() and (weights > 0).all()):
        raise InputError("frequencies need positive finite weights")
    levels = _TOP + np.rint(_STEPS * np.log2(weights / weights.max(-1, keepdims=True)))
    return np.maximum(levels, 0).astype(np.uint8)


def fit_static(grids: Iterable[np.ndarray], size: int, *, period: int = 1) -> np.ndarray:
    """Count codewords and return levels for :class:`Static`: uint8, shape (depth, P², K); see :func:`static_laws`."""
    return to_levels(static_laws(grids, size, period=period))


def static_laws(grids: Iterable[np.ndarray], size: int, *, period: int = 1) -> np.ndarray:
    """Count codewords, smooth, and return probabilities, all above zero: float64, shape (depth, P², K).

    Args:
        grids: Indices of training pictures, each of shape (depth, h, w).
        size: Number of codewords, K.
        period: P, 1 where the place of a token does not matter.

    Raises:
        InputError: if there are no grids, or they differ in depth.
    """
    counts: np.ndarray | None = None
    for grid in grids:
        grid = check_indices(grid, size)
        if counts is None:
            counts = np.zeros((len(grid), period**2, size))
        if len(grid) != len(counts):
            raise InputError(f"grids of {len(counts)} and of {len(grid)} stages cannot be counted together")
        slots = _phases(grid.shape, period)[0] * size + grid
        for stage, count in zip(slots, counts, strict=True):
            # Not through bincount, which would make K numbers for every phase of every small picture.
            np.add.at(count.reshape(-1), stage.ravel(), 1)
    if counts is None:
        raise InputError("frequencies need at least one grid of training tokens, got none")
    even = np.full(size, 1 / size)
    laws = np.empty_like(counts)
    for stage, law in zip(counts, laws, strict=True):
        everywhere = stage.sum(0)
        for count, row in zip(stage, law, strict=True):
            coarser = even if period == 1 else _blend(_discounted(everywhere - count, even), even, count == 1)
            row[:] = _discounted(count, coarser)
    return laws


def _discounted(counts: np.ndarray, coarser: np.ndarray) -> np.ndarray:
    """The law of counts (K,), smoothed by a coarser law (K,)."""
    once, twice = (counts == 1).sum(), (counts == 2).sum()
    part = once / (once + 2 * twice) if once and twice else 0.5
    kept = np.maximum(counts - part, 0)
    # One token of the coarser law keeps it alive where nothing was seen, or nothing only once.
    law = kept + (counts.sum() - kept.sum() + 1) * coarser
    return law / law.sum()


def _blend(law: np.ndarray, even: np.ndarray, seen: np.ndarray) -> np.ndarray:
    """The mixture of two laws (K,) that is likeliest for the codewords of a mask (K,), by expectation maximisation."""
    share = 0.5
    for _ in range(_ROUNDS if seen.any() else 0):
        first = share * law[seen]
        share = float((first / (first + (1 - share) * even[seen])).mean())
    return share * law + (1 - share) * even


def _phases(shape: tuple[int, ...], period: int) -> np.ndarray:
    """Phase of each place of a grid (depth, h, w), int64, shape (1, h, w)."""
    rows, columns = np.arange(shape[1]) % period, np.arange(shape[2]) % period
    return (rows[:, None] * period + columns)[None]


@kernel
def _encode(indices: np.ndarray, bounds: np.ndarray, period: int, buffer: np.ndarray) -> Int:
    state = rangecoder.start_writing()
    depth, rows, columns = indices.shape
    for stage in range(depth):
        for row in range(rows):
            for column in range(columns):
                law = bounds[stage, (row % period) * period + column % period]
                index = indices[stage, row, column]
                rangecoder.put(state, buffer, law[index], law[index + 1] - law[index], SUM_BITS)
    return rangecoder.finish(state, buffer)


@kernel
def _decode(payload: np.ndarray, bounds: np.ndarray, period: int, indices: np.ndarray) -> bool:
    state = rangecoder.start_reading(payload)
    depth, rows, columns = indices.shape
    for stage in range(depth):
        for row in range(rows):
            if rangecoder.is_lost(state):
                return False
            for column in range(columns):
                law = bounds[stage, (row % period) * period + column % period]
                index = np.searchsorted(law, rangecoder.locate(state, SUM_BITS), side="right") - 1
                indices[stage, row, column] = index
                rangecoder.take(state, payload, law[index], law[index + 1] - law[index], SUM_BITS)
    return rangecoder.is_exact(state, payload)
