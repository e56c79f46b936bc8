"""The part of the Generate tab that changes a picture: what is painted, a border around it, or its details."""

__all__ = ["edit_part"]

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from PIL import Image

from workbench.errors import InputError
from workbench.images.files import read_image, read_mask
from workbench.models.load import Pair
from workbench.tasks.edit import extend, fill, mask_warning, painted_share, redraw_details
from workbench.tasks.generate import Drawn
from workbench.ui.context import Context, shown_errors
from workbench.ui.drawn import Shown, drawn_table, shown_drawn
from workbench.ui.figures import figures_table
from workbench.ui.live import controls, live
from workbench.ui.painting import Painted, painting_input
from workbench.ui.sampling import Inputs, order_of
from workbench.ui.viewer import item, shown, viewer

_FILL, _EXTEND, _DETAILS = "Fill what is painted", "Draw around it", "Draw its details anew"
_EDITED_SIDE = 512  # pixels a side at which a sample comes into the editor


def edit_part(context: Context, inputs: Inputs, samples: gr.Gallery, chosen: gr.State) -> None:
    """Lay out the part.

    Args:
        context: Of the page.
        inputs: What the generator is asked for.
        samples: Pictures that were drawn before.
        chosen: Which of them is chosen.
    """
    with gr.Row():
        take = gr.Button("Take the new picture that is chosen", size="sm", elem_id="edit-take")
        mine = gr.Button("Take the picture at the top", size="sm", elem_id="edit-mine")
    painting = painting_input("Paint over what is to be drawn anew", height=420, elem_id="edit-painting")
    what = gr.Radio([_FILL, _EXTEND, _DETAILS], value=_FILL, label="What to do", elem_id="edit-what")
    with gr.Row():
        border = gr.Slider(0.125, 0.375, 0.25, step=0.125, label="Border", visible=False)
        kept = gr.Slider(1, 15, 3, step=1, label="Coarse scales to keep", visible=False)
        answers = gr.Slider(1, 16, 4, step=1, label="Answers", elem_id="edit-count")
    run = controls("Edit", name="edit")
    pictures = viewer("The picture and what was drawn", mode="all", elem_id="edit-viewer")
    table = figures_table("How they were drawn", elem_id="edit-figures")
    asked = [painting, what, border, kept, answers, *inputs.listed()]
    gr.Button(visible=False).click(
        shown_errors(_edit),
        asked,
        [gr.Gallery(label="Pictures", format="png", visible=False), table, inputs.seed],
        api_name="edit",
        api_description="Draw parts of a picture anew: what is painted, a border around it, or its details.",
        **context.model_work,
    )
    live(context, run, _viewed, asked, [pictures, table], wants=[])
    what.change(_asked, what, [border, kept], **context.at_once)
    take.click(shown_errors(_taken), [samples, chosen], painting, **context.at_once)
    mine.click(shown_errors(_mine), context.the_picture(), painting, **context.at_once)


def _edit(
    painted: Painted | None,
    what: str,
    border: float,
    kept: float,
    count: float,
    model: str | None,
    label: str | None,
    seed: float | None,
    new_seed: bool,
    temperature_first: float,
    temperature_last: float,
    top_k: float | None,
    top_p: float,
    guidance_first: float,
    guidance_last: float,
) -> Iterator[Shown]:
    """The answers of the endpoint, after every scale."""
    controls = (temperature_first, temperature_last, top_k, top_p, guidance_first, guidance_last)
    _, _, stages = _stages(painted, what, border, kept, count, model, label, seed, new_seed, *controls)
    yield from shown_drawn(stages)


def _viewed(*asked: Any) -> Iterator[tuple[object, ...]]:  # noqa: ANN401
    """What the tab shows: the picture and the answers side by side, after every scale."""
    image, pair, stages = _stages(*asked[:-1])  # the last is the callback of progress
    before = item("before", pair.tokenizer.prepare(image), file="before")
    for drawn in stages:
        seeds = drawn.settings.seeds
        made = [
            item(f"answer {number + 1}", each, f"seed {seed}", file=f"edited-{seed}")
            for number, (each, seed) in enumerate(zip(drawn.images, seeds, strict=True))
        ]
        yield shown([before, *made], drawn.images[0].shape[:2]), drawn_table(drawn)


def _stages(
    painted: Painted | None,
    what: str,
    border: float,
    kept: float,
    *asked: Any,  # noqa: ANN401
) -> tuple[np.ndarray, Pair, Iterator[Drawn]]:
    """The picture as it was read, the models, and the stages of the answers."""
    if painted is None:
        raise InputError("choose a picture first: upload one, paste one, or take one of those above")
    pair, order = order_of(*asked)
    image = read_image(painted.picture, name="the picture")
    if what == _FILL:
        if not painted.layers:
            raise InputError("nothing is painted: paint over what is to be drawn anew")
        mask = np.logical_or.reduce([read_mask(layer, layer=True, name="what is painted") for layer in painted.layers])
        if warning := mask_warning(painted_share(mask)):
            gr.Warning(warning)
        return image, pair, fill(pair, image, mask, order)
    if what == _EXTEND:
        return image, pair, extend(pair, image, border, order)
    if what == _DETAILS:
        return image, pair, redraw_details(pair, image, int(kept), order)
    raise InputError(f"expected {_FILL!r}, {_EXTEND!r} or {_DETAILS!r}, got {what!r}")


def _asked(what: str) -> tuple[gr.Slider, gr.Slider]:
    """The input that a choice of edit needs."""
    return gr.Slider(visible=what == _EXTEND), gr.Slider(visible=what == _DETAILS)


def _taken(pictures: list[tuple[str, str]] | None, chosen: int) -> dict[str, object]:
    """A sample as the editor takes it, enlarged so that there is room to paint."""
    if not pictures:
        raise InputError("there is no picture to take yet: generate some first")
    image = read_image(pictures[min(chosen, len(pictures) - 1)][0])
    times = max(1, _EDITED_SIDE // image.shape[0])
    large = image.repeat(times, axis=0).repeat(times, axis=1)
    return _edited(large)


def _mine(path: str | None) -> dict[str, object]:
    """The picture of the page as the editor takes it: its centre square."""
    if path is None:
        raise InputError("there is no picture to take yet")
    image = read_image(path, name=Path(path).name)
    side = min(image.shape[:2])
    top, left = ((length - side) // 2 for length in image.shape[:2])
    square = Image.fromarray(image[top : top + side, left : left + side]).resize((_EDITED_SIDE, _EDITED_SIDE))
    return _edited(np.asarray(square))


def _edited(image: np.ndarray) -> dict[str, object]:
    return {"background": image, "layers": [], "composite": image}
