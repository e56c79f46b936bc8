"""Drawn pictures as the page shows them: files that know their settings, and the figures of a batch."""

__all__ = ["Shown", "drawn_table", "shown_drawn"]

import tempfile
from collections.abc import Iterator
from pathlib import Path

from workbench.tasks.generate import Drawn, write_pictures
from workbench.ui.figures import cells

Shown = tuple[list[tuple[str, str]], dict[str, object], int]


def shown_drawn(stages: Iterator[Drawn]) -> Iterator[Shown]:
    """Each stage as the tab shows it: files that know their settings, the figures, and the seed."""
    with tempfile.TemporaryDirectory(prefix="workbench-") as folder:
        for drawn in stages:
            paths = write_pictures(drawn, Path(folder) / str(drawn.step))
            named = zip(drawn.settings.classes, drawn.settings.seeds, strict=True)
            captions = [f"{name}, {number + 1}, seed {seed}" for number, (name, seed) in enumerate(named)]
            # Gradio copies files from outside its cache into it, before it asks for the next stage.
            yield list(zip(map(str, paths), captions, strict=True)), drawn_table(drawn), drawn.settings.seed


def drawn_table(drawn: Drawn) -> dict[str, object]:
    """The settings of a batch, and how far it is."""
    settings, controls = drawn.settings, drawn.settings.controls
    rows = [
        ("Class", ", ".join(dict.fromkeys(settings.classes)), settings.edit or f"{len(settings.classes)} pictures"),
        ("Scale", f"{drawn.scale} × {drawn.scale}", f"{drawn.step} of {drawn.steps} grids are drawn"),
        (
            "Seed",
            str(settings.seed),
            "of the first picture; the next have the next ones, and each can be drawn alone again",
        ),
        ("Temperature", _pace(controls.temperature), "0 takes the likeliest codeword"),
        ("Guidance", _pace(controls.guidance), "1 is the class as learned"),
        ("Top-k", _pace(controls.top_k), "codewords to draw among"),
        ("Top-p", _pace(controls.top_p), "share of probability to draw among"),
        ("Model", settings.model, f"its tokenizer is {settings.tokenizer}"),
        ("Time", f"{drawn.seconds:.2f} s", "on this machine"),
    ]
    progress = {"scale": drawn.scale, "step": drawn.step, "steps": drawn.steps, "done": drawn.done}
    return cells(rows, {**settings.row(), **progress, "seconds": drawn.seconds})


def _pace(value: object) -> str:
    if value is None:
        return "all"
    return " to ".join(f"{each:g}" for each in (value if isinstance(value, tuple) else (value,)))
