"""Rate: bits that tokens cost, and how far two rate–distortion curves lie apart.

The fixed rate of N tokens over K words is N log2 K bits. Under a model q that both sides have beforehand they take
-Σ log2 q, and a file comes within a few bits of it. N times the entropy of their own counts says how evenly words are
used; it is no rate of a file, which would have to hold the counts, and of few tokens it is far below any.

Bjøntegaard difference: with quality as a function of log10(rate), or the reverse, interpolated by a monotone cubic
through the measured points, the mean gap between two curves over what they share: BD-rate in per cent at equal
quality, BD-quality at equal rate (BD-PSNR, in dB, where the quality is PSNR).
Sources: G. Bjøntegaard, VCEG-M33, 2001; the interpolation is that of JVET's common test conditions (Fritsch and
Butland, SIAM J. Sci. Stat. Comput. 5, 1984).
"""

__all__ = ["bd_quality", "bd_rate", "bits_per_pixel", "empirical_entropy_bits", "fixed_bits", "model_bits"]

import math
from collections.abc import Sequence

import numpy as np

from workbench.errors import InputError


def bits_per_pixel(bits: float, *, height: int, width: int) -> float:
    """Bits a pixel of the picture, padding not counted.

    Raises:
        InputError: if the picture is empty.
    """
    if height < 1 or width < 1:
        raise InputError(f"expected a picture, got {width}×{height} pixels")
    return bits / (height * width)


def fixed_bits(tokens: int, size: int) -> float:
    """Bits of `tokens` tokens over `size` words when every word costs the same: N log2 K."""
    return tokens * math.log2(size)


def empirical_entropy_bits(counts: np.ndarray) -> float:
    """N times the entropy of the counts themselves; neither a rate nor a bound, as the counts are not described.

    Args:
        counts: Tokens of each word, integers from 0 up, shape (K,).
    """
    counts = counts[counts > 0].astype(np.float64)
    return float((counts * (np.log2(counts.sum()) - np.log2(counts))).sum()) if counts.size else 0.0


def model_bits(counts: np.ndarray, weights: np.ndarray) -> float:
    """Bits of all tokens under a static model: the cross-entropy of the counts, times N.

    Args:
        counts: Tokens of each word, integers from 0 up, shape (K,).
        weights: What the model gives to each word, from 0 up, in any unit (probabilities or integer frequencies).

    Returns:
        `math.inf` where a word was seen to which the model gives nothing.

    Raises:
        InputError: if the shapes differ or the weights are no distribution.
    """
    weights = np.asarray(weights, dtype=np.float64)
    if weights.shape != counts.shape or not np.isfinite(weights).all() or (weights < 0).any() or not weights.sum():
        raise InputError(f"expected {counts.shape} weights ≥ 0, not all zero, got shape {weights.shape}")
    seen = counts > 0
    if (weights[seen] == 0).any():
        return math.inf
    return float((counts[seen] * (np.log2(weights.sum()) - np.log2(weights[seen]))).sum())


def bd_rate(
    rates: Sequence[float], qualities: Sequence[float], other_rates: Sequence[float], other_qualities: Sequence[float]
) -> float:
    """Mean rate that the other curve needs beyond the first at equal quality, in per cent; negative: it needs less.

    Args:
        rates: Rates of the first curve, above 0, two points or more, in any order.
        qualities: Quality at each, growing with the rate.
        other_rates: Rates of the other curve.
        other_qualities: Quality at each.

    Raises:
        InputError: if a curve is no curve, quality does not grow with rate, or the two share no range of quality.
    """
    log_rate, quality = _curve(rates, qualities)
    other_log_rate, other_quality = _curve(other_rates, other_qualities)
    gap = _mean_gap(quality, log_rate, other_quality, other_log_rate, "quality")
    return 100 * (10**gap - 1)


