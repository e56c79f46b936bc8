"""Fitting the entropy models of a tokenizer on tokens of training pictures.

The static model is counted. The context model begins as counts too: biases of groups of codewords and of codewords
within their group, by phase, make it the static model while its network says nothing. The network, the one that
:mod:`workbench.coding.context` runs in integers, and the biases of groups are then trained in floats on the exact code
length (:mod:`workbench.tasks.fit.entropy_loss`), and rounded once. Nothing here decides a byte: files carry a digest of
the rounded tables.
"""

__all__ = ["EntropySettings", "fit_stage", "fit_tables", "tokens_of"]

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.coding.context import NEIGHBOURS, Stage, num_inputs, round_stage
from workbench.coding.shell import GROUPS, ShellCoder, shell_coder
from workbench.coding.static import fit_static
from workbench.coding.tables import Tables
from workbench.errors import TrainingError
from workbench.lattices.code import Code
from workbench.models.tokenizer import Tokenizer
from workbench.tasks.fit.entropy_loss import code_length

Progress = Callable[[float, str], None]

_LEECH = ("leech", "leech-published")
_DIGIT_UNIT = 0.25  # inputs of the network in training are digits times this, so that they are of order one
_PRIOR = 4.0  # tokens that a coarser law is worth
_FIT_INT16 = 6.0  # twice this, times 2^12, is the largest int16 a weight may become; see `round_stage`


@dataclass(frozen=True)
class EntropySettings:
    """How a context model is trained.

    Attributes:
        hidden: Hidden units of the network.
        steps: Steps of the optimizer.
        batch: Tokens a step.
        rate: Largest learning rate.
        seed: Of the weights and of the order of tokens.
    """

    hidden: int = 192
    steps: int = 3000
    batch: int = 1024
    rate: float = 2e-3
    seed: int = 0


