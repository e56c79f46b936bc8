"""The fixed-rate model: every codeword equally likely, log2 K bits a token and no table.

Index i owns the interval [⌊i·2³²/K⌋, ⌊(i+1)·2³²/K⌋) of 2³², so 196,560 codewords cost 17.5846 bits each where whole
bits would cost 18; the largest and the smallest interval differ by one part in 21,850.
"""

__all__ = ["Fixed"]

import math

import numpy as np

from workbench.coding import rangecoder
from workbench.coding.entropy import EntropyModel, check_indices, damaged
from workbench.coding.rangecoder import Int, capacity
from workbench.errors import InputError
from workbench.lattices.jit import kernel

_BITS = 32
_LARGEST = 2**24


class Fixed(EntropyModel):
    """Uniform frequencies over K codewords.

    Args:
        size: Number of codewords, K, in [1, 2²⁴].

    Raises:
        InputError: if K is out of that range.

    Example:
        >>> model = Fixed(196_560)
        >>> payload = model.encode(np.array([[[5, 196_559]]]))
        >>> len(payload), model.decode(payload, (1, 1, 2)).tolist()
        (5, [[[5, 196559]]])
    """

    name = "fixed"

    def __init__(self, size: int) -> None:
        if not 1 <= size <= _LARGEST:
            raise InputError(f"a codebook of 1 to {_LARGEST:,} codewords can be coded, got {size:,}")
        self.size = size

    def encode(self, indices: np.ndarray) -> bytes:
        """See :meth:`EntropyModel.encode`."""
        flat = check_indices(indices, self.size).ravel()
        buffer = np.zeros(capacity(flat.size), np.uint8)
        return buffer[: _encode(flat, self.size, buffer)].tobytes()

    def decode(self, payload: bytes, shape: tuple[int, int, int]) -> np.ndarray:
        """See :meth:`EntropyModel.decode`."""
        indices = np.empty(shape, np.int64)
        if not _decode(np.frombuffer(payload, np.uint8), self.size, indices.reshape(-1)):
            raise damaged(self.name, payload, shape)
        return indices

    def bits(self, indices: np.ndarray) -> float:
        """See :meth:`EntropyModel.bits`; log2 K a token up to 5·10⁻⁵."""
        return check_indices(indices, self.size).size * math.log2(self.size)

    def token_bits(self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray) -> np.ndarray:  # noqa: ARG002
        """See :meth:`EntropyModel.token_bits`; the same for all."""
        return np.full(candidates.shape[:2], candidates.shape[2] * math.log2(self.size))


@kernel
def _encode(indices: np.ndarray, size: int, buffer: np.ndarray) -> Int:
    state = rangecoder.start_writing()
    for index in indices:
        start = (index << _BITS) // size
        rangecoder.put(state, buffer, start, ((index + 1) << _BITS) // size - start, _BITS)
    return rangecoder.finish(state, buffer)


@kernel
def _decode(payload: np.ndarray, size: int, indices: np.ndarray) -> bool:
    state = rangecoder.start_reading(payload)
    for at in range(indices.size):
        if rangecoder.is_lost(state):
            return False
        index = ((rangecoder.locate(state, _BITS) + 1) * size - 1) >> _BITS
        indices[at] = index
        start = (index << _BITS) // size
        rangecoder.take(state, payload, start, ((index + 1) << _BITS) // size - start, _BITS)
    return rangecoder.is_exact(state, payload)
