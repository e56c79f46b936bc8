"""Without a mouse and on a phone: every tab is worked by the Tab key, which shows where it is, and fits 390 pixels."""

import pytest
from test_browser import open_tab

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
MAIN = {
    "Reconstruct": "reconstruct-run",
    "Compare": "compare-run",
    "Generate": "generate-run",
    "Compress": "compress-run",
    "Codebook": "codebook-run",
    "Lattice": "golay-positions",
    "Train": "train-start",
}
PRESSES = 32  # the head of the page, and all that stands before the button
# Where the keyboard is, and whether a ring is drawn around it or around what it stands in.
FOCUSED = """() => {
    const ringed = (element) => {
        const style = getComputedStyle(element);
        return style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 1
            && !['transparent', 'rgba(0, 0, 0, 0)'].includes(style.outlineColor);
    };
    const around = [];
    for (let e = document.activeElement; e && e !== document.body && around.length < 5; e = e.parentElement)
        around.push(e);
    const name = document.activeElement.getAttribute('aria-label') || document.activeElement.outerHTML.slice(0, 200);
    const places = [];
    for (let e = document.activeElement; e; e = e.parentElement) if (e.id) places.push(e.id);
    return [places, around.some(ringed), name];
}"""
NAMELESS = """() => [...document.querySelectorAll('img')].filter((picture) => picture.checkVisibility() && !picture.alt)
    .map((picture) => picture.closest('[id]')?.id)"""
TOO_WIDE = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_tab_is_worked_by_keyboard_and_fits(visit, width, theme):
    page = visit(width=width, height=844, theme=theme)
    for tab, goal in MAIN.items():
        open_tab(page, tab)
        page.locator(f"#{goal}").wait_for()
        page.wait_for_function(f"{TOO_WIDE} <= 0")
        page.wait_for_function(f"({NAMELESS})().length === 0")
        walk_to(page, tab, goal)


def walk_to(page, tab, goal):
    """Press Tab from the tab's own name until the goal has the keyboard; every stop on the way shows it."""
    page.get_by_role("tab", name=tab, exact=True).locator("visible=true").first.focus()
    for _ in range(PRESSES):
        page.keyboard.press("Tab")
        places, ringed, name = page.evaluate(FOCUSED)
        if not places and name.startswith("<body"):
            continue  # a list of choices that scrolls is a stop of its own, and closes as it is reached
        assert ringed, f"{tab}: nothing shows that the keyboard is at {name}"
        if goal in places:
            return
    pytest.fail(f"{tab}: {PRESSES} times Tab did not lead to #{goal}; the last stop is {name}")
