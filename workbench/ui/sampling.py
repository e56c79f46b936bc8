"""What a generator is asked for: model, class, seed and the controls of sampling, as inputs and as an order."""

__all__ = ["PRESETS", "Inputs", "order_of", "sampling_inputs"]

from dataclasses import dataclass, fields

import gradio as gr

from workbench.models import load as catalogue
from workbench.models.sampling import CONTROL_PRESETS, Controls
from workbench.tasks.generate import MAX_SEED, Order, fresh_seed, in_turn
from workbench.ui.context import Context

# Those with a list of k for each scale are for heads that score every codeword; the command line takes them.
PRESETS = {name: controls for name, controls in CONTROL_PRESETS.items() if controls.top_k is None}


@dataclass(frozen=True)
class Inputs:
    """What both parts of the Generate tab ask for, in the order of their events' inputs."""

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
        """All of them."""
        return [getattr(self, each.name) for each in fields(self)]


def sampling_inputs(context: Context) -> Inputs:
    """Lay out what both parts ask for."""
    start = PRESETS["balanced"]
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
    preset = gr.Dropdown(list(PRESETS), value="balanced", label="Preset", elem_id="generate-preset")
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
    model.change(_choices, [model, label], label, **context.at_once)
    return Inputs(model, label, seed, new_seed, warmest, coolest, top_k, top_p, first, last)


def order_of(
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
) -> tuple[catalogue.Pair, Order]:
    """The models and the order that the number of pictures and the other inputs stand for."""
    pair = catalogue.load_generator(model or catalogue.default_generator())
    controls = Controls(
        temperature=_pair_or_one((temperature_first, temperature_last)),
        top_k=int(top_k) if top_k else None,
        top_p=None if top_p == 1 else top_p,
        guidance=_pair_or_one((guidance_first, guidance_last)),
    )
    labels = in_turn(pair, ["none" if label is None else label], int(count))
    return pair, Order(labels, fresh_seed() if new_seed else int(seed or 0), controls)


# ---- what the inputs show


def _classes(model: str | None) -> list[str]:
    """Names of the classes of a generator, and `none`."""
    found = [entry.config.get("classes", []) for entry in catalogue.generators() if entry.name == model]
    return [*(found[0] if found else []), "none"]


def _choices(model: str | None, label: str | None = None) -> gr.Dropdown:
    """The classes of a model; the one that was chosen stays if it is one of them.

    Then no value is sent: an address sets model and class at once, and the class seen here may be the one before.
    """
    names = _classes(model)
    return gr.Dropdown(choices=names) if label in names else gr.Dropdown(choices=names, value=names[0])


def _preset(name: str) -> tuple[object, ...]:
    controls = PRESETS[name]
    return *_ends(controls.temperature), controls.top_k or 0, controls.top_p or 1, *_ends(controls.guidance)


def _ends(value: float | tuple[float, ...]) -> tuple[float, float]:
    """The values of the coarsest and of the finest scale."""
    return (value[0], value[-1]) if isinstance(value, tuple) else (value, value)


def _pair_or_one(ends: tuple[float, float]) -> float | tuple[float, float]:
    """The value of a control whose ends are these."""
    return ends[0] if ends[0] == ends[1] else ends
