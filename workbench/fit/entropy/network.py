"""Training the network of the context model, one stage at a time.

It begins where closed forms lead, so that few steps are left to train:

- biases of groups, and in the first stage of codewords, make it the static model while the network says nothing. In
  training a token gets those counted on the *other* half of the pictures, as a law that has counted a token itself is
  too sure of it, and a network beside it would learn to keep still;
- the first 48 hidden units are a linear prediction. With x the digits of a token, c what lies around it, and a common
  Gaussian law of both, the part of log p(x | c) that depends on both is xᵀ S⁻¹ (M c - m), where M is the regression of
  x on c, S the covariance of what it leaves, and m the mean of x; the units hold S⁻¹ (M c - m) and its negative.

Network, biases of groups and all are then trained in floats on the exact code length
(:mod:`workbench.fit.entropy.loss`), and rounded once.
"""

__all__ = ["EntropySettings", "fit_stage"]

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.coding.context import NEIGHBOURS, Stage, num_inputs, round_stage
from workbench.coding.shell import GROUPS, ShellCoder, shell_coder
from workbench.coding.static import static_laws
from workbench.errors import TrainingError
from workbench.fit.entropy.loss import code_length
from workbench.lattices.code import Code
from workbench.progress import Progress

_PLACES = 24
_DIGIT_UNIT = 0.25  # inputs of the network in training are digits times this, so that they are of order one
_FIT_INT16 = 6.0  # twice this, times 2^12, is the largest int16 a weight may become; see `round_stage`
_REGRESSION_TOKENS = 100_000  # of each phase; four hundred for each weight
_LEAST_GROUP = -18.0  # nats, of the 22 that int16 holds: what is learned comes on top
_MEMBER_STAGES = 1  # codewords of later stages come so evenly that a bias of each saves 1 % of the bits for 786 kB
_BLOCK = 2  # pictures: one and its mirror image
_TRUST = 0.75  # in the linear prediction: tokens are less Gaussian than it supposes


@dataclass(frozen=True)
class EntropySettings:
    """How a context model is trained.

    Attributes:
        hidden: Hidden units of the network; from 48 on, the first 48 begin as a linear prediction.
        steps: Steps of the optimizer.
        batch: Tokens a step.
        rate: Largest learning rate.
        seed: Of the weights and of the order of tokens.
    """

    hidden: int = 256
    steps: int = 4000
    batch: int = 512
    rate: float = 1.5e-3
    seed: int = 0


@dataclass(frozen=True)
class _Tokens:
    """Every token of the training pictures with what its law depends on.

    Attributes:
        around: Indices of the 12 neighbours, then of the earlier stages, K where there is none; int32, (n, 12 + s).
        targets: Its index, int64, shape (n,).
        phases: Its phase, int64, shape (n,).
        halves: Which half of the pictures it is from, 0 or 1; int64, shape (n,).
    """

    around: Tensor
    targets: Tensor
    phases: Tensor
    halves: Tensor


