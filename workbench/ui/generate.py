"""The Generate tab: new pictures of a class, scale by scale, and parts of a picture drawn anew."""

__all__ = ["build"]

from collections.abc import Iterator, Sequence
from typing import Any

import gradio as gr

from workbench.errors import ModelError
from workbench.models import load as catalogue
from workbench.tasks.generate import MAX_PICTURES, fresh_seed, generate
from workbench.ui.context import Context, shown_errors
from workbench.ui.drawn import Shown, shown_drawn
from workbench.ui.edit import edit_part
from workbench.ui.figures import figures_table
from workbench.ui.live import controls, live
from workbench.ui.look import intro
from workbench.ui.sampling import Inputs, order_of, sampling_inputs
from workbench.ui.strip import send_button


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    intro(
        "Pictures of things that are not there",
        "A generator draws a picture as a sum of ever finer grids of codewords: first one codeword for all of it, then "
        "four, then sixteen. Choose a class and watch, or paint over a part of a picture and have it drawn anew.",
    )
    context.on_open.append((_notice, gr.Markdown(elem_id="generate-notice")))
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            inputs = sampling_inputs(context)
        with gr.Column(scale=8, min_width=320), gr.Tabs():
            with gr.Tab("New pictures", id="new") as new:
                pictures, chosen = _new_part(context, inputs)
            with gr.Tab("Edit a picture", id="edit"):
                edit_part(context, inputs, pictures, chosen)
    context.seen.append(new.select)


def _new_part(context: Context, inputs: Inputs) -> tuple[gr.Gallery, gr.State]:
    """Lay out the part that draws new pictures; their gallery, and which of them is chosen."""
    count = gr.Slider(1, MAX_PICTURES, 8, step=1, label="Pictures", elem_id="generate-count")
    run = controls("Generate", name="generate")
    pictures = gr.Gallery(
        label="Pictures",
        format="png",
        columns=4,
        object_fit="contain",
        interactive=False,
        buttons=["download", "download_all", "fullscreen"],
        elem_id="generate-gallery",
        elem_classes="result",
    )
    chosen, again = gr.State(0), gr.Number(0, label="Times", visible="hidden")
    send_button(context, _chosen, [pictures, chosen], elem_id="generate-send")
    table = figures_table("How they were drawn", elem_id="generate-figures")
    asked = [count, *inputs.listed()]
    gr.Button(visible=False).click(
        shown_errors(_generate),
        asked,
        [gr.Gallery(label="Pictures", format="png", visible=False), table, inputs.seed],
        api_name="generate",
        api_description="Draw pictures of a class; answers after every scale. Top-k 0 and top-p 1 keep all codewords.",
        **context.model_work,
    )
    context.linked.update({"generator": inputs.model, "class": inputs.label, "seed": inputs.seed, "pictures": count})
    # The seed stands in its field before the run begins, so that a run changes none of what it was asked for.
    run.run.click(_again, [inputs.seed, inputs.new_seed, again], [inputs.seed, again], **context.at_once)
    wants = [each for each in asked if each is not inputs.new_seed]
    live(context, run, _drawn, [*asked, again], [pictures, table], wants=[*wants, again], pressed=False)
    pictures.select(_selected, None, chosen, **context.at_once)
    return pictures, chosen


def _generate(
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
    """The answers of the endpoint: new pictures, after every scale, and the seed."""
    controls = (temperature_first, temperature_last, top_k, top_p, guidance_first, guidance_last)
    pair, order = order_of(count, model, label, seed, new_seed, *controls)
    yield from shown_drawn(generate(pair, order))


def _drawn(*asked: Any) -> Iterator[Sequence[object]]:  # noqa: ANN401
    """What the tab shows, after every scale: the seed is the one in its field."""
    inputs, new_seed = list(asked[:-2]), 4
    inputs[new_seed] = False
    for pictures, table, _ in _generate(*inputs):
        yield pictures, table


def _again(seed: float | None, new_seed: bool, times: float | None) -> tuple[int, int]:
    """The seed of the next run, and one run more."""
    return fresh_seed() if new_seed else int(seed or 0), int(times or 0) + 1


def _notice() -> str:
    """What to do where there is no generator; nothing where there is one."""
    try:
        catalogue.default_generator()
    except ModelError as error:
        return f"**{str(error)[0].upper()}{str(error)[1:]}.**"
    return ""


def _selected(event: gr.SelectData) -> int:
    return int(event.index)


def _chosen(pictures: list[tuple[str, str]] | None, chosen: int) -> str | None:
    """The file of the picture that is chosen."""
    return pictures[min(chosen, len(pictures) - 1)][0] if pictures else None
