"""A code seen from one of its words: shapes, inner products, the words nearest to a vector, a projection to turn.

Products are of integers: for the Leech shell `v · w` in thirty-seconds, so 16 is an angle of 60°. `cosine` is the
product with the vector scaled to the unit sphere, `angle` its arc cosine in degrees. Indices, products and counts are
exact.
"""

__all__ = [
    "CODES",
    "CodeView",
    "Neighbour",
    "Neighbours",
    "Projection",
    "Shape",
    "nearest_words",
    "project",
    "shape_labels",
    "shapes",
    "spectrum",
    "view_code",
]

import functools
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch

from workbench.errors import InputError, did_you_mean
from workbench.lattices.code import Code
from workbench.lattices.codes.registry import make_code
from workbench.lattices.search.nearest import nearest

# Shells of lattices: codes whose words have shapes and few distances.
CODES = ("leech", "leech-published", "leech2", "leech3", "leech4", "e8", "bw16", "k12")

_SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
_TIMED_ROWS = {"structured": 256, "exhaustive": 16}  # vectors a run of each search is timed with


@dataclass(frozen=True)
class Shape:
    """Codewords that have the same absolute entries.

    Attributes:
        name: As it is written, for example (±2⁸, 0¹⁶).
        first: The lowest index of one.
        count: How many there are.
    """

    name: str
    first: int
    count: int


@dataclass(frozen=True)
class CodeView:
    """A code and what one of its words sees.

    Attributes:
        name: Name of the code.
        size: Number of codewords.
        dimension: Dimension.
        bits: log2 size.
        fingerprint: SHA-256 (hex) of the table.
        shapes: The shapes, in the order of their first index.
        index: The word that looks.
        word: Its integers.
        spectrum: Inner product (of integers) → number of words, itself included, greatest product first.
        norm_squared: Squared norm of the integers of a word.
        least_distance: Distance of the nearest other word, on the unit sphere, seen from this word.
    """

    name: str
    size: int
    dimension: int
    bits: float
    fingerprint: str
    shapes: Sequence[Shape]
    index: int
    word: Sequence[int]
    spectrum: Mapping[int, int]
    norm_squared: int
    least_distance: float


@dataclass(frozen=True)
class Neighbour:
    """A codeword near a vector: its index and integers, the cosine with the vector and the angle in degrees."""

    index: int
    word: Sequence[int]
    shape: str
    cosine: float
    angle: float


@dataclass(frozen=True)
class Neighbours:
    """The codewords nearest to a vector, best first, and what finding the best one costs.

    Attributes:
        code: Name of the code.
        vector: The vector, as given.
        words: The nearest and the runners-up.
        structured_us: Microseconds a vector of the search by structure, over a batch.
        exhaustive_us: Microseconds a vector of float32 products with every codeword, over a batch.
    """

    code: str
    vector: Sequence[float] = field(repr=False)
    words: Sequence[Neighbour]
    structured_us: float
    exhaustive_us: float


@dataclass(frozen=True)
class Projection:
    """Codewords seen along three directions; words that fall on one point are counted there.

    Attributes:
        points: float64, shape (n, 3), each point once.
        counts: int64, shape (n,), words at the point.
        shape: int64, shape (n,), the shape of the words there, -1 where there are several.
        total: Words shown; less than the size of the code when it was sampled.
    """

    points: np.ndarray
    counts: np.ndarray
    shape: np.ndarray
    total: int


def shapes(code: Code) -> list[Shape]:
    """List the shapes of a code of integers, in the order of their first index.

    Example:
        >>> [(shape.name, shape.count) for shape in shapes(make_code("leech"))]
        [('(±2⁸, 0¹⁶)', 97152), ('(±3, ±1²³)', 98304), ('(±4², 0²²)', 1104)]
    """
    labels = _labels(code)
    _, firsts, counts = np.unique(labels, return_index=True, return_counts=True)
    order = firsts.argsort()
    found = zip(firsts[order].tolist(), counts[order].tolist(), strict=True)
    return [Shape(_shape_name(code.integers[first]), first, count) for first, count in found]


def shape_labels(name: str) -> np.ndarray:
    """The number of the shape of each word of a shell, int64, shape (K,), in the order of :func:`shapes`.

    Raises:
        InputError: if there is no shell of that name.
    """
    return _labels(_shell(name))


def spectrum(code: Code, index: int) -> dict[int, int]:
    """Count the inner products of one codeword with all, over integers, greatest first.

    Raises:
        InputError: if the index is out of range.
    """
    if not 0 <= index < code.size:
        raise InputError(f"code {code.name!r} has words 0 to {code.size - 1}, got {index}")
    products = code.integers.astype(np.int32) @ code.integers[index].astype(np.int32)
    values, counts = np.unique(products, return_counts=True)
    return dict(zip(values[::-1].tolist(), counts[::-1].tolist(), strict=True))


def view_code(name: str, index: int = 0) -> CodeView:
    """Look at a code from one of its words.

    Raises:
        InputError: if the code is unknown or the index out of range.
    """
    code = _shell(name)
    counts = spectrum(code, index)
    norm_squared, second = list(counts)[:2]
    return CodeView(
        name=code.name,
        size=code.size,
        dimension=code.dimension,
        bits=code.bits,
        fingerprint=code.fingerprint,
        shapes=shapes(code),
        index=index,
        word=code.integers[index].tolist(),
        spectrum=counts,
        norm_squared=norm_squared,
        least_distance=math.sqrt(2 - 2 * second / norm_squared),
    )


