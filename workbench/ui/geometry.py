"""The part of the Lattice tab that sets codes side by side: least distances and errors, measured on the spot."""

__all__ = ["geometry_part"]

from collections.abc import Iterator

import gradio as gr

from workbench.tasks.explore.family import CodeReport, list_codes
from workbench.tasks.plots.figures import least_distance_plot
from workbench.ui.context import shown_errors

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


def geometry_part() -> None:
    """Lay out the part inside the tab."""
    gr.Markdown(
        "The farther apart the codewords, the fewer directions are far from all of them. **δ_min** is the least "
        "distance of two codewords on the unit sphere. The mean error of uniform directions can only be compared "
        "between codes of one dimension and size, so two others of that dimension and size stand beside it: the bound that no code "
        "can beat, and the error of random codewords. **Covering** is the error of the farthest direction."
    )
    chosen = gr.CheckboxGroup(list(_CODES), value=list(_FIRST), label="Codes", elem_id="geometry-codes")
    with gr.Row():
        run = gr.Button("Measure", variant="primary", size="sm", elem_id="geometry-run")
        stop = gr.Button("Stop", size="sm")
    plot = gr.Plot(label="Least distances", show_label=False, elem_id="geometry-plot")
    table = gr.Dataframe(headers=list(_HEADS), label="Measured", interactive=False, wrap=True, elem_id="geometry-table")

    def measure(names: list[str], progress: gr.Progress = gr.Progress()) -> Iterator[tuple[object, list]]:  # noqa: B008
        reports: list[CodeReport] = []
        for name in progress.tqdm(names, desc="Measuring", unit="codes"):
            reports += list_codes([str(name)], samples=2000)
            yield least_distance_plot(reports), [_row(report) for report in reports]

    running = run.click(
        shown_errors(measure),
        chosen,
        [plot, table],
        api_name="codes",
        api_description="Least distance and mean error of codes, measured on the spot.",
        concurrency_id="measure",
        concurrency_limit=1,
    )
    stop.click(None, None, None, cancels=[running], api_visibility="private")


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
