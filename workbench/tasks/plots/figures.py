"""Plots of what was explored, as plotly figures: they turn and zoom in the app and in notebooks, and save as HTML.

Backgrounds are clear and inks of middle lightness, so that one figure reads on paper and on a dark page.
"""

__all__ = ["ACCENT", "INK", "SHAPE_COLOURS", "dress", "least_distance_plot", "projection_plot", "spectrum_plot"]

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from workbench.tasks.explore.code import CodeView, Projection
from workbench.tasks.explore.family import CodeReport

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

INK = "#8086a0"
GRID = "rgba(128, 134, 160, 0.25)"
ACCENT = "#5463e0"
# By shape, in the order of `shapes`; then what is mixed.
SHAPE_COLOURS = ("#5463e0", "#d98e1c", "#2a9d8f", "#c0567f", "#7a9e3b", "#8a63c9", "#b5542f", "#4b8fb8", "#9a8f4a")
_MIXED = "#9aa0b5"


def dress(figure: "Figure", *, title: str, x: str | None = None, y: str | None = None, height: int = 420) -> "Figure":
    """Give a figure the look of the workbench."""
    axis = {"gridcolor": GRID, "zerolinecolor": GRID, "linecolor": GRID, "title_standoff": 10}
    figure.update_layout(
        title={"text": title, "font": {"size": 15}, "x": 0, "xanchor": "left", "xref": "paper"},
        font={"family": "IBM Plex Sans, system-ui, sans-serif", "color": INK, "size": 13},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 20, "t": 50, "b": 50},
        height=height,
        legend={"bgcolor": "rgba(0,0,0,0)", "orientation": "h", "y": -0.18},
        hoverlabel={"font": {"family": "IBM Plex Mono, monospace"}},
    )
    figure.update_xaxes(**axis, title_text=x)
    figure.update_yaxes(**axis, title_text=y)
    return figure


def spectrum_plot(view: CodeView) -> "Figure":
    """Bars of how many words stand at which angle to one word, on a logarithmic axis."""
    from plotly import graph_objects as go

    products = np.array(list(view.spectrum), dtype=np.float64)
    counts = list(view.spectrum.values())
    angles = np.degrees(np.arccos(np.clip(products / view.norm_squared, -1, 1)))
    labels = [f"{angle:.4g}°" for angle in angles]
    figure = go.Figure(
        go.Bar(
            x=labels,
            y=counts,
            text=[f"{count:,}" for count in counts],
            textposition="outside",
            cliponaxis=False,
            marker_color=[SHAPE_COLOURS[1] if 0 < angle < 59.99 else ACCENT for angle in angles],
            customdata=list(view.spectrum),
            hovertemplate="%{y:,} words at %{x}<br>inner product %{customdata} of "
            + str(view.norm_squared)
            + "<extra></extra>",
        )
    )
    figure.update_yaxes(type="log", range=[-0.2, np.log10(max(counts)) + 0.7], dtick=1)
    figure.update_xaxes(type="category")
    return dress(figure, title=f"What word {view.index:,} of {view.name} sees", x="angle", y="words")


def projection_plot(view: Projection, *, names: Mapping[int, str], title: str) -> "Figure":
    """Points in space that can be turned, as large as the words that fall there are many."""
    from plotly import graph_objects as go

    figure = go.Figure()
    largest = max(int(view.counts.max()), 1)
    for shape in sorted(set(view.shape.tolist()), key=lambda s: (s < 0, s)):
        here = view.shape == shape
        counts = view.counts[here]
        figure.add_trace(
            go.Scatter3d(
                **dict(zip("xyz", view.points[here].T, strict=True)),
                mode="markers",
                name=names.get(shape, "several shapes"),
                marker={
                    "size": 3 + 24 * np.sqrt(counts / largest) if largest > 1 else 2.5,
                    "color": _MIXED if shape < 0 else SHAPE_COLOURS[shape % len(SHAPE_COLOURS)],
                    "opacity": 0.85,
                    "line": {"width": 0},
                },
                customdata=counts,
                hovertemplate="%{customdata:,} words at (%{x:.3f}, %{y:.3f}, %{z:.3f})<extra>%{fullData.name}</extra>",
            )
        )
    dress(figure, title=title, height=560)
    axis = {"showbackground": False, "showgrid": False, "zerolinecolor": INK, "title": "", "showticklabels": False}
    figure.update_layout(
        scene={
            **dict.fromkeys(("xaxis", "yaxis", "zaxis"), axis),
            "aspectmode": "data",
            "camera": {"eye": {"x": 0.9, "y": 0.75, "z": 0.6}},
        },
        margin={"l": 0, "r": 0, "t": 50, "b": 0},
        legend={"y": 0.0, "itemsizing": "constant"},
    )
    return figure


def least_distance_plot(reports: Sequence[CodeReport]) -> "Figure":
    """Bars of the least distance of each code, longest first; hatched where it is an upper bound only."""
    from plotly import graph_objects as go

    ranked = sorted((r for r in reports if r.min_distance is not None), key=lambda r: r.min_distance or 0.0)
    figure = go.Figure(
        go.Bar(
            x=[r.min_distance for r in ranked],
            y=[r.name for r in ranked],
            orientation="h",
            text=[f"{'' if r.min_distance_exact else '≤ '}{r.min_distance:.4f}" for r in ranked],
            textposition="auto",
            marker={
                "color": [SHAPE_COLOURS[1] if r.name == "leech-published" else ACCENT for r in ranked],
                "pattern": {"shape": ["" if r.min_distance_exact else "/" for r in ranked]},
            },
            customdata=[f"{r.size:,} words in {r.dimension} dimensions<br>{r.min_distance_how}" for r in ranked],
            hovertemplate="%{y}: %{x:.5f}<br>%{customdata}<extra></extra>",
        )
    )
    figure.update_xaxes(range=[0, 1.5])
    figure = dress(
        figure, title="Least distance of two words, on the unit sphere", x="δ_min", height=120 + 32 * len(ranked)
    )
    figure.update_layout(margin={"l": 120})
    return figure
