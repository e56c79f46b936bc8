"""Pictures to try things on: photographs that an installed library ships, and renderings of our own.

The renderings show what photographs hide: a zone plate has every spatial frequency in every direction, a chart has even
ramps and clean colours, lettering has strokes that a reader notices when they break.
"""

__all__ = ["Example", "colour_chart", "lettering", "list_examples", "shape_board", "zone_plate"]

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from workbench.errors import ImageError
from workbench.images.files import read_image, write_png
from workbench.images.synthetic import CLASSES, render


@dataclass(frozen=True)
class Example:
    """One picture to try.

    Attributes:
        name: What it is called, a word or two.
        credit: Where it comes from.
        path: The installed file; None for a rendering.
        draw: The rendering; None for a file.
    """

    name: str
    credit: str
    path: Path | None = None
    draw: Callable[[], np.ndarray] | None = None

    def read(self) -> np.ndarray:
        """The picture, uint8, shape (H, W, 3)."""
        if self.draw is not None:
            return self.draw()
        if self.path is None:
            raise ImageError(f"the example {self.name!r} has neither a file nor a rendering")
        return read_image(self.path)

    def file(self, folder: Path) -> Path:
        """A file that holds it: the installed one, or a PNG that is written into `folder` once."""
        if self.path is not None:
            return self.path
        path = folder / f"{self.name.replace(' ', '-')}.png"
        if not path.exists():
            write_png(self.read(), path, force=True)
        return path


def list_examples() -> list[Example]:
    """All examples: photographs as far as their libraries are installed, then renderings."""
    photographs = (
        ("temple", "sklearn", "datasets/images/china.jpg", "scikit-learn: china.jpg, CC BY, Zhang Dong"),
        ("flower", "sklearn", "datasets/images/flower.jpg", "scikit-learn: flower.jpg, CC BY, dany_sternfeld"),
    )
    found = []
    for name, package, inside, credit in photographs:
        spec = find_spec(package)
        for root in (spec.submodule_search_locations or []) if spec else []:
            if (path := Path(root) / inside).is_file():
                found.append(Example(name, credit, path=path))
    drawn = (
        ("zone plate", zone_plate),
        ("colour chart", colour_chart),
        ("lettering", lettering),
        ("shape board", shape_board),
    )
    return found + [Example(name, "drawn by the workbench", draw=draw) for name, draw in drawn]


def zone_plate(size: int = 512) -> np.ndarray:
    """Rings that narrow outwards, from flat at the centre to the finest the grid holds at the middle of each side.

    Returns:
        uint8, shape (size, size, 3).
    """
    axis = np.arange(size) - (size - 1) / 2
    phase = np.pi / size * (axis[:, None] ** 2 + axis**2)  # its slope at the edge is π a pixel: the highest frequency
    grey = np.round(127.5 + 127.5 * np.cos(phase)).astype(np.uint8)
    return np.repeat(grey[..., None], 3, axis=2)


def colour_chart(height: int = 384, width: int = 512) -> np.ndarray:
    """Hues against lightness above, ramps of red, green, blue and grey, and a stair of greys below.

    Returns:
        uint8, shape (height, width, 3).
    """
    top = height // 2
    hue = np.linspace(0, 6, width, endpoint=False)[None, :, None]
    value = np.linspace(0, 2, top)[:, None, None]
    pure = np.clip(np.abs((hue + np.array([0, 4, 2])) % 6 - 3) - 1, 0, 1)
    sweep = np.where(value < 1, pure * value, pure + (1 - pure) * (value - 1))
    ramp = np.linspace(0, 1, width)[None, :, None]
    bands = [ramp * np.array(colour) for colour in ([1, 0, 0], [0, 1, 0], [0, 0, 1], [1, 1, 1])]
    bands.append(np.floor(ramp * 12).clip(0, 11) / 11 * np.ones(3))
    edges = np.linspace(top, height, len(bands) + 1).round().astype(int)
    chart = [sweep] + [np.repeat(b, stop - start, 0) for b, start, stop in zip(bands, edges, edges[1:], strict=False)]
    return (np.concatenate(chart) * 255).round().astype(np.uint8)


def lettering(height: int = 384, width: int = 512) -> np.ndarray:
    """Lines of text from large to small, in Pillow's own font, dark on light and light on dark.

    Returns:
        uint8, shape (height, width, 3).
    """
    picture = Image.new("RGB", (width, height), (250, 247, 240))
    draw = ImageDraw.Draw(picture)
    draw.rectangle((0, height // 2, width, height), fill=(24, 28, 44))
    words = "Sphinx of black quartz, judge my vow 0123456789 "
    for start, colour in ((0, (30, 30, 36)), (height // 2, (240, 226, 180))):
        y = start + 6
        for size in (40, 28, 20, 15, 12, 10, 8, 7, 6):
            if y + size > start + height // 2:
                break
            draw.text((8, y), words * (1 + 2 * width // (size * 20)), fill=colour, font=ImageFont.load_default(size))
            y += round(size * 1.35)
    return np.array(picture)


def shape_board(size: int = 128) -> np.ndarray:
    """One synthetic picture of each class, three rows of four.

    Returns:
        uint8, shape (3·size, 4·size, 3).
    """
    tiles = np.stack([render(label, size=size, seed=24) for label in range(len(CLASSES))])
    return tiles.reshape(3, 4, size, size, 3).transpose(0, 2, 1, 3, 4).reshape(3 * size, 4 * size, 3)
