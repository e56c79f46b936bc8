"""Tokens for the generator: computed once from pictures, kept in a file, drawn in batches whose position is a number.

Every picture gives several *views*: as it is, mirrored, and then cut a little closer at random places, mirrored in
turn. The file is safetensors with 32-bit integers, and says what made it: codebook, weights, scales and gains of the
tokenizer, which pictures of which classes (names, sizes, times of change), and the views. Where the pictures have
changed since, tokens are made again; a file that was made otherwise is refused, never used.
"""

__all__ = ["TokenBatches", "Tokens", "tokenize_pictures"]

import json
import logging
import struct
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from workbench import atomic
from workbench.errors import InputError, TrainingError
from workbench.fit.engine.settings import differences
from workbench.images.crops import square_picture
from workbench.images.sources import open_source
from workbench.models.pyramid_tokenizer import PyramidTokenizer
from workbench.progress import Progress, no_progress

_log = logging.getLogger(__name__)
_PICTURES = ("data", "pictures")  # what of `made_from` says which pictures
_BATCH = 64
_CLOSEST = 0.8  # least share of the side that a closer cut keeps


@dataclass(frozen=True, eq=False)
class Tokens:
    """Token rows of pictures.

    Attributes:
        indices: int32, shape (N, views, L).
        labels: Class of each picture, int64, shape (N,).
    """

    indices: Tensor = field(repr=False)
    labels: Tensor = field(repr=False)

    def counts(self, size: int) -> Tensor:
        """How often each codeword stands in all views, int64, shape (size,)."""
        return torch.bincount(self.indices.flatten().long(), minlength=size)


def tokenize_pictures(
    paths: Sequence[str],
    tokenizer: PyramidTokenizer,
    file: Path,
    *,
    classes: Sequence[str],
    views: int = 1,
    seed: int = 0,
    progress: Progress = no_progress,
) -> Tokens:
    """Read the tokens of pictures from a file, which is made first where there is none.

    Args:
        paths: Folders, pictures or shards; every picture needs a class.
        tokenizer: In evaluation mode, with its weights' hash.
        file: Where tokens are kept.
        classes: Names of the classes, in the order of their numbers.
        views: Views of each picture: 1 as it is, 2 also mirrored, more also cut closer.
        seed: Of the closer cuts.
        progress: Told the share done.

    Raises:
        InputError: if a picture has no class, or one out of range.
        TrainingError: if the file was made from something else, or is damaged.
    """
    source = open_source(paths, class_names=classes)
    count = len(source)
    made_from = {
        "codebook": tokenizer.fingerprint,
        "weights": tokenizer.weights_hash or "untrained",
        "scales": list(tokenizer.quantizer.scales),
        "gains": [round(float(gain), 6) for gain in tokenizer.quantizer.gains],
        "pictures": count,
        "data": source.identity,
        "views": views,
        "seed": seed,
    }
    if file.exists() and (kept := _read(file, made_from)) is not None:
        return kept
    rows, labels, waiting = [], [], []
    for number, sample in enumerate(source):
        if sample.label is None or not 0 <= sample.label < len(classes):
            raise InputError(f"picture {sample.key!r} has class {sample.label}; expected one of 0 … {len(classes) - 1}")
        labels.append(sample.label)
        waiting.extend(_views(sample.image, tokenizer.side, views, np.random.default_rng((seed, number))))
        if len(waiting) >= _BATCH:
            rows.append(_tokens(waiting, tokenizer))
            waiting = []
            progress(number / max(1, count), "tokenizing")
    if waiting:
        rows.append(_tokens(waiting, tokenizer))
    tokens = Tokens(torch.cat(rows).unflatten(0, (len(labels), views)), torch.tensor(labels))
    _write(file, tokens, made_from)
    return tokens


class TokenBatches:
    """An endless, addressable sequence of batches: in passes over all pictures, each in one of its views.

    Args:
        tokens: Where they come from.
        batch_size: Pictures a batch.
        seed: Of order and views.
    """

    def __init__(self, tokens: Tokens, batch_size: int, seed: int) -> None:
        self.tokens, self.batch_size, self.seed = tokens, batch_size, seed

    def stream(self, start: int, *, part: int = 0, parts: int = 1) -> Iterator[dict[str, Tensor]]:
        """Yield batch `start`, `start + 1` and so on, `indices` (B, L) int64 and `labels` (B,): a slice of each."""
        count, views, _ = self.tokens.indices.shape
        share = self.batch_size // parts
        number, order, turn = start, np.empty(0), -1
        while True:
            places = np.arange(number * self.batch_size, (number + 1) * self.batch_size)
            view = np.random.default_rng((self.seed, 1, number)).integers(views, size=self.batch_size)
            pictures = []
            for place in places[part * share : (part + 1) * share]:
                if place // count != turn:
                    turn = int(place // count)
                    order = np.random.default_rng((self.seed, 0, turn)).permutation(count)
                pictures.append(order[place % count])
            rows = torch.from_numpy(np.array(pictures))
            chosen = torch.from_numpy(view[part * share : (part + 1) * share])
            yield {
                "indices": self.tokens.indices[rows, chosen].long(),
                "labels": self.tokens.labels[rows],
            }
            number += 1


def _views(image: np.ndarray, side: int, views: int, luck: np.random.Generator) -> list[np.ndarray]:
    plain = square_picture(image, side)
    made = [plain, plain[:, ::-1]][:views]
    short = min(image.shape[:2])
    middle = square_picture(image, short)
    while len(made) < views:
        part = max(1, round(short * luck.uniform(_CLOSEST, 1)))
        top, left = luck.integers(short - part + 1, size=2)
        cut = Image.fromarray(middle[top : top + part, left : left + part])
        resized = np.asarray(cut.resize((side, side), Image.Resampling.LANCZOS))
        made.append(resized[:, ::-1] if len(made) % 2 else resized)
    return made


def _tokens(pictures: list[np.ndarray], tokenizer: PyramidTokenizer) -> Tensor:
    images = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2)
    return tokenizer.tokenize(images).int().cpu()


def _write(file: Path, tokens: Tokens, made_from: dict[str, object]) -> None:
    from safetensors.torch import save

    file.parent.mkdir(parents=True, exist_ok=True)
    data = save({"indices": tokens.indices, "labels": tokens.labels}, {"made_from": json.dumps(made_from)})
    with atomic.replacing(file) as out:
        out.write(data)


def _read(file: Path, made_from: dict[str, object]) -> Tokens | None:
    """The tokens in a file; None where the pictures they were made from have changed."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="pt") as data:
            said = json.loads((data.metadata() or {}).get("made_from", "{}"))
            changed = differences(said, json.loads(json.dumps(made_from)))
            if changed and all(change.partition(":")[0] in _PICTURES for change in changed):
                _log.warning("%s: the pictures have changed since: tokens are made again", file)
                return None
            if changed:
                raise TrainingError(
                    f"{file} holds tokens made otherwise ({'; '.join(changed)}, theirs → wanted): delete it or choose "
                    "another run folder"
                )
            return Tokens(data.get_tensor("indices"), data.get_tensor("labels"))
    except (SafetensorError, OSError, ValueError, struct.error) as error:
        raise TrainingError(f"{file} cannot be read ({error}): delete it, and it is made again") from error
