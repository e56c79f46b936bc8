"""The code length of tokens under the context model, and its gradient, in floats.

The model is that of :mod:`workbench.coding.shell` with scores and biases in nats: a token of group g and member m costs

    -log p = log Σ_g' exp(A_g' + b_g') - A_g - b_g  +  log Σ_m' exp(s_m' + c_m') - s_m - c_m,

where A_g is the log of the sum of exp(score) over the members of g, b and c are the biases. The sums over 5,131 groups
are products over coordinates; gradients are sums of posteriors over the groups that hold a coordinate, collected for
Golay words by the bytes of their bits. All of it costs tens of microseconds a token on one core.
"""

__all__ = ["code_length"]

import numpy as np
import torch
from torch import Tensor

from workbench.coding.shell import GROUPS, ShellCoder
from workbench.lattices.golay.code import NUM_OCTADS, NUM_PAIRS, NUM_WORDS
from workbench.lattices.jit import kernel

_FIRST_PAIR = NUM_OCTADS + NUM_WORDS
_STEPS = 4096  # table entries for exp over one octave
_OCTAVES = 126
_LEAST_TILT = 1e-6  # keeps a product of tilts divisible by each of them


def code_length(
    scores: Tensor, group_bias: Tensor, member_bias: Tensor, indices: Tensor, phases: Tensor, coder: ShellCoder
) -> Tensor:
    """Code length of each token in nats, with gradients for the scores and for the biases of groups.

    Args:
        scores: float32, shape (n, 24, 9).
        group_bias: float32, shape (P², 5131).
        member_bias: float32, shape (P², K); a constant.
        indices: int64, shape (n,).
        phases: int64, shape (n,).
        coder: The tables of the codebook.

    Returns:
        float32, shape (n,).
    """
    return _CodeLength.apply(scores, group_bias, member_bias, indices, phases, coder)  # pyright: ignore


class _CodeLength(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: torch.autograd.function.FunctionCtx,
        scores: Tensor,
        group_bias: Tensor,
        member_bias: Tensor,
        indices: Tensor,
        phases: Tensor,
        coder: ShellCoder,
    ) -> Tensor:
        count = len(indices)
        lengths, gradient = np.empty(count, np.float32), np.zeros((count, 24, 9), np.float32)
        group_gradient = np.zeros(group_bias.shape)
        _length(
            coder, _exp_table(), scores.detach().double().numpy(), group_bias.detach().double().numpy(),
            member_bias.numpy(), indices.numpy(), phases.numpy(), lengths, gradient, group_gradient,
        )  # fmt: skip
        ctx.save_for_backward(torch.from_numpy(gradient), torch.from_numpy(group_gradient).float())
        return torch.from_numpy(lengths)

    @staticmethod
    def backward(ctx, upstream: Tensor):  # noqa: ANN001, ANN205 - torch's signature
        gradient, group_gradient = ctx.saved_tensors
        # The groups' gradient was summed over the batch: it is exact where every token weighs the same, as in a mean.
        return gradient * upstream[:, None, None], group_gradient * upstream.mean(), None, None, None, None


def _exp_table() -> np.ndarray:
    return 2.0 ** (-np.arange(_STEPS) / _STEPS)


@kernel(inline=True)
def _exp_down(table: np.ndarray, powers: np.ndarray, x: float) -> float:
    """exp(-x) for x >= 0, within a part in six thousand."""
    step = int(x * (_STEPS * 1.4426950408889634))
    octave = step >> 12
    return table[step & (_STEPS - 1)] * powers[octave] if octave < _OCTAVES else 0.0


