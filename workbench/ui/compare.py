"""The Compare tab: one picture through every quantizer, or through every code under one encoder and decoder."""

__all__ = ["build"]

import gradio as gr
import numpy as np

from workbench.images.files import read_image
from workbench.models.load import default_tokenizer, load_tokenizer
from workbench.tasks.compare import Comparison, compare_codes, compare_models, matched_models, winners
from workbench.tasks.plots.figures import ACCENT, dress
from workbench.ui.context import Context, shown_errors, shown_progress
from workbench.ui.gallery import gallery, item
from workbench.ui.look import intro
from workbench.ui.pictures import picture_input

_MATCHED, _CODES = "Matched tokenizers", "Only the code"
_SIDE = 768  # pixels a side of what is compared at most: the gallery holds a dozen pictures

# Column, what it is called, digits.
_COLUMNS = (
    ("psnr", "PSNR (dB)", 2), ("ssim", "SSIM", 4), ("ms_ssim", "MS-SSIM", 4), ("leaf", "leaf distance", 4),
    ("bpp", "bits/pixel", 4), ("words", "words used", 0), ("seconds", "seconds", 2),
)  # fmt: skip
_NOTES = {
    _MATCHED: "Same body, data, steps and loss; only the quantizer differs, and each decoder knows its own code. "
    "A ★ marks the best in a column.",
    _CODES: "One encoder and one decoder, trained for the Leech shell; only the code under them changes, and `none` "
    "passes the vectors as they are. **The decoder was trained for another code** than most of these, so this shows "
    "what a code does to a vector, not which quantizer trains best.",
}


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    examples = context.examples()
    intro(
        "Which quantizer keeps more?",
        "The same picture through each of them. Point at a picture to enlarge the same place in all; "
        "click a column's head to sort by it.",
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=300):
            picture = picture_input(
                "Your picture", value=examples[0] if examples else None, height=260, elem_id="compare-input"
            )
            gr.Examples(
                [[str(path)] for path in examples], picture, label="Or one of these", elem_id="compare-examples"
            )
            what = gr.Radio([_MATCHED, _CODES], value=_MATCHED, label="What is swapped", elem_id="compare-what")
            run = gr.Button("Compare", variant="primary", size="lg", elem_id="compare-run")
            note = gr.Markdown(_NOTES[_MATCHED], elem_id="compare-note")
        with gr.Column(scale=9, min_width=320):
            pictures = gallery("What came back", elem_id="compare-gallery")
    with gr.Row(equal_height=False):
        table = gr.Dataframe(
            headers=["", *(title for _, title, _ in _COLUMNS)],
            label="Figures",
            interactive=False,
            wrap=True,
            elem_id="compare-table",
        )
    plot = gr.Plot(label="PSNR", show_label=False, elem_id="compare-plot")
    what.change(lambda chosen: _NOTES[chosen], what, note, **context.at_once)
    run.click(
        shown_errors(_compare),
        [picture, what],
        [pictures, table, plot],
        api_name="compare",
        api_description="One picture through the matched tokenizers, or through several codes under one model.",
        **context.model_work,
    )


def _compare(path: str | None, what: str, progress: gr.Progress = gr.Progress()) -> tuple[object, ...]:  # noqa: B008
    """The answer of the tab; Gradio hands in the progress bar by its default value."""
    if path is None:
        raise gr.Error("Choose a picture first: upload one, paste one, or take an example.", print_exception=False)
    if what not in _NOTES:
        raise gr.Error(f"Swap either '{_MATCHED}' or '{_CODES}'.", print_exception=False)
    image = _reduced(read_image(path))
    if what == _MATCHED:
        answers = compare_models(image, matched_models(), progress=shown_progress(progress))
    else:
        answers = compare_codes(image, load_tokenizer(default_tokenizer()))
    best = winners(answers)
    original = item("original", f"{image.shape[1]} × {image.shape[0]}", image)
    return {"items": [original, *(_shown(answer) for answer in answers)]}, _table(answers, best), _bars(answers)


def _reduced(image: np.ndarray) -> np.ndarray:
    """The picture, or its middle where it is larger than the gallery can show at full resolution."""
    top, left = (max(side - _SIDE, 0) // 2 for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + _SIDE, left : left + _SIDE])


def _shown(answer: Comparison) -> object:
    psnr, bpp = answer.figures.get("psnr"), answer.figures.get("bpp")
    note = ", ".join(
        text for text in (psnr and f"{psnr:.2f} dB", bpp and f"{bpp:.3f} bits a pixel") if isinstance(text, str)
    )
    return item(answer.name.removeprefix("compare-"), note, answer.image)


def _table(answers: list[Comparison], best: dict[str, str]) -> list[list[object]]:
    rows = []
    for answer in answers:
        stars = "★" * sum(best.get(key) == answer.name for key, _, _ in _COLUMNS)
        cells = [
            None if (value := answer.figures.get(key)) is None else round(float(value), digits)
            for key, _, digits in _COLUMNS
        ]
        rows.append([f"{answer.name.removeprefix('compare-')} {stars}".strip(), *cells])
    return rows


def _bars(answers: list[Comparison]) -> object:
    import plotly.graph_objects as go

    measured = {answer.name.removeprefix("compare-"): answer.figures.get("psnr") for answer in answers}
    ranked = sorted(((value, name) for name, value in measured.items() if value is not None), reverse=True)
    values, names = [value for value, _ in ranked], [name for _, name in ranked]
    texts = [f"{value:.2f}" for value in values]
    bars = go.Figure(go.Bar(x=names, y=values, text=texts, textposition="outside", marker_color=ACCENT))
    bars.update_yaxes(range=[min(values, default=0.0) - 1, max(values, default=1.0) + 0.5])
    return dress(bars, title="PSNR on this picture", y="dB, not from 0", height=360)
