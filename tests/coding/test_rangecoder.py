"""The range coder: an inverse, exact in length, as short as its oracle, and deaf to what it did not write."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba import njit

from workbench.coding.rangecoder import (
    MAX_BITS,
    capacity,
    finish,
    is_exact,
    is_lost,
    locate,
    put,
    start_reading,
    start_writing,
    take,
)


@njit
def _encode(symbols, bounds, bits, buffer):
    state = start_writing()
    for symbol in symbols:
        put(state, buffer, bounds[symbol], bounds[symbol + 1] - bounds[symbol], bits)
    return finish(state, buffer)


@njit
def _decode(payload, count, bounds, bits):
    state = start_reading(payload)
    symbols = np.empty(count, np.int64)
    for at in range(count):
        symbol = np.searchsorted(bounds, locate(state, bits), side="right") - 1
        symbols[at] = symbol
        take(state, payload, bounds[symbol], bounds[symbol + 1] - bounds[symbol], bits)
    return symbols, is_exact(state, payload)


def encode(symbols, bounds, bits):
    buffer = np.zeros(capacity(len(symbols)), np.uint8)
    return buffer[: _encode(np.asarray(symbols, np.int64), np.asarray(bounds), bits, buffer)].tobytes()


def decode(payload, count, bounds, bits):
    return _decode(np.frombuffer(payload, np.uint8), count, np.asarray(bounds), bits)


def reference(symbols, bounds, bits):
    """The coder in whole numbers of any length, and over how many written bytes a carry ran at most."""
    low, width, written, longest = 0, 2**64 - 1, 0, 0
    for symbol in symbols:
        step = width >> bits
        before = low >> 64
        low, width = low + step * bounds[symbol], step * (bounds[symbol + 1] - bounds[symbol])
        longest = max(longest, (((low >> 64) ^ before).bit_length() + 7) // 8)
        while width < 2**56:
            low, width, written = low << 8, width << 8, written + 1
    rounded = [-(-low // unit) * unit for unit in (2**64, 2**56)]
    number = next(number for number in rounded if number < low + width)
    digits = number.to_bytes(written + 8, "big")
    assert not any(digits[written + 1 :])
    return digits[: max(written - 7, len(digits.rstrip(b"\0")))], longest


@st.composite
def messages(draw):
    """Symbols over an alphabet of one to six with any frequencies, the very uneven ones included."""
    bits = draw(st.integers(3, MAX_BITS))
    cuts = draw(st.sets(st.integers(1, min(2**bits - 1, 2**20)) | st.just(2**bits - 1), max_size=5))
    bounds = [0, *sorted(cuts), 2**bits]
    symbols = draw(st.lists(st.integers(0, len(bounds) - 2), max_size=60))
    return symbols, bounds, bits


@settings(max_examples=400, deadline=None)
@given(messages())
def test_decoding_inverts_encoding_and_the_length_is_at_most_the_cross_entropy(message):
    symbols, bounds, bits = message
    payload = encode(symbols, bounds, bits)
    decoded, exact = decode(payload, len(symbols), bounds, bits)
    assert exact
    assert decoded.tolist() == symbols
    ideal = sum(bits - math.log2(bounds[s + 1] - bounds[s]) for s in symbols)
    assert 8 * len(payload) < ideal + 8.001
    assert payload == reference(symbols, bounds, bits)[0]


@settings(max_examples=200, deadline=None)
@given(messages(), st.binary(min_size=0, max_size=12), st.integers(0, 40))
def test_a_payload_is_accepted_only_if_it_is_what_the_encoder_writes(message, tail, cut):
    symbols, bounds, bits = message
    payload = encode(symbols, bounds, bits)
    for other in (payload + tail, payload[: max(0, len(payload) - cut)], tail):
        decoded, exact = decode(other, len(symbols), bounds, bits)
        assert exact == (encode(decoded, bounds, bits) == other)


def test_a_carry_runs_through_bytes_of_255():
    # Intervals that end just below a power of two fill the written bytes with 255s, which a later symbol pushes over.
    bounds, bits = [0, 2**15 - 1, 2**15, 2**16 - 2, 2**16], 16
    rng = np.random.default_rng(0)
    longest = 0
    for _ in range(3000):
        symbols = rng.choice(4, size=12, p=[0.05, 0.15, 0.05, 0.75]).tolist()
        payload, carried = reference(symbols, bounds, bits)
        assert encode(symbols, bounds, bits) == payload
        assert decode(payload, len(symbols), bounds, bits)[0].tolist() == symbols
        longest = max(longest, carried)
    assert longest >= 3


def test_a_decoder_knows_early_that_a_payload_is_too_short():
    payload = np.frombuffer(encode([1] * 1000, [0, 1, 2], 1), np.uint8)
    for cut in (0, 10, 100):
        state = start_reading(payload[:cut])
        read = 0
        while not is_lost(state):
            locate(state, 1)
            take(state, payload[:cut], 1, 1, 1)
            read += 1
        assert 8 * cut <= read <= 8 * (cut + 9)


def test_zeros_at_the_end_are_dropped_eight_at_most():
    # Symbol 0 owns the start of the interval, so the code is a row of zeros.
    assert encode([0] * 56, [0, 1, 2], 1) == b""
    assert encode([0] * 800, [0, 1, 2], 1) == bytes(93)
    decoded, exact = decode(bytes(93), 800, [0, 1, 2], 1)
    assert exact
    assert not decoded.any()
    for length in (92, 94):
        assert not decode(bytes(length), 800, [0, 1, 2], 1)[1]


def test_no_symbol_and_a_certain_symbol_cost_nothing():
    assert encode([], [0, 16], 4) == b""
    assert encode([0] * 1000, [0, 16], 4) == b""
    assert decode(b"", 1000, [0, 16], 4)[1]


def test_every_symbol_costs_what_the_oracle_says():
    constriction = pytest.importorskip("constriction")
    rng = np.random.default_rng(5)
    weights = rng.exponential(size=1000) ** 3 + 1e-6
    frequencies = np.floor(weights / weights.sum() * (2**24 - 1000)).astype(np.int64) + 1
    frequencies[0] += 2**24 - frequencies.sum()
    bounds = np.concatenate([[0], np.cumsum(frequencies)])
    symbols = rng.choice(1000, size=20_000, p=frequencies / 2**24)
    payload = encode(symbols, bounds, 24)
    assert decode(payload, len(symbols), bounds, 24)[0].tolist() == symbols.tolist()

    oracle = constriction.stream.queue.RangeEncoder()
    model = constriction.stream.model.Categorical((frequencies / 2**24).astype(np.float64), perfect=False)
    oracle.encode(symbols.astype(np.int32), model)
    assert abs(8 * len(payload) - oracle.num_bits()) < 0.001 * oracle.num_bits() + 64


def test_the_bytes_are_pinned():
    """A change of these bytes is a change of the format: it needs a new format version and a golden file."""
    assert encode([0, 1, 2, 1, 0, 2, 2, 1], [0, 3, 200, 256], 8).hex() == "01d959"
    assert (
        encode(range(40), np.arange(41) * 2**32 // 40, 32).hex()
        == "002b166294e1d0f03618b3d17a8198d2bc1ac9cfda610da2444466"
    )
