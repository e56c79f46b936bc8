"""The Train tab: a small tokenizer of one's own, trained in a process of its own while one looks on."""

__all__ = ["build"]

import tempfile
from collections.abc import Callable
from pathlib import Path

import gradio as gr
from gradio.utils import get_upload_folder

from workbench.errors import InputError
from workbench.tasks.plots.run import loss_plot, quality_plot
from workbench.tasks.runs import runs
from workbench.tasks.runs.settings import BODIES, LEAST_MINUTES, MOST_MINUTES, QUANTIZERS, Settings
from workbench.ui.context import Context, shown_errors, shown_progress
from workbench.ui.figures import cells, figures_table
from workbench.ui.look import intro
from workbench.ui.pictures import only_uploads, picture_output

_DRAWN, _ARCHIVE, _FOLDER = "Drawn by rule", "An archive", "A folder on this machine"
_ARCHIVES = [".zip", ".tar", ".gz", ".tgz", ".bz2", ".xz"]
_EVERY = 3.0  # seconds between two looks at a run


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    runs.give_out_finished()
    intro(
        "Train a tokenizer of your own",
        "Choose pictures, a quantizer, a body and a budget. The run goes on in a process of its own, also when this "
        "page is closed; when it is done, its model stands in the lists of the other tabs.",
    )
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            source = gr.Radio(
                [_DRAWN, _ARCHIVE, *([_FOLDER] if context.allow_paths else [])],
                value=_DRAWN,
                label="Pictures to train on",
                info="Drawn by rule: 720 shapes and textures that the workbench makes itself.",
                elem_id="train-source",
            )
            # Groups are shown and hidden, not the inputs in them: an input that is changed would lose its guard.
            with gr.Group(visible=False) as archive_group:
                archive = gr.File(
                    label="A .zip or .tar of pictures, up to 20 MB",
                    file_types=_ARCHIVES,
                    height=120,
                    elem_id="train-archive",
                )
                only_uploads(archive)
            with gr.Group(visible=False) as folder_group:
                folder = gr.Textbox(
                    label="Folder of pictures or shards",
                    info="In " + ", ".join(map(str, context.allow_paths)),
                    elem_id="train-folder",
                )
            with gr.Row():
                quantizer = gr.Dropdown(
                    list(QUANTIZERS),
                    value="leech",
                    label="Quantizer",
                    info="Which code the pictures are written in.",
                    min_width=120,
                    elem_id="train-quantizer",
                )
                body = gr.Dropdown(
                    list(BODIES),
                    value="smallest",
                    label="Body",
                    info="The network round it: larger is better and slower.",
                    min_width=120,
                    elem_id="train-body",
                )
            with gr.Row():
                minutes = gr.Number(
                    2,
                    label="Minutes",
                    minimum=LEAST_MINUTES,
                    maximum=MOST_MINUTES,
                    step=0.5,
                    min_width=120,
                    elem_id="train-minutes",
                )
                seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1, min_width=120)
            name = gr.Textbox(label="Name of the run and of its model", elem_id="train-name")
            context.on_open.append((runs.free_name, name))
            begin = gr.Button("Start", variant="primary", size="lg", elem_id="train-start")
        with gr.Column(scale=8, min_width=320):
            chosen = gr.Dropdown(runs.list_runs(), value=None, label="Run", elem_id="train-run")
            # A program that never opened the page names runs that were not there when it was laid out.
            chosen.preprocess = _named
            table = figures_table("How it stands", elem_id="train-figures")
            with gr.Row():
                halt = gr.Button("Stop", size="sm", min_width=90, interactive=False, elem_id="train-stop")
                again = gr.Button("Go on", size="sm", min_width=90, interactive=False, elem_id="train-resume")
                pack = gr.Button("Download the model", size="sm", min_width=90, interactive=False, elem_id="train-pack")
            packed = gr.File(label="The model", interactive=False, visible=False, height=90, elem_id="train-packed")
            preview = picture_output("Pictures above, what comes back below", elem_id="train-preview")
    with gr.Row():
        loss = gr.Plot(label="Loss", show_label=False, min_width=320, elem_id="train-loss")
        quality = gr.Plot(label="Quality", show_label=False, min_width=320, elem_id="train-quality")

    clock = gr.Timer(_EVERY, active=False)
    stand = gr.Textbox(label="Standing", visible="hidden")  # a State tells of its changes through the queue alone
    view = [table, preview, loss, quality, stand]

    def start(
        source: str,
        archive: str | None,
        folder: str | None,
        quantizer: str,
        body: str,
        minutes: float | None,
        seed: float | None,
        name: str | None,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio hands in the bar by this default
    ) -> tuple[gr.Dropdown, str]:
        name = (name or "").strip()
        if source == _ARCHIVE and archive is None:
            raise InputError("choose an archive first: a .zip or .tar of pictures")
        if source == _FOLDER and not (folder or "").strip():
            raise InputError("name a folder first")
        settings = Settings(
            name,
            quantizer,
            body,
            minutes=float(minutes or 0),
            seed=int(seed or 0),
            data=(context.folder(folder or ""),) if source == _FOLDER else (),
            archive=Path(archive) if source == _ARCHIVE and archive else None,
        )
        runs.start(settings, progress=shown_progress(progress))
        return gr.Dropdown(choices=runs.list_runs(), value=name), runs.free_name()

    source.change(_asked, source, [archive_group, folder_group], **context.at_once)
    begin.click(
        shown_errors(start),
        [source, archive, folder, quantizer, body, minutes, seed, name],
        [chosen, name],
        api_name="train",
        api_description="Start a training run: pictures, archive, folder, quantizer, body, minutes, seed, name.",
        concurrency_id="train",
        concurrency_limit=1,
    )
    gr.on(
        [chosen.change, clock.tick],
        shown_errors(_view),
        chosen,
        view,
        api_name="training",
        api_description="How a run stands: figures, preview, curves.",
        queue=False,
        show_progress="hidden",
    )
    for button, act, api_name, description in (
        (halt, runs.stop, "train_stop", "Let a run save its work and end."),
        (again, runs.resume, "train_resume", "Let a run that was stopped or failed go on."),
    ):
        button.click(shown_errors(_then_view(act)), chosen, view, api_name=api_name, api_description=description)
    pack.click(
        shown_errors(_pack), chosen, packed, api_name="train_model", api_description="The finished model as a .zip."
    )
    stand.change(_possible, stand, [clock, halt, again, pack, packed], **context.at_once)
    gr.on(fn=_runs_now, outputs=chosen, **context.at_once)  # when the page opens
    context.model_news.append(stand.change)


