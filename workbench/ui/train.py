"""The Train tab: a small tokenizer of one's own, trained in a process of its own while one looks on."""

__all__ = ["build"]

import tempfile
from pathlib import Path

import gradio as gr

from workbench import hub
from workbench.errors import InputError
from workbench.tasks import runs
from workbench.tasks.run_plots import loss_plot, quality_plot
from workbench.tasks.training_data import synthetic_folder, unpack
from workbench.ui.context import Context, shown_errors
from workbench.ui.figures import cells, figures_table
from workbench.ui.look import intro
from workbench.ui.pictures import picture_output

_DRAWN, _ARCHIVE, _FOLDER = "Drawn by rule", "An archive", "A folder on this machine"
_EVERY = 3.0  # seconds between two looks at a run


def build(context: Context) -> None:
    """Lay out the tab inside `gr.Blocks`."""
    intro(
        "Train a tokenizer of your own",
        "Choose pictures, a quantizer, a body and a budget. The run goes on in a process of its own, also when this "
        "page is closed; when it is done, its model stands in the lists of the other tabs.",
    )
    sources = [_DRAWN, _ARCHIVE, *([_FOLDER] if context.allow_paths else [])]
    with gr.Row(equal_height=False):
        with gr.Column(scale=4, min_width=300):
            source = gr.Radio(sources, value=_DRAWN, label="Pictures to train on", elem_id="train-source")
            archive = gr.File(
                label="A .zip or .tar of pictures",
                file_types=[".zip", ".tar", ".gz", ".tgz"],
                height=120,
                visible=False,
                elem_id="train-archive",
            )
            folder = gr.Textbox(
                label="Folder of pictures or shards", info=", ".join(map(str, context.allow_paths)), visible=False
            )
            quantizer = gr.Dropdown(list(runs.QUANTIZERS), value="leech", label="Quantizer", elem_id="train-quantizer")
            body = gr.Radio(list(runs.BODIES), value="smallest", label="Body", elem_id="train-body")
            minutes = gr.Slider(0.5, runs.MOST_MINUTES, 3, step=0.5, label="Minutes", elem_id="train-minutes")
            seed = gr.Number(0, label="Seed", precision=0, minimum=0, maximum=2**31 - 1)
            name = gr.Textbox(_free_name, label="Name of the run and of its model", elem_id="train-name")
            begin = gr.Button("Start", variant="primary", size="lg", elem_id="train-start")
        with gr.Column(scale=8, min_width=320):
            chosen = gr.Dropdown(runs.list_runs(), value=_newest, label="Run", elem_id="train-run")
            with gr.Row():
                halt = gr.Button("Stop", size="sm", elem_id="train-stop")
                again = gr.Button("Go on", size="sm", elem_id="train-resume")
                pack = gr.Button("Download the model", size="sm", elem_id="train-pack")
            table = figures_table("How it stands", elem_id="train-figures")
            preview = picture_output("Pictures above, what comes back below", elem_id="train-preview")
            packed = gr.File(label="The model", interactive=False, visible=False, height=90, elem_id="train-packed")
    with gr.Row():
        loss = gr.Plot(label="Loss", show_label=False, min_width=320, elem_id="train-loss")
        quality = gr.Plot(label="Quality", show_label=False, min_width=320, elem_id="train-quality")

    clock = gr.Timer(_EVERY)
    done = gr.State(False)
    view = [table, preview, loss, quality, clock, done]

    def start(
        source: str,
        archive: str | None,
        folder: str | None,
        quantizer: str,
        body: str,
        minutes: float,
        seed: float | None,
        name: str,
        progress: gr.Progress = gr.Progress(),  # noqa: B008 - Gradio hands in the bar by this default
    ) -> tuple[gr.Dropdown, str]:
        name = (name or "").strip()
        runs.check_name(name)
        data = _pictures(context, source, archive, folder, name, progress)
        runs.start(runs.Settings(name, quantizer, body, float(minutes), int(seed or 0), data))
        return gr.Dropdown(choices=runs.list_runs(), value=name), _free_name()

    source.change(_asked, source, [archive, folder], api_visibility="private", show_progress="hidden")
    begin.click(
        shown_errors(start),
        [source, archive, folder, quantizer, body, minutes, seed, name],
        [chosen, name],
        api_name="train",
        api_description="Start a training run: pictures, quantizer, body, minutes, seed, name.",
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
        show_progress="hidden",
    )
    halt.click(
        shown_errors(_stop), chosen, view, api_name="train_stop", api_description="Save a run and end its process."
    )
    again.click(shown_errors(_go_on), chosen, view, api_name="train_resume", api_description="Let a stopped run go on.")
    pack.click(
        shown_errors(_pack), chosen, packed, api_name="train_model", api_description="The finished model as a .zip."
    )
    done.change(context.refreshed_models, None, context.model_choices, api_visibility="private", show_progress="hidden")


def _asked(source: str) -> tuple[gr.File, gr.Textbox]:
    """The input that a choice of pictures needs."""
    return gr.File(visible=source == _ARCHIVE), gr.Textbox(visible=source == _FOLDER)


def _pictures(
    context: Context, source: str, archive: str | None, folder: str | None, name: str, progress: gr.Progress
) -> tuple[Path, ...]:
    """Folders to train on, made where they have to be."""
    if source == _DRAWN:
        place = hub.cache_directory() / "drawn"
        return (synthetic_folder(place, progress=lambda share, text: progress(share, desc=text)),)
    if source == _ARCHIVE:
        if archive is None:
            raise InputError("choose an archive first: a .zip or .tar of pictures")
        place = runs.folder_of(name) / "data"
        unpack(Path(archive), place)
        return (place,)
    if not (folder or "").strip():
        raise InputError("name a folder first")
    return (context.folder(folder),)


def _view(name: str | None) -> tuple[object, ...]:
    """Everything that is shown of a run; the clock goes on while it is at work."""
    if not name:
        return cells((), {}), None, None, None, gr.Timer(active=False), False
    state = runs.state_of(name)
    last = state.evaluations[-1] if state.evaluations else {}
    rows = [
        ("State", state.state, state.message),
        ("Step", f"{state.step:,}", f"{state.fraction:.0%} of the time"),
        ("Loss", f"{state.losses[-1][1]:.4f}" if state.losses else "–", "mean absolute error on what it trains on"),
        ("PSNR", f"{last['psnr']:.2f} dB" if last else "–", "on the example pictures, which it does not train on"),
        ("Words used", f"{last['words']:,.0f}" if last else "–", "on the example pictures"),
    ]
    figures = {"state": state.state, "step": state.step, "fraction": state.fraction, **last}
    return (
        cells(rows, figures),
        state.preview,
        loss_plot(state) if state.losses else None,
        quality_plot(state) if state.evaluations else None,
        gr.Timer(active=state.state == "running"),
        state.state == "done",
    )


def _stop(name: str | None) -> tuple[object, ...]:
    runs.stop(name or "")
    return _view(name)


def _go_on(name: str | None) -> tuple[object, ...]:
    runs.resume(name or "")
    return _view(name)


def _pack(name: str | None) -> gr.File:
    folder = Path(tempfile.mkdtemp(dir=gr.utils.get_upload_folder()))
    return gr.File(str(runs.pack_model(name or "", folder)), visible=True)


def _newest() -> str | None:
    return next(iter(runs.list_runs()), None)


def _free_name() -> str:
    """A name that is not taken yet."""
    taken = {*runs.list_runs(), *hub.bundled()}
    return next(name for number in range(1, 10_000) if (name := f"mine-{number}") not in taken)
