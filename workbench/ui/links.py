"""Addresses that say what is seen: tab and settings stand in the query, the back button works, a reload restores.

The page writes the address, `?tab=generate&class=tulips&seed=7`, a new entry of its history for a tab and the same one
for a setting; nothing of it is kept on the server. When the page opens, or somebody goes back, the inputs take what
the address says, as far as it is on offer: going back opens the page anew.
"""

__all__ = ["restore_links"]

import json
from collections.abc import Mapping

import gradio as gr

from workbench.ui.context import Context, changes_of

# Keep the settings in the address; a tab that was opened by hand is a step to go back from.
_WRITE = """async (...values) => {
  await new Promise((done) => setTimeout(done, 100)); // until the tab that was clicked is marked
  const names = NAMES, open = document.querySelector("#tabs > .tab-wrapper button.selected")?.textContent.trim();
  const query = new URLSearchParams(location.search), before = query.get("tab") ?? "reconstruct";
  names.forEach((name, number) => {
    if (values[number] === null || String(values[number]) === DEFAULTS[number]) query.delete(name);
    else query.set(name, values[number]);
  });
  const tab = (open ?? before).toLowerCase();
  query.set("tab", tab);
  const address = "?" + query;
  if (address !== location.search) history[tab === before ? "replaceState" : "pushState"](null, "", address);
}"""

_BACK = "() => addEventListener('popstate', () => location.reload())"


def restore_links(context: Context, page: gr.Blocks, tabs: gr.Tabs, names: list[str]) -> None:
    """Let addresses and inputs follow each other.

    Args:
        context: Of the page; `linked` holds the inputs by their names in an address.
        page: The page.
        tabs: Its tabs.
        names: Their names in an address.
    """
    linked = list(context.linked.items())
    inputs = [component for _, component in linked]
    defaults = [str(component.value) for component in inputs]

    def restore(request: gr.Request) -> tuple[object, ...]:
        query: Mapping[str, str] = dict(request.query_params)
        tab = query.get("tab")
        opened = gr.Tabs(selected=tab) if tab in names else gr.skip()
        return opened, *(_restored(component, query.get(name)) for name, component in linked)

    page.load(None, None, None, js=_BACK)
    page.load(restore, None, [tabs, *inputs], **context.at_once)
    script = _WRITE.replace("NAMES", json.dumps([name for name, _ in linked]))
    changes = changes_of(inputs)
    gr.on([*changes, *context.seen], None, inputs, None, js=script.replace("DEFAULTS", json.dumps(defaults)))


def _restored(component: gr.components.Component, text: str | None) -> object:
    """What an input takes from an address; what it had where that is not on offer."""
    if text is None:
        return gr.skip()
    if isinstance(component, gr.Slider | gr.Number):
        return _number(component, text)
    offered = getattr(component, "choices", None) or []
    values = {str(value): value for _, value in offered}
    if text in values:
        return values[text]
    return text if getattr(component, "allow_custom_value", False) and len(text) < 100 else gr.skip()


def _number(component: gr.Slider | gr.Number, text: str) -> object:
    try:
        value = float(text)
    except ValueError:
        return gr.skip()
    low, high = component.minimum, component.maximum
    inside = (low is None or value >= low) and (high is None or value <= high)  # also no for what is not a number
    return (int(value) if value.is_integer() else value) if inside else gr.skip()
