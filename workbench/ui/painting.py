"""An input for a picture to paint on, as guarded as the other inputs for pictures: nothing is opened on the way in."""

__all__ = ["Painted", "painting_input"]

from dataclasses import dataclass

import gradio as gr
from gradio.components.image_editor import EditorData

from workbench.ui.pictures import only_uploads, path_of


@dataclass(frozen=True)
class Painted:
    """A picture and what was painted over it, as files that nobody has opened: paths, or their bytes.

    Attributes:
        picture: The picture.
        layers: What was painted, one above the other, transparent where nothing was.
    """

    picture: str | bytes
    layers: tuple[str | bytes, ...]


def painting_input(label: str, *, height: int = 480, elem_id: str) -> gr.ImageEditor:
    """The input; a function gets a :class:`Painted`, or None where there is no picture."""
    editor = gr.ImageEditor(
        label=label,
        type="filepath",
        format="png",
        sources=["upload", "clipboard", "webcam"],
        transforms=[],
        layers=False,
        brush=gr.Brush(default_size=40, colors=["#f0b252"], color_mode="fixed"),
        canvas_size=(512, 512),
        height=height,
        interactive=True,
        elem_id=elem_id,
    )

    def painted(payload: EditorData | None) -> Painted | None:
        if payload is None:
            return None
        if payload.id is not None:  # a browser sends the bytes ahead, and then what they are called
            sent = editor.blob_storage.pop(payload.id, None)
            picture, layers = (sent.background, sent.layers) if sent else (None, [])
        else:
            picture, layers = path_of(payload.background), [path_of(layer) for layer in payload.layers]
        if picture is None:
            return None
        return Painted(picture, tuple(layer for layer in layers if layer is not None))

    # On the object and not in a subclass: Gradio writes a .pyi file beside the module of every subclass it meets.
    editor.preprocess = painted  # type: ignore[method-assign]
    only_uploads(editor)
    return editor
