"""The Generate tab: new pictures of a class, scale by scale, and parts of a picture drawn anew."""

__all__ = ["build"]

import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, fields
from pathlib import Path

import gradio as gr
import numpy as np

from workbench.errors import InputError, ModelError
from workbench.images.files import read_image, read_mask
from workbench.models import load as catalogue
from workbench.models.sampling import CONTROL_PRESETS, Controls
from workbench.tasks.edit import extend, fill, mask_warning, painted_share, redraw_details
from workbench.tasks.generate import MAX_PICTURES, MAX_SEED, Drawn, Order, fresh_seed, generate, in_turn, write_pictures
from workbench.ui.context import Context, shown_errors
from workbench.ui.figures import cells, figures_table
from workbench.ui.look import intro
from workbench.ui.painting import Painted, painting_input

# Those with a list of k for each scale are for heads that score every codeword; the command line takes them.
_PRESETS = {name: controls for name, controls in CONTROL_PRESETS.items() if controls.top_k is None}
_FILL, _EXTEND, _DETAILS = "Fill what is painted", "Draw around it", "Draw its details anew"
_EDITED_SIDE = 512  # pixels a side at which a sample comes into the editor

Shown = tuple[list[tuple[str, str]], dict[str, object], int]


@dataclass(frozen=True)
class _Inputs:
    """What both parts of the tab ask for, in the order of their events' inputs."""

    model: gr.Dropdown
    label: gr.Dropdown
    seed: gr.Number
    new_seed: gr.Checkbox
    warmest: gr.Slider
    coolest: gr.Slider
    top_k: gr.Number
    top_p: gr.Slider
    first: gr.Slider
    last: gr.Slider

    def listed(self) -> list[gr.Component]:
        return [getattr(self, each.name) for each in fields(self)]


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    intro(
        "Pictures of things that are not there",
        "A generator draws a picture as a sum of ever finer grids of codewords: first one word for all of it, then "
        "four, then sixteen. Choose a class and watch, or paint over a part of a picture and have it drawn anew.",
    )
    context.on_open.append((_notice, gr.Markdown(elem_id="generate-notice")))
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            inputs = _inputs(context)
        with gr.Column(scale=8, min_width=320):
            with gr.Tabs():
                with gr.Tab("New pictures", id="new"):
                    count = gr.Slider(1, MAX_PICTURES, 8, step=1, label="Pictures", elem_id="generate-count")
                    with gr.Row():
                        run = gr.Button("Generate", variant="primary", elem_id="generate-run")
                        stop = gr.Button("Stop", elem_id="generate-stop")
                with gr.Tab("Edit a picture", id="edit"):
                    painting = painting_input("Paint over what is to be drawn anew", elem_id="edit-painting")
                    take = gr.Button("Take the picture chosen below", size="sm", elem_id="edit-take")
                    what = gr.Radio([_FILL, _EXTEND, _DETAILS], value=_FILL, label="What to do", elem_id="edit-what")
                    with gr.Row():
                        border = gr.Slider(0.125, 0.375, 0.25, step=0.125, label="Border", visible=False)
                        kept = gr.Slider(1, 15, 3, step=1, label="Coarse scales to keep", visible=False)
                        answers = gr.Slider(1, 16, 4, step=1, label="Answers", elem_id="edit-count")
                    with gr.Row():
                        change = gr.Button("Edit", variant="primary", elem_id="edit-run")
                        stop_change = gr.Button("Stop", elem_id="edit-stop")
            pictures = gr.Gallery(
                label="Pictures",
                format="png",
                columns=4,
                object_fit="contain",
                interactive=False,
                buttons=["download", "download_all", "fullscreen"],
                elem_id="generate-gallery",
            )
            table = figures_table("How they were drawn", elem_id="generate-figures")
    chosen = gr.State(0)
    outputs = [pictures, table, inputs.seed]
    drawing = run.click(
        shown_errors(_generate),
        [count, *inputs.listed()],
        outputs,
        api_name="generate",
        api_description="Draw pictures of a class; answers after every scale. Top-k 0 and top-p 1 keep all codewords.",
        **context.model_work,
    )
    editing = change.click(
        shown_errors(_edit),
        [painting, what, border, kept, answers, *inputs.listed()],
        outputs,
        api_name="edit",
        api_description="Draw parts of a picture anew: what is painted, a border around it, or its details.",
        **context.model_work,
    )
    for button in (stop, stop_change):
        button.click(None, None, None, cancels=[drawing, editing], api_visibility="private")
    what.change(_asked, what, [border, kept], **context.at_once)
    pictures.select(_selected, None, chosen, **context.at_once)
    take.click(shown_errors(_taken), [pictures, chosen], painting, **context.at_once)