class _Network(nn.Module):
    """The network of one stage in floats; see :class:`workbench.coding.context.Stage` for what each weight is."""

    def __init__(self, inputs: int, hidden: int, phases: int, generator: torch.Generator) -> None:
        super().__init__()
        spread = 1.5 * inputs**-0.5
        self.weights = nn.Parameter(torch.randn(phases, inputs, hidden, generator=generator) * spread)
        self.bias = nn.Parameter(torch.zeros(phases, hidden))
        quiet = 0.002 if hidden >= 2 * _PLACES else 0.02  # beside a linear prediction, or with nothing to disturb
        self.score_weights = nn.Parameter(torch.randn(hidden, 216, generator=generator) * quiet)
        self.score_bias = nn.Parameter(torch.zeros(phases, 216))
        self.group_bias = nn.Parameter(torch.zeros(phases, GROUPS))  # on top of what was counted

    def forward(self, inputs: Tensor, phases: Tensor) -> Tensor:
        """Scores in nats, shape (n, 24, 9), for inputs (n, F) and phases (n,)."""
        hidden = inputs.new_zeros(len(inputs), self.bias.shape[1])
        for phase in range(len(self.bias)):
            chosen = (phases == phase).nonzero()[:, 0]
            hidden = hidden.index_copy(0, chosen, inputs[chosen] @ self.weights[phase] + self.bias[phase])
        return (F.relu(hidden) @ self.score_weights + self.score_bias[phases]).unflatten(1, (24, 9))

    @torch.no_grad()
    def predict_linearly(self, phase: int, inputs: Tensor, digits: Tensor) -> None:
        """Make the first 48 hidden units of a phase a linear prediction, for inputs (n, F) and digits (n, 24)."""
        inputs = torch.cat([inputs, inputs.new_ones(len(inputs), 1)], 1)
        mean = digits.mean(0).double()
        gram, cross = (inputs.T @ inputs).double(), (inputs.T @ digits).double()
        regression = torch.linalg.solve(gram + 3 * torch.eye(len(gram)), cross)
        left = (digits - inputs @ regression.float()).double()
        regression[-1] -= mean
        spread = left.T @ left / len(left) + 1e-3 * torch.eye(_PLACES)
        weights = torch.linalg.solve(spread, regression.T).T.float() * _TRUST
        self.weights[phase, :, : 2 * _PLACES] = torch.cat([weights[:-1], -weights[:-1]], 1)
        self.bias[phase, : 2 * _PLACES] = torch.cat([weights[-1], -weights[-1]])
        scores = torch.eye(_PLACES)[:, :, None] * torch.arange(-4.0, 5.0) * _DIGIT_UNIT
        self.score_weights[: 2 * _PLACES] = torch.cat([scores, -scores]).flatten(1)

    @torch.no_grad()
    def rounded(self, units: Tensor, group_bias: Tensor, member_bias: Tensor) -> Stage:
        """The integers that run."""
        weights = (self.weights * units[:, None]).clamp(-_FIT_INT16, _FIT_INT16).numpy()
        return round_stage(
            weights=weights,
            bias=self.bias.numpy(),
            score_weights=self.score_weights.numpy(),
            score_bias=self.score_bias.numpy(),
            group_bias=(group_bias + self.group_bias).numpy(),
            member_bias=member_bias.numpy(),
        )


def fit_stage(
    grids: Sequence[np.ndarray],
    code: Code,
    *,
    number: int = 0,
    period: int = 1,
    settings: EntropySettings | None = None,
    progress: Progress | None = None,
) -> Stage:
    """Train the context model of one stage.

    Args:
        grids: Indices of training pictures, each int64 of shape (depth, h, w) with depth > `number`.
        code: A full Leech shell.
        number: The stage, counted from 0.
        period: P, 1 where the place of a token does not matter.
        settings: None for the defaults.
        progress: Told the fraction done and the mean code length of the last steps.

    Raises:
        TrainingError: if there are no tokens, or the loss is not finite.
    """
    settings = settings or EntropySettings()
    if not grids:
        raise TrainingError("the context model needs at least one grid of training tokens, got none")
    tokens = _tokens(grids, code.size, number, period)
    digits = torch.from_numpy(np.concatenate([code.integers, np.zeros((1, 24), np.int8)]).astype(np.float32))
    units = torch.ones(num_inputs(number))
    slots = torch.arange(len(NEIGHBOURS) * 25).view(-1, 25)
    units[slots[:, :24].reshape(-1)] = _DIGIT_UNIT
    units[len(NEIGHBOURS) * 25 :] = _DIGIT_UNIT

    generator = torch.Generator().manual_seed(settings.seed)
    coder = shell_coder(code)
    stage_grids = [grid[number : number + 1] for grid in grids]
    group_bias, member_bias = _biases(coder, stage_grids, period)
    # Biases for the tokens of either half, one after the other; a few pictures have no other half.
    others = []
    for half in range(2):
        rest = [grid for place, grid in enumerate(stage_grids) if _half(place) != half]
        others.append(_biases(coder, rest or stage_grids, period))
    other_groups, other_members = (torch.cat(parts) for parts in zip(*others, strict=True))
    if number >= _MEMBER_STAGES:
        member_bias, other_members = member_bias[:0], torch.zeros_like(other_members)
    network = _Network(num_inputs(number), settings.hidden, period**2, generator)
    if settings.hidden >= 2 * _PLACES:
        for phase in range(period**2):
            rows = (tokens.phases == phase).nonzero()[:, 0]
            rows = rows[torch.randperm(len(rows), generator=generator)[:_REGRESSION_TOKENS]]
            inputs = _inputs(digits, tokens.around[rows]) * units
            network.predict_linearly(phase, inputs, digits[tokens.targets[rows]] * _DIGIT_UNIT)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, betas=(0.9, 0.99), weight_decay=0.0)
    recent = math.nan
    for step in range(settings.steps):
        warm, done = min(1.0, (step + 1) / 50), step / settings.steps
        optimizer.param_groups[0]["lr"] = settings.rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        rows = torch.randint(len(tokens.targets), (settings.batch,), generator=generator)
        phases = tokens.phases[rows]
        scores = network(_inputs(digits, tokens.around[rows]) * units, phases)
        groups = other_groups + network.group_bias.repeat(2, 1)
        law = phases + period**2 * tokens.halves[rows]
        loss = code_length(scores, groups, other_members, tokens.targets[rows], law, coder).mean()
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        bits = float(loss.detach()) / math.log(2)
        if not math.isfinite(bits):
            raise TrainingError(f"the context model's loss is {bits} at step {step}: lower the learning rate")
        recent = bits if math.isnan(recent) else 0.98 * recent + 0.02 * bits
        if progress and step % 20 == 19:
            progress((step + 1) / settings.steps, f"{recent:.3f} bits a token")
    return network.rounded(units, group_bias, member_bias)


