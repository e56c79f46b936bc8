"""Entropy models: what the coder believes about the next token, as integers.

An entropy model turns a grid of indices into bytes and back. Whatever decides a frequency in it is integer arithmetic,
so a payload decodes to the same indices on every machine. Each kind has a *name*, which people type, and a *number*,
which stands in files and is never given to another kind; a new kind takes the next number.

| number | name | frequencies |
| --- | --- | --- |
| 0 | fixed | every codeword equally likely |
| 1 | static | counted on training pictures, :mod:`workbench.coding.static` |
| 2 | context | from the neighbours already decoded, :mod:`workbench.coding.context` |

Indices have the shape (depth, h, w): depth counts the stages of a residual quantizer and is 1 without one.
"""

__all__ = ["NUMBERS", "EntropyModel", "check_indices", "name_of_number", "number_of_name"]

from abc import ABC, abstractmethod
from types import MappingProxyType

import numpy as np

from workbench.errors import ContainerError, InputError, did_you_mean

NUMBERS = MappingProxyType({"fixed": 0, "static": 1, "context": 2})


class EntropyModel(ABC):
    """Indices ↔ bytes for one codebook.

    Attributes:
        name: A key of :data:`NUMBERS`.
        size: Number of codewords, K.
        digest: Four bytes that name the tables the frequencies come from; zero where there are none.
    """

    name: str
    size: int
    digest: bytes = bytes(4)

    @abstractmethod
    def encode(self, indices: np.ndarray) -> bytes:
        """Return the payload for int64 indices of shape (depth, h, w).

        Raises:
            InputError: if the shape is another, or an index lies outside [0, K).
        """

    @abstractmethod
    def decode(self, payload: bytes, shape: tuple[int, int, int]) -> np.ndarray:
        """Return the int64 indices, of `shape` = (depth, h, w), that a payload encodes.

        Raises:
            ContainerError: if :meth:`encode` would not have written this payload for any indices of that shape.
        """

    @abstractmethod
    def bits(self, indices: np.ndarray) -> float:
        """Ideal code length in bits: the sum of -log2 of each token's share of the frequencies."""

    @abstractmethod
    def token_bits(self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Code length of each candidate at its place, every other token as it is; float64, shape (n, k), in bits.

        Args:
            indices: int64, shape (depth, h, w).
            places: Rows and columns, int64, shape (n, 2).
            candidates: int64, shape (n, k, depth).
        """

    def grid_bits(self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Likewise of all tokens whose frequencies depend on the place, in bits; places are changed one at a time."""
        return self.token_bits(indices, places, candidates)


def number_of_name(name: str) -> int:
    """The number that stands for an entropy model in a file.

    Raises:
        InputError: if there is no model of that name.
    """
    if name not in NUMBERS:
        raise InputError(did_you_mean("entropy model", name, NUMBERS))
    return NUMBERS[name]


def name_of_number(number: int) -> str:
    """The entropy model that a number in a file stands for.

    Raises:
        ContainerError: if the number is not in use.
    """
    for name, known in NUMBERS.items():
        if known == number:
            return name
    raise ContainerError(
        f"the file names entropy model {number}, this version knows 0 to {max(NUMBERS.values())}: "
        "it is damaged, or was made by a newer version of the workbench"
    )


def check_indices(indices: np.ndarray, size: int) -> np.ndarray:
    """Return indices as contiguous int64 of shape (depth, h, w), none of them empty or out of range.

    Raises:
        InputError: if they are something else.
    """
    indices = np.asarray(indices)
    if indices.ndim != 3 or not indices.size or indices.dtype.kind not in "iu":
        raise InputError(
            f"expected integer indices of shape (depth, h, w), got {indices.dtype} of shape {indices.shape}"
        )
    if indices.min() < 0 or indices.max() >= size:
        wrong = int(indices.min() if indices.min() < 0 else indices.max())
        raise InputError(f"indices lie in [0, {size}), got {wrong}: they were made with another codebook")
    return np.ascontiguousarray(indices, dtype=np.int64)


def damaged(name: str, payload: bytes, shape: tuple[int, int, int]) -> ContainerError:
    """The error for a payload that no indices encode to."""
    return ContainerError(
        f"the payload of {len(payload)} bytes is not what the {name!r} entropy model writes for "
        f"{shape[0]}×{shape[1]}×{shape[2]} tokens: the file is damaged or was made by other software"
    )
