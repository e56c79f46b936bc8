"""Perceptual distance: how far apart two pictures are to a network that has learned to see.

With feature maps f_l of shape (C_l, H_l, W_l), each scaled to unit length along its channels,

    d(x, y) = Σ_l  mean over places of  Σ_c w_lc (f̂_lc(x) - f̂_lc(y))²

LPIPS is this on AlexNet, VGG or SqueezeNet with weights w fitted to people's judgement. On any other network, and
without fitted weights (then w = 1 / number of layers), it is a distance on given features and carries their name, never
LPIPS: numbers under different names cannot be compared.

A feature network here is any object with `features(images) -> list of maps` for images (B, 3, H, W) in [0, 1]; networks
are passed in, this room builds only SqueezeNet, from a file given by path, and LPIPS, from files that are there.
Source: Zhang et al., "The unreasonable effectiveness of deep features as a perceptual metric", 2018.
"""

__all__ = ["FeatureDistance", "Features", "SqueezeNet", "load_lpips", "load_squeezenet"]

from collections.abc import Callable, Iterable, Iterator, Sequence
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench.errors import InputError, ModelError, did_you_mean
from workbench.metrics.published import read_published

# Layers of the torchvision backbones after which LPIPS looks, and the first digits of the SHA-256 in their file names.
_LPIPS_BACKBONES = {
    "alex": ("alexnet", (1, 4, 7, 9, 11), "alexnet-owt-7be5be79.pth"),
    "vgg": ("vgg16", (3, 8, 15, 22, 29), "vgg16-397923af.pth"),
    "squeeze": ("squeezenet1_1", (1, 4, 7, 9, 10, 11, 12), "squeezenet1_1-b8a52dc0.pth"),
}
# The mean and deviation of ImageNet, as LPIPS writes them for inputs in [-1, 1], turned to inputs in [0, 1].
_LPIPS_SHIFT = (0.485, 0.456, 0.406)
_LPIPS_SCALE = (0.229, 0.224, 0.225)
_TILE = 1024  # pixels a side that go through the network at once when whole pictures are compared


class Features(Protocol):
    """What a feature network must be able to do."""

    def features(self, images: Tensor) -> list[Tensor]:
        """Maps (B, C, h, w) of images (B, 3, H, W) in [0, 1], finest first."""
        ...


