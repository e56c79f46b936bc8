"""The fixed and the static model: inverses whose length is their cross-entropy, for every index and every shape."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.coding.entropy import NUMBERS, name_of_number, number_of_name
from workbench.coding.fixed import Fixed
from workbench.coding.static import SUM_BITS, Static, fit_static, frequencies_of_levels, static_laws, to_levels
from workbench.errors import ContainerError, InputError, ModelError

LEECH = 196_560


def _static(size, seed, depth=1, period=1):
    rng = np.random.default_rng(seed)
    return Static(to_levels(rng.exponential(size=(depth, period**2, size)) ** 4 + 1e-9))


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3), st.integers(1, 7), st.integers(1, 7), st.sampled_from([1, 2, 255, 1104, LEECH]),
    st.integers(0, 2**32 - 1), st.integers(0, 3),
)  # fmt: skip
def test_decoding_inverts_encoding(depth, rows, columns, size, seed, period):
    indices = np.random.default_rng(seed).integers(0, size, (depth, rows, columns))
    model = _static(size, seed, depth, period) if period else Fixed(size)
    payload = model.encode(indices)
    assert np.array_equal(model.decode(payload, indices.shape), indices)
    assert 8 * len(payload) < model.bits(indices) + 9  # and less by luck: zeros at the end are dropped


def test_the_ends_of_the_codebook_and_the_rarest_word_can_be_coded():
    levels = np.zeros((1, 1, LEECH), np.uint8)
    levels[0, 0, 7] = 255
    for model in (Fixed(LEECH), Static(levels)):
        indices = np.array([[[0, LEECH - 1, 7, 6, 8]]])
        assert np.array_equal(model.decode(model.encode(indices), (1, 1, 5)), indices)


def test_fixed_costs_at_most_17_59_bits_a_token():
    indices = np.random.default_rng(0).integers(0, LEECH, (1, 64, 96))
    assert len(Fixed(LEECH).encode(indices)) * 8 / indices.size <= 17.59


@pytest.mark.parametrize("model", [Fixed(LEECH), _static(LEECH, 3)], ids=["fixed", "static"])
@pytest.mark.parametrize("indices", [
    np.array([[[LEECH]]]), np.array([[[-1]]]), np.array([[1]]), np.array([[[0.5]]]), np.zeros((1, 0, 3), int),
])  # fmt: skip
def test_what_is_no_grid_of_indices_is_refused(model, indices):
    with pytest.raises(InputError, match=r"expected integer indices|indices lie in"):
        model.encode(indices)


@pytest.mark.parametrize("model", [Fixed(LEECH), _static(LEECH, 3)], ids=["fixed", "static"])
def test_a_payload_that_no_indices_give_is_refused(model):
    indices = np.random.default_rng(1).integers(0, LEECH, (1, 5, 5))
    payload = model.encode(indices)
    for wrong in (payload + b"\1", payload + b"\0", b"\xff" * len(payload)):
        with pytest.raises(ContainerError, match="is not what the"):
            model.decode(wrong, indices.shape)
    # A shorter one may be what other indices give, and nothing else may be accepted.
    for cut in range(len(payload)):
        try:
            decoded = model.decode(payload[:cut], indices.shape)
        except ContainerError:
            continue
        assert not np.array_equal(decoded, indices)
        assert model.encode(decoded) == payload[:cut]


def test_counts_become_frequencies():
    rng = np.random.default_rng(0)
    law = rng.exponential(size=200) ** 3
    grids = [rng.choice(200, (1, 30, 30), p=law / law.sum()) for _ in range(20)]
    model = Static(fit_static(grids, 200))
    counts = np.bincount(np.concatenate(grids, axis=None), minlength=200)
    ideal = -(counts * np.log2(np.maximum(counts, 1) / counts.sum())).sum()
    cost = sum(model.bits(grid) for grid in grids)
    assert ideal < cost < ideal + 0.005 * counts.sum()


def test_a_codeword_never_seen_can_be_coded_and_costs_more():
    model = Static(fit_static([np.array([[[1, 1, 2, 1, 2, 3]]])], 10))
    costs = [model.bits(np.array([[[index]]])) for index in range(10)]
    assert costs[1] < costs[2] < costs[3] < costs[0] == costs[9] <= SUM_BITS


def test_each_phase_and_each_stage_has_its_own_frequencies():
    phases = np.arange(8)[:, None] % 2 * 2 + np.arange(8) % 2
    levels = fit_static([np.stack([phases, np.full((8, 8), 7)])] * 20, 8, period=2)
    assert levels.shape == (2, 4, 8)
    model = Static(levels)
    assert model.bits(np.stack([phases, np.full((8, 8), 7)])) < 64 * 2 * 0.1
    assert model.bits(np.stack([phases[::-1], np.full((8, 8), 7)])) > 64 * 5
    with pytest.raises(InputError, match="for 2 stages, the indices have 3"):
        model.encode(np.zeros((3, 1, 1), int))


@pytest.mark.parametrize("shared", [True, False])
def test_phases_learn_from_each_other_where_they_share_codewords(shared):
    rng, places = np.random.default_rng(3), np.arange(16) % 2
    apart = 100 * (2 * places[:, None] + places)
    grids = [np.minimum(rng.geometric(0.05, (1, 16, 16)), 99) + apart * (not shared) for _ in range(4)]
    law = static_laws(grids, 500, period=2)[0]
    assert np.allclose(law.sum(1), 1)
    first = np.stack([grid[0, ::2, ::2] for grid in grids])
    elsewhere = np.setdiff1d(np.stack(grids), first)  # seen in other phases alone
    gain = law[0, elsewhere].mean() / law[0, 400:].mean()
    assert gain > 2 if shared else 0.9 < gain < 1.5


def test_counting_needs_grids_that_agree():
    with pytest.raises(InputError, match="at least one grid"):
        fit_static([], 5)
    with pytest.raises(InputError, match="of 1 and of 2 stages"):
        fit_static([np.zeros((1, 2, 2), int), np.zeros((2, 2, 2), int)], 5)


@pytest.mark.parametrize("weights", [[1.0, 0.0], [1.0, np.nan], [1.0, np.inf], [1.0, -1.0]])
def test_weights_must_be_positive(weights):
    with pytest.raises(InputError, match="positive finite weights"):
        to_levels(np.array(weights))


@given(st.lists(st.floats(1e-5, 1.0), min_size=1, max_size=50))
def test_frequencies_sum_exactly_are_never_zero_and_near_the_weights(weights):
    frequencies = frequencies_of_levels(to_levels(np.array(weights)))
    assert frequencies.sum() == 2**SUM_BITS
    assert frequencies.min() >= 1
    shares = np.array(weights) / sum(weights)
    assert np.abs(np.log2(frequencies / 2**SUM_BITS / shares)).max() < 0.2


@given(st.lists(st.integers(0, 255), min_size=1, max_size=300))
def test_any_levels_give_frequencies(levels):
    frequencies = frequencies_of_levels(np.array(levels, np.uint8))
    assert frequencies.sum() == 2**SUM_BITS
    assert frequencies.min() >= 1
    order = np.argsort(levels)
    assert (np.diff(frequencies[order][np.diff(np.sort(levels), prepend=-1) > 0]) >= 0).all()


def test_a_damaged_table_is_refused():
    good = to_levels(np.ones((1, 4, 5)))
    for table in (good.astype(np.int64), good[0], good[:, :3], good[:, :, :0]):
        with pytest.raises(ModelError, match="levels"):
            Static(table)


def test_the_digest_names_the_table():
    one, other = _static(10, 0), _static(10, 1)
    assert one.digest == _static(10, 0).digest != other.digest
    assert len(one.digest) == 4


def test_numbers_of_entropy_models_are_for_ever():
    assert dict(NUMBERS) == {"fixed": 0, "static": 1, "context": 2}
    assert [name_of_number(number_of_name(name)) for name in NUMBERS] == list(NUMBERS)
    with pytest.raises(InputError, match="did you mean 'static'"):
        number_of_name("statik")
    with pytest.raises(ContainerError, match="entropy model 9"):
        name_of_number(9)


@pytest.mark.parametrize("name", ["fixed", "static"])
def test_bits_of_a_candidate_are_the_difference_that_it_makes(name):
    rng = np.random.default_rng(3)
    model = Fixed(50) if name == "fixed" else Static(rng.integers(0, 256, (2, 4, 50), dtype=np.uint8))
    indices, places = rng.integers(0, 50, (2, 3, 4)), np.array([[0, 0], [1, 2], [2, 3]])
    candidates = rng.integers(0, 50, (3, 5, 2))
    now = indices[:, places[:, 0], places[:, 1]].T[:, None]
    more = model.grid_bits(indices, places, candidates) - model.grid_bits(indices, places, now)
    assert np.array_equal(model.token_bits(indices, places, candidates), model.grid_bits(indices, places, candidates))
    for n, (row, column) in enumerate(places):
        for k in range(5):
            changed = indices.copy()
            changed[:, row, column] = candidates[n, k]
            assert more[n, k] == pytest.approx(model.bits(changed) - model.bits(indices))
