"""The part of the Lattice tab that sets codes side by side: least distances and errors, measured on the spot."""

__all__ = ["geometry_part"]

from collections.abc import Iterator

import gradio as gr

from workbench.progress import Progress
from workbench.tasks.explore.family import CodeReport, list_codes
from workbench.tasks.plots.figures import least_distance_plot
from workbench.ui.context import Context, shown_errors, shown_progress
from workbench.ui.live import always, controls, live

_CODES = (
    *("leech", "leech-published", "leech2", "leech3", "leech4", "bsq", "lfq", "fsq", "random", "fibonacci"),
    *("e8", "e8x3", "bw16", "k12", "leech-shell3"),
)
_FIRST = ("leech", "leech-published", "bsq", "e8", "bw16", "k12")
_HEADS = (
    "code",
    "words",
    "bits",
    "dimensions",
    "δ_min",
    "mean error",
    "bound",
    "error / bound",
    "random / bound",
    "covering",
)


def geometry_part(context: Context) -> None:
    """Lay out the part inside the tab."""
    gr.Markdown(
        "The farther apart the codewords, the fewer directions are far from all of them. **δ_min** is the least "
        "distance of two codewords on the unit sphere. The mean error of uniform directions can only be compared "
        "between codes of one dimension and size, so two others of that dimension and size stand beside it: the bound "
        "that no code can beat, and the error of random codewords. **Covering** is the error of the farthest direction."
    )
    chosen = gr.CheckboxGroup(list(_CODES), value=list(_FIRST), label="Codes", elem_id="geometry-codes")
    run = controls("Measure", name="geometry")
    plot = gr.Plot(label="Least distances", show_label=False, elem_id="geometry-plot")
    table = gr.Dataframe(headers=list(_HEADS), label="Measured", interactive=False, wrap=True, elem_id="geometry-table")

    work = {"concurrency_id": "measure", "concurrency_limit": 1}
    gr.Button(visible=False).click(
        shown_errors(_measured),
        chosen,
        [plot, table],
        api_name="codes",
        api_description="Least distance and mean error of codes, measured on the spot.",
        **work,
    )
    live(context, run, _measure, [chosen], [plot, table], shared=always, work=work)


def _measured(names: list[str], progress: gr.Progress = gr.Progress()) -> Iterator[tuple[object, list]]:  # noqa: B008
    """The answers of the endpoint; Gradio hands in the progress bar by its default value."""
    yield from _measure(names, shown_progress(progress))


def _measure(names: list[str], progress: Progress) -> Iterator[tuple[object, list]]:
    """What was measured, after each code."""
    reports: list[CodeReport] = []
    for number, name in enumerate(names):
        progress(number / len(names), str(name))
        reports += list_codes([str(name)], samples=2000)
        yield least_distance_plot(reports), [_row(report) for report in reports]


def _row(report: CodeReport) -> list[object]:
    def rounded(value: float | None, digits: int) -> float | None:
        return None if value is None else round(value, digits)

    least, covering = rounded(report.min_distance, 4), rounded(report.covering, 4)
    return [
        report.name,
        report.size,
        round(report.bits, 3),
        report.dimension,
        least if report.min_distance_exact or least is None else f"≤ {least}",
        rounded(report.mean_squared_error, 4),
        rounded(report.cap_bound, 4),
        rounded(report.over_bound, 3),
        rounded(report.random_over_bound, 3),
        covering if report.covering_exact or covering is None else f"≥ {covering}",
    ]
