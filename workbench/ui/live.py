"""Results that follow the settings: a change runs again by itself, the latest wants win, and no click is lost.

What a tab wants to see is one text, its *wish*: the picture and the settings. The page writes it a moment after a
change, if the tab is open, and whenever the tab is opened; a new wish is a new run. While one runs, the next waits and
the one that runs is told to stop; the page itself starts the next when it has ended. Gradio forgets the one that waits
if the one that runs fails, so a run never fails: what went wrong is the last thing that it says, in its status line.

Results of the example pictures are kept and shared, since everybody who opens the page asks for them first.
"""

__all__ = ["Controls", "always", "by_example", "controls", "live", "once"]

import html
import itertools
import json
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gradio as gr
from gradio.events import Dependency
from gradio.utils import get_upload_folder

from workbench.errors import WorkbenchError
from workbench.progress import Progress
from workbench.ui.context import Context, Wish, changes_of
from workbench.ui.pictures import example_name

Key = Callable[[Sequence[Any]], object]  # of inputs, under which their results are kept; None where they are not
Function = Callable[..., Iterator[Sequence[object]]]
_SHARED_MOST = 32  # results of examples that are kept: a few MB each
_PAUSE = 150  # milliseconds in which changes count as one
_RUNNING: dict[str, threading.Event] = {}
_SHARED: OrderedDict[str, Sequence[object]] = OrderedDict()
_LOCK = threading.Lock()

# The wish of a tab; nothing while it is not seen, or if another change follows.
_WISH = """async (...wants) => {
  const asked = (window.asked ??= {}), mine = (asked[NAME] = (asked[NAME] ?? 0) + 1);
  const wait = (pause) => new Promise((done) => setTimeout(done, pause));
  await wait(PAUSE);
  for (let tries = 0; tries < 100 && !document.getElementById(NAME + "-status"); tries++) await wait(100);
  if (mine !== asked[NAME] || !document.getElementById(NAME + "-status")?.checkVisibility()) return;
  return JSON.stringify([...wants.map((want) => want?.path ?? want), window.broken?.[NAME] ?? 0]);
}"""
# The runs that are to stop where another is asked for: the one before it, and those of tabs that are not seen, which
# run again when they are. A run is known by the name that its status line bears.
_NEXT = """() => {
  const name = (line) => line.closest("[id$=-status]").id.slice(0, -"-status".length);
  const hidden = [...document.querySelectorAll(".live-status[data-busy=true]")]
    .filter((line) => !line.checkVisibility() && name(line) in (window.asked ?? {}));
  for (const line of hidden) (window.broken ??= {})[name(line)] = Date.now();
  const line = document.querySelector("#NAME-status .live-status"), run = line?.dataset.run ?? "";
  if (line) Object.assign(line, {textContent: ""}).setAttribute("data-busy", "true");
  line?.setAttribute("data-old", "true");
  return [run, ...hidden.map((each) => each.dataset.run)].join(" ");
}"""
_WHICH = "() => document.querySelector('#NAME-status .live-status')?.dataset.run ?? ''"


class _StoppedError(Exception):
    """A run was told to stop."""


@dataclass(frozen=True)
class Controls:
    """What starts a run, stops it, and says how it stands."""

    name: str
    run: gr.Button
    stop: gr.Button
    status: gr.HTML


def controls(label: str, *, name: str) -> Controls:
    """Lay out the button, the one that stops and shows while a run goes on, and the status line.

    Args:
        label: What stands on the button.
        name: Of the run on the page: `NAME-run`, `NAME-stop` and `NAME-status` are theirs.
    """
    with gr.Group(elem_classes="live"):
        with gr.Row():
            run = gr.Button(label, variant="primary", size="lg", scale=3, elem_id=f"{name}-run")
            stop = gr.Button("Stop", size="lg", min_width=80, scale=1, elem_id=f"{name}-stop", elem_classes="live-stop")
        status = gr.HTML(_status("idle"), label="Status", apply_default_css=False, elem_id=f"{name}-status")
    return Controls(name, run, stop, status)


def live(
    context: Context,
    controls: Controls,
    function: Function,
    inputs: Sequence[gr.components.Component],
    outputs: Sequence[gr.components.Component],
    *,
    wants: Sequence[gr.components.Component] | None = None,
    shared: Key | None = None,
    pressed: bool = True,
    work: Mapping[str, Any] | None = None,
) -> Dependency:
    """Run a function when its button is pressed, and by itself when what it is asked for changes.

    Args:
        context: Of the page.
        controls: Made by :func:`controls`.
        function: Takes the inputs and a callback of progress, and gives answers, each one value an output.
        inputs: What it is given.
        outputs: Where its answers go.
        wants: The inputs whose change starts a run, all of them if left out; none where only the button shall.
        shared: Which results are kept for everybody: `by_example`, `always`, or none.
        pressed: Whether the button starts a run; where it does not, it has to change one of `wants`.
        work: Settings of the event; `context.model_work` if left out.

    Returns:
        The run, to go on from.
    """
    starts: list[Callable[..., Any]] = [controls.run.click] if pressed else []
    wants = list(inputs) if wants is None else list(wants)
    if wants:
        wish = gr.Textbox(label="Wish", visible="hidden", render=False)  # the page lays it out, outside of every tab
        starts.append(wish.change)
        script = _WISH.replace("NAME", json.dumps(controls.name)).replace("PAUSE", str(_PAUSE))
        context.wishes.append(Wish(script, list(inputs), wish, changes_of(wants)))
    for events, script in ((starts, _NEXT), ([controls.stop.click], _WHICH)):
        which = script.replace("NAME", controls.name)
        gr.on(events, _stop, controls.status, None, js=which, **context.at_once)
    return gr.on(
        starts,
        _run(function, len(outputs), shared=shared),
        list(inputs),
        [controls.status, *outputs],
        trigger_mode="always_last",
        show_progress="minimal",
        show_progress_on=controls.status,
        api_visibility="private",
        **(work or context.model_work),
    )


