"""Plots of how a codebook is used, each with the table behind it, to be seen, turned and saved as HTML and CSV."""

__all__ = ["Plot", "curve_plot", "map_plot", "save_plots", "usage_plots"]

import csv
import io
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workbench import atomic
from workbench.errors import InputError
from workbench.metrics.usage import expected_ranks, expected_words
from workbench.tasks.explore.usage import UsageReport
from workbench.tasks.explore.words import WordMap
from workbench.tasks.plots.figures import ACCENT, INK, SHAPE_COLOURS, dress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_EVEN = "#d98e1c"
COLOURINGS = ("use", "shape", "mean colour")


@dataclass(frozen=True)
class Plot:
    """A figure and its table.

    Attributes:
        name: A word for file names.
        figure: The plotly figure.
        columns: Heads of the table.
        rows: Its rows.
    """

    name: str
    figure: "Figure" = field(repr=False)
    columns: Sequence[str]
    rows: Sequence[Sequence[object]] = field(repr=False)


def usage_plots(report: UsageReport) -> list[Plot]:
    """The plots of a report: rank and frequency, growth, shapes where there are any, scales where there are any."""
    plots = [_rank(report), _growth(report)]
    if report.shapes:
        plots.append(_shapes(report))
    if report.scales:
        plots.append(_scales(report))
    return plots


def save_plots(plots: Sequence[Plot], folder: Path) -> list[Path]:
    """Write each plot as `NAME.html`, which needs no network, and `NAME.csv`; returns the files.

    Raises:
        InputError: if the folder cannot be written.
    """
    written = []
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for plot in plots:
            page, table = folder / f"{plot.name}.html", folder / f"{plot.name}.csv"
            atomic.write_text(page, plot.figure.to_html(include_plotlyjs=True, full_html=True))
            text = io.StringIO()
            writer = csv.writer(text, lineterminator="\n")
            writer.writerow(plot.columns)
            writer.writerows(plot.rows)
            atomic.write_text(table, text.getvalue())
            written += [page, table]
    except OSError as error:
        raise InputError(f"cannot write into {folder}: {error.strerror}") from error
    return written


def _rank(report: UsageReport) -> Plot:
    from plotly import graph_objects as go

    ranks, counts = report.counter.rank_frequency()
    even_ranks, even_counts = expected_ranks(report.counter.size, report.counter.tokens)
    figure = go.Figure()
    figure.add_scatter(x=ranks, y=counts, name=report.model, mode="lines", line={"color": ACCENT, "width": 2.5})
    figure.add_scatter(
        x=even_ranks, y=even_counts, name="even use", mode="lines", line={"color": _EVEN, "width": 2, "dash": "dot"}
    )
    figure.update_xaxes(type="log", dtick=1)
    figure.update_yaxes(type="log", dtick=1)
    figure = dress(figure, title="How often the word of each rank is used", x="rank", y="tokens")
    rows = [["found", r, c] for r, c in zip(ranks.tolist(), counts.tolist(), strict=True)]
    rows += [["even use", r, c] for r, c in zip(even_ranks.tolist(), even_counts.tolist(), strict=True)]
    return Plot("rank-frequency", figure, ("curve", "rank", "tokens"), rows)


def _growth(report: UsageReport) -> Plot:
    from plotly import graph_objects as go

    size = report.counter.size
    tokens, words = (np.array(axis) for axis in zip(*report.counter.growth, strict=True))
    even = [expected_words(size, int(n)) for n in tokens]
    figure = go.Figure()
    mode = "lines" if len(tokens) > 1 else "markers"
    figure.add_scatter(x=tokens, y=words, name=report.model, mode=mode, line={"color": ACCENT, "width": 2.5})
    figure.add_scatter(x=tokens, y=even, name="even use", mode=mode, line={"color": _EVEN, "width": 2, "dash": "dot"})
    figure = dress(figure, title=f"Words seen, of {size:,}", x="tokens counted", y="words")
    rows = [list(row) for row in zip(tokens.tolist(), words.tolist(), even, strict=True)]
    return Plot("words-seen", figure, ("tokens", "words", "words_expected_of_even_use"), rows)


def _shapes(report: UsageReport) -> Plot:
    from plotly import graph_objects as go

    names = [shape.name for shape in report.shapes]
    of_code = [shape.use.share_of_code for shape in report.shapes]
    of_tokens = [shape.use.share_of_tokens for shape in report.shapes]
    figure = go.Figure()
    colours = [SHAPE_COLOURS[i % len(SHAPE_COLOURS)] for i in range(len(names))]
    for name, shares, look in (
        ("share of the code", of_code, {"marker_color": INK, "opacity": 0.55}),
        ("share of the tokens", of_tokens, {"marker_color": colours}),
    ):
        text = [f"{share:.1%}" for share in shares]
        figure.add_bar(x=names, y=shares, name=name, text=text, textposition="outside", cliponaxis=False, **look)
    figure.update_yaxes(tickformat=".0%", range=[0, 1.15 * max(*of_code, *of_tokens)])
    figure = dress(figure, title="Use by shape", y="share")
    figure.update_layout(bargap=0.3, barmode="group")
    rows = [
        [s.name, s.use.size, s.use.words, s.use.tokens, a, b]
        for s, a, b in zip(report.shapes, of_code, of_tokens, strict=True)
    ]
    return Plot("shapes", figure, ("shape", "words", "words_seen", "tokens", "share_of_code", "share_of_tokens"), rows)


