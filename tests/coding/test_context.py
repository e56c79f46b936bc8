"""The context model: an inverse on every grid, integers that cannot wrap, and the network that its docstring says."""

import threading

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from workbench.coding import rangecoder
from workbench.coding.context import NEIGHBOURS, Context, Stage, num_inputs, round_stage
from workbench.coding.shell import GROUPS, code_token, shell_coder
from workbench.errors import ContainerError, InputError, ModelError
from workbench.lattices.codes.registry import make_code

CODE = make_code("leech")


def make_stage(seed, *, number=0, period=2, hidden=16, size=1.0):
    rng = np.random.default_rng(seed)
    phases, inputs = period**2, num_inputs(number)
    return round_stage(
        weights=rng.normal(size=(phases, inputs, hidden)) * 0.05 * size,
        bias=rng.normal(size=(phases, hidden)),
        score_weights=rng.normal(size=(hidden, 216)) * 0.2 * size,
        score_bias=rng.normal(size=(phases, 216)) * 0.3,
        group_bias=rng.normal(size=(phases, GROUPS)) * 0.5,
        member_bias=rng.normal(size=(phases, CODE.size)) * 0.3,
    )


MODEL = Context(CODE, [make_stage(0), make_stage(1, number=1)])


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 2), st.integers(1, 6), st.integers(1, 6), st.integers(0, 2**32 - 1))
def test_decoding_inverts_encoding(depth, rows, columns, seed):
    indices = np.random.default_rng(seed).integers(0, CODE.size, (depth, rows, columns))
    before = indices.copy()
    payload = MODEL.encode(indices)
    assert np.array_equal(indices, before)
    assert np.array_equal(MODEL.decode(payload, indices.shape), indices)
    assert MODEL.bits(indices) - 9 < 8 * len(payload) < MODEL.bits(indices) + 9


def test_the_network_is_the_one_of_the_docstring():
    """The scores, computed again with Python's whole numbers and sums in another order, give the same bytes."""
    stages = [make_stage(0), make_stage(1, number=1)]
    indices = np.random.default_rng(7).integers(0, CODE.size, (2, 3, 4))
    coder = shell_coder(CODE)
    data, cost = np.zeros(2000, np.uint8), np.zeros(1)
    state = rangecoder.start_writing()
    for number, stage in enumerate(stages):
        for row in range(3):
            for column in range(4):
                inputs = []
                for up, right in NEIGHBOURS:
                    there = row + up >= 0 and 0 <= column + right < 4
                    digits = CODE.integers[indices[number, row + up, column + right]].tolist() if there else [0] * 24
                    inputs += [*digits, int(there)]
                for earlier in range(number):
                    inputs += CODE.integers[indices[earlier, row, column]].tolist()
                phase = row % 2 * 2 + column % 2
                sums = np.array(inputs[::-1], object) @ stage.weights[phase].astype(object)[::-1] + stage.bias[phase]
                hidden = [min(max(int(a) >> 4, 0), 8191) for a in sums]
                scores = [
                    (sum(int(v) * h for v, h in zip(column_, hidden, strict=True)) + int(c)) >> 8
                    for column_, c in zip(stage.score_weights.T, stage.score_bias[phase], strict=True)
                ]
                code_token(
                    coder, np.array(scores, np.int32).reshape(24, 9), stage.group_bias[phase], stage.member_bias[phase],
                    indices[number, row, column], state, data, cost,
                )  # fmt: skip
    assert data[: rangecoder.finish(state, data)].tobytes() == Context(CODE, stages).encode(indices)


def test_a_trained_model_is_short_where_its_tokens_are_likely():
    # One hidden unit that is on for a left neighbour, and then favours the digits of codeword 5 alone.
    weights, scores = np.zeros((1, num_inputs(0), 1)), np.zeros((1, 216))
    weights[0, 24, 0] = 1
    scores[0, np.arange(24) * 9 + CODE.integers[5] + 4] = 20
    stage = round_stage(
        weights=weights, bias=np.zeros((1, 1)), score_weights=scores, score_bias=np.zeros((1, 216)),
        group_bias=np.zeros((1, GROUPS)), member_bias=np.zeros((1, CODE.size)),
    )  # fmt: skip
    model = Context(CODE, [stage])
    likely, unlikely = np.full((1, 1, 30), 5), np.random.default_rng(0).integers(0, CODE.size, (1, 1, 30))
    assert model.bits(likely) < 19
    assert model.bits(unlikely) > 30 * 25
    assert np.array_equal(model.decode(model.encode(unlikely), (1, 1, 30)), unlikely)


def test_a_stage_without_biases_of_codewords_is_one_where_they_are_zero():
    first, second = make_stage(0), make_stage(1, number=1)
    none = second._replace(member_bias=second.member_bias[:0])
    zero = second._replace(member_bias=np.zeros_like(second.member_bias))
    indices = np.random.default_rng(3).integers(0, CODE.size, (2, 4, 5))
    payload = Context(CODE, [first, none]).encode(indices)
    assert payload == Context(CODE, [first, zero]).encode(indices) != MODEL.encode(indices)
    assert np.array_equal(Context(CODE, [first, none]).decode(payload, indices.shape), indices)
    for wrong in (second.member_bias[:1], second.member_bias[:0, :-1]):
        with pytest.raises(ModelError, match="member_bias"):
            Context(CODE, [first, second._replace(member_bias=wrong)])


