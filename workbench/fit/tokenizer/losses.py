"""The losses of the tokenizer: pure functions of pictures, feature maps and scores.

    L = w_d |x − x̂|₁ + 10 w_s |x − x̂|₂² + w_p · perceptual(x, x̂) + w_a · a(D(x̂))      no entropy, no commitment term

The paper takes softplus for `a`, and LPIPS for the perceptual term, which is passed in: see :mod:`perceptual`.
"""

__all__ = ["ADVERSARIAL", "Adversarial", "absolute_error", "gradient_penalty", "squared_error"]

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor
from torch.nn import functional as F


def absolute_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean absolute error over all pixels, of images in [0, 1]."""
    return (x - y).abs().mean()


def squared_error(x: Tensor, y: Tensor) -> Tensor:
    """Mean squared error over all pixels, of images in [0, 1], times 10.

    With that factor its gradient at an error of 1/20 (26 dB) is that of the absolute error, so that one may stand in
    the other's place at the same weight.
    """
    return 10 * (x - y).square().mean()


class _Score(Protocol):
    def __call__(self, scores: Tensor) -> Tensor: ...


@dataclass(frozen=True)
class Adversarial:
    """A game between a generator and a judge whose scores are high for real pictures.

    Attributes:
        fool: Generator's loss, of scores of made pictures.
        accept: Judge's loss, of scores of real pictures.
        reject: Judge's loss, of scores of made pictures.
    """

    fool: _Score
    accept: _Score
    reject: _Score

    def judge(self, real: Tensor, made: Tensor) -> Tensor:
        """The judge's whole loss: the mean of both sides."""
        return (self.accept(real) + self.reject(made)) / 2


ADVERSARIAL: Mapping[str, Adversarial] = {
    # Lim and Ye, arXiv:1705.02894
    "hinge": Adversarial(
        fool=lambda scores: -scores.mean(),
        accept=lambda scores: F.relu(1 - scores).mean(),
        reject=lambda scores: F.relu(1 + scores).mean(),
    ),
    # Goodfellow et al., arXiv:1406.2661, the non-saturating form
    "softplus": Adversarial(
        fool=lambda scores: F.softplus(-scores).mean(),
        accept=lambda scores: F.softplus(-scores).mean(),
        reject=lambda scores: F.softplus(scores).mean(),
    ),
}


def gradient_penalty(images: Tensor, scores: Tensor) -> Tensor:
    """R1: the squared slope of the judge at real pictures, `½ ‖∇ D(x)‖²` summed over pixels, mean over pictures.

    Args:
        images: Real pictures (B, 3, H, W) that require a gradient.
        scores: What the judge made of them, any shape.

    References:
        Mescheder et al., arXiv:1801.04406, eq. 9.
    """
    (slope,) = torch.autograd.grad(scores.sum(), images, create_graph=True)
    return slope.float().square().sum(dim=(1, 2, 3)).mean() / 2
