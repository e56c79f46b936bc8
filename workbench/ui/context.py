"""What a tab is given: the models there are, examples to start from, and the rules of the queue."""

__all__ = ["Context", "Wish", "changes_of", "effort_choice", "shown_errors", "shown_progress"]

import contextvars
import functools
import html
import inspect
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, ParamSpec, TypeVar

import gradio as gr
from gradio.context import LocalContext

from workbench.errors import InputError, WorkbenchError, did_you_mean
from workbench.lattices.jit import announced
from workbench.models import load as catalogue
from workbench.models.grid_tokenizer import GridTokenizer
from workbench.models.refine import MAX_EFFORT
from workbench.tasks.compress.picture import EFFORT
from workbench.ui.pictures import example_pictures

P = ParamSpec("P")
R = TypeVar("R")


def changes_of(inputs: Iterable[gr.components.Component]) -> list[Callable[..., Any]]:
    """The events after which an input has another value."""
    return [component.change for component in inputs]  # type: ignore[attr-defined] - made when the class is


@dataclass(frozen=True)
class Wish:
    """What a part of the page wants to see, as a text that is written by the page; see :mod:`workbench.ui.live`.

    Attributes:
        script: Makes the text from the inputs; nothing while the part is not seen.
        inputs: The picture and the settings.
        text: Where it is kept.
        changes: Events after which it may be another.
    """

    script: str
    inputs: list[gr.components.Component]
    text: gr.Textbox
    changes: list[Callable[..., Any]]


@dataclass(frozen=True)
class Context:
    """Handed to the `build` of every tab.

    Attributes:
        allow_paths: Folders on this machine that a person of the app may name; empty unless the app was started so.
        model_work: Settings of every event that runs a network: all of them share one place in the queue.
        at_once: Settings of every event that only arranges the page. It goes past the queue, whose stream loses the
            answer to an event that begins in the moment in which the last one before it ends (Gradio 6.31: the page
            closes the stream without asking what is still awaited).
        model_choices: The choices of models on the page, in the order in which they were laid out.
        offered: What each of them offers.
        model_news: Events after which there may be other models: the page reads the choices anew.
        on_open: What the page reads anew when it opens: functions, and where their answers are shown.
        picture: The picture of every tab, by its path, and None only where there is no example to start from.
        strip: What shows it at the top of the page: one, or none yet.
        wishes: What the parts of the page want to see.
        seen: Events after which another part of the page is seen.
        linked: Inputs whose values stand in the address of the page, by their names there.
    """

    allow_paths: tuple[Path, ...] = ()
    model_work: Mapping[str, Any] = field(
        default_factory=lambda: MappingProxyType({"concurrency_id": "model", "concurrency_limit": 1})
    )
    at_once: Mapping[str, Any] = field(
        default_factory=lambda: MappingProxyType(
            {"queue": False, "api_visibility": "private", "show_progress": "hidden"}
        )
    )
    model_choices: list[gr.Dropdown] = field(default_factory=list)
    offered: list[Callable[[], list[str]]] = field(default_factory=list)
    model_news: list[Callable[..., Any]] = field(default_factory=list)
    on_open: list[tuple[Callable[[], object], gr.components.Component]] = field(default_factory=list)
    picture: gr.Image | None = None
    strip: list[gr.HTML] = field(default_factory=list)
    wishes: list[Wish] = field(default_factory=list)
    seen: list[Callable[..., Any]] = field(default_factory=list)
    linked: dict[str, gr.components.Component] = field(default_factory=dict)

    def folder(self, text: str) -> Path:
        """The folder that a person named, if it lies in one that the app was started with.

        Raises:
            InputError: if it does not, or does not exist.
        """
        path = Path(text.strip()).expanduser().resolve()
        if not any(path.is_relative_to(allowed.resolve()) for allowed in self.allow_paths):
            allowed = ", ".join(map(str, self.allow_paths)) or "none"
            raise InputError(
                f"{text.strip()!r} may not be read; start the app with --allow-path FOLDER (now: {allowed})"
            )
        if not path.exists():
            raise InputError(f"{path}: no such file or folder")
        return path

    def models(self) -> list[str]:
        """Names of the tokenizers at hand, the default first."""
        return [entry.name for entry in catalogue.tokenizers(GridTokenizer)]

    def models_of_any_kind(self) -> list[str]:
        """The same with tokenizers of several scales."""
        return [entry.name for entry in catalogue.tokenizers()]

    def generators(self) -> list[str]:
        """Names of the generators at hand, the default first."""
        return [entry.name for entry in catalogue.generators()]

    def model_choice(self, label: str = "Tokenizer", *, info: str | None = None, elem_id: str) -> gr.Dropdown:
        """A choice of tokenizers, which the page refreshes when models appear."""
        return self._choice(self.models, label, info, elem_id)

    def any_model_choice(self, label: str = "Tokenizer", *, info: str | None = None, elem_id: str) -> gr.Dropdown:
        """The same with tokenizers of several scales."""
        return self._choice(self.models_of_any_kind, label, info, elem_id)

    def generator_choice(self, label: str = "Generator", *, info: str | None = None, elem_id: str) -> gr.Dropdown:
        """A choice of generators, likewise."""
        return self._choice(self.generators, label, info, elem_id)

    def refreshed_models(self) -> list[gr.Dropdown] | gr.Dropdown:
        """The choices of models as they should be now, one for each of `model_choices`."""
        fresh = [gr.Dropdown(choices=names()) for names in self.offered]
        return fresh if len(fresh) != 1 else fresh[0]

    def default_model(self) -> str | None:
        """The tokenizer that is chosen when the page opens."""
        return next(iter(self.models()), None)

    def _choice(self, offered: Callable[[], list[str]], label: str, info: str | None, elem_id: str) -> gr.Dropdown:
        names = offered()
        choice = gr.Dropdown(names, value=next(iter(names), None), label=label, info=info, elem_id=elem_id)
        # A program that never opened the page knows models by name that were not there when it was laid out.
        choice.preprocess = functools.partial(_at_hand, offered)  # type: ignore[method-assign] # the one hook there is
        self.model_choices.append(choice)
        self.offered.append(offered)
        return choice

    def examples(self) -> list[Path]:
        """Pictures to start from."""
        return example_pictures()

    def the_picture(self) -> gr.Image:
        """The input that holds the picture of every tab."""
        if self.picture is None:
            raise InputError("the page has no picture yet: lay it out before the tabs")
        return self.picture


