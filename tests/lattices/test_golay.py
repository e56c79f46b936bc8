"""Laws of the extended binary Golay code, in both of its coordinate orders."""

import itertools

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.lattices.golay.code import GolayCode, golay_code

NAMES = ["lexicographic", "systematic"]


@pytest.mark.parametrize("name", NAMES)
def test_weights(name):
    weights, counts = np.unique(golay_code(name).words.sum(1, dtype=int), return_counts=True)
    assert dict(zip(weights.tolist(), counts.tolist(), strict=True)) == {0: 1, 8: 759, 12: 2576, 16: 759, 24: 1}


@pytest.mark.parametrize("name", NAMES)
def test_self_dual(name):
    code = golay_code(name)
    words = code.words.astype(int)
    assert not ((code.generator.astype(int) @ words.T) % 2).any()
    assert len(np.unique(code.masks)) == 4096 == 2 ** (24 // 2)


@pytest.mark.parametrize("name", NAMES)
def test_doubly_even_and_closed(name):
    code = golay_code(name)
    assert not (code.words.sum(1, dtype=int) % 4).any()
    assert np.isin(code.masks[:64, None] ^ code.masks, code.masks).all()


@pytest.mark.parametrize("name", NAMES)
def test_any_five_positions_lie_in_one_octad(name):
    octads = golay_code(name).octads.tolist()
    fives = {five for octad in octads for five in itertools.combinations(octad, 5)}
    assert len(fives) == 759 * 56 == 42_504  # all fives of 24, none twice


@pytest.mark.parametrize("name", NAMES)
def test_order_of_words_and_octads(name):
    code = golay_code(name)
    bits = (np.arange(4096)[:, None] >> np.arange(12)[::-1]) & 1
    assert np.array_equal(code.words, (bits @ code.generator.astype(int)) % 2)
    assert np.array_equal(code.masks, code.words.astype(int) @ (1 << np.arange(24)[::-1]))
    assert code.octads.tolist() == sorted(code.octads.tolist())
    assert (np.diff(code.octads.astype(int)) > 0).all()


def test_systematic_words_carry_their_message_in_front():
    bits = (np.arange(4096)[:, None] >> np.arange(12)[::-1]) & 1
    assert np.array_equal(golay_code("systematic").words[:, :12], bits)


def test_lexicographic_code_is_the_lexicode():
    """Every word is the least number at distance 8 or more from all before it."""
    masks = np.sort(golay_code("lexicographic").masks)
    basis = masks[[1 << bit for bit in range(12)]]
    assert basis[:3].tolist() == [0x0000FF, 0x000F0F, 0x003333]
    assert golay_code("lexicographic").octads[[0, 1, -1]].tolist() == [
        [0, 1, 2, 3, 4, 5, 6, 7],
        [0, 1, 2, 3, 8, 9, 10, 11],
        [16, 17, 18, 19, 20, 21, 22, 23],
    ]


def test_the_two_share_four_words_and_no_octad():
    first, second = (golay_code(name) for name in NAMES)
    shared = np.intersect1d(first.masks, second.masks)
    assert len(shared) == 4
    assert not {tuple(o) for o in first.octads.tolist()} & {tuple(o) for o in second.octads.tolist()}


def test_any_bit_of_the_generator_matters():
    for row, column in itertools.product(range(0, 12, 3), range(24)):
        generator = golay_code("systematic").generator.copy()
        generator[row, column] ^= 1
        with pytest.raises(InputError, match="not the extended Golay code"):
            GolayCode("mutant", generator)


def test_errors():
    with pytest.raises(InputError, match="12 × 24"):
        GolayCode("short", np.zeros((12, 23), np.uint8))
    with pytest.raises(InputError, match="did you mean 'systematic'"):
        golay_code("sistematic")
