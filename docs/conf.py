"""How Sphinx builds the documentation (`make docs`, into `docs/_build/html`): nothing is fetched, nothing is run."""

import sys
import tomllib
from pathlib import Path
from typing import Any

from docutils import nodes
from docutils.utils.math.latex2mathml import tex2mathml

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parent)]

from docstrings import escape_types, mark_displays  # noqa: E402
from pages import write_pages  # noqa: E402

write_pages()

project = "Λ24-SQ workbench"
author = "The Λ24-SQ workbench authors"
release = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode", "sphinx_copybutton"]
exclude_patterns = ["_build", "space", "generated/model-table.md", "generated/face.md"]
highlight_language = "text"
default_role = "code"  # docstrings set names of Python between single backticks

myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nb_execution_mode = "off"  # the pages show the outputs that are committed
html_math_renderer = "mathml"

autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
autodoc_preserve_defaults = True
napoleon_google_docstring = True
napoleon_numpy_docstring = False
napoleon_use_ivar = True
napoleon_use_rtype = False

html_theme = "furo"
html_title = "Λ24-SQ workbench"
html_static_path = ["static", "generated/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sourcelink = False


def _inline(self: Any, node: nodes.math) -> None:  # noqa: ANN401 - Sphinx's translator
    self.body.append(tex2mathml(node.astext(), as_block=False))
    raise nodes.SkipNode


def _display(self: Any, node: nodes.math_block) -> None:  # noqa: ANN401 - Sphinx's translator
    self.body.append(tex2mathml(node.astext(), as_block=True))
    raise nodes.SkipNode


def setup(app: Any) -> None:  # noqa: ANN401 - Sphinx's application
    """Set formulas as MathML, which browsers draw themselves, where Sphinx would ask another host for MathJax."""
    app.connect("autodoc-process-docstring", mark_displays, priority=400)
    app.connect("autodoc-process-docstring", escape_types, priority=600)
    app.add_html_math_renderer("mathml", (_inline, None), (_display, None))
