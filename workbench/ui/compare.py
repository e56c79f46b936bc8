"""The Compare tab: one picture through every quantizer, or through every code under one encoder and decoder."""

__all__ = ["build"]

from collections.abc import Iterator
from pathlib import Path

import gradio as gr
import numpy as np

from workbench.errors import InputError
from workbench.images.files import read_image
from workbench.models.load import default_tokenizer, load_tokenizer
from workbench.progress import Progress
from workbench.tasks.compare import Comparison, compare_codes, compare_models, matched_models, winners
from workbench.tasks.plots.figures import ACCENT, dress
from workbench.ui.context import Context, shown_errors, shown_progress
from workbench.ui.live import by_example, controls, live
from workbench.ui.look import intro
from workbench.ui.viewer import item, shown, viewer

_MATCHED, _CODES = "Matched tokenizers", "Only the code"
_SIDE = 768  # pixels a side of what is compared at most: the gallery holds a dozen pictures

# Column, what it is called, digits.
_COLUMNS = (
    ("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 4), ("ms_ssim", "MS-SSIM", 4), ("leaf", "leaf distance", 4),
    ("bpp", "bits/pixel", 4), ("words", "words used", 0), ("seconds", "seconds", 2),
)  # fmt: skip
_NOTES = {
    _MATCHED: "Same body, data, steps and loss; only the quantizer differs, and each decoder knows its own code. "
    "A ★ marks the best in a column. `leaf` is a distance between features of a small network of our own: "
    "lower is better.",
    _CODES: "One encoder and one decoder, trained for the Leech shell; only the code under them changes, and `none` "
    "passes the vectors as they are. **The decoder was trained for another code** than most of these, so this shows "
    "what a code does to a vector, not which quantizer trains best.",
}


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    intro(
        "Which quantizer keeps more?",
        "The same picture through each of them; zoom into one and all show the same place. A click on a column's head "
        "sorts by it.",
    )
    picture = context.the_picture()
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=280):
            what = gr.Radio([_MATCHED, _CODES], value=_MATCHED, label="What is swapped", elem_id="compare-what")
            run = controls("Compare", name="compare")
            note = gr.Markdown(_NOTES[_MATCHED], elem_id="compare-note")
        with gr.Column(scale=9, min_width=320):
            pictures = viewer("What came back", mode="all", elem_id="compare-viewer")
    table = gr.Dataframe(
        headers=["", *(title for _, title, _ in _COLUMNS)],
        label="Figures",
        interactive=False,
        wrap=True,
        elem_id="compare-table",
        elem_classes="result",
    )
    plot = gr.Plot(label="PSNR", show_label=False, elem_id="compare-plot", elem_classes="result")
    what.change(lambda chosen: _NOTES[chosen], what, note, **context.at_once)
    gr.Button(visible=False).click(
        shown_errors(_compare),
        [picture, what],
        [pictures, table, plot],
        api_name="compare",
        api_description="One picture through the matched tokenizers, or through several codes under one model.",
        **context.model_work,
    )
    context.linked["swap"] = what
    live(context, run, _shown, [picture, what], [pictures, table, plot], shared=by_example)


def _compare(path: str | None, what: str, progress: gr.Progress = gr.Progress()) -> tuple[object, ...]:  # noqa: B008
    """The answer of the endpoint; Gradio hands in the progress bar by its default value."""
    *_, last = _shown(path, what, shown_progress(progress))
    return last


def _shown(path: str | None, what: str, progress: Progress) -> Iterator[tuple[object, ...]]:
    """What the tab shows: one picture after the other."""
    image, name = _read(path), Path(str(path)).stem
    items = [item("original", image, f"{image.shape[1]} × {image.shape[0]}", file=name)]
    for answers in _answers(image, what, progress):
        fresh = answers[len(items) - 1 :]
        items += [item(_short(each), each.image, _note(each), file=f"{name}-{_short(each)}") for each in fresh]
        yield shown(items, image.shape[:2]), _table(answers), _bars(answers)


def _answers(image: np.ndarray, what: str, progress: Progress) -> Iterator[list[Comparison]]:
    """The answers so far: after each of the matched models, or of all codes together."""
    if what not in _NOTES:
        raise InputError(f"swap either '{_MATCHED}' or '{_CODES}', not {what!r}")
    if what == _CODES:
        yield compare_codes(image, load_tokenizer(default_tokenizer()))
        return
    names, answers = matched_models(), []
    for number, name in enumerate(names):
        progress(number / len(names), name)
        answers = answers + compare_models(image, [name])
        yield answers


def _read(path: str | None) -> np.ndarray:
    if path is None:
        raise InputError("choose a picture first: upload one, paste one, or take an example")
    return _reduced(read_image(path, name=Path(path).name))


def _reduced(image: np.ndarray) -> np.ndarray:
    """The picture, or its middle where it is larger than the gallery can show at full resolution."""
    top, left = (max(side - _SIDE, 0) // 2 for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + _SIDE, left : left + _SIDE])


def _short(answer: Comparison) -> str:
    return answer.name.removeprefix("compare-")


def _note(answer: Comparison) -> str:
    psnr, bpp = answer.figures.get("psnr"), answer.figures.get("bpp")
    return ", ".join(([f"{psnr:.2f} dB"] if psnr else []) + ([f"{bpp:.3f} bits/pixel"] if bpp else []))


def _table(answers: list[Comparison]) -> dict[str, object]:
    """Figures as numbers, so that they can be sorted, and how each is shown: all its digits, a ★ on the best."""
    best = winners(answers)
    data, display, styles = [], [], []
    for answer in answers:
        figures = [answer.figures.get(key) for key, _, _ in _COLUMNS]
        wins = [best.get(key) == answer.name for key, _, _ in _COLUMNS]
        forms = [f",.{digits}f" for _, _, digits in _COLUMNS]
        data.append([_short(answer), *(None if value is None else float(value) for value in figures)])
        cells = ["–" if value is None else format(value, form) for value, form in zip(figures, forms, strict=True)]
        display.append([_short(answer), *(f"{cell} ★" if win else cell for cell, win in zip(cells, wins, strict=True))])
        styles.append(["", *("font-weight: 700" if win else "" for win in wins)])
    headers = ["", *(title for _, title, _ in _COLUMNS)]
    return {"headers": headers, "data": data, "metadata": {"display_value": display, "styling": styles}}


def _bars(answers: list[Comparison]) -> object:
    import plotly.graph_objects as go

    measured = {_short(answer): answer.figures.get("psnr") for answer in answers}
    ranked = sorted(((value, name) for name, value in measured.items() if value is not None), reverse=True)
    values, names = [value for value, _ in ranked], [name for _, name in ranked]
    texts = [f"{value:.2f}" for value in values]
    bars = go.Figure(go.Bar(x=names, y=values, text=texts, textposition="outside", marker_color=ACCENT))
    bars.update_yaxes(range=[min(values, default=0.0) - 1, max(values, default=1.0) + 0.5])
    return dress(bars, title="PSNR on this picture", y="dB, not from 0", height=360)
