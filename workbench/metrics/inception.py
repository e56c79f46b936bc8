"""The Inception network of the published FID and Inception Score, as `torch-fidelity` runs it.

Its graph differs from torchvision's: resizing as TensorFlow 1 did it (bilinear, to 299 pixels), pooling that leaves the
border out, 1,008 scores. Only on the published weights may a Fréchet distance be called FID. The network takes uint8,
so floats are rounded first. The score's class scores are those without the bias of the last layer.
Sources: Heusel et al., 2017 (FID); Salimans et al., 2016 (Inception Score).
"""

__all__ = ["INCEPTION_FILE", "INCEPTION_URL", "Inception", "load_inception"]

import tempfile
from pathlib import Path

import torch
from torch import Tensor, nn

from workbench.errors import ModelError
from workbench.metrics.published import read_published

INCEPTION_FILE = "weights-inception-2015-12-05-6726825d.pth"
INCEPTION_URL = f"https://github.com/toshas/torch-fidelity/releases/download/v0.2.0/{INCEPTION_FILE}"


class Inception(nn.Module):
    """Feature vectors of pictures.

    Args:
        extractor: torch-fidelity's network, asked for `2048`.
    """

    def __init__(self, extractor: nn.Module) -> None:
        super().__init__()
        self.extractor = extractor.eval().requires_grad_(requires_grad=False)

    def embed(self, images: Tensor) -> Tensor:
        """One vector a picture, (B, 2048), of images (B, 3, H, W) in [0, 1], any size."""
        (vectors,) = self.extractor((images * 255).round().to(torch.uint8))
        return vectors.flatten(1)

    @property
    def readout(self) -> Tensor:
        """What class scores are read out with, (1008, 2048): scores = vectors · readoutᵀ."""
        return self.extractor.get_parameter("fc.weight")


def load_inception(path: Path) -> Inception:
    """Load Inception from the published file (or its tensors as safetensors).

    Raises:
        ModelError: if torch-fidelity is not installed, or the file is not there or not the published one.
    """
    try:
        from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
    except ImportError as error:
        raise ModelError("Inception needs the package 'torch-fidelity': pip install torch-fidelity") from error
    missing = (
        f"Inception's weights ({INCEPTION_FILE}) are not at {path}: give their path as inception=PATH, let them be "
        "fetched with --download, or use other features"
    )
    state = read_published(path, INCEPTION_FILE, owner="torch-fidelity", missing=missing)
    # torch-fidelity reads weights from a path, by a pickle that may run code: it gets a copy that we have written.
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / INCEPTION_FILE
        torch.save(state, copy)
        try:
            extractor = FeatureExtractorInceptionV3("inception", ["2048"], feature_extractor_weights_path=str(copy))
        except RuntimeError as error:
            raise ModelError(f"{path}: not the weights of Inception ({str(error).splitlines()[0]})") from error
    return Inception(extractor)
