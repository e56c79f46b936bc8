"""The Reconstruct tab: a picture, its tokens, and what comes back."""

__all__ = ["build"]

import functools
from pathlib import Path

import gradio as gr

from workbench.errors import WorkbenchError
from workbench.images.files import Picture, read_picture
from workbench.models.load import load_tokenizer
from workbench.models.refine import can_refine
from workbench.tasks.compress.picture import EFFORT
from workbench.tasks.reconstruct import Reconstructed, error_map, reconstruct_image, token_map
from workbench.ui.context import Context, effort_choice, shown_errors, shown_progress
from workbench.ui.figures import cells, figures_table
from workbench.ui.look import intro
from workbench.ui.pictures import picture_input, picture_output

# Measure, what it is called, digits, unit and a word on how to read it.
_MEASURES = (
    ("psnr", "PSNR", 2, " dB", "higher is better; 3 dB is half the squared error"),
    ("ssim", "SSIM", 4, "", "structure kept, 1 is all of it"),
    ("ms_ssim", "MS-SSIM", 4, "", "the same over five scales"),
)


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    examples = context.examples()
    intro(
        "What is left of a picture written in codewords?",
        "A picture goes in, a grid of codewords stands for it, and a picture comes back. "
        "Drag the handle to compare; the maps show where the error is and which words were used.",
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            picture = picture_input(
                "Your picture", value=examples[0] if examples else None, elem_id="reconstruct-input"
            )
            gr.Examples(
                [[str(path)] for path in examples], picture, label="Or one of these", elem_id="reconstruct-examples"
            )
            model = context.any_model_choice(info="Turns pictures into words and back.", elem_id="reconstruct-model")
            effort = effort_choice(elem_id="reconstruct-effort")
            run = gr.Button("Reconstruct", variant="primary", size="lg", elem_id="reconstruct-run")
        with gr.Column(scale=8, min_width=320):
            slider = gr.ImageSlider(
                label="Before and after",
                format="png",
                type="filepath",
                interactive=False,
                max_height=620,
                elem_id="reconstruct-slider",
            )
            figures = figures_table("What it cost and what it kept", elem_id="reconstruct-figures")
    with gr.Row():
        errors = picture_output("Error map", elem_id="reconstruct-errors")
        tokens = picture_output("Token map", elem_id="reconstruct-tokens")
    gr.Button(visible=False).click(
        shown_errors(_reconstruct),
        inputs=[picture, model],
        outputs=[slider, errors, tokens, figures],
        api_name="reconstruct",
        api_description="Send a picture through a tokenizer: before and after, error map, token map and the figures.",
        **context.model_work,
    )
    gr.on(
        [run.click, picture.upload],
        shown_errors(_reconstruct),
        inputs=[picture, model, effort],
        outputs=[slider, errors, tokens, figures],
        api_visibility="private",
        **context.model_work,
    )
    if examples and (first := context.default_model()):
        example = str(examples[0])
        context.on_arrival.append((functools.partial(_of_example, example, first), [slider, errors, tokens, figures]))


@functools.lru_cache(maxsize=1)
def _of_example(path: str, model: str) -> tuple[object, ...]:
    """The result that the page opens with, computed once; nothing where it cannot be had."""
    try:
        return _reconstruct(path, model, EFFORT)
    except WorkbenchError:
        return (gr.skip(),) * 4


def _reconstruct(
    path: str | None,
    model: str,
    effort: int = 0,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio hands in the bar by this default
) -> tuple[object, ...]:
    """The answer of the tab to a picture, the name of a tokenizer, and how long to search."""
    if path is None:
        raise gr.Error("Choose a picture first: upload one, paste one, or take an example.", print_exception=False)
    tokenizer = load_tokenizer(model)
    picture, told = read_picture(path, name=Path(path).name), shown_progress(progress)
    possible = can_refine(tokenizer)
    effort = int(effort) if possible else 0
    searched = f"effort {effort}" if possible else "this model allows no search for codewords"
    result = reconstruct_image(picture.pixels, tokenizer, effort=effort, progress=told)
    return (
        (result.original, result.image),
        error_map(result.original, result.image),
        token_map(result.indices, tokenizer, size=result.image.shape[:2]),
        _table(result, picture, searched),
    )


def _table(result: Reconstructed, picture: Picture, searched: str) -> dict[str, object]:
    """The figures of a result as the table shows them."""
    height, width = result.image.shape[:2]
    rows = []
    for name, title, digits, unit, note in _MEASURES:
        value = result.measures.get(name)
        rows.append(
            (title, "–", result.reasons.get(name, "")) if value is None else (title, f"{value:.{digits}f}{unit}", note)
        )
    for name in sorted(set(result.measures) - {measure[0] for measure in _MEASURES}):
        value = result.measures[name]
        shown = "–" if value is None else f"{value:.4f}"
        rows.append((name, shown, result.reasons.get(name, "distance of features, lower is better")))
    grid = " × ".join(str(side) for side in reversed(result.indices.shape[:2]))
    grid += "".join(f", {depth} tokens a place," for depth in result.indices.shape[2:])
    what = "grids of several scales" if result.indices.ndim == 1 else f"a grid of {grid}"
    rows += [
        ("Tokens", f"{result.tokens:,}", f"{what} for {width} × {height} pixels"),
        ("Bits", f"{result.bits:,.0f}", f"{result.bits / result.tokens:.3f} a token, {result.bits / 8 / 1024:.1f} KiB"),
        ("Bits per pixel", f"{result.bits_per_pixel:.4f}", "an uncompressed picture has 24"),
        ("Time", f"{result.seconds:.2f} s", f"tokenizer only, on this machine; {searched}"),
    ]
    rows += [("Note", "", note) for note in picture.notes]
    notes = {"notes": list(picture.notes)} if picture.notes else {}
    return cells(rows, {"model": result.model, **result.row(), **notes})
