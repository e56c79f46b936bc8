"""The multi-scale tokenizer: a square picture as a pyramid of token grids, coarse to fine.

    images ─ encoder ─▶ z ─ multi-scale residual quantizer ─▶ rows of L tokens ─ sum of grids ─▶ f ─ decoder ─▶ images

It takes pictures of one size, `side` pixels; :meth:`MultiScaleTokenizer.fit` cuts and resizes others. A row of tokens
may end after any scale, which gives the picture as far as it is known: previews while a generator works.
"""

__all__ = ["MultiScaleTokenizer"]

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workbench import atomic, hub
from workbench.errors import InputError, ModelError
from workbench.images.crops import square_picture
from workbench.models.refine import check_effort
from workbench.models.tokenizer import Reconstruction, Tokenizer, as_images
from workbench.models.weights import file_digest, load_weights, save_weights
from workbench.progress import Progress, no_progress
from workbench.quantizers.multiscale import MultiScaleResidualQuantizer

_KIND = "multiscale-tokenizer"
_GAINS = "quantizer.gains"


class MultiScaleTokenizer(Tokenizer):
    """Encoder, multi-scale quantizer and decoder behind one interface.

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
            raise InputError(f"a multi-scale tokenizer needs the quantizer 'multiscale', got {quantizer.get('name')!r}")
        if self.window not in (None, self.side):
            raise InputError(f"a body with a window of {self.window} pixels cannot take pictures of {self.side}")
        self.config["kind"] = _KIND

    # ---- facts

    @property
    def side(self) -> int:
        """Side of a picture, in pixels."""
        return self.quantizer.side * self.factor

    @property
    def length(self) -> int:
        """Tokens of a picture, all scales together."""
        return self.quantizer.length

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """The finest grid; every picture is brought to this one size."""
        del height, width
        return self.quantizer.side, self.quantizer.side

    # ---- pictures and tokens

    def fit(self, image: Image.Image | np.ndarray | Tensor) -> np.ndarray:
        """The middle square of a picture, resized: uint8, shape (side, side, 3).

        Raises:
            InputError: if it is no picture.
        """
        pixels = self._check_images(as_images(image))[0]
        rgb = (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()
        return square_picture(rgb, self.side)

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
        images = self._check_images(images)
        if tuple(images.shape[-2:]) != (self.side, self.side):
            raise InputError(
                f"model {self.name!r} takes pictures of {self.side}×{self.side} pixels, got "
                f"{images.shape[-1]}×{images.shape[-2]}; bring them to size with `fit`"
            )
        parts = [self.quantizer(self.encode(x.to(self._device))).indices for x in images.split(64)]
        return torch.cat(parts)

    @torch.inference_mode()
    def detokenize(self, indices: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
        """Return images `(B, 3, side, side)`, floats in [0, 1].

        Args:
            indices: Rows of tokens (B, n), that end after any scale.
            size: None, or the one size there is.

        Raises:
            InputError: if an index is out of range, a row ends within a scale, or the size is another.
        """
        if size not in (None, (self.side, self.side)):
            raise InputError(f"model {self.name!r} gives pictures of {self.side}×{self.side} pixels, got size={size}")
        parts = [self.decode(self.quantizer.indices_to_codes(x.to(self._device))) for x in indices.split(64)]
        return torch.cat(parts).clamp(0, 1)

    def reconstruct(
        self, image: Image.Image | np.ndarray | Tensor, *, effort: int = 0, progress: Progress = no_progress
    ) -> Reconstruction:
        """Bring one picture to size and send it through tokens and back.

        Args:
            image: A PIL image of any mode; uint8 of shape (H, W, 3); or a tensor (3, H, W), uint8 or in [0, 1].
            effort: As of :meth:`tokenize`.
            progress: Likewise.

        Raises:
            InputError: if it is none of these.
        """
        indices = self.tokenize(as_images(self.fit(image)), effort=effort, progress=progress)
        pixels = self.detokenize(indices)[0]
        bits = indices.numel() * self.bits_per_token
        return Reconstruction(
            image=(pixels * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy(),
            indices=indices[0].cpu().numpy(),
            bits=bits,
            bits_per_pixel=bits / self.side**2,
        )

    # ---- files

    @classmethod
    def from_pretrained(cls, name: str | Path, **_: object) -> "MultiScaleTokenizer":
        """Load a multi-scale tokenizer: a bundled name, then a directory, then the cache, then `owner/name`.

        `upstream:NAME` is a published model of the paper's authors, see :mod:`workbench.models.upstream`.

        Raises:
            ModelError: if there is none, or its configuration, weights or codebook do not fit.
        """
        if str(name).startswith("upstream:"):
            from workbench.models.upstream import load_tokenizer

            model = load_tokenizer(str(name))
            if not isinstance(model, MultiScaleTokenizer):
                raise ModelError(f"{name!r} is no multi-scale tokenizer")
            return model
        directory = hub.resolve(str(name), kind=_KIND)
        config = hub.read_config(directory, kind=_KIND)
        try:
            model = cls(**config)
        except (InputError, TypeError) as error:
            raise ModelError(f"{directory / 'config.json'} does not describe a {_KIND}: {error}") from error
        state = model.state_dict()
        gains = {_GAINS: state.pop(_GAINS)}  # those of the configuration
        path = directory / "model.safetensors"
        weights = load_weights(path, {key: tuple(tensor.shape) for key, tensor in state.items()})
        model.load_state_dict(weights | gains)
        model.weights_hash = file_digest(path)
        return model.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write `config.json`, with the gains as they are now, and `model.safetensors` (fp16), each replaced whole."""
        save_directory.mkdir(parents=True, exist_ok=True)
        gains = [round(float(gain), 6) for gain in self.quantizer.gains]
        config = self.config | {"quantizer": self.config["quantizer"] | {"gains": gains}}
        atomic.write_text(save_directory / "config.json", json.dumps(config, indent=2) + "\n")
        state = self.state_dict()
        del state[_GAINS]  # the configuration has them, to more digits
        save_weights(save_directory / "model.safetensors", state)
