"""The range coder: a sequence of intervals ↔ bytes, in integer arithmetic alone.

A symbol with frequency `size` out of `2**bits` owns the interval [start, start + size) of [0, 2**bits). The coder
nests these intervals: it holds a number `low` of unbounded length, of which the leading bytes are already written and
the last 64 bits stand in the state, and a 64-bit `range`. What may still be coded lies in [low, low + range).

Invariants, which hold before and after every call:

1. 2^56 <= range < 2^64. With bits <= 32 a step is worth `range >> bits` >= 2^24, so every symbol of size >= 1 keeps an
   interval that is not empty, and cutting `range` down to a multiple of 2^bits loses less than 2^-24 of it.
2. Intervals only shrink, so the written bytes change in one way: `low` runs over 2^64 and adds one to the last of
   them. This cannot run out of the front, as the whole number stays below that of the first interval.
3. The decoder holds the same `low` and `range`, and `offset` = (number in the file) - low, with 0 <= offset < range.

`finish` picks the number in the interval with the fewest bytes, at most one beyond those written, and drops up to eight
zero bytes at the end, which the decoder reads by itself past the end. So there is exactly one sequence of bytes for a
sequence of symbols, and `is_exact` tells whether the bytes that were read are it: m = decode(encode(m)), and a payload
that the encoder would not have written is refused; `is_lost` tells as soon as no continuation could be right, so that a
short payload cannot ask for much work. What is lost in all is less than 8 bits and 2^-24 bits a symbol.

Source: G. N. N. Martin, "Range encoding", 1979; the state as in constriction's notes on range coding.
"""

__all__ = [
    "MAX_BITS",
    "Int",
    "capacity",
    "finish",
    "is_exact",
    "is_lost",
    "locate",
    "put",
    "start_reading",
    "start_writing",
    "take",
]

import numpy as np

from workbench.lattices.jit import kernel

MAX_BITS = 32
Int = int | np.int64

# Slots of the state, a uint64 array.
_LOW, _RANGE, _POSITION, _OFFSET, _INVALID = range(5)
_DROPPED = 8  # zero bytes at the end that are left away, at most
_FULL = np.uint64(2**64 - 1)
_LEAST = np.uint64(2**56)
_EIGHT, _TOP, _ONE, _ZERO = np.uint64(8), np.uint64(56), np.uint64(1), np.uint64(0)


def capacity(symbols: int) -> int:
    """Bytes that hold any `symbols` symbols: 32 bits each, what is cut off, and the end."""
    return 4 * symbols + symbols // 64 + 16


@kernel
def start_writing() -> np.ndarray:
    """A fresh encoder's state, uint64, shape (5,)."""
    state = np.zeros(5, np.uint64)
    state[_RANGE] = _FULL
    return state


@kernel
def _carry(buffer: np.ndarray, position: Int) -> None:
    """Add one to the number that the bytes before `position` spell."""
    position -= 1
    while buffer[position] == 255:
        buffer[position] = 0
        position -= 1
    buffer[position] += 1


@kernel
def put(state: np.ndarray, buffer: np.ndarray, start: Int, size: Int, bits: int) -> None:
    """Encode the interval [start, start + size) of [0, 2**bits), size >= 1, bits <= 32, into a buffer with room."""
    step = state[_RANGE] >> np.uint64(bits)
    low = state[_LOW] + step * np.uint64(start)
    position = np.int64(state[_POSITION])
    if low < state[_LOW]:
        _carry(buffer, position)
    width = step * np.uint64(size)
    while width < _LEAST:
        buffer[position] = np.uint8(low >> _TOP)
        position += 1
        low <<= _EIGHT
        width <<= _EIGHT
    state[_LOW], state[_RANGE], state[_POSITION] = low, width, np.uint64(position)


@kernel
def _ending(low: np.uint64, width: np.uint64) -> np.uint64:
    """The offset from `low` of the number that ends the code: a multiple of 2^64 if one is inside, else of 2^56."""
    to_carry = _ZERO - low
    return to_carry if to_carry < width else (_ZERO - low) & (_LEAST - _ONE)


@kernel
def finish(state: np.ndarray, buffer: np.ndarray) -> Int:
    """Write the end; returns the number of bytes in the buffer."""
    position = np.int64(state[_POSITION])
    last = state[_LOW] + _ending(state[_LOW], state[_RANGE])
    if last < state[_LOW]:
        _carry(buffer, position)
    buffer[position] = np.uint8(last >> _TOP)
    position += 1
    least = max(position - _DROPPED, 0)
    while position > least and buffer[position - 1] == 0:
        position -= 1
    return position


@kernel
def _next_byte(payload: np.ndarray, position: Int) -> np.uint64:
    return np.uint64(payload[position]) if position < payload.size else _ZERO


@kernel
def start_reading(payload: np.ndarray) -> np.ndarray:
    """A fresh decoder's state for uint8 bytes; uint64, shape (5,)."""
    state = start_writing()
    offset = _ZERO
    for position in range(8):
        offset = (offset << _EIGHT) | _next_byte(payload, position)
    state[_OFFSET], state[_POSITION] = offset, np.uint64(8)
    if offset == _FULL:  # outside the first interval, which is one short of 2^64
        state[_INVALID] = _ONE
        state[_OFFSET] = _ZERO
    return state


@kernel
def locate(state: np.ndarray, bits: int) -> Int:
    """The point of [0, 2**bits) that the next symbol's interval contains."""
    point = state[_OFFSET] // (state[_RANGE] >> np.uint64(bits))
    if point >> np.uint64(bits):  # in the part that the encoder cuts off
        state[_INVALID] = _ONE
        state[_OFFSET] = point = _ZERO
    return np.int64(point)


@kernel
def take(state: np.ndarray, payload: np.ndarray, start: Int, size: Int, bits: int) -> None:
    """Step past the symbol [start, start + size), which must contain the point that `locate` gave."""
    step = state[_RANGE] >> np.uint64(bits)
    cut = step * np.uint64(start)
    low, offset = state[_LOW] + cut, state[_OFFSET] - cut
    width = step * np.uint64(size)
    position = np.int64(state[_POSITION])
    while width < _LEAST:
        low <<= _EIGHT
        offset = (offset << _EIGHT) | _next_byte(payload, position)
        position += 1
        width <<= _EIGHT
    state[_LOW], state[_RANGE], state[_OFFSET], state[_POSITION] = low, width, offset, np.uint64(position)
    if position - 8 >= payload.size + _DROPPED:  # the encoder wrote one byte more than were shifted out
        state[_INVALID] = _ONE


@kernel
def is_lost(state: np.ndarray) -> bool:
    """Whether the payload is none that the encoder writes, whatever symbols follow."""
    return state[_INVALID] != _ZERO


@kernel
def is_exact(state: np.ndarray, payload: np.ndarray) -> bool:
    """Whether the payload is, to the last byte, what the encoder writes for the symbols that were read."""
    length = np.int64(state[_POSITION]) - 7  # of what the encoder wrote, zeros at the end included
    if state[_INVALID] != _ZERO or payload.size > length:
        return False
    if payload.size > max(length - _DROPPED, 0) and payload[payload.size - 1] == 0:
        return False
    return state[_OFFSET] == _ending(state[_LOW], state[_RANGE])
