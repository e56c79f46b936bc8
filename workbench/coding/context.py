"""The context model: the next token's frequencies from its neighbours, by a small network of integers.

Tokens are decoded row by row. At each place the digits of twelve neighbours that are known already go through one
hidden layer, whose outputs are scores of the nine digits of each of the 24 coordinates; :mod:`workbench.coding.shell`
turns these into a frequency for every codeword of the Leech shell. A residual quantizer's later stages see the digits
of the earlier ones at their own place too. The network is trained in floats and rounded once; what runs here is

    a_j = Σ_n Σ_i W[phase, n, i, j] x_n,i + b[phase, j]       x: 24 digits in [-4, 4], then 1 where there is a neighbour
    h_j = min(max(a_j >> 4, 0), 8191)                         in units of 2⁻⁸
    s_c = (Σ_j V[j, c] h_j + c[phase, c]) >> 8                in units of 2⁻¹⁰ bit

in int32, where it cannot wrap: |a| <= F · 2¹⁷ + 2³⁰ with F < 2¹³ inputs, and a table for which Σ_j |V| · 8191 + |c|
could reach 2³¹ is refused. Sums of integers do not depend on their order, so a file gives the same indices on every
machine.

`phase` is the place modulo a small period in each direction, for tokenizers that treat the phases of a coarse grid
differently; the period is 1 otherwise.
"""

__all__ = ["NEIGHBOURS", "Context", "Stage", "round_stage"]

import hashlib
import math
from collections.abc import Sequence
from types import MappingProxyType
from typing import NamedTuple

import numpy as np

from workbench.coding import rangecoder
from workbench.coding.entropy import EntropyModel, check_indices, damaged
from workbench.coding.shell import GROUPS, MEMBER_STEPS, ShellCoder, code_token, shell_coder, token_bits
from workbench.errors import InputError, ModelError
from workbench.lattices.code import Code
from workbench.lattices.jit import kernel
from workbench.lattices.pool import run_split

# Rows up and columns to the right of each neighbour; a promise of the format.
NEIGHBOURS = (
    *((0, -1), (-1, 0), (-1, -1), (-1, 1), (0, -2), (-2, 0)),
    *((-2, -1), (-2, 1), (-1, -2), (-1, 2), (-2, -2), (-2, 2)),
)
_PLACES = 24
_DIGITS = 9
_SLOTS = _PLACES + 1
_MOST_HIDDEN = 8191
_INPUT_BITS, _HIDDEN_BITS, _SCORE_BITS = 12, 8, 10
_MOST_MEMBER_BIAS = 127 / MEMBER_STEPS * math.log(2)  # in nats, what int8 holds
_TOKEN_BYTES = 6  # more than code_token writes: 24 + 16 bits, and what is cut off


class Stage(NamedTuple):
    """The network of one stage, all integers; P is the period, F the number of inputs, H that of hidden units.

    Attributes:
        weights: W, int16, shape (P², F, H); F = 12 · 25 + 24 · (earlier stages).
        bias: b, int32, shape (P², H), at most 2³⁰ in magnitude.
        score_weights: V, int16, shape (H, 216).
        score_bias: c, int32, shape (P², 216).
        group_bias: Score added to each group of codewords, int16, shape (P², 5131).
        member_bias: For each codeword within its group, in eighths of a bit, int8, shape (P², K); or (0, K), all zero.
    """

    weights: np.ndarray
    bias: np.ndarray
    score_weights: np.ndarray
    score_bias: np.ndarray
    group_bias: np.ndarray
    member_bias: np.ndarray


_DTYPES = MappingProxyType(
    {
        "weights": "<i2",
        "bias": "<i4",
        "score_weights": "<i2",
        "score_bias": "<i4",
        "group_bias": "<i2",
        "member_bias": "i1",
    }
)


def _neighbour_offsets() -> np.ndarray:
    return np.array(NEIGHBOURS, np.int64)


def num_inputs(stage: int) -> int:
    """Number of inputs, F, of the network of a stage, counted from 0."""
    return len(NEIGHBOURS) * _SLOTS + stage * _PLACES