def bd_quality(
    rates: Sequence[float], qualities: Sequence[float], other_rates: Sequence[float], other_qualities: Sequence[float]
) -> float:
    """Mean quality that the other curve has beyond the first at equal rate, in the quality's unit (dB for PSNR).

    Arguments and errors are those of :func:`bd_rate`.
    """
    log_rate, quality = _curve(rates, qualities)
    other_log_rate, other_quality = _curve(other_rates, other_qualities)
    return _mean_gap(log_rate, quality, other_log_rate, other_quality, "rate")


def _curve(rates: Sequence[float], qualities: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
    """log10 of the rates, and the qualities, both sorted and strictly growing."""
    rate, quality = np.asarray(rates, np.float64), np.asarray(qualities, np.float64)
    if rate.ndim != 1 or rate.shape != quality.shape or rate.size < 2:
        raise InputError(f"expected two points or more, got {rate.size} rates and {quality.size} qualities")
    if not (np.isfinite(rate).all() and np.isfinite(quality).all() and (rate > 0).all()):
        raise InputError("expected finite qualities and finite rates above 0; leave lossless points out")
    order = np.argsort(rate)
    rate, quality = rate[order], quality[order]
    falls = np.flatnonzero((np.diff(quality) <= 0) | (np.diff(rate) <= 0))
    if falls.size:
        i = int(falls[0])
        raise InputError(
            f"quality must grow with rate, but rate {rate[i]:.4g} has {quality[i]:.4g} "
            f"and rate {rate[i + 1]:.4g} has {quality[i + 1]:.4g}: leave out points that another one beats"
        )
    return np.log10(rate), quality


def _mean_gap(x: np.ndarray, y: np.ndarray, other_x: np.ndarray, other_y: np.ndarray, axis: str) -> float:
    """Mean of (other curve - first curve) over the shared range of x."""
    low, high = max(x[0], other_x[0]), min(x[-1], other_x[-1])
    if not low < high:
        unit = (lambda v: 10**v) if axis == "rate" else (lambda v: v)
        raise InputError(
            f"the curves share no range of {axis}: {unit(x[0]):.4g} to {unit(x[-1]):.4g} "
            f"against {unit(other_x[0]):.4g} to {unit(other_x[-1]):.4g}"
        )
    return (_integral(other_x, other_y, low, high) - _integral(x, y, low, high)) / (high - low)


def _slopes(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Slopes at the points of the monotone cubic (Fritsch–Butland; three points at the ends)."""
    width, rise = np.diff(x), np.diff(y) / np.diff(x)
    if x.size == 2:
        return np.full(2, rise[0])
    slopes = np.zeros_like(y)
    before, after = 2 * width[1:] + width[:-1], width[1:] + 2 * width[:-1]
    # Weighted harmonic mean; all rises are positive here, as curves grow.
    slopes[1:-1] = (before + after) / (before / rise[:-1] + after / rise[1:])
    slopes[0] = _end_slope(width[0], width[1], rise[0], rise[1])
    slopes[-1] = _end_slope(width[-1], width[-2], rise[-1], rise[-2])
    return slopes


def _end_slope(width: float, next_width: float, rise: float, next_rise: float) -> float:
    slope = ((2 * width + next_width) * rise - width * next_rise) / (width + next_width)
    return float(np.clip(slope, 0, 3 * rise))


def _integral(x: np.ndarray, y: np.ndarray, low: float, high: float) -> float:
    """Integral of the monotone cubic through the points, over [low, high] within them."""
    slopes, total = _slopes(x, y), 0.0
    for i, width in enumerate(np.diff(x)):
        # The cubic on this stretch, in t = (x - x_i) / width: coefficients of 1, t, t², t³.
        rise, left, right = y[i + 1] - y[i], slopes[i] * width, slopes[i + 1] * width
        cubic = np.polynomial.Polynomial([y[i], left, 3 * rise - 2 * left - right, left + right - 2 * rise])
        start, stop = (np.clip((end - x[i]) / width, 0, 1) for end in (low, high))
        whole = cubic.integ()
        total += width * (whole(stop) - whole(start))
    return float(total)
