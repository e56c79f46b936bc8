"""The Lattice tab: the Golay code and the Leech shell as things to pick up and turn."""

__all__ = ["build"]

from collections.abc import Iterable
from pathlib import Path

import gradio as gr
import numpy as np

from workbench.errors import InputError
from workbench.images.files import read_image
from workbench.models.load import load_tokenizer
from workbench.tasks.explore import code as codes
from workbench.tasks.explore import golay
from workbench.tasks.explore.patch import patch_vector
from workbench.tasks.plots import figures as plots
from workbench.ui.arrays import array_html, word_html
from workbench.ui.context import Context, shown_errors
from workbench.ui.figures import cells, figures_table
from workbench.ui.geometry import geometry_part
from workbench.ui.live import controls, live, once
from workbench.ui.look import intro

_VIEWS = {
    "Three octads": "sums over three octads that share no position",
    "Three positions": "three of the 24 numbers of a word",
    "Random directions": "three random directions, a sample",
}
_NUMBERS = "0 -1.2 0.3 2.1 0 0.4 -0.7 1.9 0.2 -2.2 0.1 0.8 -0.3 0 1.7 0.6 -0.1 -1.8 0.5 0.9 -2 0.2 1.1 -0.4"


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    intro(
        "What does the codebook look like?",
        "196,560 vectors in 24 dimensions, all of one length, none nearer than 60° to another, and no table needed: "
        "they follow from the Golay code. Pick positions, pick a word, drop in a vector, or turn the whole shell.",
    )
    with gr.Tabs():
        for title, name, part in (
            ("Golay code", "golay", _golay_part),
            ("Codewords", "codewords", _word_part),
            ("Nearest words", "nearest", _nearest_part),
            ("In space", "shell", _shell_part),
            ("Codes compared", "codes", geometry_part),
        ):
            with gr.Tab(title, id=name) as tab:
                part(context)
            context.seen.append(tab.select)


# ---- the Golay code