@kernel
def _length(
    coder: ShellCoder,
    table: np.ndarray,
    scores: np.ndarray,
    group_bias: np.ndarray,
    member_bias: np.ndarray,
    indices: np.ndarray,
    phases: np.ndarray,
    lengths: np.ndarray,
    gradient: np.ndarray,
    group_gradient: np.ndarray,
) -> None:
    """Write the length of each token and its gradient by scores; add those by group biases to `group_gradient`."""
    powers = 2.0 ** -np.arange(_OCTAVES)
    mass, factor = np.empty(GROUPS), np.empty(GROUPS)
    sums, threes = np.empty((3, 256)), np.empty((3, 256))
    gain2, gain4, tilt, ratio0, ratio1 = np.empty(24), np.empty(24), np.empty(24), np.empty(24), np.empty(24)
    for token in range(indices.size):
        s, grad = scores[token], gradient[token]
        phase, index = phases[token], indices[token]
        target = coder.group[index]

        zeros, minus_ones = 0.0, 0.0
        most = -1e30
        for i in range(24):
            zeros += s[i, 4]
            minus_ones += s[i, 3]
            half = 0.5 * (s[i, 6] - s[i, 2])
            tilt[i] = np.tanh(half)
            if abs(tilt[i]) < _LEAST_TILT:
                tilt[i] = _LEAST_TILT
            gain2[i] = max(s[i, 6], s[i, 2]) + np.log1p(np.exp(-2 * abs(half))) - s[i, 4]
            gain4[i] = max(s[i, 8], s[i, 0]) + np.log1p(np.exp(-abs(s[i, 8] - s[i, 0]))) - s[i, 4]
            ratio0[i], ratio1[i] = s[i, 7] - s[i, 3], s[i, 1] - s[i, 5]
            most = max(most, ratio0[i], ratio1[i])
        for i in range(24):
            ratio0[i], ratio1[i] = np.exp(ratio0[i] - most), np.exp(ratio1[i] - most)
        for byte in range(3):
            base, more = 0.0, 0.0
            for bit in range(8):
                base += s[8 * byte + bit, 3]
                more += ratio0[8 * byte + bit]
            sums[byte, 0], threes[byte, 0] = base, more
            for bit in range(8):
                i = 8 * byte + bit
                for pattern in range(1 << bit):
                    sums[byte, pattern + (1 << bit)] = sums[byte, pattern] + s[i, 5] - s[i, 3]
                    threes[byte, pattern + (1 << bit)] = threes[byte, pattern] + ratio1[i] - ratio0[i]

        # Forward: masses of all groups, over that of the best.
        best = -1e30
        for octad in range(NUM_OCTADS):
            exponent, product = zeros, 1.0
            for k in range(8):
                exponent += gain2[coder.octads[octad, k]]
                product *= tilt[coder.octads[octad, k]]
            mass[octad] = exponent + group_bias[phase, octad]
            factor[octad] = max(0.5 + 0.5 * product, 1e-9)
            best = max(best, mass[octad])
        for word in range(NUM_WORDS):
            a, b, c = coder.words[word, 0], coder.words[word, 1], coder.words[word, 2]
            g = NUM_OCTADS + word
            mass[g] = sums[0, a] + sums[1, b] + sums[2, c] + most + group_bias[phase, g]
            factor[g] = max(threes[0, a] + threes[1, b] + threes[2, c], 1e-9)
            best = max(best, mass[g])
        for pair in range(NUM_PAIRS):
            g = _FIRST_PAIR + pair
            mass[g] = zeros + gain4[coder.pairs[pair, 0]] + gain4[coder.pairs[pair, 1]] + group_bias[phase, g]
            factor[g] = 1.0
            best = max(best, mass[g])
        wanted = best - mass[target] - np.log(factor[target])
        total = 0.0
        for g in range(GROUPS):
            mass[g] = _exp_down(table, powers, best - mass[g]) * factor[g]
            total += mass[g]
        length = wanted + np.log(total)

        # Backward: posteriors less the target, pulled back to the digits.
        pull2, pull4, pull_tilt = np.zeros(24), np.zeros(24), np.zeros(24)
        pull_zero = 0.0
        words, three_words = np.zeros((3, 256)), np.zeros((3, 256))
        all_words, all_threes = 0.0, 0.0
        for g in range(GROUPS):
            pull = mass[g] / total - (1.0 if g == target else 0.0)
            group_gradient[phase, g] += pull
            if g < NUM_OCTADS:
                pull_zero += pull
                over = pull * (factor[g] - 0.5) / factor[g]
                for k in range(8):
                    i = coder.octads[g, k]
                    pull2[i] += pull
                    pull_tilt[i] += over / tilt[i]
            elif g < _FIRST_PAIR:
                w = g - NUM_OCTADS
                a, b, c = coder.words[w, 0], coder.words[w, 1], coder.words[w, 2]
                words[0, a] += pull
                words[1, b] += pull
                words[2, c] += pull
                share = pull / factor[g]
                three_words[0, a] += share
                three_words[1, b] += share
                three_words[2, c] += share
                all_words += pull
                all_threes += share
            else:
                pull_zero += pull
                pull4[coder.pairs[g - _FIRST_PAIR, 0]] += pull
                pull4[coder.pairs[g - _FIRST_PAIR, 1]] += pull
        for i in range(24):
            ones, three_ones = 0.0, 0.0
            for pattern in range(256):
                if (pattern >> (i & 7)) & 1:
                    ones += words[i >> 3, pattern]
                    three_ones += three_words[i >> 3, pattern]
            up = 1 / (1 + np.exp(s[i, 2] - s[i, 6]))
            slope = 0.5 * (1 - tilt[i] * tilt[i]) * pull_tilt[i]
            grad[i, 6] += pull2[i] * up + slope
            grad[i, 2] += pull2[i] * (1 - up) - slope
            up = 1 / (1 + np.exp(s[i, 0] - s[i, 8]))
            grad[i, 8] += pull4[i] * up
            grad[i, 0] += pull4[i] * (1 - up)
            grad[i, 4] += pull_zero - pull2[i] - pull4[i]
            plus, minus = ratio1[i] * three_ones, ratio0[i] * (all_threes - three_ones)
            grad[i, 5] += ones - plus
            grad[i, 3] += all_words - ones - minus
            grad[i, 1] += plus
            grad[i, 7] += minus
        lengths[token] = length + _member_length(coder, s, member_bias[phase], index, grad)


@kernel
def _member_length(coder: ShellCoder, s: np.ndarray, bias: np.ndarray, index: int, grad: np.ndarray) -> float:
    """Length of a codeword within its group; adds its gradient."""
    group, count = coder.group[index], 0
    if group < NUM_OCTADS:
        rows = coder.octad_rows[group]
        count = 128
    elif group < _FIRST_PAIR:
        rows = coder.word_rows[group - NUM_OCTADS]
        count = 24
    else:
        rows = coder.pair_rows[group - _FIRST_PAIR]
        count = 4
    members = np.empty(128)
    best, wanted = -1e30, 0
    for member in range(count):
        digits = coder.digits[rows[member]]
        score = float(bias[rows[member]])
        for i in range(24):
            score += s[i, digits[i] + 4]
        members[member] = score
        best = max(best, score)
        if rows[member] == index:
            wanted = member
    length, total = best - members[wanted], 0.0
    for member in range(count):
        members[member] = np.exp(members[member] - best)
        total += members[member]
    for member in range(count):
        pull = members[member] / total - (1.0 if member == wanted else 0.0)
        digits = coder.digits[rows[member]]
        for i in range(24):
            grad[i, digits[i] + 4] += pull
    return length + np.log(total)
