"""The strip at the top of the page: one picture for every tab, from wherever it comes.

A file comes by the button, by dropping or pasting it anywhere on the page, or from the camera; an example by a click;
a picture of another tab by :func:`send_button`. All of them end in one input, which the tabs read. A file that is
refused leaves the picture that was there.
"""

__all__ = ["picture_strip", "send_button", "take_picture"]

import base64
import functools
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from workbench.errors import InputError, WorkbenchError
from workbench.images.files import read_image
from workbench.ui.context import Context
from workbench.ui.pictures import example_name, example_pictures, only_uploads, picture_input

_THUMB = 96  # pixels a side of a small picture, at most
_TEMPLATE = """
${(() => {
  const plain = (text) => String(text).replace(/[&<>"']/g, (c) => "&#" + c.charCodeAt(0) + ";");
  const button = (example, number) => "<button type='button' class='strip-example' data-example='" + number
    + "' aria-pressed='" + (example.name === value.name) + "' title='" + plain(example.name)
    + "'><img src='" + plain(example.thumb) + "' alt='example: " + plain(example.name) + "'></button>";
  const one = (value.examples ?? []).map(button).join("");
  return "<div class='strip'><img class='strip-picture' src='" + plain(value.thumb) + "' alt='your picture: "
    + plain(value.name) + "'><div class='strip-text'><b>" + plain(value.name) + "</b><span>" + plain(value.size)
    + "</span><span class='strip-said' role='alert'>" + plain(value.said) + "</span></div>"
    + "<div class='strip-ways'><button type='button' data-way='file'>Upload</button>"
    + "<button type='button' data-way='camera'>Camera</button>"
    + "<span>or drop or paste one anywhere</span></div><div class='strip-examples'>" + one + "</div></div>";
})()}
"""


def picture_strip(context: Context) -> gr.Image:
    """Lay out the strip; the input that holds the picture."""
    first = next(iter(context.examples()), None)
    strip = gr.HTML(
        _strip(first),
        label="The picture",
        html_template=_TEMPLATE,
        js_on_load=Path(__file__).with_name("strip.js").read_text(encoding="utf-8"),
        apply_default_css=False,
        elem_id="strip",
        elem_classes="plain",
    )
    picture = picture_input("Your picture", value=first, elem_id="picture")
    file = gr.UploadButton("Upload", file_types=["image"], type="filepath", visible="hidden", elem_id="picture-file")
    only_uploads(file)
    context.strip.append(strip)
    file.upload(take_picture, [file, strip], [picture, strip], **context.at_once)
    strip.example(_example, strip, [picture, strip], **context.at_once)
    return picture


def take_picture(path: str | None, strip: dict[str, object]) -> tuple[object, dict[str, object]]:
    """Make a file the picture of the page, or say why it cannot be and leave the one that was there."""
    try:
        if path is None:
            raise InputError("there is no picture to take yet")
        return path, _strip(Path(path))
    except WorkbenchError as error:
        return gr.skip(), {**strip, "said": str(error)}


def send_button(context: Context, chosen: Callable[..., str | None], inputs: list[Any], *, elem_id: str) -> None:
    """A button that makes a result the picture of every tab.

    Args:
        context: Of the page.
        chosen: Gives the path of the picture, from the inputs.
        inputs: What it is given.
        elem_id: Name of the button.
    """
    button = gr.Button("Send to all tabs", size="sm", elem_id=elem_id)
    [strip] = context.strip

    def send(strip: dict[str, object], *given: Any) -> tuple[object, dict[str, object]]:  # noqa: ANN401
        return take_picture(chosen(*given), strip)

    button.click(send, [strip, *inputs], [context.the_picture(), strip], **context.at_once)


def _example(event: gr.EventData, strip: dict[str, object]) -> tuple[object, dict[str, object]]:
    """The example that was clicked."""
    examples = example_pictures()
    number = int(event.number)
    return take_picture(str(examples[number]) if 0 <= number < len(examples) else None, strip)


def _strip(path: Path | None) -> dict[str, object]:
    """What the strip shows of a file."""
    if path is None:
        return {"name": "no picture", "size": "", "said": "", "thumb": "", "examples": []}
    image = read_image(path, name=path.name)
    size = f"{image.shape[1]:,} × {image.shape[0]:,} pixels"
    name = example_name(str(path)) or path.stem
    return {"name": name, "size": size, "said": "", "thumb": _thumb(image), "examples": list(_examples())}


@functools.cache
def _examples() -> tuple[dict[str, str], ...]:
    return tuple({"name": path.stem, "thumb": _thumb(read_image(path))} for path in example_pictures())


def _thumb(image: np.ndarray) -> str:
    """A small picture as a data address."""
    small = Image.fromarray(image)
    small.thumbnail((_THUMB, _THUMB))
    buffer = io.BytesIO()
    small.save(buffer, format="PNG")
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()