def nearest_words(vector: Sequence[float], name: str = "leech", *, count: int = 8) -> Neighbours:
    """Find the codewords nearest to a vector, and time the two ways of finding the best.

    The winner is that of :func:`~workbench.lattices.search.nearest.nearest`; the runners-up come from all products.

    Args:
        vector: As many numbers as the code has dimensions.
        name: Which code.
        count: How many words, from 1 to 64.

    Raises:
        InputError: if the code is unknown, the vector has another length, is zero or is not finite, or the count is out
            of range.
    """
    code = _shell(name)
    if not 1 <= count <= 64:
        raise InputError(f"from 1 to 64 words can be shown, got {count}")
    x = np.asarray(vector, dtype=np.float64)
    if x.shape != (code.dimension,):
        raise InputError(f"code {name!r} takes {code.dimension} numbers, got {x.size}")
    if not np.isfinite(x).all() or not x.any():
        raise InputError("the numbers must be finite, and not all of them zero: zero has no direction")
    unit = x / np.linalg.norm(x)
    row = torch.from_numpy(unit)[None]
    first = int(nearest(row, code))
    cosines = code.integers.astype(np.float64) @ unit / np.linalg.norm(code.integers[0].astype(np.float64))
    order = np.lexsort((np.arange(code.size), -cosines.round(12)))[: count + 1]
    order = [first, *(int(i) for i in order if i != first)][:count]
    words = [
        Neighbour(
            index=i,
            word=code.integers[i].tolist(),
            shape=_shape_name(code.integers[i]),
            cosine=float(cosines[i]),
            angle=math.degrees(math.acos(min(max(float(cosines[i]), -1.0), 1.0))),
        )
        for i in order
    ]
    many = row + 1e-3 * torch.randn(max(_TIMED_ROWS.values()), code.dimension, generator=_generator(0)).double()
    structured = _microseconds(lambda: nearest(many, code), len(many))
    few = many[: _TIMED_ROWS["exhaustive"]]
    table = code.vectors().mT
    exhaustive = _microseconds(lambda: (few.float() @ table).argmax(1), len(few))
    return Neighbours(name, x.tolist(), words, structured, exhaustive)


def project(name: str, directions: np.ndarray, *, most: int = 20_000, seed: int = 0) -> Projection:
    """See a code along three directions.

    Args:
        name: Which code.
        directions: Three directions as columns, shape (D, 3), made orthonormal here.
        most: A code whose words fall on more points than this is sampled down to so many words.
        seed: Of that sample.

    Raises:
        InputError: if the directions do not span three dimensions.
    """
    code = _shell(name)
    directions = np.asarray(directions, dtype=np.float64)
    if directions.shape != (code.dimension, 3) or np.linalg.matrix_rank(directions) < 3:
        raise InputError(f"expected three independent directions of {code.dimension} numbers, got {directions.shape}")
    frame, triangle = np.linalg.qr(directions)
    frame = frame * np.sign(np.diag(triangle))  # a direction that was given orthogonal to the others stays as it is
    labels = _labels(code)
    points, labels, total = code.integers.astype(np.float64) @ frame / code.scale, labels, code.size
    unique = _gather(points, labels)
    if len(unique[0]) > most:
        rows = np.random.default_rng(seed).choice(code.size, most, replace=False)
        unique, total = _gather(points[rows], labels[rows]), most
    return Projection(*unique, total)


def _shell(name: str) -> Code:
    """The code of a name, if it is a shell of a lattice."""
    if name not in CODES:
        raise InputError(did_you_mean("shell", name, CODES))
    return make_code(name)


def _gather(points: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Points each once, how many words fall there, and their shape where all have the same."""
    cells, firsts, inverse, counts = np.unique(
        np.round(points, 6) + 0.0, axis=0, return_index=True, return_inverse=True, return_counts=True
    )
    shape = labels[firsts].copy()
    shape[inverse.reshape(-1)[labels != shape[inverse.reshape(-1)]]] = -1
    return cells, counts, shape


@functools.lru_cache(maxsize=4)
def _labels(code: Code) -> np.ndarray:
    """For each word the number of its shape, shapes numbered in the order of their first index."""
    absolute = np.sort(np.abs(code.integers), axis=1)
    keys = np.ascontiguousarray(absolute).view(f"V{absolute.itemsize * code.dimension}")[:, 0]
    _, firsts, inverse = np.unique(keys, return_index=True, return_inverse=True)
    return firsts.argsort().argsort()[inverse]


def _shape_name(word: np.ndarray) -> str:
    """A shape as it is written, greatest entry first."""
    values, counts = np.unique(np.abs(word.astype(np.int64)), return_counts=True)
    parts = []
    for value, count in zip(values[::-1].tolist(), counts[::-1].tolist(), strict=True):
        power = str(count).translate(_SUPERSCRIPTS) if count > 1 else ""
        parts.append(f"{'±' if value else ''}{value}{power}")
    return f"({', '.join(parts)})"


def _microseconds(work: Callable[[], object], rows: int) -> float:
    """Microseconds a row of the fastest of three runs, after one to warm up."""
    work()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        work()
        times.append(time.perf_counter() - start)
    return 1e6 * min(times) / rows


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)
