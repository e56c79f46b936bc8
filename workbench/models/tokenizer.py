"""The tokenizer: image → indices → image, with one call that owns colour, range, padding and cropping.

    images ─ pad ─ encoder ─▶ z ─ quantizer ─▶ indices ─ lookup ─▶ q ─ decoder ─ crop ─▶ images

`f` is the side of a patch in pixels, `h = ⌈H/f⌉` and `w = ⌈W/f⌉` the token grid, `D` the length of a code vector.
Indices have the shape (B, h, w), one token a patch. A residual quantizer of depth `d` gives d tokens a patch, coarse to
fine on a last axis: (B, h, w, d).
Sides that are no multiple of `f` are padded by repeating the last row and column, and the answer is cropped, so the
picture that comes back has the size of the one that went in.
Source: Zhao et al., "Spherical Leech Quantization", arXiv:2512.14697.
"""

__all__ = ["Reconstruction", "Tokenizer"]

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from einops import rearrange
from huggingface_hub import PyTorchModelHubMixin
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional as F

from workbench import atomic, hub
from workbench.errors import InputError, ModelError
from workbench.images.decode import pixels_of
from workbench.models.conv import ConvDecoder, ConvEncoder
from workbench.models.presets import make_body
from workbench.models.refine import check_effort, refine
from workbench.models.tiling import blend_windows, cut_windows, map_tiles, window_starts
from workbench.models.weights import file_digest, load_weights, save_weights
from workbench.progress import Progress, no_progress
from workbench.quantizers.quantizer import Quantizer, QuantizeResult
from workbench.quantizers.registry import make_quantizer

