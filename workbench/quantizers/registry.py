"""Quantizers by name: plain numbers and names in, so that a model's configuration can say which one it has.

Every code of `workbench.lattices.codes.registry` is a quantizer under its own name (`leech`, `e8`, `random`, …). Beside
them stand those that are rules and not tables (`bsq`, `lfq`, `fsq`), the learned one (`vq`), and those made of others
(`product`, `residual`). Penalties and the gradient estimator are chosen here by numbers and names as well.
One from elsewhere gets a name by :func:`register_quantizer` and then goes wherever names go: recipes, comparisons,
model files. A program that loads such a model registers it first.
"""

__all__ = ["make_quantizer", "quantizer_names", "register_quantizer"]

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from torch import Tensor

from workbench.errors import InputError, did_you_mean
from workbench.lattices.code import Code
from workbench.lattices.codes.registry import code_names, make_code
from workbench.quantizers.bsq import BinaryQuantizer, bsq
from workbench.quantizers.composite import ProductQuantizer, ResidualQuantizer
from workbench.quantizers.estimators import Estimator, rotation, straight_through
from workbench.quantizers.fsq import FiniteScalarQuantizer
from workbench.quantizers.lattice import LatticeQuantizer
from workbench.quantizers.lfq import lfq
from workbench.quantizers.multiscale import MultiScaleResidualQuantizer
from workbench.quantizers.penalties import commitment as commitment_penalty
from workbench.quantizers.penalties import entropy as entropy_penalty
from workbench.quantizers.penalties import entropy_of_bits
from workbench.quantizers.quantizer import Quantizer
from workbench.quantizers.vq import VectorQuantizer

_ESTIMATORS: dict[str, Estimator] = {"straight-through": straight_through, "rotation": rotation}


def quantizer_names() -> tuple[str, ...]:
    """The names that `make_quantizer` knows, in alphabetical order."""
    return tuple(sorted({*code_names(), *_RULES}))


def register_quantizer(name: str, build: Callable[..., Quantizer], *, replace: bool = False) -> None:
    """Give a quantizer from elsewhere a name.

    Args:
        name: What recipes and model files call it: letters, digits, `-`, `_` and `.`.
        build: From settings, numbers and names that JSON can hold, to the quantizer: a subclass of
            :class:`~workbench.quantizers.quantizer.Quantizer`, or a function that gives one, perhaps a
            :class:`~workbench.quantizers.foreign.ForeignQuantizer`. Where it takes `estimator` and `scale`, it is
            given those of :func:`make_quantizer`.
        replace: Whether it may take the place of one that was registered before under that name.

    Raises:
        InputError: if the name is not of that form, belongs to the workbench, or is taken.
    """
    if not _NAME.fullmatch(name):
        raise InputError(f"expected a name of letters, digits, '-', '_' and '.', got {name!r}")
    if name in _OWN or name in code_names() or (name in _RULES and not replace):
        raise InputError(
            f"the name {name!r} is taken; choose another, or pass replace=True for one that you registered"
        )
    _RULES[name] = build


def make_quantizer(
    name: str | Code,
    *,
    dimension: int | None = None,
    estimator: str | Estimator = "straight-through",
    scale: float = 1.0,
    commitment: float = 0.0,
    entropy: float = 0.0,
    sharpness: float = 100.0,
    balance: float = 1.0,
    group: int | None = None,
    **settings: Any,  # noqa: ANN401 - each quantizer checks its own
) -> Quantizer:
    """Build a quantizer.

    Args:
        name: A name of `quantizer_names()`, or any :class:`~workbench.lattices.code.Code`.
        dimension: Numbers a vector; may be left out where the name fixes it or has a usual one.
        estimator: `straight-through` or `rotation`, or a function of `(ẑ, q)`.
        scale: Factor on the codeword before the decoder.
        commitment: Weight of the commitment penalty.
        entropy: Weight of the entropy penalty.
        sharpness: τ of the entropy penalty.
        balance: γ of the entropy penalty.
        group: Bits a group of the entropy penalty of `bsq` and `lfq`; None takes the greatest divisor of the
            dimension up to 9.
        **settings: What the quantizer itself takes: `levels` for `fsq`; `size`, `seed` for `random`; `size`, `decay`,
            `rounds`, `revive_below`, `seed` for `vq`; `parts` for `product`; `depths`, `gains` for `residual`. Parts
            and depths are names or settings of this function.

    Raises:
        InputError: if the name is unknown, the dimension is not the code's, or a setting is not taken.

    Example:
        >>> make_quantizer("bsq", dimension=18).size
        262144
    """
    if not isinstance(name, Code) and name not in quantizer_names():
        raise InputError(did_you_mean("quantizer", str(name), quantizer_names()))
    if isinstance(estimator, str):
        if estimator not in _ESTIMATORS:
            raise InputError(did_you_mean("estimator", estimator, _ESTIMATORS))
        estimator = _ESTIMATORS[estimator]
    if isinstance(name, str) and name in _RULES:
        if dimension is not None:
            settings["dimension"] = dimension
        quantizer = _build(name, settings, estimator, scale)
    else:
        code = _code(name, dimension, settings)
        quantizer = LatticeQuantizer(code, estimator=estimator, scale=scale)
    if commitment or entropy:
        quantizer.penalty = _penalty(quantizer, commitment, entropy, sharpness, balance, group)
    return quantizer