def _golay_part(context: Context) -> None:
    gr.Markdown(
        "Choose up to five of the 24 positions. Any five lie in exactly **one** octad; any four cut the 24 into a "
        "*sextet*, six fours of which any two form an octad."
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            chosen = gr.CheckboxGroup(
                [(str(p), int(p)) for p in golay.arrangement().flatten()],
                value=[0, 1, 2, 3],
                label="Positions",
                elem_id="golay-positions",
                elem_classes="golay-choice",
            )
            with gr.Row():
                draw = gr.Button("Five at random", size="sm")
                clear = gr.Button("Clear", size="sm")
        with gr.Column(scale=5, min_width=300):
            first_array, first_table = _golay([0, 1, 2, 3])
            array = gr.HTML(first_array, label="The code", elem_id="golay-array", apply_default_css=False)
            table = figures_table("What the positions determine", elem_id="golay-figures", value=first_table)
    chosen.change(
        shown_errors(_golay),
        chosen,
        [array, table],
        api_name="golay",
        api_description="What up to five positions of the Golay code determine: an octad, or a sextet.",
        queue=False,
        show_progress="hidden",
        trigger_mode="always_last",
    )
    draw.click(_five_positions, None, chosen, **context.at_once)
    clear.click(lambda: [], None, chosen, **context.at_once)


def _golay(positions: list[int]) -> tuple[str, dict[str, object]]:
    view = golay.view_positions(positions)
    kinds = dict.fromkeys(range(24), "")
    rows = [("Octads through them", f"{view.octads_through}", "of the 759; an octad is a word with eight ones")]
    if view.octad:
        kinds |= dict.fromkeys(view.octad, "octad")
        rows.append(("Octad", " ".join(map(str, view.octad)), "the only one that holds all five"))
        rows.append(("Complement", " ".join(map(str, view.complement or ())), "a word with sixteen ones"))
    for number, tetrad in enumerate(view.sextet or ()):
        kinds |= dict.fromkeys(tetrad, f"tetrad{number}")
        rows.append((f"Four {number + 1}", " ".join(map(str, tetrad)), "with any other of these: an octad"))
    kinds |= {p: f"{kinds[p]} chosen" for p in view.chosen}
    text = {p: str(p) for p in range(24)}
    facts = {"octads_through": view.octads_through, "octad": view.octad, "complement": view.complement}
    return array_html(text, kinds, caption="The 24 positions"), cells(rows, {**facts, "sextet": view.sextet})


def _five_positions() -> list[int]:
    return np.random.default_rng().permutation(24)[:5].tolist()


# ---- codewords


def _word_part(context: Context) -> None:
    gr.Markdown(
        "A codeword is 24 small integers of squared length 32. Seen from any word of the true shell the others stand "
        "at the same seven angles in the same numbers; in the published table, whose octads come from another Golay "
        "code, some stand nearer than 60°."
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            name = gr.Dropdown(list(codes.CODES), value="leech", label="Code", elem_id="word-code")
            index = gr.Number(0, label="Word", precision=0, minimum=0, maximum=196_559, elem_id="word-index")
            draw = gr.Button("A random word", size="sm")
            run = controls("Show", name="word")
            array = gr.HTML(label="The word", elem_id="word-array", apply_default_css=False)
        with gr.Column(scale=7, min_width=320):
            plot = gr.Plot(label="Inner products", show_label=False, elem_id="word-plot")
            table = figures_table("The code", elem_id="word-figures")
    gr.Button(visible=False).click(
        shown_errors(_word),
        [name, index],
        [array, plot, table],
        api_name="codeword",
        api_description="A word of a code, the shapes of the code and the inner products it has with all words.",
    )
    live(context, run, once(_word), [name, index], [array, plot, table])
    draw.click(_random_index, name, index, **context.at_once)


def _word(name: str, index: float | None) -> tuple[str, object, dict[str, object]]:
    view = codes.view_code(name, int(index or 0))
    shapes = [
        (s.name, f"{s.count:,}", f"{s.count / view.size:.1%} of the words, from index {s.first:,}") for s in view.shapes
    ]
    nearest = next(product for product in view.spectrum if product < view.norm_squared)
    angle = np.degrees(np.arccos(nearest / view.norm_squared))
    rows = [
        ("Words", f"{view.size:,}", f"{view.bits:.3f} bits an index, in {view.dimension} dimensions"),
        (
            "Nearest word",
            f"{angle:.4g}°",
            f"distance {view.least_distance:.4f}, {view.spectrum[nearest]:,} words there",
        ),
        *shapes,
        ("Fingerprint", view.fingerprint[:12], "SHA-256 of the table of integers"),
    ]
    facts = {
        "index": view.index,
        "word": view.word,
        "spectrum": {str(product): number for product, number in view.spectrum.items()},
        "least_distance": view.least_distance,
        "fingerprint": view.fingerprint,
    }
    array = word_html(view.word, caption=f"Word {view.index} of {name}") if view.dimension == 24 else _line(view.word)
    return array, plots.spectrum_plot(view), cells(rows, facts)


def _line(word: Iterable[int]) -> str:
    return f'<p class="word">{" ".join(str(v) for v in word)}</p>'


def _random_index(name: str) -> int:
    return int(np.random.default_rng().integers(codes.view_code(name).size))


# ---- the nearest words


def _nearest_part(context: Context) -> None:
    gr.Markdown(
        "Quantizing is finding the word nearest to a vector. Type 24 numbers or draw them, and see the winner, the "
        "runners-up, and what the search costs with and without the structure of the lattice."
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            vector = gr.Textbox(_NUMBERS, label="24 numbers", lines=4, max_lines=6, elem_id="nearest-vector")
            name = gr.Dropdown(["leech", "leech-published"], value="leech", label="Code")
            count = gr.Slider(1, 32, 8, step=1, label="Words to show")
            draw = gr.Button("Random numbers", size="sm")
            run = controls("Find", name="nearest")
            with gr.Accordion("Take the numbers from a picture", open=False, elem_id="nearest-from"):
                gr.Markdown("Click on the picture: the encoder turns the patch there into 24 numbers.")
                model = context.model_choice(elem_id="nearest-model")
                picture = gr.Image(
                    label="The picture", interactive=False, buttons=[], height=240, elem_id="nearest-picture"
                )
                with gr.Row():
                    x = gr.Number(320, label="Pixel from the left", precision=0, minimum=0, elem_id="nearest-x")
                    y = gr.Number(200, label="Pixel from the top", precision=0, minimum=0, elem_id="nearest-y")
                take = gr.Button("Take the patch", size="sm", elem_id="nearest-take")
        with gr.Column(scale=7, min_width=320):
            winner = gr.HTML(label="The nearest word", elem_id="nearest-array", apply_default_css=False)
            words = gr.Dataframe(
                headers=["index", "shape", "angle (°)", "cosine"],
                datatype=["number", "str", "number", "number"],
                label="Nearest words, best first",
                interactive=False,
                elem_id="nearest-words",
            )
            table = figures_table("What the search costs", elem_id="nearest-figures")
    live(context, run, once(_nearest), [vector, name, count], [winner, words, table])
    gr.Button(visible=False).click(
        shown_errors(_nearest),
        [vector, name, count],
        [winner, words, table],
        api_name="nearest",
        api_description="The codewords nearest to 24 numbers, with angles, and the time of both searches.",
        **context.model_work,
    )
    draw.click(_random_numbers, None, vector, **context.at_once)
    gr.on(None, _displayed, context.the_picture(), picture, **context.at_once)
    picture.select(_pointed, None, [x, y], **context.at_once)
    gr.on(
        [take.click, x.change, y.change],
        shown_errors(_patch),
        [context.the_picture(), model, x, y],
        vector,
        api_name="patch",
        api_description="The vector that a tokenizer's encoder gives the patch around a pixel.",
        trigger_mode="always_last",
        **context.model_work,
    )


def _displayed(path: str | None) -> np.ndarray | None:
    return None if path is None else read_image(path, name=Path(path).name)


def _pointed(event: gr.SelectData) -> tuple[int, int]:
    return int(event.index[0]), int(event.index[1])


def _patch(path: str | None, model: str, x: float | None, y: float | None) -> str:
    """The numbers of the patch around a pixel, as text."""
    if path is None:
        raise InputError("choose a picture first")
    image = read_image(path, name=Path(path).name)
    patch = patch_vector(image, load_tokenizer(model), x=int(x or 0), y=int(y or 0))
    return " ".join(f"{value:.4f}" for value in patch.vector)


def _nearest(text: str, name: str, count: float) -> tuple[str, list[list[object]], dict[str, object]]:
    found = codes.nearest_words(_numbers(text), name, count=int(count))
    best = found.words[0]
    rows = [
        ("By structure", f"{found.structured_us:,.1f} µs", "a vector: what the quantizer does"),
        ("Every word", f"{found.exhaustive_us:,.0f} µs", "a vector: 196,560 inner products"),
        ("Ratio", f"{found.exhaustive_us / found.structured_us:,.0f}×", "small batches, while the app runs"),
    ]
    facts = {"structured_us": found.structured_us, "exhaustive_us": found.exhaustive_us, "word": best.word}
    table = [[w.index, w.shape, round(w.angle, 2), round(w.cosine, 5)] for w in found.words]
    return word_html(best.word, caption=f"Word {best.index}"), table, cells(rows, facts)


def _numbers(text: str) -> list[float]:
    """Numbers from a text, separated by blanks or commas."""
    parts = (text or "").replace(",", " ").replace(";", " ").split()
    try:
        return [float(part) for part in parts]
    except ValueError as error:
        raise InputError(
            f"expected 24 numbers separated by blanks, but {str(error).partition(': ')[2]} is none"
        ) from error


def _random_numbers() -> str:
    return " ".join(f"{value:.3f}" for value in np.random.default_rng().normal(size=24))


# ---- the shell in space


def _shell_part(context: Context) -> None:
    gr.Markdown(
        "Twenty-four dimensions do not fit on a screen, but three directions of them do. Drag to turn, scroll to zoom; "
        "a point is as large as the words that fall on it are many."
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=3, min_width=260):
            view = gr.Radio(list(_VIEWS), value="Three octads", label="Seen along", elem_id="shell-view")
            name = gr.Dropdown(["leech", "leech-published", "leech2", "leech3", "leech4"], value="leech", label="Code")
            seed = gr.Number(0, label="Seed of the random directions", precision=0, minimum=0, maximum=2**31)
            run = controls("Show", name="shell")
        with gr.Column(scale=9, min_width=320):
            plot = gr.Plot(label="The shell", show_label=False, elem_id="shell-plot")
    live(context, run, once(_shell), [view, name, seed], [plot])
    gr.Button(visible=False).click(
        shown_errors(_shell),
        [view, name, seed],
        plot,
        api_name="shell",
        api_description="The words of a shell projected on three directions.",
    )


def _shell(view: str, name: str, seed: float | None) -> object:
    seed = int(seed or 0)
    projection = codes.project(name, _directions(view, seed), most=6000, seed=seed)
    shapes = dict(enumerate(shape.name for shape in codes.view_code(name).shapes))
    title = f"{projection.total:,} words on {len(projection.points):,} points: {_VIEWS[view]}"
    return plots.projection_plot(projection, names=shapes, title=title)


def _directions(view: str, seed: int) -> np.ndarray:
    """Three directions as columns, shape (24, 3)."""
    if view == "Three octads":
        array = golay.arrangement()
        return np.stack([np.isin(np.arange(24), array[:, 2 * k : 2 * k + 2]) for k in range(3)], axis=1).astype(float)
    if view == "Three positions":
        return np.eye(24)[:, golay.arrangement()[0, :3]]
    return np.random.default_rng(seed).normal(size=(24, 3))