TILE = 64  # patches a side that one application of a local body keeps: 512 pixels at f = 8
OVERLAP = 4  # patches that windows of a windowed body share


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A picture that went through tokens.

    Attributes:
        image: uint8, shape (H, W, 3), the size of the input.
        indices: int64, shape (h, w), or (h, w, d) with a residual quantizer.
        bits: Bits of all tokens at the fixed rate.
        bits_per_pixel: `bits / (H · W)`.
    """

    image: np.ndarray
    indices: np.ndarray
    bits: float
    bits_per_pixel: float


class Tokenizer(nn.Module, PyTorchModelHubMixin, library_name="lambda24-workbench", tags=["image-tokenizer"]):
    """Encoder, quantizer and decoder behind one interface.

    Args:
        body: Numbers of the body; see :func:`workbench.models.presets.body_preset`.
        quantizer: `name` of the quantizer and its settings; see :func:`workbench.quantizers.registry.make_quantizer`.
        codebook: Fingerprint of the codebook that the weights were trained with; None for a new model.
        name: What the model is called in lists, cards and files.

    Raises:
        InputError: if the body or the quantizer does not exist or does not take its numbers.
        ModelError: if the codebook built here is not the one the weights were trained with.
    """

    def __init__(
        self,
        *,
        body: Mapping[str, Any],
        quantizer: Mapping[str, Any],
        codebook: str | None = None,
        name: str = "unnamed",
    ) -> None:
        super().__init__()
        self.name = name
        self.quantizer: Quantizer = make_quantizer(**quantizer)
        built = make_body(body, dimension=self.quantizer.dimension)
        self.encoder, self.decoder = built.encoder, built.decoder
        self.factor, self.window = built.factor, built.window
        self.weights_hash: str | None = None
        if codebook is not None and codebook != self.fingerprint:
            raise ModelError(
                f"model {name!r} was trained with codebook {codebook[:12]}…, but quantizer "
                f"{self.quantizer.name!r} here is {self.fingerprint[:12]}…: its indices would mean other words"
            )
        self.config = {
            "kind": "tokenizer",
            "name": name,
            "body": dict(body),
            "quantizer": dict(quantizer),
            "codebook": self.fingerprint,
        }

    # ---- facts

    @property
    def fingerprint(self) -> str:
        """SHA-256 (hex) that names the codebook and its order."""
        return self.quantizer.fingerprint

    @property
    def bits_per_token(self) -> float:
        """Bits of a token at the fixed rate; the mean over the stages of a residual quantizer."""
        return self.quantizer.bits_per_index / self.depth

    @property
    def depth(self) -> int:
        """Tokens of a patch: 1, or the stages of a residual quantizer."""
        return len(self.quantizer.stages)

    @property
    def words(self) -> int:
        """Number of codewords that a token is one of; the largest where the stages of a quantizer differ."""
        return max(stage.size for stage in self.quantizer.stages)

    # ---- networks alone: what training differentiates

    def encode(self, images: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` in [0, 1], sides multiples of `f`, to latents `(B, D, h, w)`."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Map codes `(B, D, h, w)` to images `(B, 3, H, W)`, near [0, 1] but not clamped."""
        return self.decoder(codes)

    def forward(self, images: Tensor) -> tuple[Tensor, QuantizeResult]:
        """Return the reconstruction, not clamped, and the quantizer's result, with gradients."""
        result = self.quantizer(self.encode(images), channel_first=True)
        return self.decode(result.quantized), result

    # ---- pictures and tokens

    @torch.inference_mode()
    def tokenize(self, images: Tensor, *, effort: int = 0, progress: Progress = no_progress) -> Tensor:
        """Return int64 indices of shape (B, h, w), or (B, h, w, d) with a residual quantizer.

        Pictures larger than a tile go through in tiles, in bounded memory. For a body with a window the grid holds
        the tokens of each window, windows in their order.

        Args:
            images: `(B, 3, H, W)`, floats in [0, 1] or uint8, any size from 1×1.
            effort: From 0, the encoder's own choice, to 9, the longest search for codewords that this decoder turns
                into a picture nearer to the original; see :mod:`workbench.models.refine`.
            progress: Told the share done of that search, picture by picture.

        Raises:
            InputError: if the shape, the type, the range or the effort is another, or the body allows no search.
        """
        if check_effort(effort):
            own = self.tokenize(images)
            found = [
                refine(self, image, begin, effort=effort, progress=progress)
                for image, begin in zip(images, own, strict=True)
            ]
            return torch.stack([one.indices for one in found]).to(own.device)
        images = self.padded(images)
        if self.window is None:
            planes = map_tiles(
                lambda x: self._planes(self.encode(x.to(self._device))),
                images,
                unit_in=self.factor,
                unit_out=1,
                halo=cast(ConvEncoder, self.encoder).halo,
                tile=TILE,
            )
            return self.from_planes(planes)
        grid = self._window_grid(*images.shape[-2:], window=self.window)
        windows = cut_windows(images, window=self.window, overlap=OVERLAP * self.factor)
        planes = torch.cat([self._planes(self.encode(x.to(self._device))) for x in windows.split(4)])
        return self.from_planes(rearrange(planes, "(b r c) d h w -> b d (r h) (c w)", r=grid[0], c=grid[1]))

    @torch.inference_mode()
    def detokenize(self, indices: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
        """Return images `(B, 3, H, W)`, floats in [0, 1].

        Args:
            indices: Integers of shape (B, h, w) or (B, h, w, d), as :meth:`tokenize` gives them.
            size: Height and width of the picture; None for that of the whole grid.

        Raises:
            InputError: if an index is out of range, or the grid does not belong to a picture of that size.
        """
        stages = self.quantizer.index_shape
        if indices.ndim < 3 or tuple(indices.shape[3:]) != stages:
            shape = ", ".join(("B", "h", "w", *map(str, stages)))
            raise InputError(f"expected indices of shape ({shape}), got {tuple(indices.shape)}")
        size = size or (indices.shape[1] * self.factor, indices.shape[2] * self.factor)
        if tuple(indices.shape[1:3]) != self.grid(*size):
            raise InputError(
                f"a picture of {size[1]}×{size[0]} pixels has a token grid of {self.grid(*size)}, "
                f"got {tuple(indices.shape[1:3])}: pass the size of the picture that was tokenized"
            )
        planes = self.to_planes(indices)
        if self.window is None:
            images = map_tiles(
                lambda x: self.decode(self._codes(x)),
                planes,
                unit_in=1,
                unit_out=self.factor,
                halo=cast(ConvDecoder, self.decoder).halo,
                tile=TILE,
            )
        else:
            height, width = (max(-(-side // self.factor) * self.factor, self.window) for side in size)
            rows, columns = self._window_grid(height, width, window=self.window)
            windows = rearrange(planes, "b d (r h) (c w) -> (b r c) d h w", r=rows, c=columns)
            pixels = torch.cat([self.decode(self._codes(x)) for x in windows.split(4)])
            images = blend_windows(pixels, height=height, width=width, overlap=OVERLAP * self.factor)
        return images[..., : size[0], : size[1]].clamp(0, 1)

    def reconstruct(
        self, image: Image.Image | np.ndarray | Tensor, *, effort: int = 0, progress: Progress = no_progress
    ) -> Reconstruction:
        """Send one picture through tokens and back.

        Args:
            image: A PIL image of any mode; uint8 of shape (H, W, 3); or a tensor (3, H, W), uint8 or in [0, 1].
            effort: As of :meth:`tokenize`.
            progress: Likewise.

        Raises:
            InputError: if it is none of these.
        """
        images = as_images(image)
        height, width = images.shape[-2:]
        indices = self.tokenize(images, effort=effort, progress=progress)
        pixels = self.detokenize(indices, size=(height, width))[0]
        bits = indices.numel() * self.bits_per_token
        return Reconstruction(
            image=(pixels * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy(),
            indices=indices[0].cpu().numpy(),
            bits=bits,
            bits_per_pixel=bits / (height * width),
        )

    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of tokens of a picture of that size in pixels."""
        if self.window is None:
            return -(-height // self.factor), -(-width // self.factor)
        sides = [max(-(-side // self.factor) * self.factor, self.window) for side in (height, width)]
        rows, columns = self._window_grid(*sides, window=self.window)
        return rows * self.window // self.factor, columns * self.window // self.factor

    def to_planes(self, indices: Tensor) -> Tensor:
        """Indices (B, h, w) or (B, h, w, d) as one plane a stage: (B, d, h, w), with d = 1 for the former."""
        return indices.movedim(-1, 1) if self.quantizer.index_shape else indices[:, None]

    def from_planes(self, planes: Tensor) -> Tensor:
        """The inverse of :meth:`to_planes`: indices as :meth:`tokenize` gives them."""
        return planes.movedim(1, -1) if self.quantizer.index_shape else planes.squeeze(1)

    # ---- files

    @classmethod
    def from_pretrained(cls, name: str | Path, **_: object) -> "Tokenizer":
        """Load a tokenizer: a bundled name, then a directory, then the cache, then `owner/name` from the hub.

        `upstream:NAME` is a published model of the paper's authors, see :mod:`workbench.models.upstream`.

        Raises:
            ModelError: if there is none, or its configuration, weights or codebook do not fit.
        """
        if str(name).startswith("upstream:"):
            from workbench.models.upstream import load_tokenizer

            return load_tokenizer(str(name))
        directory = hub.resolve(str(name), kind="tokenizer")
        config = hub.read_config(directory, kind="tokenizer")
        try:
            model = cls(**config)
        except (InputError, TypeError) as error:
            raise ModelError(f"{directory / 'config.json'} does not describe a tokenizer: {error}") from error
        expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
        path = directory / "model.safetensors"
        model.load_state_dict(load_weights(path, expected))
        model.weights_hash = file_digest(path)
        return model.eval()

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write `config.json` and `model.safetensors` (fp16), each replaced whole."""
        save_directory.mkdir(parents=True, exist_ok=True)
        atomic.write_text(save_directory / "config.json", json.dumps(self.config, indent=2) + "\n")
        save_weights(save_directory / "model.safetensors", self.state_dict())

    # ---- parts

    def padded(self, images: Tensor) -> Tensor:
        """Images `(B, 3, H, W)` as floats in [0, 1] whose sides are multiples of `f`: last rows and columns repeated.

        Raises:
            InputError: if the shape, the type or the range is another.
        """
        images = self._check_images(images)
        sides = [-(-side // self.factor) * self.factor for side in images.shape[-2:]]
        if self.window is not None:
            sides = [max(side, self.window) for side in sides]
        bottom, right = sides[0] - images.shape[-2], sides[1] - images.shape[-1]
        return F.pad(images, (0, right, 0, bottom), mode="replicate") if bottom or right else images

    @property
    def _device(self) -> torch.device:
        return next(self.parameters()).device

    def _planes(self, latents: Tensor) -> Tensor:
        """Indices of latents (B, D, h, w) as planes (B, d, h, w), the layout in which tiles are joined."""
        return self.to_planes(self.quantizer(latents, channel_first=True).indices)

    def _codes(self, planes: Tensor) -> Tensor:
        """Codes (B, D, h, w) of planes of indices (B, d, h, w)."""
        return self.quantizer.indices_to_codes(self.from_planes(planes).to(self._device), channel_first=True)

    def _window_grid(self, height: int, width: int, *, window: int) -> tuple[int, int]:
        overlap = OVERLAP * self.factor
        return len(window_starts(height, window, overlap)), len(window_starts(width, window, overlap))

    @staticmethod
    def _check_images(images: Tensor) -> Tensor:
        if images.ndim != 4 or images.shape[1] != 3 or not images.numel():
            raise InputError(f"expected images of shape (B, 3, H, W), got {tuple(images.shape)}")
        if images.dtype == torch.uint8:
            return images.float() / 255
        if not images.is_floating_point():
            raise InputError(f"expected images as uint8 or floats in [0, 1], got {images.dtype}")
        low, high = torch.aminmax(images)
        if not (low >= -1e-3 and high <= 1 + 1e-3):
            raise InputError(
                f"expected floats in [0, 1], got values from {float(low):.3g} to {float(high):.3g}: "
                "divide 0–255 by 255, and do not normalise to [-1, 1]"
            )
        return images.float()


def as_images(image: Image.Image | np.ndarray | Tensor) -> Tensor:
    """Return one picture as a batch `(1, 3, H, W)`: uint8, or floats as given. A PIL image is read as its file is.

    Raises:
        InputError: if it is not a PIL image, a uint8 array (H, W, 3), or a tensor (3, H, W).
    """
    if isinstance(image, Image.Image):
        image = pixels_of(image)
    if isinstance(image, np.ndarray):
        if image.ndim != 3 or image.shape[2] != 3 or image.dtype != np.uint8 or not image.size:
            raise InputError(f"expected a uint8 array of shape (H, W, 3), got {image.dtype} of shape {image.shape}")
        return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None]
    if isinstance(image, Tensor) and image.ndim == 3:
        return image[None]
    raise InputError(f"expected a PIL image, a uint8 array (H, W, 3) or a tensor (3, H, W), got {type(image).__name__}")