def _code(name: str | Code, dimension: int | None, settings: dict[str, Any]) -> Code:
    if isinstance(name, Code):
        if settings:
            raise InputError(f"a code that is given takes no settings, got {', '.join(sorted(settings))}")
        code = name
    else:
        if dimension is not None and name in ("random", "fibonacci"):
            settings = {**settings, "dimension": dimension}
        code = make_code(name, **settings)
    if dimension is not None and dimension != code.dimension:
        raise InputError(f"quantizer {code.name!r} has dimension {code.dimension}, got {dimension}")
    return code


def _build(name: str, settings: dict[str, Any], estimator: Estimator, scale: float) -> Quantizer:
    """Call a builder, with our own error for a setting that it does not take or misses."""
    found = inspect.signature(_RULES[name]).parameters.values()
    parameters = {parameter.name: parameter for parameter in found if parameter.kind is not parameter.VAR_KEYWORD}
    for key, value, usual in (("estimator", estimator, straight_through), ("scale", scale, 1.0)):
        if key in parameters or value != usual:
            settings = {**settings, key: value}
    needed = {key for key, parameter in parameters.items() if parameter.default is parameter.empty}
    known = settings.keys() if len(parameters) < len(found) else parameters.keys()
    if not needed <= settings.keys() <= known:
        taken = ", ".join(sorted(parameters.keys() - {"penalty"}))
        raise InputError(f"quantizer {name!r} takes {taken}; got {', '.join(sorted(settings))}")
    quantizer = _RULES[name](**settings)
    if not isinstance(quantizer, Quantizer):
        raise InputError(
            f"what was registered as {name!r} gave a {type(quantizer).__name__}, expected a Quantizer: derive from it, "
            "or wrap the module in a ForeignQuantizer"
        )
    return quantizer


def _product(parts: Sequence[str | Mapping[str, Any]], *, estimator: Estimator, scale: float = 1.0) -> Quantizer:
    return ProductQuantizer([_nested(part) for part in parts], estimator=estimator, scale=scale)


def _residual(
    depths: Sequence[str | Mapping[str, Any]],
    *,
    estimator: Estimator,
    gains: Sequence[float] | None = None,
    scale: float = 1.0,
) -> Quantizer:
    return ResidualQuantizer([_nested(depth) for depth in depths], gains=gains, estimator=estimator, scale=scale)


def _nested(part: str | Mapping[str, Any]) -> Quantizer:
    return make_quantizer(part) if isinstance(part, str) else make_quantizer(**part)


def _multiscale(
    *, base: str | Mapping[str, Any] = "leech", dimension: int | None = None, estimator: Estimator, scale: float = 1.0,
    scales: Sequence[int] | str = "small", gains: Sequence[float] | Literal["published"] | None = None,
    up: Literal["bicubic", "bilinear"] = "bicubic",
    read: Literal["area", "bilinear"] = "area", refine: float = 0.0, adapt: float = 0.0, dropout: float = 0.0,
) -> Quantizer:  # fmt: skip
    inner: dict[str, Any] = {"name": base} if isinstance(base, str) else dict(base)
    if dimension is not None:
        inner["dimension"] = dimension
    quantizer = make_quantizer(**{"estimator": estimator, "scale": scale, **inner})
    return MultiScaleResidualQuantizer(
        quantizer, scales=scales, gains=gains, up=up, read=read, refine=refine, adapt=adapt, dropout=dropout
    )


_RULES: dict[str, Callable[..., Quantizer]] = {
    "bsq": bsq,
    "fsq": FiniteScalarQuantizer,
    "lfq": lfq,
    "multiscale": _multiscale,
    "product": _product,
    "residual": _residual,
    "vq": VectorQuantizer,
}
_OWN = frozenset(_RULES)
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,95}")


def _penalty(
    quantizer: Quantizer, commitment: float, entropy: float, sharpness: float, balance: float, group: int | None
) -> Callable[[Tensor, Tensor], Tensor]:
    """The weighted sum of the penalties asked for."""
    terms: list[tuple[float, Callable[[Tensor, Tensor], Tensor]]] = []
    if commitment:
        terms.append((commitment, commitment_penalty))
    if entropy:
        term = _entropy_of(quantizer, group)
        terms.append((entropy, lambda point, codes: term(point, sharpness=sharpness, balance=balance)))  # noqa: ARG005
    return lambda point, codes: sum((weight * term(point, codes) for weight, term in terms), point.new_zeros(()))


def _entropy_of(quantizer: Quantizer, group: int | None) -> Callable[..., Tensor]:
    """The entropy of a quantizer's soft assignment: by bits where it has bits, else over all its codewords."""
    if isinstance(quantizer, BinaryQuantizer):
        dimension = quantizer.dimension
        group = group or max(size for size in range(1, 10) if dimension % size == 0)
        return functools.partial(entropy_of_bits, magnitude=quantizer.magnitude, group=group)
    if isinstance(quantizer, LatticeQuantizer) and quantizer.digits is not None:
        vectors = quantizer.code.vectors()
        return lambda point, **how: entropy_penalty(point, vectors.to(point.device), **how)
    if isinstance(quantizer, VectorQuantizer):
        return lambda point, **how: entropy_penalty(point, quantizer.codebook.detach().clone(), **how)
    raise InputError(f"quantizer {quantizer.name!r} has too many codewords, or no single book, for an entropy penalty")
