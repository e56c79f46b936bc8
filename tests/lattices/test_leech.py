"""Laws of the Leech shell and of its order; the published codebook keeps all of them but one."""

import hashlib
import io

import numpy as np
import pytest

from workbench.errors import InputError
from workbench.lattices.codes.leech import LEECH, LEECH_PUBLISHED, SHAPE_STARTS, LeechOrder
from workbench.lattices.codes.registry import make_code

SHELL_CENSUS = {-32: 1, -16: 4600, -8: 47_104, 0: 93_150, 8: 47_104, 16: 4600, 32: 1}
SHAPES = {"twos": slice(0, 97_152), "threes": slice(97_152, 195_456), "fours": slice(195_456, 196_560)}
ALL = np.arange(196_560)


def census(table, row):
    """How often each inner product with one row occurs."""
    values, counts = np.unique(table.astype(np.float32) @ table[row].astype(np.float32), return_counts=True)
    return dict(zip(values.astype(int).tolist(), counts.tolist(), strict=True))


def some_rows(seed, each=4):
    rng = np.random.default_rng(seed)
    return np.concatenate([rng.integers(part.start, part.stop, each) for part in SHAPES.values()])


def is_shell(table):
    """The laws that a first shell of the Leech lattice obeys, on a few rows of every shape."""
    norms = np.einsum("kd,kd->k", table, table, dtype=np.int64)
    distinct = len(np.unique(np.ascontiguousarray(table).view(f"V{table.shape[1]}")))
    return (
        len(table) == distinct == 196_560
        and (norms == 32).all()
        and all(census(table, row) == SHELL_CENSUS for row in some_rows(0))
    )


@pytest.mark.parametrize("name", ["leech", "leech-published"])
def test_counts_norms_and_shapes(name):
    table = make_code(name).integers
    assert table.shape == (196_560, 24)
    assert (np.einsum("kd,kd->k", table, table, dtype=np.int64) == 32).all()
    assert len(np.unique(table.view("V24"))) == 196_560
    for part, entries in zip(SHAPES.values(), ([8, 16], [1, 23], [2, 22]), strict=True):
        greatest = np.abs(table[part]).max(1, keepdims=True)
        counts = (np.abs(table[part]) == greatest).sum(1)
        assert (counts == entries[0]).all()
    assert (np.abs(table[SHAPES["threes"]]).min(1) == 1).all()


@pytest.mark.parametrize("name", ["leech", "leech-published"])
def test_sum_is_zero_and_the_second_moment_is_the_same_in_every_direction(name):
    table = make_code(name).integers.astype(float)  # sums of integers this small are exact
    assert not table.sum(0).any()
    # Σ v vᵀ / K = 32 · I / 24 in integers, I / 24 at norm 1.
    assert np.array_equal(24 * (table.T @ table), 32 * 196_560 * np.eye(24))


def test_inner_products_of_the_true_shell():
    table = make_code("leech").integers
    for row in some_rows(1, each=8):
        assert census(table, row) == SHELL_CENSUS


@pytest.mark.parametrize("code", ["lexicographic", "systematic"])
def test_one_golay_code_for_both_shapes_gives_a_shell(code):
    assert is_shell(LeechOrder(code, code).table())


def flip_an_octad_sign(table):
    table[5, np.flatnonzero(table[5])[0]] *= -1  # an odd number of minus signs
    return table


def plus_three(table):
    threes = table[SHAPES["threes"]]
    threes[np.abs(threes) == 3] *= -1  # the 3 with the sign of its word, in place of the opposite one
    return table


def swap_positions_of_the_twos(table):
    table[SHAPES["twos"], :2] = table[SHAPES["twos"], 1::-1].copy()
    return table


@pytest.mark.parametrize("mutate", [plus_three, swap_positions_of_the_twos])
def test_a_mutated_construction_is_no_shell(mutate):
    assert is_shell(make_code("leech").integers.copy())
    assert not is_shell(mutate(make_code("leech").integers.copy()))


def test_one_wrong_sign_is_seen_from_its_own_row():
    table = flip_an_octad_sign(make_code("leech").integers.copy())
    assert census(table, 5) != SHELL_CENSUS


def test_published_codebook_breaks_the_inner_product_law_alone():
    """Only between twos and threes do products of 4, 12 and 20 occur; the least distance is √(2 - 2·20/32) = √3/2."""
    table = make_code("leech-published").integers
    assert not is_shell(table)
    twos, threes, fours = (table[part].astype(np.float32) for part in SHAPES.values())
    rng = np.random.default_rng(2)
    for part in (twos, threes, fours):
        own = part @ part[rng.integers(0, len(part), 6)].T
        assert set(np.unique(own)) <= set(SHELL_CENSUS)
    for part in (twos, threes):
        assert set(np.unique(part @ fours[rng.integers(0, len(fours), 6)].T)) <= set(SHELL_CENSUS)
    products = np.unique(twos @ threes[rng.integers(0, len(threes), 40)].T)
    assert set(products) == {-20, -16, -12, -8, -4, 0, 4, 8, 12, 16, 20}
    assert np.isclose(np.sqrt(2 - 2 * products.max() / 32), np.sqrt(3) / 2)