class FeatureDistance(nn.Module):
    """A perceptual distance on the features of a given network, with gradients to both pictures.

    Args:
        network: Its features are compared; frozen and set to evaluation mode here if it is a module.
        name: What the numbers are called.
        weights: One vector (C_l,) from 0 up for each layer; None for equal weights that sum to 1 over layers.
        least_side: Smallest side that the network takes.
    """

    def __init__(
        self, network: Features, name: str, *, weights: Sequence[Tensor] | None = None, least_side: int = 32
    ) -> None:
        super().__init__()
        if isinstance(network, nn.Module):
            network.eval().requires_grad_(requires_grad=False)
        self.network, self.name, self.least_side = network, name, least_side
        self._layers = None if weights is None else len(weights)
        for number, weight in enumerate(weights or ()):
            self.register_buffer(f"weight{number}", weight.detach().float().reshape(-1, 1, 1), persistent=False)

    def train(self, mode: bool = True) -> "FeatureDistance":  # noqa: ARG002 - torch's signature
        """Stay in evaluation mode: a distance must not change while it is used as a loss."""
        return super().train(mode=False)

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Distance of each pair.

        Args:
            x: Images in [0, 1], shape (B, 3, H, W).
            y: Images, same shape.

        Returns:
            From 0 up, shape (B,).

        Raises:
            InputError: if the shapes differ or are none of pictures, or a side is too small.
        """
        if x.shape != y.shape or x.ndim != 4 or x.shape[1] != 3:
            raise InputError(f"expected images (B, 3, H, W) of one shape, got {tuple(x.shape)} and {tuple(y.shape)}")
        self._check_side(x)
        return self._compare(self._maps(x), self._maps(y))

    def between(self, x: np.ndarray, y: np.ndarray) -> float:
        """Distance of two whole pictures.

        A picture of more than 1024 pixels a side is compared in tiles, and the answer is their mean by area: bounded
        memory at the price of what the network would have seen across the seams.

        Args:
            x: uint8, shape (H, W, 3).
            y: uint8, same shape.

        Raises:
            InputError: if they are no pictures of one size, or smaller than the network takes.
        """
        return self._from(x.shape, self._tiles(x), y)

    def against(self, x: np.ndarray) -> Callable[[np.ndarray], float]:
        """The distance of pictures from one picture, whose features are computed once and kept.

        Returns:
            What :meth:`between` gives for `x` and its argument. It holds some 50 bytes for each pixel of `x` and more.

        Raises:
            InputError: as :meth:`between`, and so does what is returned.
        """
        tiles = list(self._tiles(x))
        return lambda y: self._from(x.shape, tiles, y)

    def _maps(self, images: Tensor) -> list[Tensor]:
        """Feature maps of images, of unit length along the channels."""
        maps = [_unit(features) for features in self.network.features(images)]
        if self._layers is not None and self._layers != len(maps):
            raise ModelError(f"{self.name}: weights for {self._layers} layers, the network gives {len(maps)}")
        return maps

    def _compare(self, maps_x: Sequence[Tensor], maps_y: Sequence[Tensor]) -> Tensor:
        """Distance of each pair of images, shape (B,), from their maps."""
        first = maps_x[0]
        total = first.new_zeros(first.shape[0], dtype=torch.promote_types(first.dtype, torch.float32))
        for number, (map_x, map_y) in enumerate(zip(maps_x, maps_y, strict=True)):
            squares = (map_x - map_y).square()
            if self._layers is None:
                layer = squares.sum(dim=1) / len(maps_x)
            else:
                layer = (squares * getattr(self, f"weight{number}")).sum(dim=1)
            total = total + layer.mean(dim=(1, 2))
        return total

    @torch.no_grad()
    def _tiles(self, picture: np.ndarray) -> Iterator[tuple[int, list[Tensor]]]:
        """Area and maps of a picture's tiles, one after another."""
        if picture.dtype != np.uint8 or picture.ndim != 3 or picture.shape[2] != 3:
            raise InputError(
                f"expected uint8 pictures of one size, shape (H, W, 3), got {picture.dtype} of shape {picture.shape}"
            )
        device = next((tensor.device for tensor in [*self.parameters(), *self.buffers()]), torch.device("cpu"))
        for top, height in _spans(picture.shape[0]):
            for left, width in _spans(picture.shape[1]):
                tile = picture[top : top + height, left : left + width].transpose(2, 0, 1)
                images = torch.from_numpy(tile[None].copy()).to(device).float().div(255)
                self._check_side(images)
                yield height * width, self._maps(images)

    @torch.no_grad()
    def _from(self, shape: tuple[int, ...], tiles: Iterable[tuple[int, list[Tensor]]], y: np.ndarray) -> float:
        """Mean distance by area of a picture's tiles from those of the picture `y`, which must have that shape."""
        if y.shape != shape:
            raise InputError(f"expected uint8 pictures of one size, got {shape} and {y.shape}")
        pairs = zip(tiles, self._tiles(y), strict=True)
        total = sum(float(self._compare(maps_x, maps_y)) * area for (area, maps_x), (_, maps_y) in pairs)
        return total / (shape[0] * shape[1])

    def _check_side(self, images: Tensor) -> None:
        if min(images.shape[2:]) < self.least_side:
            raise InputError(
                f"{self.name} needs at least {self.least_side} pixels a side, got {images.shape[3]}×{images.shape[2]}"
            )


class SqueezeNet(nn.Module):
    """SqueezeNet 1.1 as a feature network: maps for distances, one vector a picture, scores of 1,000 classes.

    Args:
        body: `torchvision.models.squeezenet1_1`, any weights.
        shift: Subtracted from each channel of images in [0, 1].
        scale: Divided by after that.
    """

    taps = _LPIPS_BACKBONES["squeeze"][1]

    def __init__(
        self, body: nn.Module, *, shift: Sequence[float] = (0, 0, 0), scale: Sequence[float] = (1, 1, 1)
    ) -> None:
        super().__init__()
        self.backbone = _Tapped(body.get_submodule("features"), self.taps, shift=shift, scale=scale)
        self.classifier = body.get_submodule("classifier")

    def features(self, images: Tensor) -> list[Tensor]:
        """Maps (B, C, h, w) at the seven places where LPIPS looks, finest first."""
        return self.backbone.features(images)

    def embed(self, images: Tensor) -> Tensor:
        """One vector a picture, (B, 512): the deepest map averaged over the picture."""
        return self.features(images)[-1].mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Scores of the 1,000 ImageNet classes, (B, 1000)."""
        return self.classifier(self.features(images)[-1]).flatten(1)


def load_squeezenet(path: str | Path) -> SqueezeNet:
    """Load SqueezeNet 1.1 in torchvision's layout from a safetensors file, first layer taking RGB in [0, 1].

    Raises:
        ModelError: if there is no such file, or it holds other weights.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file
    from torchvision.models import squeezenet1_1

    body = squeezenet1_1(weights=None)
    try:
        body.load_state_dict(load_file(path))
    except (OSError, SafetensorError) as error:
        raise ModelError(f"{path}: cannot be read as safetensors ({error})") from error
    except RuntimeError as error:
        raise ModelError(f"{path}: not the weights of squeezenet1_1 ({str(error).splitlines()[0]})") from error
    return SqueezeNet(body).eval().requires_grad_(requires_grad=False)


