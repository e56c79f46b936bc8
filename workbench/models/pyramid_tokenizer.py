"""The pyramid tokenizer: a square picture as a pyramid of token grids, coarse to fine.

    images ─ encoder ─▶ z ─ multi-scale residual quantizer ─▶ rows of L tokens ─ sum of grids ─▶ f ─ decoder ─▶ images

It takes pictures of one size, `side` pixels; :meth:`PyramidTokenizer.prepare` cuts and resizes others. A row of tokens
may end after any scale, which gives the picture as far as it is known: previews while a generator works.
"""

__all__ = ["PyramidTokenizer"]

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workbench.errors import InputError
from workbench.images.crops import square_picture
from workbench.models.refine import check_effort
from workbench.models.tokenizer import Description, Picture, Tokenizer, as_images, as_picture, check_images
from workbench.progress import Progress, no_progress
from workbench.quantizers.multiscale import MultiScaleResidualQuantizer

_GAINS = "quantizer.gains"
_BATCH = 64  # pictures that go through a network together


class PyramidTokenizer(Tokenizer, kind="multiscale-tokenizer"):
    """Encoder, multi-scale quantizer and decoder for squares of one size.

    Args:
        body: Numbers of the body; see :func:`workbench.models.presets.body_preset`.
        quantizer: `name` `multiscale` and the settings of
            :class:`workbench.quantizers.multiscale.MultiScaleResidualQuantizer`, with its `base` by name.
        codebook: Fingerprint of the codebook that the weights were trained with; None for a new model.
        name: What the model is called in lists, cards and files.

    Raises:
        InputError: if a part does not exist or does not take its numbers.
        ModelError: if the codebook built here is not the one the weights were trained with.
    """

    quantizer: MultiScaleResidualQuantizer

    def __init__(
        self,
        *,
        body: Mapping[str, Any],
        quantizer: Mapping[str, Any],
        codebook: str | None = None,
        name: str = "unnamed",
    ) -> None:
        super().__init__(body=body, quantizer=quantizer, codebook=codebook, name=name)
        if not isinstance(self.quantizer, MultiScaleResidualQuantizer):
            raise InputError(f"a pyramid tokenizer needs the quantizer 'multiscale', got {quantizer.get('name')!r}")
        if self.window not in (None, self.side):
            raise InputError(f"a body with a window of {self.window} pixels cannot take pictures of {self.side}")

    # ---- facts

    @property
    def side(self) -> int:
        """Side of a picture, in pixels."""
        return self.quantizer.side * self.factor

    @property
    def scales(self) -> tuple[int, ...]:
        """Sides of the grids, coarse to fine."""
        return self.quantizer.scales

    @property
    def length(self) -> int:
        """Tokens of a picture, all scales together, L."""
        return self.quantizer.length

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """The finest grid; every picture is brought to this one size."""
        del height, width
        return self.quantizer.side, self.quantizer.side

    def describe(self) -> Description:
        """What it takes, and what a picture costs."""
        bits = self.bits_per_token
        return Description(
            pictures=f"as centre squares of {self.side} pixels (Lanczos)",
            tokens=(
                f"pictures of {self.side}×{self.side} pixels as grids of {', '.join(map(str, self.scales))} cells a "
                f"side, {self.length} tokens, each one of {self.words:,} codewords ({bits:.3f} bits)"
            ),
            bits_per_pixel=self.length * bits / self.side**2,
        )

    # ---- pictures and tokens

    def prepare(self, image: Picture) -> np.ndarray:
        """The middle square of a picture, resized: uint8, shape (side, side, 3).

        Raises:
            InputError: if it is no picture.
        """
        return square_picture(as_picture(check_images(as_images(image))[0]), self.side)

    @torch.inference_mode()
    def tokenize(self, images: Tensor, *, effort: int = 0, progress: Progress = no_progress) -> Tensor:  # noqa: ARG002 - as of the other
        """Return rows of tokens, int64 of shape (B, L), coarse to fine.

        Args:
            images: `(B, 3, side, side)`, floats in [0, 1] or uint8.
            effort: 0; a coarse token changes what is left for all finer ones, so one alone cannot be tried.
            progress: Told nothing.

        Raises:
            InputError: if the shape, the type, the range or the effort is another.
        """
        if check_effort(effort):
            raise InputError(
                f"model {self.name!r} has several scales, whose tokens cannot be changed one at a time: take effort 0"
            )
        images = check_images(images)
        if tuple(images.shape[-2:]) != (self.side, self.side):
            raise InputError(
                f"model {self.name!r} takes pictures of {self.side}×{self.side} pixels, got "
                f"{images.shape[-1]}×{images.shape[-2]}; bring them to size with `prepare`"
            )
        return torch.cat([self.quantizer(self.encode(x.to(self.device))).indices for x in images.split(_BATCH)])

    @torch.inference_mode()
    def detokenize(self, indices: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
        """Return images `(B, 3, side, side)`, float32 in [0, 1].

        Args:
            indices: Rows of tokens (B, n), that end after any scale.
            size: None, or the one size there is.

        Raises:
            InputError: if an index is out of range, a row ends within a scale, or the size is another.
        """
        if size not in (None, (self.side, self.side)):
            raise InputError(f"model {self.name!r} gives pictures of {self.side}×{self.side} pixels, got size={size}")
        parts = [self.decode(self.code_map(x)).float() for x in indices.split(_BATCH)]
        return torch.cat(parts).clamp(0, 1)

    def code_map(self, indices: Tensor) -> Tensor:
        """The sum of the code grids, float32 (B, D, h, w), of rows of tokens (B, n) that end after any scale.

        Raises:
            InputError: if an index is out of range, or a row ends within a scale.
        """
        return self.quantizer.indices_to_codes(indices.to(self.device))

    def grids(self, indices: Tensor) -> list[Tensor]:
        """Rows of tokens (B, n) as grids (B, s, s), coarse to fine."""
        return self.quantizer.split(indices)

    # ---- files

    def stored_config(self) -> dict[str, Any]:
        """The configuration with the gains as they are now."""
        gains = [round(float(gain), 6) for gain in self.quantizer.gains]
        return self.config | {"quantizer": self.config["quantizer"] | {"gains": gains}}

    def stored_state(self) -> dict[str, Tensor]:
        """The weights without the gains, which the configuration has to more digits."""
        state = self.state_dict()
        del state[_GAINS]
        return state
