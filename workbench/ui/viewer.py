"""One viewer for pictures of one size: any two of them split, side by side, in turn or as a difference, or all at once.

The value is `{"items": [...], "size": [W, H], "left": i, "right": j}`, an item `{"name", "note", "source", "file",
"scale"}`: what it is and its figures, the file that Gradio serves, the name under which it is saved, and what its
colours mean where they are not those of the picture. Pictures are PNG, so that what is shown is what was computed, to
the pixel. All that is seen of one picture, place and magnification, is seen of every other too.
"""

__all__ = ["item", "shown", "viewer"]

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.processing_utils import save_img_array_to_cache
from gradio.utils import get_upload_folder

_MODES = {"split": "Split", "sides": "Side by side", "flicker": "In turn", "difference": "Difference", "all": "All"}
_GAINS = (1, 2, 4, 8, 16)
_HELP = (
    "Drag the bar. Zoom by double click, Ctrl + wheel, two fingers, or + and − on the keyboard; drag or use the arrows "
    "to move."
)


def viewer(label: str, *, mode: str = "split", modes: Sequence[str] = tuple(_MODES), elem_id: str) -> gr.HTML:
    """A viewer, empty until it gets a value made by :func:`shown`.

    Args:
        label: What it shows, for people who do not see it.
        mode: How it opens.
        modes: What it offers, of `split`, `sides`, `flicker`, `difference` and `all`.
        elem_id: Its name on the page.
    """
    return gr.HTML(
        value=shown(()),
        label=label,
        html_template=_template(label, mode, modes),
        js_on_load=_script(),
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes="viewer-block result",
    )


def item(
    name: str, image: np.ndarray, note: str = "", *, file: str | None = None, scale: str = ""
) -> dict[str, object]:
    """One picture of a viewer, uint8 (H, W, 3), with its name, its figures and what its colours mean.

    Args:
        name: What it is called on the page.
        image: The picture.
        note: Figures under it.
        file: Name of the file it is saved as, without suffix; that of the item if it is left out.
        scale: What its colours mean.
    """
    path = save_img_array_to_cache(image, cache_dir=get_upload_folder(), format="png")
    source = {"path": path, "meta": {"_type": "gradio.FileData"}}
    return {"name": name, "note": note, "source": source, "file": f"{_plain(file or name)}.png", "scale": scale}


def shown(
    items: Sequence[Mapping[str, object]], size: tuple[int, int] = (1, 1), *, left: int = 0, right: int = 1
) -> dict[str, object]:
    """The value of a viewer.

    Args:
        items: The pictures, made by :func:`item`.
        size: (H, W) of the pictures.
        left: Which is on the left until somebody chooses another.
        right: Which is on the right.
    """
    return {"items": list(items), "size": [size[1], size[0]], "left": left, "right": right}


def _plain(name: str) -> str:
    """A name that any file system takes."""
    return "-".join("".join(c if c.isalnum() or c in "-_." else " " for c in name).split()) or "picture"


@cache
def _script() -> str:
    return Path(__file__).with_name("viewer.js").read_text(encoding="utf-8")


def _template(label: str, mode: str, modes: Sequence[str]) -> str:
    """The frame; the script fills it, so nothing from outside ever stands in a template."""
    buttons = "".join(
        f'<button type="button" data-mode="{name}" aria-pressed="{str(name == mode).lower()}">{_MODES[name]}</button>'
        for name in modes
    )
    sides = " ".join(
        f'<label><select data-side="{side}" aria-label="{side}"></select></label>' for side in ("left", "right")
    )
    gains = "".join(f'<option value="{gain}"{" selected" * (gain == 4)}>×{gain}</option>' for gain in _GAINS)
    return (
        f'<div class="viewer" data-mode="{mode}" data-empty="true" role="group" aria-label="{label}">'
        f'<div class="viewer-bar"><span>{buttons}</span><span class="viewer-sides">{sides}</span>'
        f'<label class="viewer-gain">enlarged <select data-gain aria-label="enlarged">{gains}</select></label>'
        '<span><button type="button" data-zoom="0.5" aria-label="zoom out">−</button>'
        '<span class="viewer-zoom">1×</span>'
        '<button type="button" data-zoom="2" aria-label="zoom in">+</button>'
        '<button type="button" data-zoom="fit">Fit</button></span></div>'
        f'<div class="viewer-stage" tabindex="0" role="group" aria-label="{label}"></div>'
        f'<p class="viewer-help">{_HELP}</p></div>'
    )
