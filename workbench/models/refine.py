"""Refinement: better codewords for the same decoder, by analysis and synthesis.

The encoder chooses the codeword nearest to its latent, and knows nothing of what the decoder makes of it. Here the
decoder decides. For a grid of tokens q with decoded picture f(q), of the picture x,

    J(q) = ‖f(q) − x‖² + λ · bits(q)          (squared error of pixels in [0, 1]; bits of the entropy code, or none)

falls round by round. A round looks at every third patch in each direction, so that changed patches are neighbours of
none that changes too, and tries a few codewords in each: those nearest to

    t = q + p · (z − q) − s · g / |g|          z: the encoder's latent, g: the gradient of the squared error at q

that differ from q and were not tried there of late. Each is decoded; where the error of the 3×3 patches around it plus
λ times the change of bits falls, the best one stays. Bits are those of the token itself, and of the best codeword
also those of the tokens that have it as a neighbour. A round after which J has not fallen is taken back.

The pull p towards the latent does more than the gradient: codewords 60° apart are so far from each other that a
linear model of the decoder says little, while the codewords around z all look alike to the encoder and are not. Rounds
run in bfloat16 where the processor has it; the first and the last state are compared in float32.
Every number of a patch depends on what lies within two halos of it, and tiles are cut with that much around them, so
the result does not depend on the size of tiles, on threads or on the batch.
Related: Campos et al., arXiv:1906.01223; Yang et al., arXiv:2006.04240 (continuous latents, by gradients).
"""

__all__ = ["EFFORTS", "MAX_EFFORT", "Local", "Rate", "Refined", "can_refine", "check_effort", "refine"]

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import InputError
from workbench.models.tiling import map_tiles
from workbench.progress import Progress, no_progress
from workbench.quantizers.quantizer import Quantizer

EFFORTS = (0, 2, 4, 6, 9, 13, 18, 27, 45, 81)  # rounds of each effort; nine look at every patch once
MAX_EFFORT = len(EFFORTS) - 1
_SPACING = 3
_TRIES = 3  # codewords tried in a patch that a round looks at
_NEAR = 16  # codewords they are chosen from
_REMEMBERED = 8  # tries that a patch remembers
_PULL, _STEP = 0.3, 0.15  # step in units of the mean distance between latent and codeword
_TILE = 64  # patches a side that are decoded at once, halo not counted
_SEED = 24


class Local(Protocol):
    """A tokenizer whose encoder and decoder read a few patches around each patch."""

    name: str
    factor: int
    quantizer: Quantizer
    encoder: nn.Module
    decoder: nn.Module

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        ...

    @property
    def dtype(self) -> torch.dtype:
        """The floating type of the networks."""
        ...

    def encode(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W) in [0, 1] to latents (B, D, h, w)."""
        ...

    def decode(self, codes: Tensor) -> Tensor:
        """Codes (B, D, h, w) to images (B, 3, H, W)."""
        ...

    def padded(self, images: Tensor) -> Tensor:
        """Images (B, 3, H, W), uint8 or in [0, 1], as floats whose sides are multiples of the patch's."""
        ...

    def tokenize(self, images: Tensor) -> Tensor:
        """Indices (B, h, w) or (B, h, w, d)."""
        ...

    def to_planes(self, indices: Tensor) -> Tensor:
        """Indices as one plane a stage, (B, d, h, w)."""
        ...

    def from_planes(self, planes: Tensor) -> Tensor:
        """The inverse."""
        ...