def _inputs(context: Context) -> _Inputs:
    """Lay out what both parts ask for."""
    start = _PRESETS["balanced"]
    model = context.generator_choice(elem_id="generate-model")
    classes = _classes(model.value)
    label = gr.Dropdown(
        classes,
        value=classes[0],
        label="Class",
        info="By name or number; `none` leaves it open.",
        allow_custom_value=True,
        elem_id="generate-label",
    )
    with gr.Row():
        seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=MAX_SEED, elem_id="generate-seed")
        new_seed = gr.Checkbox(value=False, label="A new seed every time", elem_id="generate-new-seed")
    preset = gr.Dropdown(list(_PRESETS), value="balanced", label="Preset", elem_id="generate-preset")
    with gr.Accordion("Controls", open=False, elem_id="generate-controls"):
        warmest = gr.Slider(
            0, 2, _ends(start.temperature)[0], step=0.05, label="Temperature, coarsest scale", info="0: the likeliest."
        )
        coolest = gr.Slider(0, 2, _ends(start.temperature)[1], step=0.05, label="Temperature, finest scale")
        top_k = gr.Number(0, label="Top-k", info="0 keeps all codewords.", precision=0, minimum=0)
        top_p = gr.Slider(0.05, 1, 1, step=0.05, label="Top-p", info="1 keeps all codewords.")
        first = gr.Slider(0, 8, _ends(start.guidance)[0], step=0.25, label="Guidance, coarsest scale")
        last = gr.Slider(
            0, 8, _ends(start.guidance)[1], step=0.25, label="Guidance, finest scale", info="1 is the class as learned."
        )
    preset.input(
        _preset,
        preset,
        [warmest, coolest, top_k, top_p, first, last],
        **context.at_once,
    )
    model.change(_choices, model, label, **context.at_once)
    return _Inputs(model, label, seed, new_seed, warmest, coolest, top_k, top_p, first, last)


# ---- what the events do


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
    """New pictures, after every scale."""
    temperature, guidance = (temperature_first, temperature_last), (guidance_first, guidance_last)
    pair, order = _order(count, model, label, seed, new_seed, temperature, top_k, top_p, guidance)
    yield from _shown(generate(pair, order))


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
    """Pictures with parts drawn anew, after every scale."""
    if painted is None:
        raise InputError("choose a picture first: upload one, paste one, or take one of those below")
    temperature, guidance = (temperature_first, temperature_last), (guidance_first, guidance_last)
    pair, order = _order(count, model, label, seed, new_seed, temperature, top_k, top_p, guidance)
    image = read_image(painted.picture, name="the picture")
    if what == _FILL:
        if not painted.layers:
            raise InputError("nothing is painted: paint over what is to be drawn anew")
        mask = np.logical_or.reduce([read_mask(layer, layer=True, name="what is painted") for layer in painted.layers])
        if warning := mask_warning(painted_share(mask)):
            gr.Warning(warning)
        yield from _shown(fill(pair, image, mask, order))
    elif what == _EXTEND:
        yield from _shown(extend(pair, image, border, order))
    elif what == _DETAILS:
        yield from _shown(redraw_details(pair, image, int(kept), order))
    else:
        raise InputError(f"expected {_FILL!r}, {_EXTEND!r} or {_DETAILS!r}, got {what!r}")


def _order(
    count: float,
    model: str | None,
    label: str | None,
    seed: float | None,
    new_seed: bool,
    temperature: tuple[float, float],
    top_k: float | None,
    top_p: float,
    guidance: tuple[float, float],
) -> tuple[catalogue.Pair, Order]:
    """The models and the order that the inputs stand for."""
    pair = catalogue.load_generator(model or catalogue.default_generator())
    controls = Controls(
        temperature=_pair_or_one(temperature),
        top_k=int(top_k) if top_k else None,
        top_p=None if top_p == 1 else top_p,
        guidance=_pair_or_one(guidance),
    )
    labels = in_turn(pair, ["none" if label is None else label], int(count))
    return pair, Order(labels, fresh_seed() if new_seed else int(seed or 0), controls)