@pytest.mark.parametrize(("name", "least"), [("leech", 1.0), ("leech-published", np.sqrt(3) / 2)])
def test_least_distance(name, least):
    vectors = make_code(name).vectors().double()
    distances = np.concatenate([(vectors - vectors[row]).norm(dim=1).numpy() for row in some_rows(3)])
    assert np.isclose(distances[distances > 1e-3].min(), least)


def npy(integers):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, integers / np.sqrt(32.0), version=(1, 0))
    return hashlib.sha256(buffer.getvalue()).hexdigest()


def test_published_files_are_reproduced_bit_for_bit():
    table = make_code("leech-published").integers
    assert npy(table) == "bf1efb0591b23f76a08a7cd8a5d6b3bcfb028717a26eb628b3169ee41ad013ab"
    assert npy(table[SHAPES["twos"]]) == "282b9f616e2b076ad0d7a09f40f816fc0db98ddc93e32783a7aaee9060d8af7e"
    assert npy(table[SHAPES["threes"]]) == "341e48f6cb3099ce5da7224b06a13368cd7ef5564fa9f3ce2e6865760f535868"
    assert npy(table[SHAPES["fours"]]) == "aa7804d5c1f192a8d1b1407f10a445848a82f06939a4b8d7fa7e55f176959fc3"


def test_order_is_pinned():
    fingerprints = {name: make_code(name).fingerprint for name in ("leech", "leech2", "leech3", "leech4")}
    assert fingerprints["leech"].startswith("c1a07712983c")
    assert SHAPE_STARTS == (0, 97_152, 195_456, 196_560)
    for entry, part in zip((2, 3, 4), SHAPES.values(), strict=True):
        code = make_code(f"leech{entry}")
        assert np.array_equal(code.integers, make_code("leech").integers[part])


def test_first_and_last_rows_of_each_shape():
    table = make_code("leech-published").integers
    assert table[0].tolist() == [-2] * 8 + [0] * 16
    assert table[97_152].tolist() == [3] + [-1] * 23
    assert table[195_456].tolist() == [-4, -4] + [0] * 22
    assert table[-1].tolist() == [0] * 22 + [4, 4]


@pytest.mark.parametrize("name", ["leech", "leech-published"])
def test_antipodes(name):
    table = make_code(name).integers
    sign, octad = np.divmod(ALL[:97_152], 759)
    place, word = np.divmod(ALL[:98_304], 4096)
    pair, signs = np.divmod(ALL[:1104], 4)
    antipodes = np.concatenate(
        [(127 - sign) * 759 + octad, 97_152 + place * 4096 + 4095 - word, 195_456 + 4 * pair + 3 - signs]
    )
    assert np.array_equal(table[antipodes], -table)


@pytest.mark.parametrize(("name", "order"), [("leech", LEECH), ("leech-published", LEECH_PUBLISHED)])
def test_index_and_vector_by_rule_are_inverse(name, order):
    vectors = order.index_to_vector(ALL)
    assert vectors.dtype == np.int8
    assert np.array_equal(vectors, make_code(name).integers)
    assert np.array_equal(order.vector_to_index(vectors), ALL)


def test_by_rule_keeps_the_shape_of_a_batch():
    indices = np.array([[0, 97_152, 195_456], [97_151, 195_455, 196_559]])
    vectors = LEECH.index_to_vector(indices)
    assert vectors.shape == (2, 3, 24)
    assert np.array_equal(LEECH.vector_to_index(vectors), indices)
    assert LEECH.index_to_vector(np.zeros((0,), int)).shape == (0, 24)
    assert LEECH.vector_to_index(np.zeros((0, 24), int)).shape == (0,)


@pytest.mark.parametrize("index", [-1, 196_560])
def test_index_out_of_range(index):
    with pytest.raises(InputError, match=f"got {index}"):
        LEECH.index_to_vector(np.array([3, index]))


def test_vectors_that_are_no_codewords():
    good = LEECH.index_to_vector(np.array([17, 100_000, 196_000])).astype(int)
    wrong = [np.zeros(24, int), np.ones(24, int), 2 * good[0]]
    for row in good:
        for place in range(24):
            changed = row.copy()
            changed[place] = -changed[place] if changed[place] else 1
            if np.abs(row).max() < 4 or not row[place]:
                wrong.append(changed)
    for vector in wrong:
        with pytest.raises(InputError, match="not a word"):
            LEECH.vector_to_index(vector)
    with pytest.raises(InputError, match="expected integers"):
        LEECH.vector_to_index(good[0].astype(float))