def load_lpips(net: str = "alex", *, backbone: str | Path | None = None) -> FeatureDistance:
    """LPIPS version 0.1, from the heads that the `lpips` package ships and torchvision's backbone.

    Args:
        net: `alex`, `vgg` or `squeeze`.
        backbone: File of the backbone's weights (`.safetensors`, or torchvision's own `.pth`); None for where torch
            keeps its downloads. Nothing is downloaded.

    Raises:
        InputError: if there is no such network.
        ModelError: if `lpips` is not installed, or the backbone is not there or not the published one.
    """
    if net not in _LPIPS_BACKBONES:
        raise InputError(did_you_mean("LPIPS network", net, _LPIPS_BACKBONES))
    spec = find_spec("lpips")
    if spec is None or not spec.submodule_search_locations:
        raise ModelError("LPIPS needs the package 'lpips': pip install lpips")
    import torchvision

    builder, taps, file_name = _LPIPS_BACKBONES[net]
    path = Path(backbone) if backbone else Path(torch.hub.get_dir()) / "checkpoints" / file_name
    missing = (
        f"LPIPS needs torchvision's {file_name}, which is not at {path}: "
        "download it from pytorch.org and give its path, or use a distance on other features"
    )
    state = read_published(path, file_name, owner="torchvision", missing=missing)
    body = getattr(torchvision.models, builder)(weights=None)
    try:
        body.load_state_dict(state)
    except RuntimeError as error:
        raise ModelError(f"{path}: not the weights of {file_name} ({str(error).splitlines()[0]})") from error
    heads = Path(spec.submodule_search_locations[0]) / "weights" / "v0.1" / f"{net}.pth"
    fitted = torch.load(heads, map_location="cpu", weights_only=True)
    weights = [fitted[f"lin{number}.model.1.weight"] for number in range(len(taps))]
    network = _Tapped(body.features, taps, shift=_LPIPS_SHIFT, scale=_LPIPS_SCALE)
    return FeatureDistance(network, f"lpips-{net}", weights=weights)


class _Tapped(nn.Module):
    """A chain of layers, looked at after some of them."""

    shift: Tensor  # shape: (3, 1, 1), as is scale
    scale: Tensor

    def __init__(
        self, layers: nn.Module, taps: Sequence[int], *, shift: Sequence[float], scale: Sequence[float]
    ) -> None:
        super().__init__()
        self.layers, self.taps = layers, tuple(taps)
        self.register_buffer("shift", torch.tensor(shift, dtype=torch.float32).reshape(3, 1, 1), persistent=False)
        self.register_buffer("scale", torch.tensor(scale, dtype=torch.float32).reshape(3, 1, 1), persistent=False)

    def features(self, images: Tensor) -> list[Tensor]:
        x, maps = (images - self.shift) / self.scale, []
        for number, layer in enumerate(self.layers.children()):
            x = layer(x)
            if number in self.taps:
                maps.append(x)
            if number == self.taps[-1]:
                break
        return maps


def _unit(maps: Tensor) -> Tensor:
    """Scale to unit length along the channels; zero stays zero, with a finite gradient."""
    return F.normalize(maps, dim=1, eps=1e-10)


def _spans(length: int) -> list[tuple[int, int]]:
    """Cut a side into tiles of nearly one length, at most `_TILE` each."""
    count = -(-length // _TILE)
    ends = [round(i * length / count) for i in range(count + 1)]
    return [(start, stop - start) for start, stop in pairwise(ends)]
