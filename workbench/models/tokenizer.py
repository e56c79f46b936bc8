"""The tokenizer: image → indices → image, behind one interface.

    images ─ encoder ─▶ z ─ quantizer ─▶ indices ─ lookup ─▶ q ─ decoder ─▶ images

There are two kinds. :class:`~workbench.models.grid_tokenizer.GridTokenizer` gives a grid of tokens for pictures of any
size, :class:`~workbench.models.pyramid_tokenizer.PyramidTokenizer` a pyramid of grids for squares of one size. What
works with either takes a `Tokenizer`.
`f` is the side of a patch in pixels, `h × w` the token grid, `D` the length of a code vector.

Networks may be moved to any device and floating type (`.half()`, `.bfloat16()`, `.double()`, `.to("cuda")`). Pictures
come in and go out as float32 or uint8, and the search for codewords stays in float32: the quantizer keeps its type.
Source: Zhao et al., "Spherical Leech Quantization", arXiv:2512.14697.
"""

__all__ = ["Description", "Picture", "Reconstruction", "Tokenizer", "as_images", "as_picture", "check_images"]

import json
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self, cast

import numpy as np
import torch
from huggingface_hub import PyTorchModelHubMixin
from PIL import Image
from torch import Tensor, nn

from workbench import atomic, hub
from workbench.errors import InputError, ModelError
from workbench.images.decode import pixels_of
from workbench.models.memory import announce
from workbench.models.names import TOKENIZERS, directory_of, load_kind
from workbench.models.presets import make_body
from workbench.models.weights import file_digest, load_weights, save_weights
from workbench.progress import Progress, no_progress
from workbench.quantizers.quantizer import Quantizer, QuantizeResult
from workbench.quantizers.registry import make_quantizer

Picture = Image.Image | np.ndarray | Tensor


@dataclass(frozen=True, eq=False)
class Reconstruction:
    """A picture that went through tokens.

    Attributes:
        image: uint8, shape (H, W, 3), the size of the prepared picture.
        indices: int64: (h, w), or (h, w, d) with a residual quantizer, or a row (L,) over several scales.
        bits: Bits of all tokens at the fixed rate.
        bits_per_pixel: `bits / (H · W)`.
    """

    image: np.ndarray
    indices: np.ndarray
    bits: float
    bits_per_pixel: float


@dataclass(frozen=True)
class Description:
    """A tokenizer in words.

    Attributes:
        pictures: How it takes pictures.
        tokens: What tokens a picture has, and what each can be.
        bits_per_pixel: At the fixed rate, borders not counted.
    """

    pictures: str
    tokens: str
    bits_per_pixel: float


