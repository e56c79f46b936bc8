"""Pictures in and out of the app: nothing is decoded before our own guard, and nothing is served lossy.

A stock Gradio image opens whatever Pillow can open, decodes `data:` addresses and fetches `http:` ones. The input here
does none of it: it hands the path of the uploaded file to the task, which reads it through `workbench.images.files`.
"""

__all__ = ["example_name", "example_pictures", "only_uploads", "path_of", "picture_input", "picture_output"]

import functools
import hashlib
from pathlib import Path

import gradio as gr
from gradio.data_classes import FileData, ImageData
from gradio.utils import get_upload_folder
from gradio_client.utils import is_http_url_like

from workbench.atomic import replacing
from workbench.images.examples import list_examples


def picture_input(label: str, *, value: Path | None = None, elem_id: str) -> gr.Image:
    """An input that is not seen and holds a picture; a function gets the path of the file, unopened."""
    picture = gr.Image(
        value=str(value) if value else None,
        label=label,
        type="filepath",
        image_mode=None,
        format="png",
        sources=["upload"],
        interactive=True,
        visible="hidden",
        elem_id=elem_id,
    )
    # On the object and not in a subclass: Gradio writes a .pyi file beside the module of every subclass it meets.
    picture.preprocess = path_of
    only_uploads(picture)
    return picture


def only_uploads(component: gr.Image | gr.ImageEditor | gr.File | gr.UploadButton) -> None:
    """Let an input take uploaded files alone: an address is refused and not fetched."""
    keep = component.async_move_resource_to_block_cache

    async def keep_uploads(url_or_file_path: str | Path | None) -> str | None:
        if url_or_file_path is not None and is_http_url_like(str(url_or_file_path)):
            raise gr.Error("Send the file itself: the workbench fetches nothing from the network.")
        return await keep(url_or_file_path)

    component.async_move_resource_to_block_cache = keep_uploads


def path_of(payload: ImageData | FileData | None) -> str | None:
    """The path of an uploaded file, unopened."""
    if payload is None:
        return None
    if payload.path is None or (payload.url or "").startswith("data:"):
        raise gr.Error("Send the picture as a file: a data address is not read.")
    return payload.path


def picture_output(label: str, *, height: int | None = None, elem_id: str) -> gr.Image:
    """An output for a picture: served as PNG, pixel for pixel."""
    return gr.Image(
        label=label,
        type="numpy",
        format="png",
        interactive=False,
        height=height,
        buttons=["download", "fullscreen"],
        elem_id=elem_id,
    )


def example_pictures() -> list[Path]:
    """Files of the pictures to start from, photographs of installed libraries and renderings, in the app's own folder.

    They are copied there, since Gradio serves no others.
    """
    folder = Path(get_upload_folder()) / "examples"
    folder.mkdir(parents=True, exist_ok=True)
    found = []
    for example in list_examples():
        file = example.file(folder)
        path = folder / f"{example.name.replace(' ', '-')}{file.suffix}"
        if not path.exists():
            with replacing(path) as copy:
                copy.write(file.read_bytes())
        found.append(path)
    return found


def example_name(path: object) -> str | None:
    """Name of the example that a file is, to the byte; None for any other."""
    if not isinstance(path, str):
        return None
    file, names = Path(path), _examples_by_size()
    if not file.is_file() or file.stat().st_size not in names:
        return None
    name, digest = names[file.stat().st_size]
    return name if hashlib.sha256(file.read_bytes()).hexdigest() == digest else None


@functools.cache
def _examples_by_size() -> dict[int, tuple[str, str]]:
    """Name and SHA-256 of the examples by the bytes that they take."""
    contents = {path.stem: path.read_bytes() for path in example_pictures()}
    return {len(content): (name, hashlib.sha256(content).hexdigest()) for name, content in contents.items()}
