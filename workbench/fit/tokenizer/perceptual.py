"""The perceptual distance of a recipe, by name.

`leaf` is the bundled small network; `squeezenet:PATH` a file of torchvision's SqueezeNet 1.1; `lpips-vgg`, `lpips-alex`
and `lpips-squeeze` are LPIPS, where torch has the backbone at hand or a path follows after a colon.
"""

__all__ = ["make_perceptual"]

import torch

from workbench.errors import InputError, did_you_mean
from workbench.metrics.perceptual import FeatureDistance, load_lpips, load_squeezenet
from workbench.models.features import FeatureNetwork

_NAMES = ("leaf", "lpips-alex", "lpips-squeeze", "lpips-vgg", "squeezenet")


def make_perceptual(name: str, device: torch.device) -> FeatureDistance:
    """Build a perceptual distance, frozen, on a device.

    Raises:
        InputError: if there is none of that name, or `squeezenet` comes without a path.
        ModelError: if its weights are not at hand.
    """
    kind, _, path = name.partition(":")
    if kind.startswith("lpips-") and kind in _NAMES:
        distance = load_lpips(kind.removeprefix("lpips-"), backbone=path or None)
    elif kind == "squeezenet":
        if not path:
            raise InputError("losses.features=squeezenet needs the path of its weights: squeezenet:PATH")
        distance = FeatureDistance(load_squeezenet(path), "squeezenet")
    elif kind == "leaf":
        distance = FeatureDistance(FeatureNetwork.from_pretrained(path or "leaf"), "leaf")
    else:
        raise InputError(did_you_mean("features", name, _NAMES))
    return distance.to(device).requires_grad_(requires_grad=False)
