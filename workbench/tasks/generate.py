"""Generate: pictures of a class, drawn scale by scale, each of which knows how it was drawn.

Every picture of a batch has a seed of its own, the batch's seed plus its place (modulo 2³¹), and goes through the
network by itself: drawn again alone, from that seed and class, it is the same bit for bit on the same machine.
"""

__all__ = [
    "MAX_PICTURES",
    "MAX_SEED",
    "UNWATCHED",
    "Drawn",
    "Order",
    "Settings",
    "Watch",
    "check_order",
    "draw",
    "finished",
    "fresh_seed",
    "generate",
    "in_turn",
    "interpolate",
    "joined",
    "numbered",
    "picture_grid",
    "picture_seed",
    "write_grid",
    "write_pictures",
]

import functools
import json
import math
import re
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from workbench import __version__
from workbench.errors import InputError, WorkbenchError
from workbench.images.files import write_png
from workbench.models.generator import class_index
from workbench.models.load import Pair
from workbench.models.sampling import CONTROL_PRESETS, Controls, Given, check_controls, sample
from workbench.progress import Progress, no_progress
from workbench.tasks.rehearse import rehearse_sampling

MAX_PICTURES = 64  # at once
MAX_SEED = 2**31 - 1


@dataclass(frozen=True)
class Watch:
    """Who looks on.

    Attributes:
        stop: Asked before every scale; True ends the drawing.
        progress: Told the share done and a line of text.
    """

    stop: Callable[[], bool] = lambda: False
    progress: Progress = no_progress


UNWATCHED = Watch()


@dataclass(frozen=True)
class Order:
    """What a person asks for.

    Attributes:
        labels: A class for each picture, by name or number, or `none`.
        seed: From 0 to 2³¹ − 1.
        controls: How tokens are drawn.
    """

    labels: Sequence[str | int]
    seed: int = 0
    controls: Controls = CONTROL_PRESETS["balanced"]


@dataclass(frozen=True)
class Settings:
    """How a batch was drawn: all that it takes to draw it again.

    Attributes:
        model: Name of the generator.
        weights: SHA-256 of its weights, where it was loaded from a file.
        tokenizer: Name of the tokenizer.
        classes: Of each picture, by name; `none` for no class; `A 70% B 30%` between two.
        seeds: Of each picture; those between two classes have one and the same.
        controls: How tokens were drawn.
        edit: What was done to a given picture, in words; None where there was none.
    """

    model: str
    weights: str | None
    tokenizer: str
    classes: tuple[str, ...]
    seeds: tuple[int, ...]
    controls: Controls
    edit: str | None = None

    @property
    def seed(self) -> int:
        """Of the batch, which is that of its first picture."""
        return self.seeds[0]

    def row(self) -> dict[str, object]:
        """As plain values, for JSON and tables."""
        plain: dict[str, object] = asdict(self)
        del plain["controls"]
        plain |= {"classes": list(self.classes), "seed": self.seed, "seeds": list(self.seeds)}
        return plain | asdict(self.controls) | {"version": __version__}

    def notes(self, number: int | None = None) -> dict[str, str]:
        """Text for the file of one picture of the batch, or of all together.

        Args:
            number: Place of the picture in the batch, from 0; None for a file with all of them.
        """
        row, shown, seed = self.row(), ", ".join(dict.fromkeys(self.classes)), self.seed
        if number is not None:
            shown, seed = self.classes[number], self.seeds[number]
            row |= {"picture": number, "class": shown, "picture_seed": seed}
        return {
            "Software": f"lambda24-workbench {__version__}",
            "Description": f"{shown}, drawn by {self.model} from seed {seed}",
            "workbench": json.dumps(row, ensure_ascii=False),
        }


@dataclass(frozen=True)
class Drawn:
    """A batch as far as it is drawn.

    Attributes:
        settings: How it was drawn.
        scale: Side of the last grid that was drawn.
        step: Its number, from 1.
        steps: Grids in all.
        indices: All tokens so far, int64, shape (n, L so far).
        seconds: Time since the start, without the decoding of pictures that nobody looked at.
        pair: The models.
    """

    settings: Settings
    scale: int
    step: int
    steps: int
    indices: np.ndarray = field(repr=False)
    seconds: float
    pair: Pair = field(repr=False)

    @property
    def done(self) -> bool:
        """Whether all grids are drawn."""
        return self.step == self.steps

    @functools.cached_property
    def images(self) -> np.ndarray:
        """The pictures so far, uint8, shape (n, H, W, 3); decoded when first asked for."""
        rows = torch.from_numpy(self.indices).split(1)  # each by itself: sums of floats depend on the batch
        pictures = torch.cat([self.pair.tokenizer.detokenize(row) for row in rows])
        return (pictures * 255).round().to(torch.uint8).permute(0, 2, 3, 1).contiguous().cpu().numpy()