def test_the_largest_tables_do_not_wrap():
    stage = make_stage(3, hidden=7)
    largest = Stage(
        np.full_like(stage.weights, 32767),
        np.full_like(stage.bias, 2**30),
        np.full_like(stage.score_weights, 32767),
        np.full_like(stage.score_bias, 2**31 - 1 - 7 * 32767 * 8191),
        np.full_like(stage.group_bias, 2**15 - 1),
        np.full_like(stage.member_bias, 127),
    )
    indices = np.random.default_rng(1).integers(0, CODE.size, (1, 4, 4))
    for sign in (1, -1):
        model = Context(CODE, [Stage(*(table * table.dtype.type(sign) for table in largest))])
        assert np.array_equal(model.decode(model.encode(indices), indices.shape), indices)
    with pytest.raises(ModelError, match="could leave 32 bits"):
        Context(CODE, [largest._replace(score_bias=largest.score_bias + np.int32(1))])
    with pytest.raises(ModelError, match="could leave 32 bits"):
        Context(CODE, [largest._replace(bias=largest.bias + np.int32(1))])


def test_threads_give_the_same_bytes():
    grids = [np.random.default_rng(seed).integers(0, CODE.size, (2, 5, 5)) for seed in range(4)]
    alone = [MODEL.encode(grid) for grid in grids]
    together = [b""] * len(grids)

    def work(at):
        together[at] = MODEL.encode(grids[at])

    threads = [threading.Thread(target=work, args=(at,)) for at in range(len(grids))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone


def test_a_payload_that_no_indices_give_is_refused():
    indices = np.random.default_rng(1).integers(0, CODE.size, (1, 3, 3))
    payload = MODEL.encode(indices)
    for wrong in (payload + b"\1", payload + b"\0", b"\xff" * len(payload)):
        with pytest.raises(ContainerError, match="is not what the 'context' entropy model writes"):
            MODEL.decode(wrong, indices.shape)
    for at in range(0, 8 * len(payload), 5):
        flipped = bytearray(payload)
        flipped[at // 8] ^= 1 << at % 8
        try:
            decoded = MODEL.decode(bytes(flipped), indices.shape)
        except ContainerError:
            continue
        assert MODEL.encode(decoded) == bytes(flipped)


def test_a_short_payload_does_not_ask_for_the_work_of_a_large_picture():
    # Nine hundred thousand tokens would take a minute; the decoder stops when the payload cannot be right any more.
    with pytest.raises(ContainerError, match="is not what the"):
        MODEL.decode(b"short", (1, 3000, 300))


def test_more_stages_than_networks_and_other_codes_are_refused():
    with pytest.raises(InputError, match="for 2 stages, the indices have 3"):
        MODEL.encode(np.zeros((3, 1, 1), int))
    with pytest.raises(InputError, match="for 2 stages, the indices have 3"):
        MODEL.decode(b"", (3, 1, 1))
    with pytest.raises(InputError, match="full Leech shell"):
        Context(make_code("leech2"), [make_stage(0)])
    with pytest.raises(ModelError, match="at least one stage"):
        Context(CODE, [])


@pytest.mark.parametrize("name", Stage._fields)
def test_a_damaged_table_is_refused(name):
    stage = make_stage(0)
    table = getattr(stage, name)
    for wrong in (table[..., :-1], table.astype(np.int64), table[..., None]):
        with pytest.raises(ModelError, match="context tables, stage 0"):
            Context(CODE, [stage._replace(**{name: wrong})])


def test_weights_that_do_not_fit_are_refused():
    with pytest.raises(ModelError, match=r"weights reach .* at most 32767 fit"):
        make_stage(0, size=1e4)


def test_the_digest_names_every_table():
    digests = {MODEL.digest, Context(CODE, [make_stage(0)]).digest}
    for name in Stage._fields:
        stage = make_stage(0)
        table = getattr(stage, name).copy()
        table.flat[-1] += 1
        digests.add(Context(CODE, [stage._replace(**{name: table})]).digest)
    assert len(digests) == 8
    assert Context(CODE, [make_stage(0)]).digest == Context(CODE, [make_stage(0)]).digest


@pytest.mark.parametrize("depth", [1, 2])
def test_bits_of_a_candidate_are_the_difference_that_it_makes(depth):
    rng = np.random.default_rng(5)
    indices = rng.integers(0, CODE.size, (depth, 5, 6))
    places = np.array([[0, 0], [2, 3], [4, 5], [1, 0]])
    candidates = rng.integers(0, CODE.size, (len(places), 3, depth))
    before, kept = MODEL.bits(indices), indices.copy()
    own, whole = MODEL.token_bits(indices, places, candidates), MODEL.grid_bits(indices, places, candidates)
    assert np.array_equal(indices, kept)
    now = indices[:, places[:, 0], places[:, 1]].T[:, None]
    now_own, now_whole = MODEL.token_bits(indices, places, now), MODEL.grid_bits(indices, places, now)
    for n, (row, column) in enumerate(places):
        for k in range(3):
            changed = indices.copy()
            changed[:, row, column] = candidates[n, k]
            assert whole[n, k] - now_whole[n, 0] == pytest.approx(MODEL.bits(changed) - before, abs=1e-6)
    last = (places == [4, 5]).all(1)  # nothing comes after it, so its own bits are all that change
    assert np.allclose((own - now_own)[last], (whole - now_whole)[last])
    assert not np.allclose((own - now_own)[~last], (whole - now_whole)[~last])