def _named(payload: object) -> str | None:
    return None if payload is None else str(payload)


def _runs_now() -> gr.Dropdown:
    """The runs there are, the newest chosen."""
    names = runs.list_runs()
    return gr.Dropdown(choices=names, value=next(iter(names), None))


def _asked(source: str) -> tuple[gr.Group, gr.Group]:
    """The input that a choice of pictures needs."""
    return gr.Group(visible=source == _ARCHIVE), gr.Group(visible=source == _FOLDER)


def _possible(stand: str) -> tuple[gr.Timer, gr.Button, gr.Button, gr.Button, gr.File]:
    """What may be done with a run that stands so; the clock goes while its process does."""
    state = stand.partition(" ")[0]
    return (
        gr.Timer(active=state in ("running", "stopping")),
        gr.Button(interactive=state == "running"),
        gr.Button(interactive=state in ("stopped", "failed")),
        gr.Button(interactive=state == "done"),
        gr.File(visible=False),
    )


def _view(name: str | None) -> tuple[object, ...]:
    """Everything that is shown of a run, and how it stands."""
    if name is None:
        row = ("State", "no run yet", "Start trains for two minutes on pictures that are drawn by rule")
        return cells([row], {}), None, None, None, ""
    state = runs.state_of(name)
    last = state.evaluations[-1] if state.evaluations else {}
    rows = [
        ("State", state.state, state.message),
        ("Steps", f"{state.step:,}", "of 16 crops of 64×64 pixels each"),
        ("Loss", f"{state.losses[-1][1]:.4f}" if state.losses else "–", "mean absolute error on what it trains on"),
        ("PSNR", f"{last['psnr']:.2f} dB" if last else "–", "on the example pictures, which it does not train on"),
        ("Words used", f"{last['words']:,.0f}" if last else "–", "on the example pictures"),
    ]
    figures = {"state": state.state, "message": state.message, "fraction": state.fraction, **last, "step": state.step}
    return (
        cells(rows, figures),
        state.preview,
        loss_plot(state) if state.losses else None,
        quality_plot(state) if state.evaluations else None,
        f"{state.state} {name}",  # of two runs that are done each is news
    )


def _then_view(act: Callable[[str], object]) -> Callable[[str | None], tuple[object, ...]]:
    """Do something with a run and show how it stands then."""

    def done(name: str | None) -> tuple[object, ...]:
        act(name or "")
        return _view(name)

    return done


def _pack(name: str | None) -> gr.File:
    folder = Path(tempfile.mkdtemp(dir=get_upload_folder()))
    return gr.File(str(runs.pack_model(name or "", folder)), visible=True)
