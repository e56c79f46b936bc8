"""Alignment of a tokenizer's latents with the features of a foundation model, place by place.

A generator learns faster on latents that tell things apart as such features do. The latents z are projected by a linear
map without bias, which is learned and thrown away, and compared with features f of the same grid:

    mean relu(1 - m₁ - cos(z, f))  +  mean relu(|cos(z, z′) - cos(f, f′)| - m₂)

over all places, and over all pairs of places of a picture. The weight is brought to the scale of the reconstruction
loss by the gradients of both at the latents.
Source: Yao et al., "Reconstruction vs. Generation", arXiv:2501.01423 (VA-VAE). There gradients are taken at the weights
of the encoder's last layer; here at its output, which works alike for one process and for many.
"""

__all__ = ["FOUNDATIONS", "Alignment", "Foundation", "alignment_loss", "balance", "make_foundation"]

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from workbench import hub
from workbench.errors import InputError, ModelError, did_you_mean
from workbench.models.features import FeatureNetwork
from workbench.models.weights import load_weights

_MEAN, _DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

# Name, timm's name of the network, side of its patches. The weights are of `timm/NAME` on the hub.
FOUNDATIONS: Mapping[str, tuple[str, int]] = {
    "dinov2-small": ("vit_small_patch14_dinov2.lvd142m", 14),
    "dinov2-base": ("vit_base_patch14_dinov2.lvd142m", 14),
    "dinov2-large": ("vit_large_patch14_dinov2.lvd142m", 14),
}


class Foundation(Protocol):
    """Features of pictures that latents are aligned with."""

    width: int

    def __call__(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        """Map images `(B, 3, H, W)` in [0, 1] to features `(B, width, *grid)`, without a gradient."""
        ...


class Alignment(nn.Module):
    """The learned projection of latents to the width of the features.

    Args:
        dimension: Numbers of a latent.
        width: Numbers of a feature.
    """

    def __init__(self, dimension: int, width: int) -> None:
        super().__init__()
        self.project = nn.Conv2d(dimension, width, 1, bias=False)

    def forward(self, latents: Tensor) -> Tensor:
        """Map `(B, dimension, h, w)` to `(B, width, h, w)`."""
        return self.project(latents)


def alignment_loss(projected: Tensor, features: Tensor, *, margin1: float = 0.5, margin2: float = 0.25) -> Tensor:
    """The loss above, a scalar in float32.

    Args:
        projected: Projected latents `(B, C, h, w)`.
        features: Features `(B, C, h, w)`.
        margin1: m₁, in cosine.
        margin2: m₂.

    Raises:
        InputError: if the shapes differ.
    """
    if projected.shape != features.shape:
        raise InputError(f"latents {tuple(projected.shape)} and features {tuple(features.shape)} differ in shape")
    z = F.normalize(projected.float().flatten(2), dim=1)
    f = F.normalize(features.float().flatten(2), dim=1)
    by_place = F.relu(1 - margin1 - (z * f).sum(1)).mean()
    by_pair = F.relu((z.mT @ z - f.mT @ f).abs() - margin2).mean()
    return by_place + by_pair


def balance(main: Tensor, other: Tensor, at: Tensor, *, most: float = 1e4) -> Tensor:
    """What to multiply `other` by so that its gradient at a tensor is as long as that of `main`: a constant.

    Args:
        main: A scalar loss.
        other: Another one.
        at: A tensor that both depend on.
        most: The largest answer.
    """
    (one,) = torch.autograd.grad(main, at, retain_graph=True)
    (two,) = torch.autograd.grad(other, at, retain_graph=True)
    return (one.norm() / (two.norm() + 1e-12)).clamp(max=most).detach()


def make_foundation(name: str, device: torch.device) -> Foundation:
    """Build a feature network, frozen, on a device.

    Args:
        name: `dinov2-small`, `dinov2-base` or `dinov2-large`, from the hub or from `NAME:FILE` (safetensors of timm);
            or `leaf`, the bundled small network, for trying things out offline.
        device: Where to put it.

    Raises:
        InputError: if there is none of that name.
        ModelError: if timm is missing, or the weights are not at hand and cannot be fetched.
    """
    kind, _, path = name.partition(":")
    if kind == "leaf":
        return _Leaf(FeatureNetwork.from_pretrained(path or "leaf").to(device))
    if kind not in FOUNDATIONS:
        raise InputError(did_you_mean("foundation model", name, ["leaf", *FOUNDATIONS]))
    try:
        import timm
    except ImportError as error:
        raise ModelError(f"{kind} needs timm: pip install 'lambda24-workbench[train]'") from error
    architecture, patch = FOUNDATIONS[kind]
    network = timm.create_model(architecture, pretrained=False, num_classes=0, dynamic_img_size=True)
    file = Path(path).expanduser() if path else hub.download(f"timm/{architecture}", "model.safetensors")
    expected = {key: tuple(value.shape) for key, value in network.state_dict().items()}
    network.load_state_dict(load_weights(file, expected))
    return _VisionTransformer(network.to(device).eval().requires_grad_(requires_grad=False), patch)


class _VisionTransformer:
    """Patch features of a vision transformer of timm."""

    def __init__(self, network: nn.Module, patch: int) -> None:
        self.network, self.patch = network, patch
        self.width: int = network.num_features  # type: ignore[assignment]

    @torch.no_grad()
    def __call__(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        size = (grid[0] * self.patch, grid[1] * self.patch)
        images = F.interpolate(images.float(), size, mode="bicubic", antialias=True).clamp(0, 1)
        mean, deviation = (images.new_tensor(values)[:, None, None] for values in (_MEAN, _DEVIATION))
        tokens = self.network.forward_features((images - mean) / deviation)  # type: ignore[operator]
        places = tokens[:, -grid[0] * grid[1] :]  # after the class token and registers
        return places.mT.unflatten(2, grid)


class _Leaf:
    """The deepest map of the bundled feature network, at the grid's size."""

    def __init__(self, network: FeatureNetwork) -> None:
        self.network = network.eval().requires_grad_(requires_grad=False)
        self.width = network.features(torch.zeros(1, 3, 64, 64, device=next(network.parameters()).device))[-1].shape[1]

    @torch.no_grad()
    def __call__(self, images: Tensor, grid: tuple[int, int]) -> Tensor:
        return F.adaptive_avg_pool2d(self.network.features(images.float())[-1], grid)
