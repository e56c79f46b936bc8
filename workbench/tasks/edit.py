"""Edit: parts of a picture drawn anew by a generator, the others held to it.

Held cells take the codewords nearest to the picture given the sum so far, at every scale (`models/sampling.py`), so
that what is drawn anew fits what stays. The answer is the generator's own picture: what stays is as the tokenizer
gives it back, in its size.
"""

__all__ = ["ALMOST_ALL", "extend", "fill", "mask_warning", "painted_share", "redraw_details"]

from collections.abc import Iterator

import numpy as np
import torch

from workbench.errors import InputError
from workbench.images.crops import square_picture
from workbench.models.load import Pair
from workbench.models.sampling import Given, keep_coarse, keep_outside
from workbench.tasks.generate import UNWATCHED, Drawn, Order, Watch, check_order, draw, numbered

ALMOST_ALL = 0.95  # a mask that paints more is likely to have been read otherwise than it was meant


def painted_share(mask: np.ndarray) -> float:
    """Share of the centre square of a mask, bool (H, W), that is painted; this square is what :func:`fill` uses."""
    return float(_square(mask).mean())


def mask_warning(share: float) -> str | None:
    """What to say of a mask that paints almost everything; None for any other. One that paints nothing is an error."""
    if share > ALMOST_ALL:
        return (
            f"the mask paints {share:.1%} of the picture, so that hardly anything of it stays; "
            "painted is what is not transparent, or lighter than mid grey where nothing is transparent"
        )
    return None


def fill(pair: Pair, image: np.ndarray, mask: np.ndarray, order: Order, *, watch: Watch = UNWATCHED) -> Iterator[Drawn]:
    """Draw a masked part anew, of the order's classes: fill a hole in, or change the class of a part.

    Args:
        pair: The models.
        image: uint8, shape (H, W, 3); its centre square is used.
        mask: True where new content goes, bool, of the same proportions.
        order: A class for each answer; seed and controls.
        watch: Who looks on.

    Raises:
        InputError: if mask and picture differ in their proportions, nothing is masked, or the order cannot be drawn.
    """
    check_order(pair, order)
    (height, width), (mask_height, mask_width) = image.shape[:2], mask.shape
    if abs(height * mask_width - width * mask_height) > max(height * mask_height, width * mask_width) * 0.02:
        raise InputError(
            f"the mask must have the proportions of the picture, got {mask_width}×{mask_height} for {width}×{height}"
        )
    share = painted_share(mask)
    if share == 0:
        raise InputError("nothing is masked in the centre square of the picture: paint over what is to be drawn anew")
    painted = torch.from_numpy(_square(mask).copy())
    keep = keep_outside(painted[None], pair.generator.scales)
    yield from _held(pair, pair.tokenizer.prepare(image), keep, f"filled {share:.0%} of a picture", order, watch)


def extend(pair: Pair, image: np.ndarray, border: float, order: Order, *, watch: Watch = UNWATCHED) -> Iterator[Drawn]:
    """Put a picture into the middle and draw a border around it.

    Args:
        pair: The models.
        image: uint8, shape (H, W, 3); its centre square is used.
        border: Width of the border, in sides of the result; above 0 and below 0.5.
        order: A class for each answer; seed and controls.
        watch: Who looks on.

    Raises:
        InputError: if the border is out of range, or the order cannot be drawn.
    """
    check_order(pair, order)
    side, cells = pair.tokenizer.side, pair.generator.scales[-1]
    wide = round(border * cells) if 0 < border < 0.5 else 0
    if not 1 <= wide < cells / 2:
        raise InputError(
            f"the border must be above {0.5 / cells:.3f} and below 0.5 of the side, in steps of 1/{cells}, got {border}"
        )
    square = pair.tokenizer.prepare(image)
    pixels = wide * side // cells
    inner = square_picture(square, side - 2 * pixels)
    canvas = np.pad(inner, ((pixels, pixels), (pixels, pixels), (0, 0)), mode="edge")
    around = torch.ones(1, side, side, dtype=torch.bool)
    around[:, pixels:-pixels, pixels:-pixels] = False
    keep = keep_outside(around, pair.generator.scales)
    yield from _held(pair, canvas, keep, f"drew a border of {wide / cells:.0%} around a picture", order, watch)


def redraw_details(
    pair: Pair, image: np.ndarray, kept: int, order: Order, *, watch: Watch = UNWATCHED
) -> Iterator[Drawn]:
    """Keep the coarse scales of a picture and draw the finer ones anew.

    Args:
        pair: The models.
        image: uint8, shape (H, W, 3); its centre square is used.
        kept: Number of scales to keep, from 1 to one less than there are.
        order: A class for each answer; seed and controls.
        watch: Who looks on.

    Raises:
        InputError: if the number of scales is out of range, or the order cannot be drawn.
    """
    check_order(pair, order)
    scales = pair.generator.scales
    if not 1 <= kept < len(scales):
        raise InputError(f"expected 1 to {len(scales) - 1} scales to keep, of {len(scales)}, got {kept}")
    words = f"kept {kept} of {len(scales)} scales of a picture"
    yield from _held(pair, pair.tokenizer.prepare(image), keep_coarse(kept, scales), words, order, watch)


def _square(mask: np.ndarray) -> np.ndarray:
    """The centre square of an array (H, W)."""
    side = min(mask.shape)
    top, left = ((length - side) // 2 for length in mask.shape)
    return mask[top : top + side, left : left + side]


def _held(
    pair: Pair, square: np.ndarray, keep: tuple[torch.Tensor, ...], edit: str, order: Order, watch: Watch
) -> Iterator[Drawn]:
    """Draw with the cells of `keep` held to a picture uint8 (side, side, 3)."""
    device = pair.generator.start.device
    pixels = torch.from_numpy(square).permute(2, 0, 1)[None].to(device).float() / 255
    with torch.inference_mode():
        latents = pair.tokenizer.encode(pixels).float()
    given = Given(latents, tuple(each.to(device) for each in keep))
    labels, names = numbered(pair, order.labels)
    yield from draw(pair, order, labels, names, given=given, edit=edit, watch=watch)