class Context(EntropyModel):
    """Frequencies that depend on the neighbours already decoded.

    Args:
        code: A full Leech shell.
        stages: The networks, one a stage.

    Raises:
        InputError: if the code is another.
        ModelError: if a table has the wrong type or shape, or could overflow.
    """

    name = "context"

    def __init__(self, code: Code, stages: Sequence[Stage]) -> None:
        self.size = code.size
        self._coder = shell_coder(code)
        for number, stage in enumerate(stages):
            _check_stage(stage, number, code.size)
        if not stages:
            raise ModelError("the context model needs the tables of at least one stage, got none")
        digest = hashlib.blake2b(digest_size=4, person=b"context")
        for stage in stages:
            for name, table in stage._asdict().items():
                digest.update(table.astype(_DTYPES[name]).tobytes())
        self.digest = digest.digest()
        self._stages = tuple(_full(stage) for stage in stages)

    def encode(self, indices: np.ndarray) -> bytes:
        """See :meth:`EntropyModel.encode`.

        Raises:
            InputError: also if there are more stages than networks.
        """
        return self._encode(indices)[0]

    def bits(self, indices: np.ndarray) -> float:
        """See :meth:`EntropyModel.bits`."""
        return self._encode(indices)[1]

    def token_bits(self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """See :meth:`EntropyModel.token_bits`."""
        return self._candidate_bits(indices, places, candidates, dependents=False)

    def grid_bits(self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """See :meth:`EntropyModel.grid_bits`: of the token and of those that have it as a neighbour."""
        return self._candidate_bits(indices, places, candidates, dependents=True)

    def decode(self, payload: bytes, shape: tuple[int, int, int]) -> np.ndarray:
        """See :meth:`EntropyModel.decode`."""
        self._check_depth(shape[0])
        indices = np.full(shape, -1, np.int64)
        data, cost = np.frombuffer(bytearray(payload), np.uint8), np.zeros(1)  # writable, as when encoding
        state = rangecoder.start_reading(data)
        for number in range(shape[0]):
            # Stops at a row once the payload cannot be right any more; what is left of the indices is then -1.
            _code_stage(self._coder, self._stages[number], _neighbour_offsets(), indices, number, state, data, cost)
        if not rangecoder.is_exact(state, data):
            raise damaged(self.name, payload, shape)
        return indices

    def _candidate_bits(
        self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray, *, dependents: bool
    ) -> np.ndarray:
        indices = check_indices(indices, self.size)
        self._check_depth(len(indices))
        places, candidates = np.ascontiguousarray(places), np.ascontiguousarray(candidates)  # one type for the kernel
        around = np.concatenate([np.zeros((1, 2), np.int64), -_neighbour_offsets()])[: 13 if dependents else 1]
        total = np.zeros(candidates.shape[:2])

        def count(start: int, stop: int) -> None:
            grid = indices.copy()  # a candidate stands in it while it is counted
            for number in range(len(indices)):
                _count_bits(
                    self._coder, self._stages[number], _neighbour_offsets(), grid, number, around,
                    places[start:stop], candidates[start:stop], total[start:stop],
                )  # fmt: skip

        run_split(count, len(places), block=32)
        return total

    def _encode(self, indices: np.ndarray) -> tuple[bytes, float]:
        indices = check_indices(indices, self.size)
        self._check_depth(len(indices))
        data, cost = np.zeros(_TOKEN_BYTES * indices.size + 16, np.uint8), np.zeros(1)
        state = rangecoder.start_writing()
        for number in range(len(indices)):
            _code_stage(self._coder, self._stages[number], _neighbour_offsets(), indices, number, state, data, cost)
        return data[: rangecoder.finish(state, data)].tobytes(), float(cost[0])

    def _check_depth(self, depth: int) -> None:
        if depth > len(self._stages):
            raise InputError(f"the context model is for {len(self._stages)} stages, the indices have {depth}")


def round_stage(
    *,
    weights: np.ndarray,
    bias: np.ndarray,
    score_weights: np.ndarray,
    score_bias: np.ndarray,
    group_bias: np.ndarray,
    member_bias: np.ndarray,
) -> Stage:
    """Round a network of floats, whose scores are natural logarithms of weights, to the integers that run.

    Args:
        weights: Shape (P², F, H), for digits and for the 1 of a neighbour that is there.
        bias: Shape (P², H).
        score_weights: Shape (H, 216).
        score_bias: Shape (P², 216).
        group_bias: Shape (P², 5131).
        member_bias: Shape (P², K), or (0, K) where there is none; what does not fit into int8 is cut.

    Raises:
        ModelError: if a weight is too large for its integers.
    """
    nats = 1 / math.log(2)
    units = {
        "weights": 2.0**_INPUT_BITS,
        "bias": 2.0**_INPUT_BITS,
        "score_weights": nats * 2.0**_SCORE_BITS,
        "score_bias": nats * 2.0 ** (_SCORE_BITS + _HIDDEN_BITS),
        "group_bias": nats * 2.0**_SCORE_BITS,
        "member_bias": nats * MEMBER_STEPS,
    }
    given = {
        "weights": weights, "bias": bias, "score_weights": score_weights, "score_bias": score_bias,
        "group_bias": group_bias, "member_bias": np.clip(member_bias, -_MOST_MEMBER_BIAS, _MOST_MEMBER_BIAS),
    }  # fmt: skip
    rounded = {}
    for name, values in given.items():
        scaled = np.rint(np.asarray(values, np.float64) * units[name])
        limit = np.iinfo(_DTYPES[name]).max
        if not (np.abs(scaled) <= limit).all():
            raise ModelError(f"{name} reach {np.abs(scaled).max():.0f} in integer units, at most {limit} fit")
        rounded[name] = scaled.astype(_DTYPES[name])
    stage = Stage(**rounded)
    _check_stage(stage, max(0, (stage.weights.shape[1] - num_inputs(0)) // _PLACES), stage.member_bias.shape[1])
    return stage


def _check_stage(stage: Stage, number: int, size: int) -> None:
    """Check types, shapes and that nothing can wrap."""
    phases, _, hidden = stage.weights.shape if stage.weights.ndim == 3 else (0, 0, 0)
    shapes = {
        "weights": (phases, num_inputs(number), hidden),
        "bias": (phases, hidden),
        "score_weights": (hidden, _PLACES * _DIGITS),
        "score_bias": (phases, _PLACES * _DIGITS),
        "group_bias": (phases, GROUPS),
        "member_bias": (phases if len(stage.member_bias) else 0, size),
    }
    for name, table in stage._asdict().items():
        if table.shape != shapes[name] or table.dtype != np.dtype(_DTYPES[name]) or not stage.weights.size:
            raise ModelError(
                f"context tables, stage {number}: expected {name} as {np.dtype(_DTYPES[name])} of shape "
                f"{shapes[name]}, got {table.dtype} of shape {table.shape}"
            )
    if math.isqrt(phases) ** 2 != phases or phases > 64:
        raise ModelError(f"context tables, stage {number}: {phases} phases are not those of a square period up to 8")
    reach = np.abs(stage.score_weights.astype(np.int64)).sum(0) * _MOST_HIDDEN
    if (reach + np.abs(stage.score_bias.astype(np.int64)) >= 2**31).any() or (
        np.abs(stage.bias.astype(np.int64)) > 2**30
    ).any():
        raise ModelError(f"context tables, stage {number}: a sum could leave 32 bits; the table is damaged")


def _full(stage: Stage) -> Stage:
    """The stage with every table written out, as the compiled loops read them."""
    if not len(stage.member_bias):
        stage = stage._replace(member_bias=np.zeros((len(stage.weights), stage.member_bias.shape[1]), np.int8))
    return Stage(*map(np.ascontiguousarray, stage))


@kernel
def _code_stage(
    coder: ShellCoder,
    stage: Stage,
    offsets: np.ndarray,
    indices: np.ndarray,
    number: int,
    state: np.ndarray,
    data: np.ndarray,
    cost: np.ndarray,
) -> None:
    """Encode one stage of indices (depth, h, w), or decode into it where it holds -1."""
    _, rows, columns = indices.shape
    scores, hidden = np.empty((24, 9), np.int32), np.empty(stage.weights.shape[2], np.int32)
    for row in range(rows):
        if rangecoder.is_lost(state):
            return
        for column in range(columns):
            phase = _predict(coder, stage, offsets, indices, number, row, column, hidden, scores)
            indices[number, row, column] = code_token(
                coder, scores, stage.group_bias[phase], stage.member_bias[phase],
                indices[number, row, column], state, data, cost,
            )  # fmt: skip


@kernel
def _count_bits(
    coder: ShellCoder,
    stage: Stage,
    offsets: np.ndarray,
    indices: np.ndarray,
    number: int,
    around: np.ndarray,
    places: np.ndarray,
    candidates: np.ndarray,
    bits: np.ndarray,
) -> None:
    """Add to `bits` (n, k) the code lengths, in one stage, of the tokens at `places + around`, for each candidate."""
    _, rows, columns = indices.shape
    scores, hidden = np.empty((24, 9), np.int32), np.empty(stage.weights.shape[2], np.int32)
    own = np.empty(candidates.shape[1])
    for n in range(places.shape[0]):
        row, column = places[n]
        now = indices[:, row, column].copy()
        if number == 0:  # nothing before the token depends on it: one prediction serves all candidates
            phase = _predict(coder, stage, offsets, indices, number, row, column, hidden, scores)
            token_bits(coder, scores, stage.group_bias[phase], stage.member_bias[phase], candidates[n, :, 0], own)
            bits[n] += own
        for k in range(candidates.shape[1]):
            indices[:, row, column] = candidates[n, k]
            for near in range(0 if number else 1, around.shape[0]):
                below, beside = row + around[near, 0], column + around[near, 1]
                if 0 <= below < rows and 0 <= beside < columns:
                    phase = _predict(coder, stage, offsets, indices, number, below, beside, hidden, scores)
                    token = indices[number, below, beside : beside + 1]
                    token_bits(coder, scores, stage.group_bias[phase], stage.member_bias[phase], token, own[:1])
                    bits[n, k] += own[0]
        indices[:, row, column] = now


@kernel
def _predict(
    coder: ShellCoder,
    stage: Stage,
    offsets: np.ndarray,
    indices: np.ndarray,
    number: int,
    row: int,
    column: int,
    hidden: np.ndarray,
    scores: np.ndarray,
) -> int:
    """Run the network for a place: writes hidden layer, int32 (H,), and scores, int32 (24, 9); returns the phase."""
    period = 1
    while period * period < stage.weights.shape[0]:
        period += 1
    phase = (row % period) * period + column % period
    _add_inputs(coder, stage.weights[phase], stage.bias[phase], offsets, indices, number, row, column, hidden)
    _score(stage.score_weights, stage.score_bias[phase], hidden, scores.reshape(-1))
    return phase


@kernel
def _add_inputs(
    coder: ShellCoder,
    weights: np.ndarray,
    bias: np.ndarray,
    offsets: np.ndarray,
    indices: np.ndarray,
    number: int,
    row: int,
    column: int,
    hidden: np.ndarray,
) -> None:
    """Write the hidden layer, int32 of shape (H,), for a place."""
    _, rows, columns = indices.shape
    hidden[:] = bias
    slot = 0
    for near in range(offsets.shape[0]):
        above, beside = row + offsets[near, 0], column + offsets[near, 1]
        if 0 <= above < rows and 0 <= beside < columns:
            _add_digits(coder.digits[indices[number, above, beside]], weights[slot : slot + 24], hidden)
            there = weights[slot + 24]
            for unit in range(hidden.size):
                hidden[unit] += np.int32(there[unit])
        slot += 25
    for earlier in range(number):
        _add_digits(coder.digits[indices[earlier, row, column]], weights[slot : slot + 24], hidden)
        slot += 24
    for unit in range(hidden.size):
        hidden[unit] = min(max(hidden[unit] >> 4, 0), 8191)


@kernel
def _add_digits(digits: np.ndarray, weights: np.ndarray, hidden: np.ndarray) -> None:
    for place in range(24):
        if digits[place] != 0:
            digit = np.int32(digits[place])
            line = weights[place]
            for unit in range(hidden.size):
                hidden[unit] += digit * np.int32(line[unit])


@kernel
def _score(weights: np.ndarray, bias: np.ndarray, hidden: np.ndarray, scores: np.ndarray) -> None:
    """Write the scores, int32 of shape (216,), for a hidden layer."""
    scores[:] = bias
    for unit in range(hidden.size):
        if hidden[unit] != 0:
            height = hidden[unit]
            line = weights[unit]
            for slot in range(scores.size):
                scores[slot] += height * np.int32(line[slot])
    for slot in range(scores.size):
        scores[slot] >>= 8