def _scales(report: UsageReport) -> Plot:
    from plotly import graph_objects as go

    summaries = [(scale, counter.summary()) for scale, counter in report.scales.items()]
    names = [f"{scale}×{scale}" for scale, _ in summaries]
    figure = go.Figure()
    figure.add_bar(x=names, y=[s.entropy_bits for _, s in summaries], name="entropy", marker_color=ACCENT)
    figure.add_bar(
        x=names, y=[s.expected_entropy_bits for _, s in summaries], name="even use", marker_color=_EVEN, opacity=0.7
    )
    figure = dress(figure, title="Entropy at each scale, coarse to fine", x="grid", y="bits a token")
    columns = ("scale", "tokens", "words", "entropy_bits", "expected_entropy_bits", "perplexity", "gini")
    rows = [
        [scale, s.tokens, s.words, s.entropy_bits, s.expected_entropy_bits, s.perplexity, s.gini]
        for scale, s in summaries
    ]
    return Plot("scales", figure, columns, rows)


def curve_plot(curve: Sequence[Mapping[str, float]], *, title: str) -> Plot:
    """Use of the codebook over training, from the evaluations in a run's log."""
    from plotly import graph_objects as go

    steps = [point["step"] for point in curve]
    figure = go.Figure()
    figure.add_scatter(x=steps, y=[p["words"] for p in curve], name="words", line={"color": ACCENT, "width": 2.5})
    figure.add_scatter(
        x=steps, y=[p["entropy_bits"] for p in curve], name="entropy", yaxis="y2", line={"color": _EVEN, "width": 2.5}
    )
    figure = dress(figure, title=title, x="step", y="words")
    figure.update_layout(
        yaxis2={"overlaying": "y", "side": "right", "title": {"text": "bits a token"}, "showgrid": False}
    )
    rows = [[p["step"], p["words"], p["entropy_bits"]] for p in curve]
    return Plot("training", figure, ("step", "words", "entropy_bits"), rows)


def map_plot(view: WordMap, *, colouring: str = "use", shape_names: Sequence[str] = ()) -> Plot:
    """The map of words, coloured by use, by shape or by the mean colour of what each decodes to.

    Every point carries its place in the sheet of patches, so that a page can show the patch of the point under the
    pointer.

    Raises:
        InputError: if the colouring is unknown.
    """
    from plotly import graph_objects as go

    if colouring not in COLOURINGS:
        raise InputError(f"words are coloured by {', '.join(COLOURINGS)}; got {colouring!r}")
    flat = view.points.shape[1] == 2
    make = go.Scattergl if flat else go.Scatter3d
    names = [shape_names[shape] if shape < len(shape_names) else "words" for shape in view.shapes]
    hover = "word %{customdata[1]:,}<br>%{customdata[2]:,} tokens<br>%{customdata[3]}<extra></extra>"
    custom = np.array([range(len(view.words)), view.words, view.counts, names], dtype=object).T
    figure = go.Figure()
    groups: list[tuple[str, np.ndarray, Any]] = [("words", np.arange(len(view.words)), None)]
    if colouring == "shape":
        groups = [
            (
                names[np.flatnonzero(view.shapes == s)[0]],
                np.flatnonzero(view.shapes == s),
                SHAPE_COLOURS[s % len(SHAPE_COLOURS)],
            )
            for s in np.unique(view.shapes)
        ]
    for name, rows, colour in groups:
        marker: dict[str, Any] = {"size": 5 if flat else 2.5, "opacity": 0.85, "line": {"width": 0}}
        if colouring == "use":
            bar = {
                "title": {"text": "tokens"},
                "tickvals": [0, 1, 2, 3, 4, 5],
                "ticktext": ["1", "10", "100", "1k", "10k", "100k"],
            }
            marker |= {
                "color": np.log10(view.counts[rows]),
                "colorscale": "Viridis",
                "colorbar": bar | {"thickness": 12},
            }
        elif colouring == "shape":
            marker["color"] = colour
        else:
            marker["color"] = [f"rgb({r},{g},{b})" for r, g, b in view.colours[rows].tolist()]
        axes = dict(zip("xyz", view.points[rows].T, strict=False))
        figure.add_trace(
            make(**axes, mode="markers", name=name, marker=marker, customdata=custom[rows], hovertemplate=hover)
        )
    figure = dress(figure, title=f"{len(view.words):,} of the words that were used, by {view.method}", height=560)
    figure.update_layout(showlegend=colouring == "shape")
    blank = {"showticklabels": False, "title": ""}
    if flat:
        figure.update_xaxes(**blank)
        figure.update_yaxes(**blank, scaleanchor="x")
    else:
        axis = blank | {"showbackground": False, "gridcolor": "rgba(128, 134, 160, 0.25)"}
        figure.update_layout(scene={"xaxis": axis, "yaxis": axis, "zaxis": axis}, margin={"l": 0, "r": 0, "b": 0})
    table = [
        [word, count, name, *point]
        for word, count, name, point in zip(
            view.words.tolist(), view.counts.tolist(), names, view.points.tolist(), strict=True
        )
    ]
    return Plot("map", figure, ("word", "tokens", "shape", *"xyz"[: view.points.shape[1]]), table)
