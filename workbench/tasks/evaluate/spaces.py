"""Feature spaces: what sets of pictures are compared in, each with the name its numbers must bear.

    leaf              the bundled feature network                     FD-leaf, distance `leaf`
    PATH.safetensors  SqueezeNet 1.1 in torchvision's layout          FD-SqueezeNet, distance `squeezenet`
    DIR               a feature network of ours, by its own name      FD-NAME, distance `NAME`
    inception[=PATH]  the published Inception, through torch-fidelity FID: the one space in which it may be called so

Every picture is cut to its centre square; for our own networks and SqueezeNet that is brought to 128 pixels (Lanczos),
Inception resizes by itself, as its authors' code does. Networks run in float32, statistics in float64.
"""

__all__ = ["Embedder", "FeatureSpace", "find_lpips", "load_space"]

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

import numpy as np
import torch
from torch import Tensor, nn

from workbench import hub
from workbench.errors import InputError, ModelError
from workbench.images.crops import square_picture
from workbench.metrics.inception import INCEPTION_FILE, INCEPTION_URL, load_inception
from workbench.metrics.perceptual import FeatureDistance, load_lpips, load_squeezenet
from workbench.models.features import FeatureNetwork

SQUARE = 128  # pixels a side of the squares that our own networks and SqueezeNet see
_BATCH = 32


class Embedder(Protocol):
    """What a network must be able to do."""

    def embed(self, images: Tensor) -> Tensor:
        """One vector a picture, (B, C), of images (B, 3, H, W) in [0, 1]."""
        ...


@dataclass(frozen=True, eq=False)
class FeatureSpace:
    """A network and how pictures are brought to it.

    Attributes:
        name: What it is called.
        distance: What a Fréchet distance in it is called.
        network: Turns pictures into vectors.
        side: Pixels a side of what it is shown; None: the centre square as it is.
        perceptual: The distance of two pictures on its maps, where it has any.
        readout: Weights (classes, C) of the class scores that the Inception Score takes; None elsewhere.
    """

    name: str
    distance: str
    network: Embedder = field(repr=False)
    side: int | None = SQUARE
    perceptual: FeatureDistance | None = field(default=None, repr=False)
    readout: Tensor | None = field(default=None, repr=False)

    @property
    def protocol(self) -> str:
        """How pictures are brought to the network, in words."""
        if self.side is None:
            return f"{self.name}: centre squares as they are, resized by the network itself; float32"
        return f"{self.name}: centre squares at {self.side} pixels (Lanczos); float32"

    @torch.inference_mode()
    def embed(self, pictures: Iterable[np.ndarray]) -> np.ndarray:
        """Feature vectors of pictures, each uint8 (H, W, 3): float32, shape (N, C)."""
        parts, waiting = [], []
        for picture in pictures:
            square = square_picture(picture, self.side or min(picture.shape[:2]))
            if waiting and (len(waiting) == _BATCH or square.shape != waiting[0].shape):
                parts.append(self._vectors(waiting))
                waiting = []
            waiting.append(square)
        if waiting:
            parts.append(self._vectors(waiting))
        if not parts:
            raise InputError(f"no picture to take {self.name} features of")
        return np.concatenate(parts)

    def _vectors(self, squares: list[np.ndarray]) -> np.ndarray:
        images = torch.from_numpy(np.stack(squares)).permute(0, 3, 1, 2).float() / 255
        return self.network.embed(images).float().numpy()


def load_space(name: str, *, download: bool = False) -> FeatureSpace:
    """Load a feature space by what a person types for it; see the module.

    Args:
        name: `leaf`, a path, `inception` or `inception=PATH`.
        download: Fetch Inception's weights where they are not at hand.

    Raises:
        InputError: if nothing is meant by the name.
        ModelError: if its weights are not there or not what they should be.
    """
    kind, _, path = name.partition("=")
    if kind == "inception":
        file = Path(path) if path else Path(torch.hub.get_dir()) / "checkpoints" / INCEPTION_FILE
        if download and not file.is_file():
            hub.fetch(INCEPTION_URL, file)
        network = load_inception(file)
        return FeatureSpace("Inception", "FID", network, side=None, readout=network.readout.detach())
    if Path(name).suffix == ".safetensors":
        network = load_squeezenet(name)
        return FeatureSpace("SqueezeNet", "FD-SqueezeNet", network, perceptual=_perceptual(network, "squeezenet"))
    if name != "leaf" and not Path(name).is_dir():
        raise InputError(
            f"no features {name!r}: expected leaf, inception, inception=PATH, a .safetensors file of SqueezeNet 1.1, "
            "or the folder of a feature network"
        )
    network = FeatureNetwork.from_pretrained(name)
    return FeatureSpace(
        network.name, f"FD-{network.name}", network, perceptual=_perceptual(network, network.name)
    )  # fmt: skip


def find_lpips(net: str = "alex") -> FeatureDistance | str:
    """LPIPS, where the package and torchvision's weights are at hand; otherwise why not."""
    try:
        return load_lpips(net)
    except ModelError as error:
        return str(error)


def _perceptual(network: nn.Module, name: str) -> FeatureDistance:
    return FeatureDistance(network, name)  # type: ignore[arg-type] - both kinds of network have `features`