def picture_seed(seed: int, number: int) -> int:
    """The seed of a picture of a batch: the batch's seed plus its place from 0, modulo 2³¹."""
    return (seed + number) % (MAX_SEED + 1)


def fresh_seed() -> int:
    """A seed that nobody chose."""
    return secrets.randbelow(MAX_SEED + 1)


def in_turn(pair: Pair, labels: Sequence[str | int], count: int, *, first: int = 0) -> list[str | int]:
    """A class for each of `count` pictures: those named, in turn; or all there are, if none is named.

    Args:
        pair: The models.
        labels: The classes named.
        count: How many pictures.
        first: Pictures that had their turn before.

    Raises:
        InputError: if the number is out of range.
    """
    _check_count(count)
    chosen = list(labels) or list(pair.generator.classes)
    return [chosen[number % len(chosen)] for number in range(first, first + count)]


def check_order(pair: Pair, order: Order) -> None:
    """Refuse what cannot be drawn, before anything is.

    Raises:
        InputError: if a class is unknown, their number, the seed or a control is out of range.
    """
    _check_count(len(order.labels))
    if not 0 <= order.seed <= MAX_SEED:
        raise InputError(f"the seed must be from 0 to {MAX_SEED}, got {order.seed}")
    numbered(pair, order.labels)
    check_controls(pair.generator, order.controls)


def _check_count(count: int) -> None:
    if not 1 <= count <= MAX_PICTURES:
        raise InputError(f"expected 1 to {MAX_PICTURES} pictures at a time, got {count}")


def generate(pair: Pair, order: Order, *, watch: Watch = UNWATCHED) -> Iterator[Drawn]:
    """Draw pictures; yields the whole batch after every scale, coarse to fine.

    Args:
        pair: The models.
        order: What to draw.
        watch: Who looks on.

    Raises:
        InputError: if the order cannot be drawn.
    """
    check_order(pair, order)
    labels, names = numbered(pair, order.labels)
    yield from draw(pair, order, labels, names, watch=watch)


def interpolate(pair: Pair, order: Order, last: str | int, *, watch: Watch = UNWATCHED) -> Iterator[Drawn]:
    """Draw pictures on the way to another class, one after the other, all with the same luck.

    Args:
        pair: The models.
        order: What to draw; the first picture is of its class alone, and each has a larger share of `last`.
        last: Class of the last picture.
        watch: Who looks on; told the share of pictures drawn.

    Yields:
        All pictures so far, after each one.

    Raises:
        InputError: if a class is unknown or none at all, or the order cannot be drawn.
    """
    check_order(pair, order)
    classes, count = pair.generator.classes, len(order.labels)
    ends, _ = numbered(pair, [*order.labels, last])
    if int(ends.min()) < 0:
        raise InputError(f"expected classes to draw between, got {[*order.labels, last]}: 'none' is no class")
    kinds = torch.eye(len(classes))[ends]
    rehearse_sampling(pair.generator)
    start, rows, names = time.perf_counter(), [], []
    for number in range(count):
        watch.progress(number / count, f"picture {number + 1} of {count}")
        share = number / max(1, count - 1)
        names.append(f"{classes[ends[number]]} {1 - share:.0%} {classes[ends[-1]]} {share:.0%}")
        shares = torch.lerp(kinds[number], kinds[-1], share)[None]
        stages = deque(draw(pair, order, shares, (names[-1],), watch=Watch(stop=watch.stop)), maxlen=1)
        if not stages or not stages[0].done:
            return
        drawn = stages[0]
        rows.append(drawn.indices)
        settings = replace(drawn.settings, classes=tuple(names), seeds=(order.seed,) * len(names))
        seconds = time.perf_counter() - start
        yield replace(drawn, settings=settings, indices=np.concatenate(rows), seconds=seconds)


def numbered(pair: Pair, labels: Sequence[str | int]) -> tuple[Tensor, tuple[str, ...]]:
    """Numbers of classes, int64 (n,), with -1 for none, and their names.

    Raises:
        InputError: if a class is unknown.
    """
    classes = pair.generator.classes
    numbers = [class_index(classes, label) for label in labels]
    return torch.tensor(numbers), tuple("none" if number < 0 else classes[number] for number in numbers)


