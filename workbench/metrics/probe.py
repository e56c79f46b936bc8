"""A linear probe: how well the classes of pictures can be read off their features.

Multinomial logistic regression on features brought to mean 0 and deviation 1,

    minimise  mean of -log softmax(W f + b)[class]  +  λ/2 · |W|²

which is convex, so the answer is one and no seed is needed. Trained on real pictures and asked about drawn ones, it
says how often a drawn picture looks like the class it was drawn for; its accuracy on real pictures it has not seen is
the yardstick.
"""

__all__ = ["LinearProbe"]

from dataclasses import dataclass, field
from typing import Self

import numpy as np
import torch
from torch.nn import functional as F

from workbench.errors import InputError


@dataclass(frozen=True, eq=False)
class LinearProbe:
    """A fitted probe.

    Attributes:
        weight: float64, shape (classes, D), for features as they come.
        bias: float64, shape (classes,).
    """

    weight: np.ndarray = field(repr=False)
    bias: np.ndarray = field(repr=False)

    @classmethod
    def fit(cls, features: np.ndarray, labels: np.ndarray, *, classes: int, penalty: float = 1e-3) -> Self:
        """Fit to labelled features.

        Args:
            features: Shape (N, D).
            labels: Class of each, integers in [0, classes), shape (N,).
            classes: Number of classes.
            penalty: λ, above 0.

        Raises:
            InputError: if features and labels do not fit together, or a label or the penalty is out of range.
        """
        features, labels = np.asarray(features, np.float64), np.asarray(labels)
        if features.ndim != 2 or labels.shape != features.shape[:1] or not len(labels):
            raise InputError(f"expected a class for each vector, got {features.shape} and {labels.shape}")
        if labels.min() < 0 or labels.max() >= classes or not penalty > 0:
            raise InputError(
                f"expected classes in [0, {classes}) and a penalty above 0, got {labels.min()} to {labels.max()} and "
                f"{penalty}: every picture that a probe learns from needs a class"
            )
        mean, scale = features.mean(0), features.std(0)
        scale[scale == 0] = 1
        x, y = torch.from_numpy((features - mean) / scale), torch.from_numpy(labels).long()
        weight = torch.zeros(classes, features.shape[1], dtype=torch.float64, requires_grad=True)
        bias = torch.zeros(classes, dtype=torch.float64, requires_grad=True)
        optimizer = torch.optim.LBFGS([weight, bias], max_iter=500, tolerance_grad=1e-7, line_search_fn="strong_wolfe")

        def loss() -> torch.Tensor:
            optimizer.zero_grad()
            value = F.cross_entropy(x @ weight.T + bias, y) + penalty / 2 * weight.square().sum()
            value.backward()
            return value

        with torch.enable_grad():
            optimizer.step(loss)
        unscaled = weight.detach().numpy() / scale
        return cls(unscaled, bias.detach().numpy() - unscaled @ mean)

    def predict(self, features: np.ndarray) -> np.ndarray:
        """The most probable class of each vector, int64, shape (N,)."""
        return (np.asarray(features, np.float64) @ self.weight.T + self.bias).argmax(1)