def effort_choice(*, elem_id: str) -> gr.Slider:
    """How long better codewords are searched for the same decoder."""
    return gr.Slider(
        0,
        MAX_EFFORT,
        value=EFFORT,
        step=1,
        label="Effort",
        info="Search for codewords of which this decoder makes a better picture. 768×512 pixels on one core: 0 not at "
        "all, 2 some three seconds, 4 ten, 9 a minute.",
        elem_id=elem_id,
    )


def shown_errors(function: Callable[P, R]) -> Callable[P, R]:
    """Turn our own errors into messages of the app; the text is shown as text, never as markup.

    While kernels are compiled, a note on the page says so.

    A generator function stays one, so that Gradio streams its answers and can close it.
    """
    if inspect.isgeneratorfunction(function):

        @functools.wraps(function)
        def streamed(*args: P.args, **kwargs: P.kwargs) -> Iterator[object]:
            try:
                with announced(_note()):
                    yield from function(*args, **kwargs)
            except WorkbenchError as error:
                raise _message(error) from error

        return streamed  # type: ignore[return-value] # R is an iterator here

    @functools.wraps(function)
    def guarded(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            with announced(_note()):
                return function(*args, **kwargs)
        except WorkbenchError as error:
            raise _message(error) from error

    return guarded


def shown_progress(progress: gr.Progress) -> Callable[[float, str], object]:
    """The callback of a task that moves a bar of the page."""

    def tell(fraction: float, message: str) -> None:
        progress(fraction, desc=message)

    return tell


def _at_hand(offered: Callable[[], list[str]], name: object) -> str | None:
    """The model that was chosen, if it is on offer now."""
    if name is None or name in offered():
        return name  # type: ignore[return-value] - a name on offer is a text
    raise gr.Error(html.escape(did_you_mean("model", str(name), offered())), print_exception=False)


def _note() -> Callable[[str], object]:
    """Shows a text on the page whose event runs now, from whatever thread it is called."""
    event = contextvars.copy_context()
    awaited = event.get(LocalContext.event_id) is not None  # or the call is a program's, with no page to show it on
    return lambda text: event.copy().run(gr.Info, text) if awaited else None


def _message(error: WorkbenchError) -> gr.Error:
    return gr.Error(html.escape(str(error)), print_exception=False)