def _shown(stages: Iterator[Drawn]) -> Iterator[Shown]:
    """Each stage as the tab shows it: files that know their settings, the figures, and the seed."""
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        for drawn in stages:
            paths = write_pictures(drawn, Path(folder) / str(drawn.step))
            named = zip(drawn.settings.classes, drawn.settings.seeds, strict=True)
            captions = [f"{name}, {number + 1}, seed {seed}" for number, (name, seed) in enumerate(named)]
            # Gradio copies files from outside its cache into it, before it asks for the next stage.
            yield list(zip(map(str, paths), captions, strict=True)), _table(drawn), drawn.settings.seed


def _table(drawn: Drawn) -> dict[str, object]:
    """The settings of a batch, and how far it is."""
    settings, controls = drawn.settings, drawn.settings.controls
    rows = [
        ("Class", ", ".join(dict.fromkeys(settings.classes)), settings.edit or f"{len(settings.classes)} pictures"),
        ("Scale", f"{drawn.scale} × {drawn.scale}", f"{drawn.step} of {drawn.steps} grids are drawn"),
        (
            "Seed",
            str(settings.seed),
            "of the first picture; the next have the next ones, and each can be drawn alone again",
        ),
        ("Temperature", _pace(controls.temperature), "0 takes the likeliest codeword"),
        ("Guidance", _pace(controls.guidance), "1 is the class as learned"),
        ("Top-k", _pace(controls.top_k), "codewords to draw among"),
        ("Top-p", _pace(controls.top_p), "share of probability to draw among"),
        ("Model", settings.model, f"its tokenizer is {settings.tokenizer}"),
        ("Time", f"{drawn.seconds:.2f} s", "on this machine"),
    ]
    progress = {"scale": drawn.scale, "step": drawn.step, "steps": drawn.steps, "done": drawn.done}
    return cells(rows, {**settings.row(), **progress, "seconds": drawn.seconds})


def _pace(value: object) -> str:
    if value is None:
        return "all"
    return " to ".join(f"{each:g}" for each in (value if isinstance(value, tuple) else (value,)))


# ---- what the inputs show


def _notice() -> str:
    """What to do where there is no generator; nothing where there is one."""
    try:
        catalogue.default_generator()
    except ModelError as error:
        return f"**{str(error)[0].upper()}{str(error)[1:]}.**"
    return ""


def _classes(model: str | None) -> list[str]:
    """Names of the classes of a generator, and `none`."""
    found = [entry.config.get("classes", []) for entry in catalogue.generators() if entry.name == model]
    return [*(found[0] if found else []), "none"]


def _choices(model: str | None) -> gr.Dropdown:
    names = _classes(model)
    return gr.Dropdown(choices=names, value=names[0])


def _preset(name: str) -> tuple[object, ...]:
    controls = _PRESETS[name]
    return *_ends(controls.temperature), controls.top_k or 0, controls.top_p or 1, *_ends(controls.guidance)


def _ends(value: float | tuple[float, ...]) -> tuple[float, float]:
    """The values of the coarsest and of the finest scale."""
    return (value[0], value[-1]) if isinstance(value, tuple) else (value, value)


def _pair_or_one(ends: tuple[float, float]) -> float | tuple[float, float]:
    """The value of a control whose ends are these."""
    return ends[0] if ends[0] == ends[1] else ends


def _asked(what: str) -> tuple[gr.Slider, gr.Slider]:
    """The input that a choice of edit needs."""
    return gr.Slider(visible=what == _EXTEND), gr.Slider(visible=what == _DETAILS)


def _selected(event: gr.SelectData) -> int:
    return int(event.index)


def _taken(pictures: list[tuple[str, str]] | None, chosen: int) -> dict[str, object]:
    """A sample as the editor takes it, enlarged so that there is room to paint."""
    if not pictures:
        raise InputError("there is no picture to take yet: generate some first")
    image = read_image(pictures[min(chosen, len(pictures) - 1)][0])
    times = max(1, _EDITED_SIDE // image.shape[0])
    large = image.repeat(times, axis=0).repeat(times, axis=1)
    return {"background": large, "layers": [], "composite": large}
