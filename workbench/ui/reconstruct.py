"""The Reconstruct tab: a picture, its tokens, and what comes back."""

__all__ = ["build"]

from collections.abc import Iterator
from pathlib import Path

import gradio as gr

from workbench.errors import InputError
from workbench.images.files import Picture, read_picture
from workbench.models.load import load_tokenizer
from workbench.models.refine import can_refine
from workbench.models.tokenizer import Tokenizer
from workbench.progress import Progress
from workbench.tasks.reconstruct import Reconstructed, error_map, reconstruct_image, token_map
from workbench.ui.context import Context, effort_choice, shown_errors
from workbench.ui.figures import cells, figures_table
from workbench.ui.live import by_example, controls, live
from workbench.ui.look import intro
from workbench.ui.viewer import item, shown, viewer

# Measure, what it is called, digits, unit and a word on how to read it.
_MEASURES = (
    ("psnr", "PSNR", 2, " dB", "higher is better; 3 dB is half the squared error"),
    ("ssim", "SSIM", 4, "", "structure kept, 1 is all of it"),
    ("ms_ssim", "MS-SSIM", 4, "", "the same over five scales"),
)
_ERRORS = "mean absolute error of the channels: black 0, purple 16, red 32, orange 48, yellow 64 and more, of 255"
_TOKENS = "alike colours: codewords near each other, by the three principal axes of this picture's codewords"
_SMALL = (
    "smaller than one patch of {factor} × {factor} pixels: its edge is repeated to fill one, and the model has learned "
    "from larger pictures, so a flat colour may come back changed"
)


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    intro(
        "What is left of a picture written in codewords?",
        "A picture goes in, a grid of codewords stands for it, and a picture comes back. Compare any two of the "
        "original, what came back, and the maps of the error and of the codewords.",
    )
    picture = context.the_picture()
    with gr.Row(equal_height=False, elem_classes="results-row"):
        with gr.Column(scale=3, min_width=280):
            model = context.any_model_choice(
                info="Turns pictures into codewords and back.", elem_id="reconstruct-model"
            )
            effort = effort_choice(elem_id="reconstruct-effort")
            run = controls("Reconstruct", name="reconstruct")
            figures = figures_table("What it cost and what it kept", elem_id="reconstruct-figures")
        with gr.Column(scale=8, min_width=320):
            pictures = viewer("Before and after", elem_id="reconstruct-viewer")
    gr.Button(visible=False).click(
        shown_errors(_reconstruct),
        inputs=[picture, model],
        outputs=[
            gr.ImageSlider(label="Before and after", format="png", type="filepath", visible=False),
            *(gr.Image(label=label, format="png", visible=False) for label in ("Error map", "Token map")),
            figures,
        ],
        api_name="reconstruct",
        api_description="Send a picture through a tokenizer: before and after, error map, token map and the figures.",
        **context.model_work,
    )
    context.linked.update(model=model, effort=effort)
    live(context, run, _shown, [picture, model, effort], [pictures, figures], shared=by_example)


def _reconstruct(path: str | None, model: str) -> tuple[object, ...]:
    """The answer of the endpoint to a picture and the name of a tokenizer."""
    tokenizer, picture = load_tokenizer(model), _read(path)
    result = reconstruct_image(picture.pixels, tokenizer)
    return (
        (result.original, result.image),
        error_map(result.original, result.image),
        token_map(result.indices, tokenizer, size=result.image.shape[:2]),
        _table(result, tokenizer, picture, 0),
    )


def _shown(path: str | None, model: str, effort: float, progress: Progress) -> Iterator[tuple[object, ...]]:
    """What the tab shows: first without a search for codewords, which takes a moment, and then with it."""
    tokenizer, picture = load_tokenizer(model), _read(path)
    most = int(effort) if can_refine(tokenizer) else 0
    for each in dict.fromkeys((0, most)):
        result = reconstruct_image(picture.pixels, tokenizer, effort=each, progress=progress)
        yield _viewed(result, tokenizer, Path(str(path)).stem), _table(result, tokenizer, picture, each)


def _read(path: str | None) -> Picture:
    if path is None:
        raise InputError("choose a picture first: upload one, paste one, or take an example")
    return read_picture(path, name=Path(path).name)


def _viewed(result: Reconstructed, tokenizer: Tokenizer, name: str) -> dict[str, object]:
    """The pictures of a result as the viewer shows them."""
    psnr = result.measures.get("psnr")
    note = f"{result.bits_per_pixel:.3f} bits/pixel" + ("" if psnr is None else f", {psnr:.2f} dB")
    tokens = token_map(result.indices, tokenizer, size=result.image.shape[:2])
    return shown(
        [
            item("original", result.original, file=name),
            item(result.model, result.image, note, file=f"{name}-{result.model}"),
            item("error map", error_map(result.original, result.image), file=f"{name}-error", scale=_ERRORS),
            item("token map", tokens, file=f"{name}-tokens", scale=_TOKENS),
        ],
        result.image.shape[:2],
    )


def _table(result: Reconstructed, tokenizer: Tokenizer, picture: Picture, effort: int) -> dict[str, object]:
    """The figures of a result as the table shows them."""
    searched = f"effort {effort}" if can_refine(tokenizer) else "this model allows no search for codewords"
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
    small = [_SMALL.format(factor=tokenizer.factor)] if min(height, width) < tokenizer.factor else []
    rows += [("Note", "", note) for note in (*picture.notes, *small)]
    notes = {"notes": list(picture.notes)} if picture.notes else {}
    return cells(rows, {"model": result.model, **result.row(), **notes})