def _half(place: int) -> int:
    """Which half a picture belongs to, the same one as its mirror image."""
    return place // _BLOCK % 2


def _tokens(grids: Sequence[np.ndarray], size: int, number: int, period: int) -> _Tokens:
    """Collect the tokens of a stage."""
    around, targets, phases, halves = [], [], [], []
    for place, grid in enumerate(grids):
        stage = grid[number]
        height, width = stage.shape
        padded = np.full((height + 2, width + 4), size, np.int32)
        padded[2:, 2 : width + 2] = stage
        near = [padded[2 + up : 2 + up + height, 2 + right : 2 + right + width] for up, right in NEIGHBOURS]
        near += [grid[earlier].astype(np.int32) for earlier in range(number)]
        around.append(np.stack(near, axis=-1).reshape(height * width, -1))
        targets.append(stage.reshape(-1).astype(np.int64))
        rows, columns = np.arange(height) % period, np.arange(width) % period
        phases.append((rows[:, None] * period + columns).reshape(-1))
        halves.append(np.full(height * width, _half(place)))
    return _Tokens(*(torch.from_numpy(np.concatenate(part)) for part in (around, targets, phases, halves)))


def _biases(coder: ShellCoder, grids: Sequence[np.ndarray], period: int) -> tuple[Tensor, Tensor]:
    """Biases in nats that make a model without a network the static one: of groups (P², 5131), of members (P², K)."""
    laws = static_laws(grids, len(coder.group), period=period)[0]
    members = np.bincount(coder.group)
    groups = np.stack([np.bincount(coder.group, law) for law in laws])
    group_bias = np.log(groups / members)
    group_bias = np.maximum(group_bias - group_bias.max(axis=1, keepdims=True), _LEAST_GROUP)
    member_bias = np.log(laws / (groups / members)[:, coder.group])
    return torch.from_numpy(group_bias).float(), torch.from_numpy(member_bias).float()


def _inputs(digits: Tensor, around: Tensor) -> Tensor:
    """Inputs (n, F) for indices around (n, 12 + earlier stages): digits, and 1 after those of a neighbour."""
    vectors = digits[around.long()]
    near = len(NEIGHBOURS)
    there = (around[:, :near] < len(digits) - 1).float()[..., None]
    return torch.cat([torch.cat([vectors[:, :near], there], -1).flatten(1), vectors[:, near:].flatten(1)], 1)
