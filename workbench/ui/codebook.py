"""The Codebook tab: which words a model draws on pictures, how they look, where they fall, and a map of them."""

__all__ = ["build"]

import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder

from workbench.errors import InputError
from workbench.images.sources import open_source
from workbench.models.load import load_tokenizer
from workbench.models.tokenizer import Tokenizer
from workbench.progress import Progress
from workbench.tasks.explore import usage as use
from workbench.tasks.explore import words
from workbench.tasks.explore.code import CODES, view_code
from workbench.tasks.plots import usage as usage_plots
from workbench.ui.context import Context, shown_errors, shown_progress
from workbench.ui.figures import cells, figures_table
from workbench.ui.live import controls, live
from workbench.ui.look import intro
from workbench.ui.patches import FOLLOW_POINTER, PICK_WORD, lens_html, words_html
from workbench.ui.pictures import example_name, picture_output

_TOP = 24
_PAUSE = 1.0  # seconds between two looks at a running count


@dataclass(frozen=True)
class Counted:
    """What a session keeps of its last count: the name of the model and the report."""

    model: str
    report: use.UsageReport


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    intro(
        "Which words does a model speak?",
        "Tokens are counted as they stream. Beside what was found stands what even use of all words would show after "
        "as many tokens, since few tokens cannot show many words.",
    )
    counted = gr.State(None, time_to_live=3600)
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            model = context.model_choice(elem_id="codebook-model")
            files = gr.File(
                label="Pictures or .tar shards; without any, yours and the examples",
                file_count="multiple",
                file_types=["image", ".tar"],
                height=150,
                elem_id="codebook-files",
            )
            folder = gr.Textbox(
                label="Or a folder on this machine",
                info=", ".join(map(str, context.allow_paths)),
                visible=bool(context.allow_paths),
                elem_id="codebook-folder",
            )
            limit = gr.Slider(1, 2000, 100, step=1, label="At most so many pictures")
            run = controls("Count", name="codebook")
            table = figures_table("How the codebook is used", elem_id="codebook-figures")
        with gr.Column(scale=7, min_width=320):
            rank = gr.Plot(label="Rank and frequency", show_label=False, elem_id="codebook-rank")
            growth = gr.Plot(label="Words seen", show_label=False, elem_id="codebook-growth")
    with gr.Row():
        shapes = gr.Plot(label="Shapes", show_label=False, elem_id="codebook-shapes", min_width=320)
        scales = gr.Plot(label="Scales", show_label=False, elem_id="codebook-scales", visible=False, min_width=320)
    gr.Markdown("### The most frequent words\nEach as it looks when decoded. Pick one to see where it falls.")
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            bars = gr.HTML(
                label="Most frequent words",
                js_on_load=PICK_WORD,
                apply_default_css=False,
                elem_id="codebook-words",
            )
        with gr.Column(scale=6, min_width=320):
            with gr.Row():
                word = gr.Number(0, label="Word", precision=0, minimum=0, elem_id="codebook-word")
                which = gr.Slider(1, use.KEPT, 1, step=1, label="Picture", elem_id="codebook-picture")
            lit = picture_output("Where the word falls", elem_id="codebook-lit")
    gr.Markdown("### A map of the words\nPrincipal axes at once, UMAP when it is done; point at a word to see it.")
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=260):
            colouring = gr.Radio(list(usage_plots.COLOURINGS), value="mean colour", label="Coloured by")
            dimensions = gr.Radio([2, 3], value=2, label="Dimensions")
            most = gr.Slider(500, words.MOST, 2000, step=500, label="At most so many words")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
            draw = controls("Draw the map", name="codebook-map-of")
            lens = gr.HTML(
                label="The word", js_on_load=FOLLOW_POINTER, apply_default_css=False, elem_id="codebook-lens"
            )
        with gr.Column(scale=9, min_width=320):
            plot = gr.Plot(label="Map", show_label=False, elem_id="codebook-map")
    with gr.Row():
        save = gr.Button("Prepare plots and tables for download", size="sm", elem_id="codebook-save")
        saved = gr.File(label="HTML and CSV", file_count="multiple", interactive=False, height=150, visible=False)

    def count(
        model: str,
        files: list[str] | None,
        folder: str,
        limit: float,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio hands in the bar by this default
    ) -> Iterator[tuple[object, ...]]:
        yield from _count(_places(context, files, folder), model, int(limit), shown_progress(progress))

    def shown(
        picture: str | None, model: str, files: list[str] | None, folder: str, limit: float, progress: Progress
    ) -> Iterator[tuple[object, ...]]:
        places = _places(context, files, folder, picture)
        yield from _count(places, model, int(limit), progress)

    results = [table, rank, growth, shapes, scales, bars, word, counted]
    gr.Button(visible=False).click(
        shown_errors(count),
        [model, files, folder, limit],
        results,
        api_name="usage",
        api_description="Count the words a model uses on pictures, shards or the examples.",
        **context.model_work,
    )
    picture = context.the_picture()
    counting = live(
        context, run, shown, [picture, model, files, folder, limit], results, wants=[picture, model, files, limit]
    )
    counting.then(_fullest, [counted, word], which, **context.at_once)
    bars.select(_picked, counted, [word, which], **context.at_once)
    gr.on(
        [word.change, which.change],
        shown_errors(_light),
        [counted, word, which],
        lit,
        trigger_mode="always_last",
        **context.at_once,
    )
    apart = {"concurrency_id": "map", "concurrency_limit": 1}
    live(context, draw, _map, [counted, colouring, dimensions, most, seed], [plot, lens], wants=[], work=apart)
    save.click(shown_errors(_save), counted, saved, api_visibility="private")


