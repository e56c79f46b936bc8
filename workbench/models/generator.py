"""The generator: a law on token pyramids, one scale after another, given a class.

    p(tokens | class) = ∏_s ∏_{cells of s} p(token | all coarser scales, class)

Each cell of scale s sees the sum of the code grids so far, averaged to its own grid and embedded; a start vector stands
there for the first scale. The trunk is `transformer.py`, the law on the codewords is one of `heads/`. Class 0 of the
embedding means *no class*: in training it takes the place of the class now and then, and guidance needs it.
"""

__all__ = ["Generator", "class_index"]

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from huggingface_hub import PyTorchModelHubMixin
from torch import Tensor, nn

from workbench import atomic, hub
from workbench.errors import InputError, ModelError, did_you_mean
from workbench.lattices.codes.registry import make_code
from workbench.models.heads.digits import DigitsHead
from workbench.models.heads.full import FullHead
from workbench.models.heads.head import Head
from workbench.models.heads.lattice import LatticeHead
from workbench.models.memory import announce
from workbench.models.names import directory_of
from workbench.models.transformer import Cache, Rotation, Transformer, levels_of
from workbench.models.weights import file_digest, load_weights, save_weights

_KIND = "generator"
_HEADS: Mapping[str, type[Head]] = {"full": FullHead, "digits": DigitsHead, "lattice": LatticeHead}


