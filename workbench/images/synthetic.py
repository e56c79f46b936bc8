"""Pictures made by rule: shapes and textures with labels, for training and trying things with nothing at hand.

Each picture is a pure function of (seed, number), any size. A class is an implicit function f over the plane, negative
inside; f over its slope is the distance to the edge in pixels, and gives an edge that is smooth at any size:

    coverage = clamp(½ - f / |∇f|, 0, 1)

Shapes stand, turned and scaled, on a background of their own, lit from one side, with a soft shadow; textures fill the
picture. What the class does not say (colours, place, turn, scale, light) is drawn at random.
"""

__all__ = ["CLASSES", "render", "synthetic_pictures"]

from collections.abc import Callable

import numpy as np

from workbench.errors import InputError
from workbench.images.crops import Pictures

Plane = np.ndarray  # float64, shape (size, size)


def _disc(x: Plane, y: Plane) -> Plane:
    return np.hypot(x, y) - 0.9


def _ring(x: Plane, y: Plane) -> Plane:
    return np.abs(np.hypot(x, y) - 0.7) - 0.22


def _square(x: Plane, y: Plane) -> Plane:
    return np.maximum(np.abs(x), np.abs(y)) - 0.75


def _triangle(x: Plane, y: Plane) -> Plane:
    return np.maximum(0.866 * np.abs(x) + 0.5 * y, -y) - 0.5


def _cross(x: Plane, y: Plane) -> Plane:
    bar, other = np.maximum(np.abs(x) - 0.9, np.abs(y) - 0.28), np.maximum(np.abs(x) - 0.28, np.abs(y) - 0.9)
    return np.minimum(bar, other)


def _star(x: Plane, y: Plane) -> Plane:
    turn = np.abs((np.arctan2(x, y) / (2 * np.pi) * 5 + 0.5) % 1 - 0.5) * 2  # 0 at a tip, 1 between two
    return np.hypot(x, y) - 0.95 * 0.42 / (0.42 + 0.58 * turn)


def _heart(x: Plane, y: Plane) -> Plane:
    x, y = 1.2 * x, 1.2 * y - 0.15
    square = x * x + y * y - 0.8
    return np.cbrt(square**3 - x * x * y**3 * 0.9)


def _moon(x: Plane, y: Plane) -> Plane:
    return np.maximum(np.hypot(x, y) - 0.9, 0.75 - np.hypot(x - 0.45, y))


def _stripes(x: Plane, y: Plane) -> Plane:
    return np.sin(7 * x) + 0 * y


def _checks(x: Plane, y: Plane) -> Plane:
    return np.sin(5 * x) * np.sin(5 * y)


def _ripples(x: Plane, y: Plane) -> Plane:
    return np.sin(11 * np.hypot(x - 0.2, y + 0.1))


def _dots(x: Plane, y: Plane) -> Plane:
    return 0.55 - np.cos(6 * x) * np.cos(6 * y)


_SHAPES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "disc": _disc,
    "ring": _ring,
    "square": _square,
    "triangle": _triangle,
    "cross": _cross,
    "star": _star,
    "heart": _heart,
    "moon": _moon,
}
_TEXTURES: dict[str, Callable[[Plane, Plane], Plane]] = {
    "stripes": _stripes,
    "checks": _checks,
    "ripples": _ripples,
    "dots": _dots,
}
CLASSES = (*_SHAPES, *_TEXTURES)


def render(label: int, *, size: int, seed: int, number: int = 0) -> np.ndarray:
    """Draw one picture.

    Args:
        label: Class, in [0, len(CLASSES)).
        size: Side in pixels.
        seed: What the randomness is made of.
        number: Which of the pictures with this seed.

    Returns:
        uint8, shape (size, size, 3).

    Raises:
        InputError: if the class does not exist or the size is less than 1.
    """
    if not 0 <= label < len(CLASSES) or size < 1:
        raise InputError(f"expected a class in [0, {len(CLASSES)}) and a size ≥ 1, got {label} and {size}")
    generator = np.random.default_rng((seed, number, label))
    name = CLASSES[label]
    axis = (np.arange(size) + 0.5) * (2 / size) - 1
    x, y = np.meshgrid(axis, axis)
    fore, back = _colours(generator)
    light = generator.uniform(0, 2 * np.pi)
    slope = np.cos(light) * x + np.sin(light) * y  # rises towards the light
    picture = _ground(generator, back, slope)
    surface = fore * (1 + 0.25 * slope[..., None])
    if name in _TEXTURES:
        texture = _placed(_TEXTURES[name], generator, shift=1.0, scale=(0.7, 1.5))
        picture = _mix(picture, surface, _coverage(texture(x, y)))
    else:
        shape = _placed(_SHAPES[name], generator, shift=0.3, scale=(0.4, 0.85))
        shadow = shape(x + 0.08 * np.cos(light), y + 0.08 * np.sin(light))
        picture = _mix(picture, picture * 0.45, 0.7 * _coverage(shadow, softness=max(size * 0.06, 1)))
        picture = _mix(picture, surface, _coverage(shape(x, y)))
    return (np.clip(picture, 0, 1) * 255).round().astype(np.uint8)


