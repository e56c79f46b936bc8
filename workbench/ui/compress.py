"""The Compress tab: a picture becomes a .leech file and comes back, beside what other codecs make of as many bytes."""

__all__ = ["build"]

import functools
import math
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gradio as gr
import numpy as np
from gradio.utils import get_upload_folder

from workbench import hub
from workbench.coding.container import OVERHEAD
from workbench.coding.tables import load_tables
from workbench.errors import ContainerError, InputError, UnknownModelError, WorkbenchError
from workbench.images.files import Picture, read_picture
from workbench.metrics.distortion import psnr
from workbench.models import load as catalogue
from workbench.progress import Progress
from workbench.tasks.compress.baselines import AtSize, compare_at_size, curve_plot, our_curve, picture_curves
from workbench.tasks.compress.codec import Codec, codec_for, qualities
from workbench.tasks.compress.picture import (
    SUFFIX,
    TRADE,
    Compressed,
    compress_image,
    decompress_image,
    describe,
)
from workbench.ui.context import Context, effort_choice, shown_errors, shown_progress
from workbench.ui.figures import cells, figures_table
from workbench.ui.live import by_example, controls, live
from workbench.ui.look import intro
from workbench.ui.pictures import only_uploads, picture_output
from workbench.ui.viewer import item, shown, viewer

_BEST = "best"
_ENTROPIES = (_BEST, "context", "static", "fixed")
_SIDE = 768  # pixels a side of what is compared at most: six codecs take their time, and the page holds six pictures
_FACTS = (
    ("model", "Model", "the network that made it; another one is refused"),
    ("model_hash", "Weights", "first 8 bytes of their SHA-256"),
    ("codebook_hash", "Codebook", "first 8 bytes of its SHA-256: the order of the words is a promise"),
    ("tables_digest", "Tables", "of the entropy model; zero where it has none"),
)


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    intro(
        "How small is a picture in codewords?",
        "Tokens are bits. Written one after the other, by how likely each one is, they make a file that gives the same "
        "tokens on every machine, or is refused. Transparency is laid on white first.",
    )
    picture = context.the_picture()
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            rate, entropy, effort, trade = _settings()
            run = controls("Compress", name="compress")
            file = gr.File(label=f"The {SUFFIX} file", interactive=False, height=90, elem_id="compress-file")
        with gr.Column(scale=8, min_width=320):
            pictures = viewer("The picture, the file and other codecs of as many bytes", elem_id="compress-viewer")
            figures = figures_table("What it costs", elem_id="compress-figures")
    tried = controls("Try all rates", name="rates")
    plot = gr.Plot(label="Rate and distortion", show_label=False, elem_id="compress-plot")
    gr.on(None, _rates, None, rate, **context.at_once)
    gr.on(None, _entropies, rate, entropy, **context.at_once)
    gr.Button(visible=False).click(
        shown_errors(_encode),
        [picture, rate, entropy],
        [file, gr.ImageSlider(label="Before and after", format="png", type="filepath", visible=False), figures],
        api_name="encode",
        api_description=f"Compress a picture: the {SUFFIX} file, before and after, and the figures.",
        **context.model_work,
    )
    context.linked.update(rate=rate, entropy=entropy)
    asked = [picture, rate, entropy, effort, trade]
    live(context, run, _shown, asked, [file, pictures, figures], shared=by_example)
    live(context, tried, _tried, asked, [plot], wants=[], shared=by_example)
    _back_again(context)


def _settings() -> tuple[gr.Radio, gr.Radio, gr.Slider, gr.Slider]:
    """Lay out rate, entropy model, effort and λ."""
    rates = list(qualities())
    rate = gr.Radio(
        [(str(one), one) for one in rates],
        value=2 if 2 in rates else next(iter(rates), None),
        label="Rate",
        info="At most; the entropy model makes it less.",
        elem_id="compress-rate",
    )
    entropy = gr.Radio(
        list(_ENTROPIES),
        value=_BEST,
        label="Entropy model",
        info="How likely a codeword is: all alike (fixed), by counts (static), by its neighbours (context).",
        elem_id="compress-entropy",
    )
    with gr.Accordion("Search for better codewords", open=False, elem_id="compress-search"):
        effort = effort_choice(elem_id="compress-effort")
        trade = gr.Slider(
            0,
            0.06,
            value=TRADE,
            step=0.002,
            label="λ",
            info="What a bit is worth in that search: more gives smaller files and less detail.",
            elem_id="compress-lambda",
        )
    return rate, entropy, effort, trade


