"""A table of figures whose value is plain data, so that a person sees a table and a program gets numbers.

The value is `{"rows": [{"name", "value", "note"}, ...], "figures": {...}}`: rows are what is shown, figures what a
program wants. The template is a JavaScript template only. Gradio runs a component's template through Handlebars first
and evaluates the outcome as JavaScript, so text from outside must never come in by `{{...}}`: here it comes in as a
value, and is escaped.
"""

__all__ = ["cells", "figures_table"]

from collections.abc import Mapping, Sequence

import gradio as gr

_TEMPLATE = """
${value && value.rows && value.rows.length ? "<div class='figures'><table><tbody>" + value.rows.map((row) => {
  const plain = (text) => String(text).replace(/[&<>"']/g, (c) => "&#" + c.charCodeAt(0) + ";");
  return "<tr><th scope='row'>" + plain(row.name) + "</th><td>" + plain(row.value)
    + "</td><td class='note'>" + plain(row.note) + "</td></tr>";
}).join("") + "</tbody></table></div>" : ""}
"""


_INTERFACE = {
    "type": "object",
    "properties": {"rows": {"type": "array", "items": {"type": "object"}}, "figures": {"type": "object"}},
    "description": "rows as shown (name, value, note) and figures as numbers",
}


def figures_table(label: str, *, elem_id: str, value: Mapping[str, object] | None = None) -> gr.HTML:
    """A table of name, value and note; empty until it gets a value made by :func:`cells`."""
    table = gr.HTML(
        value=value or cells((), {}),
        label=label,
        html_template=_TEMPLATE,
        js_on_load=None,
        apply_default_css=False,
        elem_id=elem_id,
        elem_classes="figures-block",
    )
    # On the object and not in a subclass: Gradio writes a .pyi file beside the module of every subclass it meets.
    table.api_info = lambda: _INTERFACE
    return table


def cells(rows: Sequence[tuple[str, str, str]], figures: Mapping[str, object]) -> dict[str, object]:
    """The value of a table: rows of (name, value, note), and the numbers behind them."""
    return {
        "rows": [{"name": name, "value": value, "note": note} for name, value, note in rows],
        "figures": dict(figures),
    }
