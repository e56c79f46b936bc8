"""The rate–distortion page: curves that can be pointed at and zoomed, and crops at equal file size, in one HTML file.

The file needs no network: plotly's script and the pictures stand in it.
"""

__all__ = ["rate_figure", "write_page"]

import base64
import html
import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from PIL import Image

from workbench import atomic
from workbench.errors import InputError, WorkbenchError
from workbench.tasks.evaluate.rate_distortion import OURS, RateDistortion, Sides

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_LABELS = {
    "bpp": "bpp",
    "psnr": "PSNR (dB)",
    "ssim": "SSIM",
    "ms_ssim": "MS-SSIM",
    "encoding_mpx_per_second": "encoding (Mpx/s)",
    "decoding_mpx_per_second": "decoding (Mpx/s)",
}
_KEYS = ("psnr-rgb", "ms-ssim-rgb", "ms-ssim", "bpp", "encoding_mpx_per_second", "decoding_mpx_per_second")


def rate_figure(result: RateDistortion) -> "Figure":
    """Curves of every measure against bits per pixel, one diagram a measure.

    Raises:
        InputError: if plotly is not installed.
    """
    try:
        from plotly.graph_objects import Scatter
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise InputError("a plot needs plotly: pip install 'lambda24-workbench[app]', or leave --plot away") from error
    measures = [name for name in result.curves[0].results if name not in _KEYS]
    figure = make_subplots(rows=1, cols=len(measures), subplot_titles=[_label(name) for name in measures])
    colours = ("#0f766e", "#b45309", "#7c3aed", "#be123c", "#1d4ed8", "#4d7c0f", "#525252", "#0e7490")
    for number, curve in enumerate(result.curves):
        own = curve.name.startswith(OURS)
        for column, name in enumerate(measures, start=1):
            figure.add_trace(
                Scatter(
                    x=list(curve.results["bpp"]),
                    y=list(curve.results[name]),
                    name=curve.name,
                    legendgroup=curve.name,
                    showlegend=column == 1,
                    mode="lines+markers",
                    marker={"size": 10 if own else 6, "symbol": "star" if own else "circle"},
                    line={"color": colours[number % len(colours)], "width": 3 if own else 1.5},
                    hovertemplate="%{y:.4g} at %{x:.3f} bpp",
                ),
                row=1,
                col=column,
            )
    figure.update_xaxes(title_text="bits per pixel", type="log")
    figure.update_layout(template="plotly_white", height=480, margin={"l": 50, "r": 20, "t": 50, "b": 50})
    return figure


def write_page(result: RateDistortion, path: Path, *, force: bool = False) -> None:
    """Write the page: whole or not at all.

    Raises:
        InputError: if the file exists and `force` is off, or plotly is not installed.
        WorkbenchError: if it cannot be written.
    """
    if path.exists() and not force:
        raise InputError(f"{path} exists: add --force to replace it, or write somewhere else")
    plot = rate_figure(result).to_html(full_html=False, include_plotlyjs=True)
    crops = "\n".join(_crop(side) for side in result.sides)
    rows = "\n".join(
        f"<tr><td>{html.escape(row.ours)}</td><td>{html.escape(row.other)}</td><td>{row.too_large}</td>"
        + "".join(f"<td>{_number(a)} · {_number(b)}</td>" for a, b in row.measures.values())
        + "</tr>"
        for row in result.matched
    )
    measures: Mapping[str, object] = result.matched[0].measures if result.matched else {}
    heads = "".join(f"<th>{html.escape(_label(name))}</th>" for name in measures)
    page = f"""<!doctype html>
<html lang="en"><meta charset="utf-8"><title>Rate and distortion</title>
<style>
body {{ font: 15px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 1200px; padding: 0 1rem; }}
figure {{ display: inline-block; margin: .5rem; }} figcaption {{ font-size: 13px; }}
table {{ border-collapse: collapse; }}
td, th {{ border-bottom: 1px solid #ccc; padding: .2rem .7rem; text-align: left; }}
</style>
<h1>Rate and distortion</h1>
<p>{html.escape(result.protocol)}.</p>
{plot}
<h2>At equal file size: ours · theirs</h2>
<table><tr><th>ours</th><th>other</th><th>pictures it cannot make so small</th>{heads}</tr>
{rows}
</table>
<h2>One picture at equal file size</h2>
{crops}
</html>
"""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, page)
    except OSError as error:
        raise WorkbenchError(f"cannot write {path}: {error.strerror or error}") from error


def _label(name: str) -> str:
    return _LABELS.get(name, f"{name} distance")


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.4g}"


def _crop(side: Sides) -> str:
    """A crop as a figure, at twice its size, with the picture inside the page."""
    content = io.BytesIO()
    Image.fromarray(side.crop).save(content, format="PNG")
    picture = base64.b64encode(content.getvalue()).decode()
    height, width = side.crop.shape[:2]
    return (
        f'<figure><img src="data:image/png;base64,{picture}" width="{2 * width}" height="{2 * height}" '
        f'alt="{html.escape(side.title)}"><figcaption>{html.escape(side.title)}</figcaption></figure>'
    )