def _back_again(context: Context) -> None:
    """Lay out the way from a file to its picture."""
    intro("And back again", f"Drop a {SUFFIX} file. What is cut, changed, or made with another model gives no picture.")
    with gr.Row(equal_height=False):
        with gr.Column(scale=5, min_width=300):
            given = gr.File(
                label=f"A {SUFFIX} file", file_types=[SUFFIX], type="filepath", height=120, elem_id="decompress-input"
            )
            only_uploads(given)
            back = picture_output("The picture in it", height=360, elem_id="decompress-picture")
        with gr.Column(scale=7, min_width=320):
            facts = figures_table("What stands in it", elem_id="decompress-figures")
    given.clear(_nothing, None, [back, facts], **context.at_once)
    given.upload(_nothing, None, [back, facts], **context.at_once).then(
        shown_errors(_decode),
        given,
        [back, facts],
        api_name="decode",
        api_description=f"Turn a {SUFFIX} file back into the picture; also what stands in its header.",
        **context.model_work,
    )


# ---- what can be chosen


@functools.cache
def _bits_per_pixel(model: str) -> float | None:
    """Bits a pixel of a model's tokens where every word costs the same; None where that is not said."""
    row = next((entry.row() for entry in catalogue.tokenizers() if entry.name == model), {})
    bits, depth, factor = (row.get(name) for name in ("bits_per_token", "depth", "factor"))
    if not isinstance(bits, float) or not isinstance(depth, int) or not isinstance(factor, int):
        return None
    return bits * depth / factor**2


def _rates() -> gr.Radio:
    """The rungs of the ladder at hand, each with what it costs at most."""
    labels = {}
    for quality, model in qualities().items():
        bits = _bits_per_pixel(model)
        labels[quality] = model if bits is None else f"{bits:.2f} bits/pixel"
    return gr.Radio([(f"{quality} · {label}", quality) for quality, label in labels.items()])


def _entropies(quality: int | None) -> gr.Radio:
    """The entropy models that the model of a quality has tables for."""
    names: tuple[str, ...] = ("fixed",)
    try:
        tables = load_tables(hub.resolve(qualities()[quality])) if quality is not None else None
        names = tables.names if tables else names
    except (WorkbenchError, KeyError):  # what is wrong is said when it is asked for
        pass
    return gr.Radio([name for name in _ENTROPIES if name in (_BEST, *names)], value=_BEST)


# ---- a picture becomes a file


def _read(path: str | None) -> Picture:
    if path is None:
        raise InputError("choose a picture first: upload one, paste one, or take an example")
    return read_picture(path, name=Path(path).name)


def _codec(quality: int | None) -> Codec:
    if quality is None:
        raise InputError("choose a rate first")
    return codec_for(quality=quality)


def _entropy(chosen: str) -> str | None:
    return None if chosen == _BEST else chosen


def _encode(
    path: str | None,
    quality: int | None,
    entropy: str,
    progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio hands in the bar by this default
) -> tuple[object, ...]:
    """The answer of the endpoint to a picture, a rate and an entropy model."""
    picture = _read(path)
    file, _, back, table = _written(path, picture, _codec(quality), entropy, {"progress": shown_progress(progress)})
    return file, (picture.pixels, back), table


def _written(
    path: str | None, picture: Picture, codec: Codec, entropy: str, search: dict[str, Any]
) -> tuple[str, Compressed, np.ndarray, dict[str, object]]:
    """The file of a picture and what was written into it, the picture in it, and the figures."""
    result = compress_image(picture.pixels, codec, entropy=_entropy(entropy), **search)
    back = decompress_image(result.data, codec=codec)
    folder = Path(tempfile.mkdtemp(dir=get_upload_folder()))
    target = folder / f"{Path(str(path)).stem}{SUFFIX}"
    target.write_bytes(result.data)
    table = _costs(result, codec, picture, back.image, Path(str(path)).stat().st_size)
    return str(target), result, back.image, table


def _shown(
    path: str | None, quality: int | None, entropy: str, effort: float, trade: float, progress: Progress
) -> Iterator[tuple[object, ...]]:
    """What the tab shows: the file, and then what other codecs make of as many bytes."""
    picture, codec, name = _read(path), _codec(quality), Path(str(path)).stem
    whole = picture.pixels
    search = {"effort": int(effort), "trade": float(trade), "progress": progress}
    file, made, back, table = _written(path, picture, codec, entropy, search)
    size, image = len(made.data), _part(whole)
    part = "" if image.shape == whole.shape else "its middle, compressed by itself"
    ours = item(f"rate {quality}", back, f"{size:,} bytes, {psnr(whole, back):.2f} dB", file=f"{name}-rate-{quality}")
    original = item("original", whole, _pixels(whole), file=name)
    yield file, shown([original, ours], whole.shape[:2]), table
    kept = made if image.shape == whole.shape else None
    _, others = compare_at_size(image, codec, entropy=_entropy(entropy), ours=kept, **search)
    items = [item("original", image, part or _pixels(image), file=name)]
    items += [item(one.name, one.image, _note(one), file=f"{name}-{one.name}") for one in others]
    yield gr.skip(), shown(items, image.shape[:2]), gr.skip()


