"""Pictures side by side that zoom together: move the pointer over one, and all show the same place enlarged.

The value is `{"items": [{"name", "note", "source"}, ...]}`; a source is a PNG as a data address, so that what is shown
is what was computed, to the pixel. As in :mod:`workbench.ui.figures` text comes in as a value and is escaped.
"""

__all__ = ["gallery", "item"]

import base64
import io
from collections.abc import Mapping

import gradio as gr
import numpy as np
from PIL import Image

_TEMPLATE = """
${value && value.items && value.items.length ? "<div class='zoom-gallery' tabindex='0'>" + value.items.map((item) => {
  const plain = (text) => String(text).replace(/[&<>"']/g, (c) => "&#" + c.charCodeAt(0) + ";");
  return "<figure><div class='zoom-frame'><img src='" + plain(item.source) + "' alt='" + plain(item.name)
    + "'></div><figcaption><b>" + plain(item.name) + "</b> <span>" + plain(item.note) + "</span></figcaption></figure>";
}).join("") + "</div>" : ""}
"""

_FOLLOW = """
const zoom = (x, y, scale) => element.querySelectorAll(".zoom-frame img").forEach((image) => {
  image.style.transformOrigin = x + "% " + y + "%";
  image.style.transform = "scale(" + scale + ")";
  image.style.imageRendering = scale > 1 ? "pixelated" : "auto"; // pixels to look at, or a picture made smaller
});
element.addEventListener("pointermove", (event) => {
  const frame = event.target.closest(".zoom-frame");
  if (!frame) return;
  const box = frame.getBoundingClientRect();
  zoom(100 * (event.clientX - box.left) / box.width, 100 * (event.clientY - box.top) / box.height, 4);
});
element.addEventListener("pointerleave", () => zoom(50, 50, 1));
"""


def gallery(label: str, *, elem_id: str) -> gr.HTML:
    """A gallery with a zoom that all its pictures share; empty until it gets items."""
    return gr.HTML(
        value={"items": []},
        label=label,
        html_template=_TEMPLATE,
        js_on_load=_FOLLOW,
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes="gallery-block",
    )


def item(name: str, note: str, image: np.ndarray) -> Mapping[str, str]:
    """One picture of a gallery, uint8 (H, W, 3), with its name and a note."""
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, format="PNG")
    source = "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
    return {"name": name, "note": note, "source": source}
