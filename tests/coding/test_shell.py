"""Frequencies of Leech codewords: those of the weights that they stand for, an inverse, and integers throughout."""

import numpy as np
import pytest
from numba import njit

from workbench.coding import rangecoder
from workbench.coding.fixedpoint import ONE, exp2_down, exp2_table, log2_up
from workbench.coding.shell import GROUPS, code_token, group_sizes, member_sizes, shell_coder
from workbench.errors import InputError
from workbench.lattices.codes.registry import make_code


@njit
def _encode(coder, scores, group_bias, member_bias, indices, data, cost):
    state = rangecoder.start_writing()
    for index in indices:
        code_token(coder, scores, group_bias, member_bias, index, state, data, cost)
    return rangecoder.finish(state, data)


@njit
def _decode(coder, scores, group_bias, member_bias, count, data, cost):
    state = rangecoder.start_reading(data)
    indices = np.empty(count, np.int64)
    for at in range(count):
        indices[at] = code_token(coder, scores, group_bias, member_bias, np.int64(-1), state, data, cost)
    return indices, rangecoder.is_exact(state, data)


def _model(seed, spread):
    """Scores and biases, and the probabilities of all codewords that they stand for, by the definition, in floats."""
    code = make_code("leech")
    coder = shell_coder(code)
    rng = np.random.default_rng(seed)
    scores = (rng.normal(size=(24, 9)) * spread * 1024).astype(np.int32)
    group_bias = (rng.normal(size=GROUPS) * spread * 512).astype(np.int16)
    member_bias = (rng.normal(size=code.size) * spread * 8).astype(np.int8)
    weights = np.exp2(scores[np.arange(24), code.integers.astype(int) + 4].sum(1) / 1024)
    groups = np.bincount(coder.group, weights) * np.exp2(group_bias / 1024)
    weights *= np.exp2(member_bias / 8)
    shares = weights / np.bincount(coder.group, weights)[coder.group] * (groups / groups.sum())[coder.group]
    return coder, (scores, group_bias, member_bias), shares


def test_powers_of_two_are_rounded_down_and_exact():
    table = exp2_table()
    exact = 2.0 ** (30 - np.arange(1024) / 1024)
    assert (table <= exact).all()
    assert (exact - table < 1).all()
    assert exp2_down(table, 0) == ONE
    assert exp2_down(table, 5 * 1024) == ONE >> 5
    assert exp2_down(table, 40 * 1024) == 0


def test_logarithms_invert_powers():
    table = exp2_table()
    assert log2_up(ONE) == 0
    assert log2_up(2 * ONE - 1) == 1023
    for value in np.random.default_rng(0).integers(ONE, 2 * ONE, 500):
        assert 0 <= np.log2(value / ONE) * 1024 - log2_up(int(value)) < 1.01
    for score in range(1, 1024, 31):
        # 2^(1 - score / 1024), of which the table holds half.
        assert abs(log2_up(2 * int(table[score])) - (1024 - score)) <= 1


@pytest.mark.parametrize("spread", [0.0, 0.3, 1.0, 4.0])
def test_frequencies_are_those_of_the_weights(spread):
    coder, (scores, group_bias, member_bias), shares = _model(1, spread)
    sizes = np.empty(GROUPS, np.int64)
    group_sizes(coder, scores, group_bias, sizes)
    assert sizes.sum() == 2**24
    assert sizes.min() >= 1
    groups = np.bincount(coder.group, shares, minlength=GROUPS)
    excess = (groups * np.log2(np.maximum(groups, 1e-300) / (sizes / 2**24))).sum()
    assert excess < 2e-3
    for group in (0, 500, 1000, 4000, 4855, 5130):
        own = np.flatnonzero(coder.group == group)
        count = member_sizes(coder, scores, member_bias, group, sizes, np.empty(128, np.int64))
        assert count == len(own)
        assert sizes[:count].sum() == 2**16
        assert sizes[:count].min() >= 1
        frequencies = np.sort(sizes[:count] / 2**16)
        assert np.abs(frequencies - np.sort(shares[own] / shares[own].sum())).max() < 2e-3


@pytest.mark.parametrize("spread", [0.0, 1.0, 3.0])
def test_a_message_costs_what_its_codewords_cost(spread):
    coder, biased, shares = _model(2, spread)
    indices = np.random.default_rng(3).choice(len(shares), 400, p=shares)
    data, cost, again = np.zeros(20 * 400, np.uint8), np.zeros(1), np.zeros(1)
    length = _encode(coder, *biased, indices, data, cost)
    decoded, exact = _decode(coder, *biased, 400, data[:length], again)
    assert exact
    assert np.array_equal(decoded, indices)
    assert cost[0] == again[0]
    assert abs(8 * length - cost[0]) < 9
    assert abs(cost[0] + np.log2(shares[indices]).sum()) < 0.003 * cost[0] + 4


@pytest.mark.parametrize("name", ["leech", "leech-published"])
def test_every_kind_of_codeword_can_be_coded_however_unlikely(name):
    code = make_code(name)
    coder = shell_coder(code)
    rng = np.random.default_rng(4)
    indices = np.concatenate([rng.integers(0, code.size, 150), [0, 97_151, 97_152, 195_455, 195_456, code.size - 1]])
    for extreme in (0, 2**21, 2**22):
        scores = rng.integers(-extreme, extreme + 1, (24, 9)).astype(np.int32)
        group_bias = rng.integers(-(2**15), 2**15, GROUPS).astype(np.int16)
        member_bias = rng.integers(-128, 128, code.size).astype(np.int8)
        biased = scores, group_bias, member_bias
        data = np.zeros(20 * len(indices), np.uint8)
        length = _encode(coder, *biased, indices, data, np.zeros(1))
        decoded, exact = _decode(coder, *biased, len(indices), data[:length], np.zeros(1))
        assert exact
        assert np.array_equal(decoded, indices)


def test_every_codeword_has_one_place_among_groups_and_members():
    code = make_code("leech")
    coder = shell_coder(code)
    assert sorted(np.bincount(coder.group).tolist()) == [4] * 276 + [24] * 4096 + [128] * 759
    for group in (0, 758, 759, 4854, 4855, GROUPS - 1):
        words = code.integers[coder.group == group]
        threes = np.abs(words) == 3
        # Members of a group agree in where they are not zero; those of a word in the signs, but for the one of the 3.
        shared = np.where(threes, -np.sign(words), np.sign(words)) if threes.any() else words != 0
        assert len(np.unique(shared, axis=0)) == 1


def test_other_codes_are_refused():
    with pytest.raises(InputError, match="full Leech shell"):
        shell_coder(make_code("leech4"))
