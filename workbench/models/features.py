"""A small feature network of our own: what the perceptual column and the Fréchet distance use where nothing else is.

A classifier of Imagenette and flower pictures, five strided stages of residual convolutions. Distances on it carry its
own name (`leaf`), never LPIPS or FID: the numbers of different feature networks cannot be compared.
"""

__all__ = ["FeatureNetwork"]

import json
from pathlib import Path
from typing import Self

from torch import Tensor, nn
from torch.nn import functional as F

from workbench import atomic, hub
from workbench.models.weights import load_weights, save_weights


class Stage(nn.Module):
    """Halve the sides, then one residual pair of 3×3 convolutions."""

    def __init__(self, inner: int, outer: int) -> None:
        super().__init__()
        self.down = nn.Conv2d(inner, outer, 3, stride=2, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(outer)
        self.conv1 = nn.Conv2d(outer, outer, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(outer)
        self.conv2 = nn.Conv2d(outer, outer, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(outer)

    def forward(self, x: Tensor) -> Tensor:
        """Map `(B, inner, H, W)` to `(B, outer, H/2, W/2)`."""
        x = F.relu(self.norm(self.down(x)))
        return F.relu(x + self.norm2(self.conv2(F.relu(self.norm1(self.conv1(x))))))


class FeatureNetwork(nn.Module):
    """Features at five resolutions, and class scores.

    Args:
        widths: Channels of the stages, at 1/2, 1/4, … of the input's sides.
        classes: Names of the classes, in the order of the scores.
        name: What distances on these features are called.
    """

    def __init__(self, *, widths: list[int], classes: list[str], name: str) -> None:
        super().__init__()
        self.name, self.classes = name, list(classes)
        self.config = {"kind": "features", "name": name, "widths": list(widths), "classes": self.classes}
        self.stages = nn.ModuleList(Stage(a, b) for a, b in zip([3, *widths[:-1]], widths, strict=True))
        self.head = nn.Linear(widths[-1], len(classes))

    def features(self, images: Tensor) -> list[Tensor]:
        """Feature maps `(B, C, H/2ⁱ, W/2ⁱ)` of images `(B, 3, H, W)` in [0, 1], finest first."""
        x, maps = 2 * images - 1, []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        return maps

    def embed(self, images: Tensor) -> Tensor:
        """One vector a picture, `(B, C)`: the deepest map averaged over the picture."""
        return self.features(images)[-1].mean(dim=(2, 3))

    def forward(self, images: Tensor) -> Tensor:
        """Class scores `(B, classes)`."""
        return self.head(self.embed(images))

    @classmethod
    def from_pretrained(cls, name: str | Path) -> Self:
        """Load a feature network by bundled name or directory.

        Raises:
            ModelError: if there is none, or its weights do not fit.
        """
        directory = hub.resolve(str(name), kind="features")
        model = cls(**hub.read_config(directory, kind="features"))
        expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
        model.load_state_dict(load_weights(directory / "model.safetensors", expected))
        return model.eval().requires_grad_(requires_grad=False)

    def save_pretrained(self, directory: Path) -> None:
        """Write `config.json` and `model.safetensors` (fp16)."""
        directory.mkdir(parents=True, exist_ok=True)
        atomic.write_text(directory / "config.json", json.dumps(self.config, indent=2) + "\n")
        save_weights(directory / "model.safetensors", self.state_dict())