class Generator(nn.Module, PyTorchModelHubMixin, library_name="lambda24-workbench", tags=["image-generation"]):
    """A class-conditional law on rows of tokens.

    Args:
        trunk: Numbers of the transformer; see :func:`workbench.models.generator_presets.trunk_preset`.
        head: `kind` (`full`, `digits` or `lattice`) and its settings.
        scales: Sides of the grids, of the tokenizer.
        classes: Names of the classes.
        tokenizer: What it was trained on: `name`, `code` and, once trained, `weights`, the hash of the tokenizer's
            weights.
        class_dropout: Probability, in training, that a sample's class is withheld.
        name: What the model is called.

    Raises:
        InputError: if a part does not exist or does not take its numbers.
    """

    def __init__(
        self,
        *,
        trunk: Mapping[str, Any],
        head: Mapping[str, Any],
        scales: Sequence[int],
        classes: Sequence[str],
        tokenizer: Mapping[str, Any],
        class_dropout: float = 0.1,
        name: str = "unnamed",
    ) -> None:
        super().__init__()
        if not classes or len(set(classes)) != len(classes):
            raise InputError(f"expected class names, none twice, got {list(classes)}")
        settings = dict(head)
        kind = settings.pop("kind", None)
        if kind not in _HEADS:
            raise InputError(did_you_mean("head", str(kind), _HEADS))
        code = make_code(tokenizer["code"])
        width = int(trunk["width"])
        self.name, self.scales, self.classes = name, tuple(scales), tuple(classes)
        self.class_dropout = class_dropout
        try:
            self.trunk = Transformer(scales=self.scales, **trunk)
            self.head = _HEADS[kind](width, code, **settings)
        except TypeError as error:
            raise InputError(f"the generator does not take these numbers: {error}") from error
        self.class_vectors = nn.Embedding(len(self.classes) + 1, width)
        self.start = nn.Parameter(torch.empty(width))
        self.embed = nn.Linear(code.dimension, width)
        self.levels = nn.Embedding(len(self.scales), width)
        for weight in (self.class_vectors.weight, self.start, self.embed.weight, self.levels.weight):
            nn.init.trunc_normal_(weight, std=0.02)
        nn.init.zeros_(self.embed.bias)
        self.weights_hash: str | None = None
        self.config: dict[str, Any] = {
            "kind": _KIND,
            "name": name,
            "trunk": dict(trunk),
            "head": dict(head),
            "scales": list(self.scales),
            "classes": list(self.classes),
            "tokenizer": dict(tokenizer),
            "class_dropout": class_dropout,
        }

    # ---- facts

    @property
    def length(self) -> int:
        """Tokens of a picture."""
        return sum(scale**2 for scale in self.scales)

    @property
    def starts(self) -> tuple[int, ...]:
        """Where each scale begins in a row of tokens, and where the last one ends."""
        return tuple(sum(scale**2 for scale in self.scales[:step]) for step in range(len(self.scales) + 1))

    # ---- the law

    def condition(self, labels: Tensor) -> Tensor:
        """Class vectors (B, C).

        Args:
            labels: int64 (B,), in [0, classes), or -1 for none; or shares of the classes, floats (B, classes), a
                mixture of their vectors.

        Raises:
            InputError: if a label is out of range.
        """
        if labels.is_floating_point():
            if labels.ndim != 2 or labels.shape[1] != len(self.classes):
                raise InputError(f"expected shares of {len(self.classes)} classes, got shape {tuple(labels.shape)}")
            return labels.to(self.class_vectors.weight.dtype) @ self.class_vectors.weight[1:]
        if labels.numel() and not (-1 <= int(labels.min()) and int(labels.max()) < len(self.classes)):
            raise InputError(
                f"labels lie in [0, {len(self.classes)}), or are -1 for none; got {int(labels.min())} … "
                f"{int(labels.max())}"
            )
        return self.class_vectors(labels + 1)

    def features(self, inputs: Tensor, labels: Tensor, cells: Tensor | None = None) -> Tensor:
        """Features of all cells, (B, L, C), under teacher forcing, or of some, (B, n, C).

        Args:
            inputs: Sums so far for the cells of all scales but the first, (B, L − s₀², 24).
            labels: See :meth:`condition`.
            cells: Which cells there are, ascending int64 (n,) on the CPU, the first scale's among them; the others are
                neither answered nor looked at. None for all.
        """
        condition = self.condition(labels)
        if self.training and self.class_dropout:
            none = torch.rand(len(condition), 1, device=condition.device) < self.class_dropout
            condition = torch.where(none, self.class_vectors.weight[0], condition)
        first = (condition + self.start)[:, None].expand(-1, self.scales[0] ** 2, -1)
        if cells is None:
            cells = torch.arange(self.length)
        else:
            inputs = inputs[:, cells[first.shape[1] :] - first.shape[1]]
        levels = self.levels(levels_of(self.scales)[cells].to(inputs.device))
        return self.trunk(torch.cat([first, self._embedded(inputs)], 1) + levels, condition, cells=cells)

    def features_of_scale(self, step: int, inputs: Tensor | None, condition: Tensor, cache: Cache) -> Tensor:
        """Features of the cells of one scale, (B, s², C), after those of all coarser ones.

        Args:
            step: Number of the scale, in order from 0.
            inputs: Sums so far, (B, s², 24); None for the first scale.
            condition: Class vectors (B, C).
            cache: What the scales before left behind.
        """
        if inputs is None:
            x = (condition + self.start)[:, None].expand(-1, self.scales[0] ** 2, -1)
        else:
            x = self._embedded(inputs)
        cells = torch.arange(self.starts[step], self.starts[step + 1])
        return self.trunk(x + self.levels.weight[step], condition, cells=cells, cache=cache)

    def forward(
        self, inputs: Tensor, labels: Tensor, indices: Tensor, weights: Tensor, cells: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """The training loss, Σ weight · (-log p) over tokens (with what the head adds), and -log p of each token.

        Args:
            inputs: See :meth:`features`.
            labels: See :meth:`condition`.
            indices: Tokens (B, L), or (B, n) of the cells.
            weights: Of the same tokens.
            cells: See :meth:`features`.

        Returns:
            A scalar; and the shape of `indices`, in nats, without gradient.
        """
        features = self.features(inputs, labels, cells)
        loss, nll = self.head.loss(features.flatten(0, 1), indices.flatten(), weights.flatten())
        return loss, nll.view_as(indices)

    def _embedded(self, inputs: Tensor) -> Tensor:
        """Sums of codes, which are float32, in the type of the weights."""
        return self.embed(inputs.to(self.embed.weight.dtype))

    # ---- files

    @classmethod
    def from_pretrained(cls, name: str | Path, **_: object) -> "Generator":
        """Load a generator: a bundled name, then a directory, then the cache, then `owner/name` from the hub.

        `upstream:NAME` is a published model of the paper's authors, see :mod:`workbench.models.upstream`.

        Raises:
            ModelError: if there is none, or its configuration or weights do not fit.
        """
        directory = directory_of(name, _KIND)
        config = hub.read_config(directory, kind=_KIND)
        path = directory / "model.safetensors"
        if (directory / "arguments.json").is_file():  # converted from a file of the paper's authors, and big
            announce(f"loading {config.get('name', directory)}", path.stat().st_size)
            model = cls.empty(config)
            expected = {key: tuple(value.shape) for key, value in model.state_dict().items()}
            weights = {key: value.float() for key, value in load_weights(path, expected).items()}
            model.load_state_dict(weights, assign=True)
            model.requires_grad_(requires_grad=False)
        else:
            try:
                model = cls(**config)
            except (InputError, TypeError, KeyError) as error:
                raise ModelError(f"{directory / 'config.json'} does not describe a generator: {error}") from error
            expected = {key: tuple(tensor.shape) for key, tensor in model.state_dict().items()}
            model.load_state_dict(load_weights(path, expected))
        if (directory / "tokenizer" / "config.json").is_file():  # it came in the same file
            model.config["tokenizer"] = {**model.config["tokenizer"], "name": str(directory / "tokenizer")}
        model.weights_hash = file_digest(path)
        return model.eval()

    @classmethod
    def empty(cls, config: Mapping[str, Any]) -> "Generator":
        """A generator without numbers, on the meta device, to be filled with weights.

        Raises:
            ModelError: if the configuration is not that of a generator.
        """
        try:
            make_code(config["tokenizer"]["code"])  # its table must not come to lie on the meta device
            with torch.device("meta"):
                model = cls(**config)
            trunk = config["trunk"]
            positions = trunk.get("positions", "centres")
            model.trunk.rotate = Rotation(model.scales, trunk["width"] // trunk["heads"], positions)
        except (InputError, KeyError, TypeError, ValueError, ZeroDivisionError, RuntimeError) as error:
            raise ModelError(f"these numbers do not describe a generator: {error}") from error
        return model

    def _save_pretrained(self, save_directory: Path) -> None:
        """Write `config.json` and `model.safetensors` (fp16), each replaced whole."""
        save_directory.mkdir(parents=True, exist_ok=True)
        atomic.write_text(save_directory / "config.json", json.dumps(self.config, indent=2) + "\n")
        save_weights(save_directory / "model.safetensors", self.state_dict())


def class_index(classes: Sequence[str], label: str | int) -> int:
    """Number of a class given by name or number; -1 for `none`.

    Raises:
        InputError: naming the nearest class there is.
    """
    text = str(label).strip()
    if text.lower() == "none":
        return -1
    if text.lstrip("-").isdigit():
        number = int(text)
        if 0 <= number < len(classes):
            return number
        raise InputError(f"class numbers lie in [0, {len(classes)}), got {number}: {', '.join(classes)}")
    lowered = [name.lower() for name in classes]
    if text.lower() not in lowered:
        raise InputError(did_you_mean("class", text, classes))
    return lowered.index(text.lower())