def synthetic_pictures(count: int, *, size: int, seed: int) -> Pictures:
    """Draw a labelled set, classes in turn, each picture a function of the seed and its number alone.

    Raises:
        InputError: if the count or the size is less than 1.
    """
    if count < 1:
        raise InputError(f"expected at least 1 picture, got {count}")
    labels = np.arange(count, dtype=np.int64) % len(CLASSES)
    images = [render(int(label), size=size, seed=seed, number=number) for number, label in enumerate(labels)]
    keys = [f"{CLASSES[label]}-{number:06d}" for number, label in enumerate(labels)]
    return Pictures(images, labels, keys, CLASSES)


def _placed(
    shape: Callable[[Plane, Plane], Plane],
    generator: np.random.Generator,
    *,
    shift: float,
    scale: tuple[float, float],
) -> Callable[[Plane, Plane], Plane]:
    """An implicit function, turned, scaled and moved at random."""
    angle, size = generator.uniform(-0.6, 0.6), generator.uniform(*scale)
    across, down = generator.uniform(-shift, shift, 2)
    cosine, sine = np.cos(angle), np.sin(angle)

    def placed(x: Plane, y: Plane) -> Plane:
        u, v = (x - across) / size, (y - down) / size
        return shape(cosine * u + sine * v, sine * u - cosine * v)  # the second axis points up, as in the formulas

    return placed


def _coverage(field: Plane, *, softness: float = 1.0) -> Plane:
    """Share of each pixel that lies inside, with an edge of `softness` pixels."""
    if min(field.shape) < 2:
        return (field < 0).astype(np.float64)
    down, across = np.gradient(field)
    return np.clip(0.5 - field / (np.maximum(np.hypot(down, across), 1e-9) * softness), 0, 1)


def _mix(under: np.ndarray, over: np.ndarray, cover: Plane) -> np.ndarray:
    return under + (over - under) * cover[..., None]


def _colours(generator: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Two colours that stand apart in hue and in lightness."""
    hue = generator.uniform()
    other = hue + generator.uniform(0.25, 0.75)
    light, dark = generator.uniform(0.75, 1.0), generator.uniform(0.2, 0.5)
    first, second = (light, dark) if generator.uniform() < 0.5 else (dark, light)
    strong, weak = generator.uniform(0.55, 0.95), generator.uniform(0.2, 0.7)
    return _rgb(hue, strong, first), _rgb(other, weak, second)


def _rgb(hue: float, saturation: float, value: float) -> np.ndarray:
    """A colour from hue, saturation and value, each in [0, 1]."""
    phase = (hue + np.array([0, 2 / 3, 1 / 3])) % 1 * 6
    pure = np.clip(np.abs(phase - 3) - 1, 0, 1)
    return value * (1 - saturation + saturation * pure)


def _ground(generator: np.random.Generator, colour: np.ndarray, slope: Plane) -> np.ndarray:
    """A background: the colour, lighter towards the light, with soft clouds."""
    coarse = generator.normal(size=(5, 5))
    size = slope.shape[0]
    place = np.linspace(0, 4, size)
    below = np.minimum(place.astype(int), 3)
    part = place - below
    part = part * part * (3 - 2 * part)
    rows = coarse[below] * (1 - part)[:, None] + coarse[below + 1] * part[:, None]
    clouds = rows[:, below] * (1 - part) + rows[:, below + 1] * part
    return colour * (1 + 0.15 * slope + 0.08 * clouds)[..., None]