class _Network(nn.Module):
    """The network of one stage in floats; see :class:`workbench.coding.context.Stage` for what each weight is."""

    def __init__(self, inputs: int, hidden: int, group_bias: Tensor, generator: torch.Generator) -> None:
        super().__init__()
        phases = len(group_bias)
        spread = 1.5 * inputs**-0.5
        self.weights = nn.Parameter(torch.randn(phases, inputs, hidden, generator=generator) * spread)
        self.bias = nn.Parameter(torch.zeros(phases, hidden))
        self.score_weights = nn.Parameter(torch.randn(hidden, 216, generator=generator) * 0.02)
        self.score_bias = nn.Parameter(torch.zeros(phases, 216))
        self.group_bias = nn.Parameter(group_bias.clone())

    def forward(self, inputs: Tensor, phases: Tensor) -> Tensor:
        """Scores in nats, shape (n, 24, 9), for inputs (n, F) and phases (n,)."""
        hidden = inputs.new_zeros(len(inputs), self.bias.shape[1])
        for phase in range(len(self.bias)):
            chosen = (phases == phase).nonzero()[:, 0]
            hidden = hidden.index_copy(0, chosen, inputs[chosen] @ self.weights[phase] + self.bias[phase])
        return (F.relu(hidden) @ self.score_weights + self.score_bias[phases]).unflatten(1, (24, 9))

    @torch.no_grad()
    def rounded(self, units: Tensor, member_bias: Tensor) -> Stage:
        """The integers that run."""
        weights = (self.weights * units[:, None]).clamp(-_FIT_INT16, _FIT_INT16).numpy()
        return round_stage(
            weights=weights,
            bias=self.bias.numpy(),
            score_weights=self.score_weights.numpy(),
            score_bias=self.score_bias.numpy(),
            group_bias=self.group_bias.numpy(),
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
    around, targets, phases = _contexts(grids, code.size, number, period)
    digits = torch.from_numpy(np.concatenate([code.integers, np.zeros((1, 24), np.int8)]).astype(np.float32))
    units = torch.ones(num_inputs(number))
    slots = torch.arange(len(NEIGHBOURS) * 25).view(-1, 25)
    units[slots[:, :24].reshape(-1)] = _DIGIT_UNIT
    units[len(NEIGHBOURS) * 25 :] = _DIGIT_UNIT

    generator = torch.Generator().manual_seed(settings.seed)
    coder = shell_coder(code)
    group_bias, member_bias = _counted_biases(coder, targets.numpy(), phases.numpy(), period)
    network = _Network(num_inputs(number), settings.hidden, group_bias, generator)
    optimizer = torch.optim.AdamW(network.parameters(), lr=settings.rate, betas=(0.9, 0.99), weight_decay=0.0)
    recent = math.nan
    for step in range(settings.steps):
        warm, done = min(1.0, (step + 1) / 50), step / settings.steps
        optimizer.param_groups[0]["lr"] = settings.rate * warm * (0.02 + 0.49 * (1 + math.cos(math.pi * done)))
        rows = torch.randint(len(targets), (settings.batch,), generator=generator)
        inputs = _inputs(digits, around[rows]) * units
        scores = network(inputs, phases[rows])
        own = phases[rows]
        loss = code_length(scores, network.group_bias, member_bias, targets[rows], own, coder).mean()
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
    return network.rounded(units, member_bias)


def fit_tables(
    tokenizer: Tokenizer,
    grids: Sequence[np.ndarray],
    *,
    settings: EntropySettings | None = None,
    progress: Progress | None = None,
) -> Tables:
    """Fit every entropy model that a tokenizer's codebook allows.

    Args:
        tokenizer: The model whose tokens they are, loaded from a folder.
        grids: What :func:`tokens_of` gave.
        settings: Of the context model.
        progress: Told the fraction done and what is going on.

    Raises:
        TrainingError: if there are no tokens, or the tokenizer's weights were never saved.
    """
    if not grids or tokenizer.weights_hash is None:
        raise TrainingError(
            f"entropy models are fitted on tokens of a saved tokenizer: got {len(grids)} grids and weights "
            f"{tokenizer.weights_hash or 'that were never saved'}"
        )
    body = tokenizer.config["body"]
    period = int(body.get("period", 1))
    code = getattr(tokenizer.quantizer, "code", None)
    levels = fit_static(grids, tokenizer.quantizer.size, period=period)
    stages: list[Stage] = []
    if isinstance(code, Code) and code.name in _LEECH:
        depth = len(grids[0])
        for number in range(depth):

            def report(fraction: float, message: str, number: int = number) -> None:
                if progress:
                    progress((number + fraction) / depth, f"context model, stage {number + 1}: {message}")

            stage = fit_stage(grids, code, number=number, period=period, settings=settings, progress=report)
            stages.append(stage)
    return Tables(tokenizer.fingerprint, tokenizer.weights_hash, levels, tuple(stages))


def tokens_of(tokenizer: Tokenizer, pictures: Iterable[np.ndarray]) -> Iterator[np.ndarray]:
    """Yield the indices of pictures, int64 of shape (depth, h, w).

    Args:
        tokenizer: The model.
        pictures: uint8, each of shape (H, W, 3).
    """
    for picture in pictures:
        indices = tokenizer.tokenize(torch.from_numpy(np.ascontiguousarray(picture)).permute(2, 0, 1)[None])[0]
        yield (indices if indices.ndim == 3 else indices[None]).cpu().numpy()


def _contexts(grids: Sequence[np.ndarray], size: int, number: int, period: int) -> tuple[Tensor, Tensor, Tensor]:
    """For every token: indices around it (n, 12 + number), K where there is none; its index (n,); its phase (n,)."""
    around, targets, phases = [], [], []
    for grid in grids:
        stage = grid[number]
        height, width = stage.shape
        padded = np.full((height + 2, width + 4), size, np.int32)
        padded[2:, 2 : width + 2] = stage
        near = [padded[2 + up : 2 + up + height, 2 + right : 2 + right + width] for up, right in NEIGHBOURS]
        near += [grid[earlier].astype(np.int32) for earlier in range(number)]
        around.append(np.stack(near, axis=-1).reshape(height * width, -1))
        targets.append(stage.reshape(-1))
        rows, columns = np.arange(height) % period, np.arange(width) % period
        phases.append((rows[:, None] * period + columns).reshape(-1))
    return tuple(torch.from_numpy(np.concatenate(part)) for part in (around, targets, phases))  # pyright: ignore


def _counted_biases(coder: ShellCoder, targets: np.ndarray, phases: np.ndarray, period: int) -> tuple[Tensor, Tensor]:
    """Biases in nats that make a model without a network the static one: of groups (P², 5131), of members (P², K)."""
    size = len(coder.group)
    members = np.bincount(coder.group)
    counts = (
        np.bincount(phases * size + targets, minlength=period**2 * size).reshape(period**2, size).astype(np.float64)
    )
    everywhere = counts.sum(0)
    in_groups = np.bincount(coder.group, everywhere)
    # Coarser laws stand in for what is rarely seen: a word's share of its group, and a group's share of a phase, are
    # those of all phases, whose are those of even use, each worth a few tokens.
    share = (everywhere + _PRIOR / members[coder.group]) / (in_groups + _PRIOR)[coder.group]
    group_share = (in_groups + members * _PRIOR / size) / (len(targets) + _PRIOR)
    group_bias, member_bias = np.empty((period**2, GROUPS)), np.empty((period**2, size))
    for phase, row in enumerate(counts):
        own = np.bincount(coder.group, row, minlength=GROUPS)
        group_bias[phase] = np.log((own + _PRIOR * group_share * GROUPS) / members)
        member_bias[phase] = np.log((row + _PRIOR * share) / (own + _PRIOR)[coder.group] * members[coder.group])
    group_bias -= group_bias.max(axis=1, keepdims=True)
    return torch.from_numpy(group_bias).float(), torch.from_numpy(member_bias).float()


def _inputs(digits: Tensor, around: Tensor) -> Tensor:
    """Inputs (n, F) for indices around (n, 12 + earlier stages): digits, and 1 after those of a neighbour."""
    vectors = digits[around.long()]
    near = len(NEIGHBOURS)
    there = (around[:, :near] < len(digits) - 1).float()[..., None]
    return torch.cat([torch.cat([vectors[:, :near], there], -1).flatten(1), vectors[:, near:].flatten(1)], 1)
