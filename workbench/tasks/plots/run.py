"""Curves of a training run: loss, quality on pictures it does not train on, and use of the codebook."""

__all__ = ["loss_plot", "quality_plot"]

from typing import TYPE_CHECKING

import numpy as np

from workbench.tasks.plots.figures import ACCENT, INK, dress
from workbench.tasks.runs.runs import RunState

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

_HEIGHT = 320
_POINTS = 500  # of a curve: more than the page has pixels for


def loss_plot(state: RunState) -> "Figure":
    """The loss of the lines of the log, of a long one each mean of several, and its running mean."""
    from plotly import graph_objects as go

    points = np.array(state.losses, dtype=np.float64).reshape(-1, 2)
    several = max(-(-len(points) // _POINTS), 1)
    whole = len(points) // several * several
    steps, losses = points[:whole].reshape(-1, several, 2).mean(axis=1).T
    figure = go.Figure()
    few = "lines+markers" if len(losses) < 30 else "lines"  # one point alone makes no line
    figure.add_scatter(x=steps, y=losses, name="loss", mode=few, line={"color": INK, "width": 1})
    if len(losses) >= 10:
        width = max(len(losses) // 20, 5)
        smooth = np.convolve(losses, np.ones(width) / width, mode="valid")
        figure.add_scatter(
            x=steps[width - 1 :], y=smooth, name=f"mean of {width}", mode="lines", line={"color": ACCENT, "width": 2.5}
        )
    figure = dress(figure, title="Loss", x="step", y="mean absolute error", height=_HEIGHT)
    return figure.update_yaxes(rangemode="tozero")


def quality_plot(state: RunState) -> "Figure":
    """PSNR on the example pictures, and words used there, at each evaluation."""
    from plotly import graph_objects as go

    steps = [point["step"] for point in state.evaluations]
    figure = go.Figure()
    figure.add_scatter(
        x=steps, y=[p["psnr"] for p in state.evaluations], name="PSNR", mode="lines+markers", line={"color": ACCENT}
    )
    figure.add_scatter(
        x=steps,
        y=[p["words"] for p in state.evaluations],
        name="words used",
        mode="lines+markers",
        line={"color": "#d98e1c", "dash": "dot"},
        yaxis="y2",
    )
    figure = dress(figure, title="On the example pictures", x="step", y="dB", height=_HEIGHT)
    figure.update_layout(
        yaxis2={
            "overlaying": "y",
            "side": "right",
            "showgrid": False,
            "rangemode": "tozero",
            "title": {"text": "words"},
        }
    )
    return figure
