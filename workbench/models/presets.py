"""Presets: names for the numbers of a body, and the builders that turn numbers into networks.

A configuration holds a builder's name and flat numbers, never the path of a class, so a file from a stranger cannot
name code. `vit-base-8` is the paper's body for reconstruction (window 256, 174.8 M parameters), `f16-base` the one
under its generators (window 256, 110.0 M); the other convolutional ones are ours.
"""

__all__ = ["BODIES", "Body", "body_preset", "make_body"]

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from torch import nn

from workbench.errors import InputError, did_you_mean
from workbench.models.conv import ConvDecoder, ConvEncoder
from workbench.models.f16 import F16Decoder, F16Encoder
from workbench.models.layers import UnitLength
from workbench.models.vit import ViTDecoder, ViTEncoder


@dataclass(frozen=True)
class Body:
    """An encoder and the decoder that mirrors it.

    Attributes:
        encoder: From images in [0, 1] to latents `(B, dimension, h, w)`.
        decoder: From codes `(B, dimension, h, w)` to images.
        factor: Side of a patch, in pixels.
        window: Side of the only input it takes, in pixels; None where any multiple of `factor` will do.
    """

    encoder: nn.Module
    decoder: nn.Module
    factor: int
    window: int | None


def _conv(
    *,
    dimension: int,
    factor: int,
    width: int,
    encoder_blocks: int,
    decoder_blocks: int,
    octaves: int,
    period: int,
    unit: int = 0,  # 1 for latents of unit length, where the quantizer itself does not see to it
) -> Body:
    encoder = ConvEncoder(
        factor=factor,
        width=width,
        blocks=encoder_blocks,
        dimension=dimension,
        octaves=octaves,
        period=period,
        end=UnitLength() if unit else nn.Identity(),
    )
    decoder = ConvDecoder(factor=factor, width=width, blocks=decoder_blocks, dimension=dimension, period=period)
    return Body(encoder, decoder, factor, None)


def _vit(*, dimension: int, factor: int, window: int, width: int, depth: int, heads: int, hidden: int) -> Body:
    shape = {"factor": factor, "window": window, "width": width, "depth": depth, "heads": heads}
    encoder = ViTEncoder(**shape, dimension=dimension)
    return Body(encoder, ViTDecoder(**shape, dimension=dimension, hidden=hidden), factor, window)


def _f16(
    *,
    dimension: int,
    window: int,
    width: int,
    blocks: int,
    times1: int,
    times2: int,
    times3: int,
    times4: int,
    times5: int,
) -> Body:
    shape = {"width": width, "multipliers": (times1, times2, times3, times4, times5), "dimension": dimension}
    return Body(F16Encoder(blocks=blocks, **shape), F16Decoder(blocks=blocks + 1, **shape), 16, window)


BODIES: Mapping[str, Callable[..., Body]] = {"conv": _conv, "f16": _f16, "vit": _vit}

_PRESETS: Mapping[str, Mapping[str, int | str]] = {
    "conv-tiny-8": {
        "kind": "conv", "factor": 8, "width": 96, "encoder_blocks": 1, "decoder_blocks": 2, "octaves": 4, "period": 2,
    },
    "conv-mini-8": {
        "kind": "conv", "factor": 8, "width": 128, "encoder_blocks": 2, "decoder_blocks": 3, "octaves": 4, "period": 2,
    },
    "conv-small-8": {
        "kind": "conv", "factor": 8, "width": 160, "encoder_blocks": 2, "decoder_blocks": 3, "octaves": 4, "period": 2,
    },
    "conv-base-8": {
        "kind": "conv", "factor": 8, "width": 192, "encoder_blocks": 2, "decoder_blocks": 4, "octaves": 4, "period": 2,
    },
    "f16-base": {
        "kind": "f16", "window": 256, "width": 128, "blocks": 2,
        "times1": 1, "times2": 2, "times3": 4, "times4": 4, "times5": 4,
    },
    "vit-tiny-8": {
        "kind": "vit", "factor": 8, "window": 64, "width": 96, "depth": 2, "heads": 3, "hidden": 384,
    },
    "vit-small-8": {
        "kind": "vit", "factor": 8, "window": 128, "width": 384, "depth": 6, "heads": 6, "hidden": 1536,
    },
    "vit-base-8": {
        "kind": "vit", "factor": 8, "window": 256, "width": 768, "depth": 12, "heads": 12, "hidden": 3072,
    },
}  # fmt: skip


def body_preset(name: str) -> dict[str, int | str]:
    """Return the numbers of a named body, ready for :func:`make_body`.

    Raises:
        InputError: if the name is unknown.
    """
    if name not in _PRESETS:
        raise InputError(did_you_mean("body", name, _PRESETS))
    return dict(_PRESETS[name])


def make_body(numbers: Mapping[str, int | str], *, dimension: int) -> Body:
    """Build a body from its numbers, for codes of length `dimension`.

    Raises:
        InputError: if the kind is unknown, or a number is missing, unknown or out of range.
    """
    settings = dict(numbers)
    kind = settings.pop("kind", None)
    if not isinstance(kind, str) or kind not in BODIES:
        raise InputError(did_you_mean("body kind", str(kind), BODIES))
    for key, value in settings.items():
        if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 8192:
            raise InputError(f"body number {key}={value!r}: expected a whole number from 0 to 8192")
    try:
        return BODIES[kind](dimension=dimension, **settings)
    except TypeError as error:
        raise InputError(f"body {kind!r} does not take these numbers: {error}") from error