def _tried(
    path: str | None, quality: int | None, entropy: str, effort: float, trade: float, progress: Progress
) -> Iterator[tuple[object, ...]]:
    """Rate and distortion of this picture: every rate point at hand, the chosen one marked, and the other codecs."""
    image, rates = _part(_read(path).pixels), list(qualities())
    if quality not in rates:
        raise InputError("choose a rate first")
    progress(0.1, "our rates")
    codecs = [codec_for(quality=rate) for rate in rates]
    ours = our_curve(image, codecs, entropy=_entropy(entropy), effort=int(effort), trade=float(trade))
    progress(0.6, "other codecs")
    yield (curve_plot(ours, picture_curves(image), chosen=rates.index(quality)),)


def _costs(result: Compressed, codec: Codec, picture: Picture, back: np.ndarray, uploaded: int) -> dict[str, object]:
    """The figures of a file as the table shows them."""
    image = picture.pixels
    row, size, raw = result.row(), len(result.data), image.size
    quality, tokens = psnr(image, back), result.container.tokens
    rows = [
        ("File", f"{size:,} bytes", f"entropy model {result.container.entropy}, header included"),
        ("Ratio", f"{raw / size:.1f} : 1", f"to {raw:,} bytes of pixels; the file you gave has {uploaded:,}"),
        ("Bits per pixel", f"{row['bpp']:.4f}", "an uncompressed picture has 24"),
        ("Bits per token", f"{row['bits_per_token']:.3f}", f"{math.log2(codec.size):.3f} if all words cost the same"),
        ("Tokens", f"{tokens:,}", f"a grid of {_grid(result.container.shape)} for {_pixels(image)}"),
    ]
    for name in codec.entropies:
        if name != result.container.entropy:
            bits = codec.entropy_model(name).bits(result.indices)
            other = math.ceil(bits / 8) + size - len(result.container.payload)
            rows.append((f"With {name}", f"{other:,} bytes", "the same tokens by another entropy model"))
    rows += [
        ("PSNR", f"{quality:.2f} dB", "higher is better; 3 dB is half the squared error"),
        ("Time", f"{result.seconds:.2f} s", "tokenizer and coder, on this machine"),
    ]
    rows += [("Note", "", note) for note in picture.notes]
    row |= {"notes": list(picture.notes)} if picture.notes else {}
    return cells(rows, {**row, "psnr": quality if math.isfinite(quality) else None})


def _grid(shape: tuple[int, int, int]) -> str:
    depth, rows, columns = shape
    return f"{columns} × {rows}" + (f" × {depth} deep" if depth > 1 else "")


def _pixels(image: np.ndarray) -> str:
    return f"{image.shape[1]:,} × {image.shape[0]:,} pixels"


# ---- other codecs


def _part(image: np.ndarray) -> np.ndarray:
    """The picture, or its middle where it is larger than what is compared."""
    top, left = (max(side - _SIDE, 0) // 2 for side in image.shape[:2])
    return np.ascontiguousarray(image[top : top + _SIDE, left : left + _SIDE])


def _note(one: AtSize) -> str:
    return f"{one.bytes:,} bytes" + ("" if one.fits else ", its smallest") + f", {one.psnr:.2f} dB"


# ---- a file becomes a picture


def _nothing() -> tuple[None, dict[str, object]]:
    """No picture and no facts: what is shown never outlives its file."""
    return None, cells((), {})


def _decode(path: str | None) -> tuple[object, ...]:
    """The picture in a file and what its header says."""
    if path is None:
        raise InputError(f"choose a {SUFFIX} file first")
    try:
        result = decompress_image(Path(path))
    except UnknownModelError as error:
        said = str(error).partition(": ")[0]
        raise ContainerError(f"{said}: the command line decodes it where you say where the model is") from error
    container, size = result.container, Path(path).stat().st_size
    told = {**describe(container), "bytes": size, "bpp": 8 * size / (container.width * container.height)}
    header = OVERHEAD + len(container.model)
    rows = [
        ("Picture", f"{container.width:,} × {container.height:,}", "pixels"),
        ("Tokens", f"{container.tokens:,}", f"a grid of {_grid(container.shape)}"),
        ("File", f"{size:,} bytes", f"{header} of them header, name and check; {told['bpp']:.4f} bits a pixel"),
        ("Entropy model", container.entropy, "in integers only: the tokens are the same on every machine"),
        *((title, str(told[key]), note) for key, title, note in _FACTS),
        ("Time", f"{result.seconds:.2f} s", "coder and tokenizer, on this machine"),
    ]
    return result.image, cells(rows, told)
