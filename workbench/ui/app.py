"""The app: one page, one module a tab, launched on this machine only.

Safety is in the settings of the launch: bound to 127.0.0.1, no folder served but Gradio's own cache of this process,
uploads up to 20 MB, a bounded queue, a bounded number of sessions, one network at work at a time, no history of runs,
nothing sent to anyone.
"""

__all__ = ["TABS", "build", "launch", "main"]

import dataclasses
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any

import gradio as gr
import typer

from workbench.errors import InputError, WorkbenchError
from workbench.tasks.rehearse import rehearse_first_use
from workbench.ui import codebook, compare, compress, generate, lattice, look, reconstruct, train
from workbench.ui.context import Context
from workbench.ui.links import restore_links
from workbench.ui.strip import picture_strip

MAX_UPLOAD = "20mb"
MAX_QUEUE = 32
# Gradio keeps a copy of the page's settings (0.4 MB) for everyone it has ever heard of, and a call by a program that
# names no session is a new one each time. Beyond this many, whoever was away longest begins anew.
MAX_SESSIONS = 64

# Title of the tab and what lays it out, in the order of the page.
TABS: Mapping[str, Callable[[Context], None]] = MappingProxyType(
    {
        "Reconstruct": reconstruct.build,
        "Compare": compare.build,
        "Generate": generate.build,
        "Compress": compress.build,
        "Codebook": codebook.build,
        "Lattice": lattice.build,
        "Train": train.build,
    }
)


def build(context: Context | None = None) -> gr.Blocks:
    """Lay out the page; loads no model."""
    context = context or Context()
    with gr.Blocks(title="Λ24-SQ workbench", analytics_enabled=False, delete_cache=(600, 3600)) as page:
        look.header()
        context = dataclasses.replace(context, picture=picture_strip(context))
        with gr.Tabs(elem_id="tabs") as tabs:
            for title, lay_out in TABS.items():
                with gr.Tab(title, id=title.lower(), elem_id=f"tab-{title.lower()}") as tab:
                    lay_out(context)
                context.seen.append(tab.select)
        for wish in context.wishes:
            wish.text.render()
            gr.on([page.load, *context.seen, *wish.changes], None, wish.inputs, wish.text, js=wish.script)
        restore_links(context, page, tabs, [title.lower() for title in TABS])
        news = [page.load, *context.model_news]
        gr.on(news, context.refreshed_models, None, context.model_choices, **context.at_once)
        for function, shown in context.on_open:
            page.load(function, None, shown, **context.at_once)
    page.queue(max_size=MAX_QUEUE, default_concurrency_limit=4, api_open=False)
    return page


def launch(page: gr.Blocks, **settings: Any) -> tuple[Any, str, str]:  # noqa: ANN401 - whatever Gradio answers
    """Serve the page; `settings` go to Gradio and may not loosen what stands here.

    Raises:
        InputError: if a setting would.
    """
    fixed = {
        "allowed_paths": [],
        "max_file_size": MAX_UPLOAD,
        "state_session_capacity": MAX_SESSIONS,
        "share": False,
        "run_history": False,
        "strict_cors": True,
        "ssr_mode": False,
        "mcp_server": False,
        "enable_monitoring": False,
        "show_error": False,
        "theme": look.theme(),
        "css": look.css(),
        "head": look.HEAD,
        "footer_links": ["api", "settings"],
    }
    if wrong := sorted(set(settings) & set(fixed)):
        raise InputError(f"{', '.join(wrong)} cannot be set: the app is served with fixed safety settings")
    settings.setdefault("server_name", "127.0.0.1")
    return page.launch(**fixed, **settings)


def main(args: Sequence[str] | None = None) -> None:
    """Start the app from a command line; returns when it is stopped."""
    program = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    program.command()(_serve)
    try:
        program(args)
    except WorkbenchError as error:
        sys.stderr.write(f"workbench: {error}\n")
        sys.exit(1)


def _serve(
    host: Annotated[
        str, typer.Option(help="Address to listen on; others can reach the app only if it is not this.")
    ] = "127.0.0.1",
    port: Annotated[int | None, typer.Option(min=0, max=65535, help="Port; the first free one from 7860.")] = None,
    browser: Annotated[bool, typer.Option(help="Open the page in the browser.")] = True,
    allow_path: Annotated[
        list[Path] | None,
        typer.Option(exists=True, file_okay=False, resolve_path=True, help="Folder that may be named in the app."),
    ] = None,
) -> None:
    """Open the workbench in the browser."""
    # Uploads and results live in a folder that only this process and this person can read, gone at the end.
    cache = tempfile.mkdtemp(prefix="workbench-")
    os.environ["GRADIO_TEMP_DIR"] = cache
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    try:
        rehearse_first_use()
        launch(build(Context(tuple(allow_path or ()))), server_name=host, server_port=port, inbrowser=browser)
    finally:
        shutil.rmtree(cache, ignore_errors=True)
