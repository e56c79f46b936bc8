"""Docstrings as Sphinx needs them: displays as literal blocks, and no markup where none is meant.

The package's docstrings are Google's style in plain text. A block that stands indented after an empty line is a
formula, a diagram or a table and is shown as it is typed; `|x|` is a norm, not a substitution.
"""

__all__ = ["escape_types", "mark_displays"]

import re
from typing import Any

_SECTION = re.compile(r"(Args|Attributes|Example|Examples|Note|Raises|References|Returns|Yields):$")
_LIST = re.compile(r"([-*]|\d+\.) ")
_SPAN = re.compile(r"(`[^`]*`)")


def mark_displays(app: object, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:  # noqa: ANN401, ARG001 - Sphinx's own
    """Put `::` before each display and escape `|` elsewhere; for `autodoc-process-docstring`, before napoleon."""
    shown: list[str] = []
    base, literal = "", False
    for line in lines:
        if line and not line.startswith(" "):
            base, literal = line, False
        elif line and not literal and _opens_display(base, shown):
            shown += ["::", ""]
            literal = True
        doctest = line.lstrip().startswith((">>>", "..."))
        shown.append(line if literal or doctest else _escaped(line, "|"))
    lines[:] = shown


def escape_types(app: object, what: str, name: str, obj: object, options: Any, lines: list[str]) -> None:  # noqa: ANN401, ARG001 - Sphinx's own
    """Escape the star of a shape such as `"*batch D"` in the types that napoleon adds; runs after it."""
    lines[:] = [line.replace("*", r"\*") if line.startswith(":vartype") else line for line in lines]


def _opens_display(base: str, shown: list[str]) -> bool:
    """Whether an indented line begins a display: after an empty line, below prose and not below a section or a list."""
    return bool(shown) and not shown[-1] and not _SECTION.match(base) and not _LIST.match(base)


def _escaped(line: str, mark: str) -> str:
    """The line with a mark escaped outside of spans between backticks."""
    parts = _SPAN.split(line)
    return "".join(part if part.startswith("`") else part.replace(mark, f"\\{mark}") for part in parts)