def _places(context: Context, files: list[str] | None, folder: str | None, picture: str | None = None) -> list[Path]:
    """What is counted: the uploads and the folder, or the picture of the page and the examples."""
    places = [Path(file) for file in files or ()]
    if folder and folder.strip():
        places.append(context.folder(folder))
    mine = [Path(picture)] if picture and not example_name(picture) else []
    return places or mine + context.examples()


def _count(places: list[Path], model: str, limit: int, progress: Progress) -> Iterator[tuple[object, ...]]:
    """Answers of the tab while the pictures are counted, and the last one when they are."""
    tokenizer = load_tokenizer(model)
    shown = 0.0
    for report in use.stream_usage(open_source(places), tokenizer, limit=limit):
        last = report.met == report.total
        progress(report.met / report.total, f"{report.met:,} of {report.total:,} pictures")
        if report.pictures and (last or time.monotonic() - shown > _PAUSE):
            yield _answer(report, model, tokenizer if last else None)
            shown = time.monotonic()


def _answer(report: use.UsageReport, model: str, tokenizer: Tokenizer | None) -> tuple[object, ...]:
    """Everything a count shows; the decoded words only at its end."""
    plots = {plot.name: plot.figure for plot in usage_plots.usage_plots(report)}
    scales = gr.Plot(plots.get("scales"), visible="scales" in plots)
    shown = (_table(report), plots["rank-frequency"], plots["words-seen"], plots.get("shapes"), scales)
    if tokenizer is None:
        return (*shown, gr.skip(), gr.skip(), gr.skip())
    top, counts = (column[:_TOP] for column in report.counter.ranked())
    patches = words.decode_words(top, tokenizer)
    return (*shown, words_html(top, counts, report.counter.tokens, patches), int(top[0]), Counted(model, report))


def _table(report: use.UsageReport) -> dict[str, object]:
    summary = report.counter.summary()
    rows = [
        ("Pictures", f"{report.met:,} of {report.total:,}", f"{summary.tokens:,} tokens"),
        (
            "Words seen",
            f"{summary.words:,}",
            f"{summary.share:.2%} of {summary.size:,}; even use: {summary.expected_words:,.0f}",
        ),
        ("Entropy", f"{summary.entropy_bits:.3f} bits", f"a token; even use: {summary.expected_entropy_bits:.3f}"),
        (
            "Perplexity",
            f"{summary.perplexity:,.0f}",
            f"as varied as so many words; even use: {summary.expected_perplexity:,.0f}",
        ),
        ("Gini", f"{summary.gini:.4f}", "0 for even use of all words, near 1 for few"),
    ]
    if report.passed_over:
        rows.append(("Passed over", f"{len(report.passed_over)}", report.passed_over[0][1]))
    return cells(rows, report.row())


def _picked(event: gr.EventData, counted: Counted | None) -> tuple[int, gr.Slider]:
    """The word of a bar, and the picture in which it falls most often."""
    word = int(event.word)
    return word, _fullest(counted, word)


def _fullest(counted: Counted | None, word: float | None) -> gr.Slider:
    """The picture in which a word falls most often, of those that there are."""
    kept = counted.report.kept if counted else ()
    falls = [int((picture.indices == int(word or 0)).sum()) for picture in kept]
    # A slider needs two ends, so one picture stands at both.
    return gr.Slider(value=int(np.argmax(falls)) + 1 if falls else 1, maximum=max(len(kept), 2))


def _light(counted: Counted | None, word: float | None, which: float) -> np.ndarray | None:
    if counted is None or word is None or not counted.report.kept:
        return None
    kept = counted.report.kept
    return use.highlight(kept[min(int(which), len(kept)) - 1], int(word))


def _map(
    counted: Counted | None, colouring: str, dimensions: int, most: float, seed: float | None, progress: Progress
) -> Iterator[tuple[object, str]]:
    """The map by principal axes, and then by UMAP."""
    if counted is None:
        raise InputError("count some pictures first: the map shows the words that were used")
    tokenizer = load_tokenizer(counted.model)
    quantizer = counted.report.quantizer
    names = [shape.name for shape in view_code(quantizer).shapes] if quantizer in CODES else []
    ranked = counted.report.counter.ranked()
    plain = words.map_words(*ranked, tokenizer, most=int(most), dimensions=int(dimensions), seed=int(seed or 0))
    sheet = lens_html(plain.patches)
    yield usage_plots.map_plot(plain, colouring=colouring, shape_names=names).figure, sheet
    progress(0.2, "UMAP")
    fine = words.with_umap(plain, tokenizer, seed=int(seed or 0))
    yield usage_plots.map_plot(fine, colouring=colouring, shape_names=names).figure, sheet


def _save(counted: Counted | None) -> gr.File:
    if counted is None:
        raise InputError("count some pictures first")
    folder = Path(tempfile.mkdtemp(dir=get_upload_folder()))
    files = usage_plots.save_plots(usage_plots.usage_plots(counted.report), folder)
    return gr.File([str(path) for path in files], visible=True)
