"""A sweep: one thing is changed at a time, and what follows is written down.

An *axis* is a question with settings, each a function that measures the figures of that setting. Axes are passed in
(:mod:`workbench.tasks.evaluate.axes` has those of the open questions); a sweep only goes through them, so that anything
that can be measured can be swept.
"""

__all__ = ["Axis", "Figures", "Swept", "run_sweep", "sweep_figure", "write_sweep"]

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from workbench import atomic
from workbench.errors import InputError, WorkbenchError
from workbench.progress import Progress, no_progress

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

Figures = Mapping[str, float | None]


@dataclass(frozen=True)
class Axis:
    """One thing to change.

    Attributes:
        name: What is changed.
        protocol: What is held and what is measured, in words.
        settings: For each setting, by name, what measures it.
        shown: The figures that a plot shows, at most four.
    """

    name: str
    protocol: str
    settings: Mapping[str, Callable[[], Figures]]
    shown: Sequence[str]


@dataclass(frozen=True)
class Swept:
    """What an axis came to.

    Attributes:
        name: What was changed.
        protocol: What was held and what was measured.
        rows: Figures of each setting, by its name; None where a figure says nothing.
        shown: The figures that a plot shows.
    """

    name: str
    protocol: str
    rows: Mapping[str, Figures]
    shown: Sequence[str]

    def row(self) -> dict[str, object]:
        """Everything as JSON takes it."""
        return asdict(self)


def run_sweep(
    axes: Sequence[Axis],
    *,
    progress: Progress = no_progress,
) -> list[Swept]:
    """Measure every setting of every axis.

    Raises:
        InputError: if there is nothing to measure.
    """
    total = sum(len(axis.settings) for axis in axes)
    if not total:
        raise InputError("a sweep needs at least one axis with a setting")
    done, found = 0, []
    for axis in axes:
        rows = {}
        for setting, measure in axis.settings.items():
            progress(done / total, f"{axis.name}: {setting}")
            rows[setting] = dict(measure())
            done += 1
        found.append(Swept(axis.name, axis.protocol, rows, axis.shown))
    progress(1.0, "done")
    return found


def sweep_figure(found: Sequence[Swept]) -> "Figure":
    """A row of diagrams an axis, a diagram a figure.

    Raises:
        InputError: if plotly is not installed.
    """
    try:
        from plotly.graph_objects import Scatter
        from plotly.subplots import make_subplots
    except ImportError as error:
        raise InputError("a plot needs plotly: pip install 'lambda24-workbench[app]', or leave --plot away") from error
    columns = max(len(swept.shown) for swept in found)
    titles = [
        f"{swept.name}: {swept.shown[place]}" if place < len(swept.shown) else ""
        for swept in found
        for place in range(columns)
    ]
    figure = make_subplots(rows=len(found), cols=columns, subplot_titles=titles)
    for number, swept in enumerate(found, start=1):
        for place, name in enumerate(swept.shown, start=1):
            figure.add_trace(
                Scatter(
                    x=list(swept.rows),
                    y=[figures.get(name) for figures in swept.rows.values()],
                    mode="lines+markers",
                    line={"color": "#0f766e"},
                    showlegend=False,
                    hovertemplate="%{x}: %{y:.4g}",
                ),
                row=number,
                col=place,
            )
    figure.update_xaxes(type="category")
    figure.update_layout(template="plotly_white", height=320 * len(found), margin={"l": 50, "r": 20, "t": 50, "b": 50})
    return figure


def write_sweep(found: Sequence[Swept], path: Path, *, force: bool = False) -> None:
    """Write the diagrams as one HTML file that needs no network: whole or not at all.

    Raises:
        InputError: if the file exists and `force` is off, or plotly is not installed.
        WorkbenchError: if it cannot be written.
    """
    if path.exists() and not force:
        raise InputError(f"{path} exists: add --force to replace it, or write somewhere else")
    page = sweep_figure(found).to_html(full_html=True, include_plotlyjs=True)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic.write_text(path, page)
    except OSError as error:
        raise WorkbenchError(f"cannot write {path}: {error.strerror or error}") from error