def by_example(inputs: Sequence[Any]) -> object:
    """Results are kept where the first of the inputs is an example picture."""
    example = example_name(inputs[0])
    return None if example is None else (example, *inputs[1:])


def always(inputs: Sequence[Any]) -> object:
    """All results are kept: they follow from the inputs alone."""
    return tuple(inputs)


def once(function: Callable[..., object]) -> Function:
    """A function of one answer, and no progress to tell, as one of several."""

    def run(*inputs: Any) -> Iterator[Sequence[object]]:  # noqa: ANN401
        answer = function(*inputs[:-1])
        yield answer if isinstance(answer, tuple) else (answer,)

    run.__module__, run.__qualname__ = function.__module__, function.__qualname__
    return run


def _stop(names: str) -> None:
    for one in str(names).split():
        if event := _RUNNING.get(one):
            event.set()


def _run(function: Function, count: int, *, shared: Key | None) -> Callable[..., Iterator[tuple[object, ...]]]:
    """The function as an event calls it: with its status first, and never an error."""
    still = (gr.skip(),) * count

    def run(progress: gr.Progress = gr.Progress(), *inputs: Any) -> Iterator[tuple[object, ...]]:  # noqa: ANN401, B008
        name, start = secrets.token_hex(8), time.monotonic()
        stop = _RUNNING[name] = threading.Event()

        def tell(fraction: float, message: str) -> None:
            if stop.is_set():
                raise _StoppedError
            progress(fraction, desc=message)

        yield _status("running", run=name), *still
        try:
            for answer in _answers(function, inputs, tell, shared=shared):
                yield _status("going", run=name), *answer
                if stop.is_set():
                    raise _StoppedError
            said = _status("done", f"Done in {time.monotonic() - start:.1f} s.", run=name)
        except _StoppedError:
            said = _status("stopped", "Stopped; what is shown is of the settings before.", run=name)
        except WorkbenchError as error:
            said = _status("error", str(error), run=name)
        finally:
            _RUNNING.pop(name, None)
        yield said, *still

    run.__name__ = f"run_{getattr(function, '__name__', 'function').strip('_')}"
    return run


def _answers(
    function: Function, inputs: Sequence[Any], progress: Progress, *, shared: Key | None
) -> Iterator[Sequence[object]]:
    """Answers of the function, or the last of those that it gave before for the same example and settings."""
    known = shared(inputs) if shared else None
    key = None if known is None else repr((function.__module__, function.__qualname__, known))
    if key is not None:
        with _LOCK:
            kept = _SHARED.get(key)
        if kept is not None and all(Path(path).exists() for path in _files(kept)):
            yield kept
            return
    merged: list[object] | None = None
    for answer in function(*inputs, progress):
        # A part that an answer leaves as it was is that of the answers before.
        merged = [old if _skips(new) else new for old, new in zip(merged or answer, answer, strict=True)]
        yield answer
    if key is not None and merged is not None:
        with _LOCK:
            _SHARED[key] = tuple(merged)
            for old in list(itertools.islice(_SHARED, max(len(_SHARED) - _SHARED_MOST, 0))):
                del _SHARED[old]


def _files(value: object) -> Iterator[str]:
    """Files that an answer names; the cache of Gradio drops those that are old."""
    if isinstance(value, dict):
        yield from [value["path"]] if "path" in value else _files(list(value.values()))
    elif isinstance(value, list | tuple):
        for each in value:
            yield from _files(each)
    elif isinstance(value, str) and value.startswith(get_upload_folder()):
        yield value


def _skips(value: object) -> bool:
    return isinstance(value, dict) and value == gr.skip()


def _status(state: str, said: str = "", *, run: str = "") -> str:
    """The status line: whether a run goes on, and whether what is shown is older than what was asked for."""
    busy, old = state in ("running", "going"), state in ("running", "stopped", "error")
    marks = f'data-state="{state}" data-busy="{str(busy).lower()}" data-old="{str(old).lower()}" data-run="{run}"'
    return f'<p class="live-status" role="status" {marks}>{html.escape(said)}</p>'
