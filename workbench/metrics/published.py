"""Weights that others published as pickles: read only if they are the published ones, and never more than tensors.

A file name ends with the first digits of its content's SHA-256, as torch's own downloads do (`NAME-7be5be79.pth`).
"""

__all__ = ["read_published"]

import hashlib
from pathlib import Path

import torch
from torch import Tensor

from workbench.errors import ModelError


def read_published(path: Path, file_name: str, *, owner: str, missing: str) -> dict[str, Tensor]:
    """Read published weights: a `.pth` only if its content has the published hash, a `.safetensors` as it is.

    Args:
        path: Where they lie.
        file_name: The published name, hash included.
        owner: Whose file it is, for the error: `torchvision`.
        missing: The whole error where there is no such file.

    Raises:
        ModelError: if there is no such file, it cannot be read, or its content is another.
    """
    if not path.is_file():
        raise ModelError(missing)
    if path.suffix == ".safetensors":
        from safetensors import SafetensorError
        from safetensors.torch import load_file

        try:
            return load_file(path)
        except (OSError, SafetensorError) as error:
            raise ModelError(f"{path}: cannot be read as safetensors ({error})") from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    expected = file_name.rpartition("-")[2].removesuffix(".pth")
    if not digest.startswith(expected):
        raise ModelError(f"{path}: SHA-256 begins with {digest[:8]}, {owner}'s {file_name} with {expected}")
    return torch.load(path, map_location="cpu", weights_only=True)
