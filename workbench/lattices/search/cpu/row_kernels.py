"""Nearest codeword by shape, one vector at a time, for the small lattice codes: E8, Barnes-Wall, Coxeter-Todd.

Rows come as the integers of `fixed.py`, so every sum is exact and a tie is a tie; of equals the lowest index answers.
Of all vectors `±1` on given places the one nearest to `y` takes the signs of `y` and scores `Σ|y|`; if their parity
is wrong an entry of least `|y|` turns and costs `2·min|y|`. A zero counts as minus, which is the lower index.
Source: Conway and Sloane, "Sphere Packings, Lattices and Groups", chapter 20.
"""

__all__ = ["nearest_bw16", "nearest_e8", "nearest_k12", "sign_rank"]

import numpy as np

from workbench.lattices.jit import kernel

_NONE = np.int64(-(1 << 62))


@kernel
def sign_rank(y: np.ndarray, places: np.ndarray, wrong: bool, least: int) -> int:
    """Rank of the best signs on the places among those of their parity; of equals the lowest.

    Args:
        y: The row.
        places: Positions, ascending.
        wrong: Whether one entry must turn.
        least: The least `|y|` on the places.
    """
    turned = -1
    if wrong:
        # Turning a plus lowers the rank, the more the earlier it stands; turning a minus raises it, least at the end.
        for k in range(places.shape[0]):
            if abs(y[places[k]]) == least:
                turned = k
                if y[places[k]] > 0:
                    break
    rank = 0
    for k in range(places.shape[0] - 1):
        rank = 2 * rank + int((y[places[k]] > 0) != (k == turned))
    return rank


@kernel
def _best_pair(y: np.ndarray) -> tuple[int, int]:
    """The best of all `(±1², 0^(D−2))`: score, and rank by positions, then signs."""
    dimension = y.shape[0]
    first, second = 0, -1
    for i in range(1, dimension):
        if abs(y[i]) > abs(y[first]):
            first = i
    for i in range(dimension):
        if i != first and (second < 0 or abs(y[i]) > abs(y[second])):
            second = i
    i, j = min(first, second), max(first, second)
    pair = i * (2 * dimension - 1 - i) // 2 + (j - i - 1)
    return abs(y[first]) + abs(y[second]), 4 * pair + 2 * int(y[i] > 0) + int(y[j] > 0)


@kernel
def nearest_e8(rows: np.ndarray, out: np.ndarray, start: int, stop: int) -> None:
    """Write the index in `e8` of rows start … stop, int64, shape (N, 8)."""
    places = np.arange(8)
    for n in range(start, stop):
        y = rows[n]
        total, least, minus = np.int64(0), abs(y[0]), 0
        for i in range(8):
            total += abs(y[i])
            least = min(least, abs(y[i]))
            minus += int(y[i] <= 0)
        wrong = minus % 2 == 1
        pair_score, pair = _best_pair(y)
        if 2 * pair_score > total - 2 * least * wrong:
            out[n] = 128 + pair
        else:
            out[n] = sign_rank(y, places, wrong, least)


@kernel
def nearest_bw16(rows: np.ndarray, out: np.ndarray, start: int, stop: int, words: np.ndarray) -> None:
    """Write the index in `bw16` of rows start … stop, int64, shape (N, 16); words as `words_bw16`."""
    num_words = words.shape[0]
    for n in range(start, stop):
        y = rows[n]
        best, index = _NONE, np.int64(0)
        for o in range(num_words):
            total, least, minus = np.int64(0), abs(y[words[o, 0]]), 0
            for k in range(8):
                value = y[words[o, k]]
                total += abs(value)
                least = min(least, abs(value))
                minus += int(value <= 0)
            wrong = minus % 2 == 1
            score = total - 2 * least * wrong
            if score >= best:
                candidate = sign_rank(y, words[o], wrong, least) * num_words + o
                if score > best or candidate < index:
                    best, index = score, candidate
        pair_score, pair = _best_pair(y)
        out[n] = 128 * num_words + pair if 2 * pair_score > best else index


@kernel
def nearest_k12(rows: np.ndarray, out: np.ndarray, start: int, stop: int) -> None:
    """Write the index in `k12` of rows start … stop, int64, shape (N, 12), their axes already multiplied in."""
    powers = np.empty((6, 3), dtype=np.int64)  # products with 1, ω, ω²
    thetas = np.empty((6, 3), dtype=np.int64)  # products with θ, θω, θω²
    halves = np.empty((2, 2, 3), dtype=np.int64)  # sign, half, sum of exponents mod 3: the best sum
    ranks = np.empty((2, 2, 3), dtype=np.int64)
    for n in range(start, stop):
        for i in range(6):
            real, imaginary = rows[n, 2 * i], rows[n, 2 * i + 1]
            powers[i, 0], powers[i, 1], powers[i, 2] = 2 * real, imaginary - real, -imaginary - real
            thetas[i, 0], thetas[i, 1], thetas[i, 2] = 2 * imaginary, -3 * real - imaginary, 3 * real - imaginary
        halves[:] = _NONE
        for half in range(2):
            for a in range(3):
                for b in range(3):
                    for c in range(3):
                        total = powers[3 * half, a] + powers[3 * half + 1, b] + powers[3 * half + 2, c]
                        state = (a + b + c) % 3
                        if total > halves[0, half, state]:
                            halves[0, half, state], ranks[0, half, state] = total, (3 * a + b) * 3 + c
                        if -total > halves[1, half, state]:
                            halves[1, half, state], ranks[1, half, state] = -total, (3 * a + b) * 3 + c
        best, index = _NONE, np.int64(0)
        for sign in range(2):
            for state in range(3):
                other = (3 - state) % 3
                score = halves[sign, 0, state] + halves[sign, 1, other]
                candidate = 243 * sign + 9 * ranks[sign, 0, state] + ranks[sign, 1, other] // 3
                if score > best or (score == best and candidate < index):
                    best, index = score, candidate
        for i in range(6):
            for j in range(6):
                for a in range(3):
                    for b in range(3):
                        if i != j and thetas[i, a] - thetas[j, b] > best:
                            best = thetas[i, a] - thetas[j, b]
                            index = 486 + ((5 * i + j - int(j > i)) * 3 + a) * 3 + b
        out[n] = index