class Rate(Protocol):
    """What the tokens of a picture cost; an entropy model is one."""

    def token_bits(self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Bits of each candidate (n, k, depth) at its place (n, 2) of indices (depth, h, w); shape (n, k)."""
        ...

    def grid_bits(self, indices: np.ndarray, places: np.ndarray, candidates: np.ndarray) -> np.ndarray:
        """Likewise of all tokens whose cost depends on the place."""
        ...


@dataclass(frozen=True, eq=False)
class Refined:
    """Indices of one picture after a search, and how it went.

    Attributes:
        indices: int64, shape (h, w) or (h, w, d), as the tokenizer gives them.
        squared_error: Of pixels in [0, 1], summed over the padded picture: before, and after each round.
        bits: Change of the code length in bits, likewise; zero without a rate.
        rounds: Rounds that were run; fewer than asked for where the search was stopped.
    """

    indices: Tensor = field(repr=False)
    squared_error: tuple[float, ...]
    bits: tuple[float, ...]
    rounds: int

    @property
    def gain(self) -> float:
        """Decibels of squared error that the search won."""
        before, after = self.squared_error[0], self.squared_error[-1]
        return 10 * float(np.log10(before / after)) if before > 0 and after > 0 else 0.0


def check_effort(effort: int) -> int:
    """Return the effort.

    Raises:
        InputError: if it is not a whole number from 0 to 9.
    """
    if not isinstance(effort, int) or isinstance(effort, bool) or not 0 <= effort <= MAX_EFFORT:
        raise InputError(f"effort {effort!r}: expected a whole number from 0 (none) to {MAX_EFFORT} (most)")
    return effort


def can_refine(tokenizer: object) -> bool:
    """Whether a tokenizer's decoder reads the neighbours of a patch alone, as a convolutional body's does."""
    return isinstance(getattr(getattr(tokenizer, "decoder", None), "halo", None), int)


@torch.inference_mode(mode=False)
@torch.no_grad()
def refine(
    tokenizer: Local,
    image: Tensor,
    indices: Tensor | None = None,
    *,
    effort: int = MAX_EFFORT,
    rate: Rate | None = None,
    trade: float = 0.0,
    progress: Progress = no_progress,
    stop: Callable[[], bool] = lambda: False,
) -> Refined:
    """Search better codewords for one picture.

    Args:
        tokenizer: One whose body is local (convolutional) and whose quantizer can list neighbours.
        image: Shape (3, H, W), floats in [0, 1] or uint8, any size.
        indices: Where to begin, as the tokenizer gives them for the picture; None for its own choice.
        effort: From 0 to 9; see :data:`EFFORTS`.
        rate: What tokens cost, where `trade` is not 0.
        trade: λ, squared error of a pixel value in [0, 1] that a bit may cost.
        progress: Told the share done and the gain so far.
        stop: Asked before each round; the best state so far is returned once it says yes.

    Raises:
        InputError: if the tokenizer, the picture, the indices or a number do not fit.
    """
    rounds = EFFORTS[check_effort(effort)]
    if not can_refine(tokenizer):
        raise InputError(
            f"model {tokenizer.name!r}: refinement needs a decoder that reads a patch's neighbours alone "
            "(a convolutional body); take effort 0"
        )
    if trade < 0 or (trade and rate is None):
        raise InputError(f"expected λ ≥ 0, and a rate where it is above 0; got λ = {trade} and rate {rate}")
    begin = tokenizer.tokenize(image[None])[0] if indices is None else indices
    search = _Search(tokenizer, image, begin, rate if trade else None, trade)
    start = search.squared_error(begin := search.planes)
    for number in range(rounds):
        if stop():
            break
        search.round(number)
        progress((number + 1) / rounds, f"{search.gain:+.2f} dB")
    best = search.finish()
    if best is None:
        return Refined(tokenizer.from_planes(begin[None])[0], (start,), (0.0,), 0)
    errors, bits = search.errors, search.bits
    errors[0], errors[-1] = start, search.squared_error(best.planes)
    planes = best.planes
    if errors[-1] + trade * bits[-1] > start:  # float32 has the last word
        planes, errors[-1], bits[-1] = begin, start, 0.0
    return Refined(tokenizer.from_planes(planes[None])[0], tuple(errors), tuple(bits), len(bits) - 1)


@dataclass(frozen=True, eq=False)
class _State:
    """Planes of indices (d, h, w), the squared error of each patch (h, w), and the bits spent since the start."""

    planes: Tensor
    errors: Tensor
    bits: float

    @property
    def squared_error(self) -> float:
        return float(self.errors.double().sum())


class _Search:
    """A search: the best state so far, the planes to look at next, and what was tried."""

    def __init__(self, tokenizer: Local, image: Tensor, indices: Tensor, rate: Rate | None, trade: float) -> None:
        self.tokenizer, self.quantizer = tokenizer, tokenizer.quantizer
        self.rate, self.trade = rate, trade
        self.device = tokenizer.device
        self.picture = tokenizer.padded(image[None])
        rows, columns = (side // tokenizer.factor for side in self.picture.shape[-2:])
        expected = (rows, columns, *self.quantizer.index_shape)
        if tuple(indices.shape) != expected:
            raise InputError(f"expected indices of shape {expected} for this picture, got {tuple(indices.shape)}")
        self.planes, self.spent = tokenizer.to_planes(indices[None])[0].cpu().clone(), 0.0
        self.latents = self._latents()
        self.step = _STEP * (self.latents - self._codes(self.planes).cpu()).norm(dim=-1).mean()
        self.tried = torch.full((rows, columns, _REMEMBERED), -1, dtype=torch.int64)
        self.low = tokenizer.dtype == torch.float32 and _has_bfloat16(self.device)
        self.generator = np.random.default_rng(_SEED)
        self.best: _State | None = None
        self.gradient = torch.empty(0)
        self.errors: list[float] = []  # of the best state, before and after each round
        self.bits: list[float] = []

    @property
    def gain(self) -> float:
        """Decibels of squared error won so far."""
        return 10 * float(np.log10(self.errors[0] / self.errors[-1])) if self.errors and self.errors[-1] else 0.0

    def round(self, number: int) -> None:
        """Try codewords on one sub-grid of the best state; what is better is looked at when the next round begins."""
        errors, gradient = self._gradient()
        best = self._settle(_State(self.planes, errors, self.spent))
        if best.planes is self.planes:
            self.gradient = gradient
        if number % _SPACING**2 == 0:
            self.order = self.generator.permutation(_SPACING**2)
        top, left = divmod(int(self.order[number % _SPACING**2]), _SPACING)
        rows, columns = best.errors.shape
        grid = torch.ones(rows, columns, dtype=torch.bool)
        places = grid[top::_SPACING, left::_SPACING].nonzero() * _SPACING + torch.tensor([top, left])
        self.planes, self.spent = best.planes, best.bits
        if len(places):
            self._try(best, places)

    def finish(self) -> _State | None:
        """The best state, once the last round has been looked at."""
        if self.best is None:
            return None
        return self._settle(_State(self.planes, self._errors(self.planes, low=self.low), self.spent))

    def squared_error(self, planes: Tensor) -> float:
        """Of a whole picture, in float32."""
        return float(self._errors(planes, low=False).double().sum())

    def _settle(self, state: _State) -> _State:
        """Take a state if it costs less than the best so far; return the best."""
        best = self.best
        if best is None or state.squared_error + self.trade * state.bits < best.squared_error + self.trade * best.bits:
            best = state
        self.best = best
        self.errors.append(best.squared_error)
        self.bits.append(best.bits)
        return best

    # ---- parts of a round

    def _try(self, state: _State, places: Tensor) -> None:
        """Decode a few codewords at each of the places (n, 2), and keep in `planes` the best of each."""
        rows, columns = places.unbind(1)
        candidates, new = self._propose(state, places)
        around, bits = _around(state.errors)[rows, columns], self._bits(state, places, candidates)
        found, change, price = state.planes[:, rows, columns].T, torch.zeros(len(places)), torch.zeros(len(places))
        for k in range(candidates.shape[1]):
            errors = self._errors(_replaced(state.planes, places, candidates[:, k]), low=self.low)
            worse = _around(errors)[rows, columns] - around
            better = new[:, k] & (worse + self.trade * bits[:, k] < change + self.trade * price)
            found = torch.where(better[:, None], candidates[:, k], found)
            change, price = torch.where(better, worse, change), torch.where(better, bits[:, k], price)
        kept = change + self.trade * price < 0
        found, change, places = found[kept], change[kept], places[kept]
        spent = self._bits(state, places, found[:, None], whole=True)[:, 0]
        kept = change + self.trade * spent < 0
        self.planes = _replaced(state.planes, places[kept], found[kept])
        self.spent = state.bits + float(spent[kept].double().sum())

    def _propose(self, state: _State, places: Tensor) -> tuple[Tensor, Tensor]:
        """Codewords to try at places (n, 2): indices (n, k, d), and which of them are new, (n, k)."""
        rows, columns = places.unbind(1)
        now = state.planes[:, rows, columns]
        codes = self._codes(now).cpu()
        slope = F.normalize(self.gradient[rows, columns], dim=1)
        target = codes + _PULL * (self.latents[rows, columns] - codes) - self.step * slope
        point = (target / self.quantizer.scale).to(self.device)
        near = self.quantizer.neighbours(point, self._indices(now).to(self.device), _NEAR).cpu()
        near = near if self.quantizer.index_shape else near[..., None]
        keys, tried = self._keys(near), self.tried[rows, columns]
        old = (keys == self._keys(now.T)[:, None]) | (keys[:, :, None] == tried[:, None]).any(-1)
        score = (self._codes(near.movedim(-1, 0)).cpu() - target[:, None]).square().sum(-1)
        if self.rate is not None:
            own = self.rate.token_bits(state.planes.numpy(), places.numpy(), near.numpy())
            score = score + self.trade * torch.from_numpy(own).float()
        order = torch.where(old, torch.inf, score).sort(dim=1, stable=True).indices[:, :_TRIES]
        self.tried[rows, columns] = torch.cat([tried[:, order.shape[1] :], keys.gather(1, order)], dim=1)
        return near.gather(1, order[..., None].expand(-1, -1, near.shape[2])), ~old.gather(1, order)

    def _bits(self, state: _State, places: Tensor, candidates: Tensor, *, whole: bool = False) -> Tensor:
        """Bits that a token, or the whole grid, takes more with each candidate (n, k, d) at its place: (n, k)."""
        if self.rate is None or not len(places):
            return torch.zeros(candidates.shape[:2])
        count = self.rate.grid_bits if whole else self.rate.token_bits
        now = state.planes[:, places[:, 0], places[:, 1]].T[:, None]
        every = torch.cat([now, candidates], dim=1)
        bits = torch.from_numpy(count(state.planes.numpy(), places.numpy(), every.numpy()))
        return (bits[:, 1:] - bits[:, :1]).float()

    def _errors(self, planes: Tensor, *, low: bool) -> Tensor:
        """Squared error of each patch, summed over its numbers: float32, shape (h, w)."""
        found = torch.empty(planes.shape[1:])
        for core, window in self._tiles(1):
            with self._arithmetic(low):
                made = self.tokenizer.decode(self._codes(planes[(slice(None), *window)]).movedim(-1, 0)[None])
            found[core] = self._patch_errors(made.float(), core, window)[0].cpu()
        return found

    def _gradient(self) -> tuple[Tensor, Tensor]:
        """Squared error of each patch (h, w), and its gradient at every codeword (h, w, D)."""
        rows, columns = self.planes.shape[1:]
        errors, gradient = torch.empty(rows, columns), torch.empty(rows, columns, self.quantizer.dimension)
        for core, window in self._tiles(2):
            codes = self._codes(self.planes[(slice(None), *window)]).movedim(-1, 0)[None]
            reach = self._grown(core, 1)
            with torch.enable_grad():
                codes = codes.contiguous(memory_format=torch.channels_last).requires_grad_()
                with self._arithmetic(self.low):
                    made = self.tokenizer.decode(codes)
                own = self._patch_errors(made.float(), reach, window)
                (slope,) = torch.autograd.grad(own.sum(), codes)
            errors[core] = own.detach()[0][_within(core, reach)].cpu()
            gradient[core] = slope[0].movedim(0, -1)[_within(core, window)].float().cpu()
        return errors, gradient

    def _keys(self, indices: Tensor) -> Tensor:
        """One number for each tuple of indices (..., d)."""
        keys = torch.zeros(indices.shape[:-1], dtype=torch.int64)
        for stage, own in zip(self.quantizer.stages, indices.unbind(-1), strict=True):
            keys = keys * stage.size + own
        return keys

    # ---- pictures, codes and tiles

    def _codes(self, planes: Tensor) -> Tensor:
        """Codes (..., D) of planes of indices (d, ...), as the decoder takes them, on its device."""
        return self.quantizer.indices_to_codes(self._indices(planes).to(self.device), channel_first=False)

    def _indices(self, planes: Tensor) -> Tensor:
        return planes.movedim(0, -1) if self.quantizer.index_shape else planes[0]

    def _latents(self) -> Tensor:
        """What the quantizer was given at each place (h, w, D), scaled as codes are."""
        latents = map_tiles(
            lambda x: self.tokenizer.encode(x.to(self.device)),
            self.picture,
            unit_in=self.tokenizer.factor,
            unit_out=1,
            halo=self.tokenizer.encoder.halo,  # type: ignore[arg-type]
            tile=_TILE,
        )
        return self.quantizer.project(latents[0].movedim(0, -1).float()).cpu() * self.quantizer.scale

    def _tiles(self, halos: int) -> Iterator[tuple[tuple[slice, slice], tuple[slice, slice]]]:
        """Patches that are kept, and the window around them that is decoded."""
        rows, columns = self.planes.shape[1:]
        for top in range(0, rows, _TILE):
            for left in range(0, columns, _TILE):
                core = (slice(top, min(top + _TILE, rows)), slice(left, min(left + _TILE, columns)))
                yield core, self._grown(core, halos)

    def _grown(self, core: tuple[slice, slice], halos: int) -> tuple[slice, slice]:
        halo = halos * int(self.tokenizer.decoder.halo)  # type: ignore[arg-type]
        rows, columns = (
            slice(max(0, own.start - halo), min(side, own.stop + halo))
            for own, side in zip(core, self.planes.shape[1:], strict=True)
        )
        return rows, columns

    def _patch_errors(self, made: Tensor, core: tuple[slice, slice], window: tuple[slice, slice]) -> Tensor:
        """Squared errors (1, h, w) of the patches of `core`, in a picture decoded for `window`."""
        factor = self.tokenizer.factor
        inside = tuple(slice(factor * own.start, factor * own.stop) for own in _within(core, window))
        there = tuple(slice(factor * own.start, factor * own.stop) for own in core)
        wrong = made[(..., *inside)] - self.picture[(..., *there)].to(made.device)
        return F.avg_pool2d(wrong.square().sum(1, keepdim=True), factor)[:, 0] * factor**2

    def _arithmetic(self, low: bool) -> torch.autocast:
        return torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=low)


def _replaced(planes: Tensor, places: Tensor, indices: Tensor) -> Tensor:
    """Planes (d, h, w) with other indices (n, d) at places (n, 2)."""
    planes = planes.clone()
    planes[:, places[:, 0], places[:, 1]] = indices.T
    return planes


def _within(inner: tuple[slice, slice], outer: tuple[slice, slice]) -> tuple[slice, slice]:
    rows, columns = (slice(a.start - b.start, a.stop - b.start) for a, b in zip(inner, outer, strict=True))
    return rows, columns


def _around(errors: Tensor) -> Tensor:
    """Sums over the 3×3 patches around each, of (h, w)."""
    return 9 * F.avg_pool2d(errors[None, None], 3, 1, 1, count_include_pad=True)[0, 0]


def _has_bfloat16(device: torch.device) -> bool:
    """Whether bfloat16 is faster than float32 there."""
    if device.type == "cpu":
        return torch.cpu._is_avx512_bf16_supported()
    return device.type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