def draw(
    pair: Pair,
    order: Order,
    labels: Tensor,
    names: tuple[str, ...],
    *,
    given: Given | None = None,
    edit: str | None = None,
    watch: Watch = UNWATCHED,
) -> Iterator[Drawn]:
    """Draw by class numbers or shares of classes; what all ways to make a picture have in common.

    Args:
        pair: The models.
        order: Seed and controls.
        labels: See :func:`workbench.models.sampling.sample`.
        names: What the classes are called in the settings.
        given: A picture that parts are held to.
        edit: What is done to it, in words.
        watch: Who looks on.
    """
    model = pair.generator
    settings = Settings(
        model=model.name,
        weights=model.weights_hash,
        tokenizer=pair.tokenizer.name,
        classes=names,
        seeds=tuple(picture_seed(order.seed, number) for number in range(len(names))),
        controls=order.controls,
        edit=edit,
    )
    device = model.start.device
    rehearse_sampling(model)
    start, count = time.perf_counter(), len(model.scales)
    pictures = [
        sample(
            model,
            pair.tokenizer.quantizer,
            label.to(device),
            generator=torch.Generator(device).manual_seed(seed),
            controls=order.controls,
            given=None if given is None else given.of(number),
            stop=watch.stop,
        )
        for number, (label, seed) in enumerate(zip(labels.split(1), settings.seeds, strict=True))
    ]
    for stages in zip(*pictures, strict=False):  # where the drawing is stopped, some are a scale behind
        indices = torch.cat([stage.indices for stage in stages]).cpu().numpy()
        scale, step = stages[0].scale, stages[0].step
        watch.progress(indices.shape[1] / model.length, f"scale {scale} of {model.scales[-1]}")
        yield Drawn(settings, scale, step + 1, count, indices, time.perf_counter() - start, pair)


def joined(parts: Sequence[Drawn]) -> Drawn:
    """Batches that were drawn one after the other, as one: settings and tokens of all."""
    first = parts[0]
    classes = tuple(name for part in parts for name in part.settings.classes)
    seeds = tuple(seed for part in parts for seed in part.settings.seeds)
    settings = replace(first.settings, classes=classes, seeds=seeds)
    indices = np.concatenate([part.indices for part in parts])
    return replace(first, settings=settings, indices=indices, seconds=sum(part.seconds for part in parts))


def finished(stages: Iterator[Drawn]) -> Drawn:
    """The last stage, with all grids.

    Raises:
        WorkbenchError: if the drawing was stopped before.
    """
    last = deque(stages, maxlen=1)
    if not last or not last[0].done:
        raise WorkbenchError("the drawing was stopped before it was done")
    return last[0]


def picture_grid(images: np.ndarray, columns: int | None = None) -> np.ndarray:
    """Pictures (n, H, W, 3) as one, row by row; empty places are white. As square as it gets by default."""
    count, height, width, _ = images.shape
    columns = columns or math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    full = np.full((rows * columns, height, width, 3), 255, dtype=np.uint8)
    full[:count] = images
    return full.reshape(rows, columns, height, width, 3).swapaxes(1, 2).reshape(rows * height, columns * width, 3)


def write_grid(drawn: Drawn, path: Path, *, force: bool = False) -> None:
    """Write all pictures of a batch into one PNG that knows its settings.

    Raises:
        ImageError: if the file exists and `force` is off, or it cannot be written.
    """
    write_png(picture_grid(drawn.images), path, force=force, text=drawn.settings.notes())


def write_pictures(drawn: Drawn, folder: Path, *, first: int = 0, force: bool = False) -> list[Path]:
    """Write each picture of a batch into a PNG of its own that knows its settings; returns their paths.

    Args:
        drawn: The batch.
        folder: Where to.
        first: Number of its first picture among all that are drawn.
        force: Whether files that are there already may be replaced.

    Raises:
        ImageError: if a file exists and `force` is off, or it cannot be written.
    """
    paths = []
    for number, image in enumerate(drawn.images):
        name = re.sub(r"\W+", "-", drawn.settings.classes[number]).strip("-")
        paths.append(folder / f"{name}-{picture_seed(drawn.settings.seed, -first)}-{first + number + 1:02}.png")
        write_png(image, paths[-1], force=force, text=drawn.settings.notes(number))
    return paths