class Tokenizer(nn.Module, PyTorchModelHubMixin, ABC, library_name="lambda24-workbench", tags=["image-tokenizer"]):
    """Encoder, quantizer and decoder behind one interface.

    A subclass names the `kind` that stands in its configurations, `class Mine(Tokenizer, kind="mine")`, and
    :meth:`from_pretrained` finds it by that.

    Args:
        body: Numbers of the body; see :func:`workbench.models.presets.body_preset`.
        quantizer: `name` of the quantizer and its settings; see :func:`workbench.quantizers.registry.make_quantizer`.
        codebook: Fingerprint of the codebook that the weights were trained with; None for a new model.
        name: What the model is called in lists, cards and files.

    Attributes:
        factor: f.
        window: Side of the only input that the body takes, in pixels; None where any multiple of f will do.
        weights_hash: SHA-256 of the file that the weights were loaded from; None for a model that was never saved.
        config: What `config.json` says.

    Raises:
        InputError: if the body or the quantizer does not exist or does not take its numbers.
        ModelError: if the codebook built here is not the one the weights were trained with.
    """

    kinds: ClassVar[dict[str, type["Tokenizer"]]] = {}
    kind: ClassVar[str]
    quantizer: Quantizer

    def __init_subclass__(cls, *, kind: str | None = None, **settings: Any) -> None:  # noqa: ANN401 - the mixin's own
        super().__init_subclass__(**settings)
        if kind is not None:
            cls.kind = kind
            Tokenizer.kinds[kind] = cls

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
        self.quantizer = make_quantizer(**quantizer)
        built = make_body(body, dimension=self.quantizer.dimension)
        self.encoder, self.decoder = built.encoder, built.decoder
        self.factor, self.window = built.factor, built.window
        self.weights_hash: str | None = None
        if codebook is not None and codebook != self.fingerprint:
            raise ModelError(
                f"model {name!r} was trained with codebook {codebook[:12]}…, but quantizer "
                f"{self.quantizer.name!r} here is {self.fingerprint[:12]}…: its indices would mean other codewords"
            )
        self.config: dict[str, Any] = {
            "kind": self.kind,
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

    @property
    def side(self) -> int | None:
        """Side in pixels of the squares that it takes; None where it takes pictures of any size."""
        return None

    @property
    def scales(self) -> tuple[int, ...]:
        """Sides of the grids of a pyramid of tokens, coarse to fine; empty where there is one grid."""
        return ()

    @property
    def device(self) -> torch.device:
        """Where its networks are."""
        return next(self.encoder.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """The floating type of its networks."""
        return next(self.encoder.parameters()).dtype

    @abstractmethod
    def grid(self, height: int, width: int) -> tuple[int, int]:
        """Rows and columns of the finest token grid of a picture of that size in pixels."""

    @abstractmethod
    def describe(self) -> Description:
        """What it takes, and what a picture costs."""

    # ---- networks alone: what training differentiates

    def encode(self, images: Tensor) -> Tensor:
        """Map images `(B, 3, H, W)` in [0, 1], sides multiples of `f`, to latents `(B, D, h, w)`."""
        return self.encoder(images)

    def decode(self, codes: Tensor) -> Tensor:
        """Map codes `(B, D, h, w)` to images `(B, 3, H, W)`, near [0, 1] but not clamped."""
        return self.decoder(codes.to(self.dtype))

    def forward(self, images: Tensor) -> tuple[Tensor, QuantizeResult]:
        """Return the reconstruction, not clamped, and the quantizer's result, with gradients."""
        result = self.quantizer(self.encode(images), channel_first=True)
        return self.decode(result.quantized), result

    # ---- pictures and tokens

    @abstractmethod
    def prepare(self, image: Picture) -> np.ndarray:
        """The picture as this model takes it: uint8, shape (H, W, 3).

        Args:
            image: A PIL image of any mode; uint8 of shape (H, W, 3); or a tensor (3, H, W), uint8 or in [0, 1].

        Raises:
            InputError: if it is none of these.
        """

    @abstractmethod
    def tokenize(self, images: Tensor, *, effort: int = 0, progress: Progress = no_progress) -> Tensor:
        """Return int64 indices, a picture on each place of the first axis.

        Args:
            images: `(B, 3, H, W)`, floats in [0, 1] or uint8.
            effort: From 0, the encoder's own choice, to 9, the longest search for codewords that this decoder turns
                into a picture nearer to the original; see :mod:`workbench.models.refine`.
            progress: Told the share done of that search, picture by picture.

        Raises:
            InputError: if the shape, the type, the range or the effort is another.
        """

    @abstractmethod
    def detokenize(self, indices: Tensor, *, size: tuple[int, int] | None = None) -> Tensor:
        """Return images `(B, 3, H, W)`, float32 in [0, 1].

        Args:
            indices: Integers as :meth:`tokenize` gives them.
            size: Height and width of the pictures; None for all that the tokens cover.

        Raises:
            InputError: if an index is out of range, or the tokens do not belong to pictures of that size.
        """

    @abstractmethod
    def code_map(self, indices: Tensor) -> Tensor:
        """The code vectors that the decoder is given for indices, float32 (B, D, h, w) on the finest grid."""

    @abstractmethod
    def grids(self, indices: Tensor) -> list[Tensor]:
        """Indices of a batch as grids (B, h, w), coarse to fine: of the stages of a patch, or of a pyramid."""

    def reconstruct(self, image: Picture, *, effort: int = 0, progress: Progress = no_progress) -> Reconstruction:
        """Send one picture through tokens and back.

        Args:
            image: A PIL image of any mode; uint8 of shape (H, W, 3); or a tensor (3, H, W), uint8 or in [0, 1].
            effort: As of :meth:`tokenize`.
            progress: Likewise.

        Raises:
            InputError: if it is none of these.
        """
        images = self._batch(image)
        height, width = images.shape[-2:]
        indices = self.tokenize(images, effort=effort, progress=progress)
        pixels = self.detokenize(indices, size=(height, width))[0]
        bits = indices.numel() * self.bits_per_token
        return Reconstruction(as_picture(pixels), indices[0].cpu().numpy(), bits, bits / (height * width))

    def _batch(self, image: Picture) -> Tensor:
        """One picture as a batch for :meth:`tokenize`."""
        return as_images(self.prepare(image))

    # ---- files

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> Self:
        """Return a new tokenizer of the kind that a configuration names, with random weights.

        Raises:
            InputError: if a part does not exist or does not take its numbers.
            ModelError: if the kind is none of this class.
        """
        settings = dict(config)
        sibling = cls._of_kind(settings.pop("kind", None), "the configuration")
        try:
            return sibling(**settings)
        except TypeError as error:
            raise InputError(f"these settings do not describe a {sibling.kind}: {error}") from error

    @classmethod
    def from_pretrained(cls, name: str | Path, **_: object) -> Self:
        """Load a tokenizer: a bundled name, then a directory, then the cache, then `owner/name` from the hub.

        `upstream:NAME` is a published model of the paper's authors, see :mod:`workbench.models.upstream`. What comes
        back is of the kind that the model's configuration names.

        Raises:
            ModelError: if there is none, it is none of this class, or its configuration, weights or codebook do not
                fit.
        """
        directory = directory_of(name, "tokenizer")
        sibling = cls.class_of(directory)
        config = hub.read_config(directory, kind=sibling.kind)
        try:
            model = sibling(**config)
        except (InputError, TypeError) as error:
            raise ModelError(f"{directory / 'config.json'} does not describe a {sibling.kind}: {error}") from error
        path = directory / "model.safetensors"
        announce(f"loading {model.name}", path.stat().st_size, copies=2)
        expected = {key: tuple(tensor.shape) for key, tensor in model.stored_state().items()}
        model.load_state_dict(model.state_dict() | load_weights(path, expected))
        model.weights_hash = file_digest(path)
        return model.eval()

    @classmethod
    def class_of(cls, directory: Path) -> type[Self]:
        """Return the class, this one or one below it, of the tokenizer in a directory.

        Raises:
            ModelError: if its configuration cannot be read, or describes something else.
        """
        return cls._of_kind(hub.kind_of(directory), str(directory / "config.json"))

    @classmethod
    def _of_kind(cls, kind: object, where: str) -> type[Self]:
        """The class for a kind, where it is this one or below it."""
        load_kind(kind)
        found = Tokenizer.kinds.get(kind) if isinstance(kind, str) else None
        if found is None or not issubclass(found, cls):
            known = " or ".join(f"a {name!r}" for name in ([cls.kind] if cls is not Tokenizer else TOKENIZERS))
            raise ModelError(f"{where} describes a {kind!r}, expected {known}: load it as what it is")
        return cast("type[Self]", found)

    def stored_config(self) -> dict[str, Any]:
        """What goes into `config.json`."""
        return self.config

    def stored_state(self) -> dict[str, Tensor]:
        """What goes into `model.safetensors`."""
        return self.state_dict()

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write `config.json` and `model.safetensors` (fp16), each replaced whole."""
        save_directory.mkdir(parents=True, exist_ok=True)
        atomic.write_text(save_directory / "config.json", json.dumps(self.stored_config(), indent=2) + "\n")
        save_weights(save_directory / "model.safetensors", self.stored_state())


def as_images(image: Picture) -> Tensor:
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


def as_picture(pixels: Tensor) -> np.ndarray:
    """Return floats in [0, 1] of shape (3, H, W) as uint8 of shape (H, W, 3)."""
    return (pixels * 255).round().to(torch.uint8).permute(1, 2, 0).contiguous().cpu().numpy()


def check_images(images: Tensor) -> Tensor:
    """Return images `(B, 3, H, W)` as float32 in [0, 1].

    Raises:
        InputError: if the shape, the type or the range is another.
    """
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
