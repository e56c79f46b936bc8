"""Results that follow what is chosen: one picture in every tab, the latest wish wins, and no click is lost."""

import base64

import numpy as np
import pytest
from test_browser import finished, give, open_tab, rows, until

from workbench.images.files import write_png

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
# A picture is pasted, or dropped, somewhere on the page.
PASTE = """([kind, content]) => {
    const bytes = Uint8Array.from(atob(content), (c) => c.charCodeAt(0));
    const data = new DataTransfer();
    data.items.add(new File([bytes], "pasted.png", {type: "image/png"}));
    const settings = {bubbles: true, cancelable: true};
    document.querySelector(".masthead").dispatchEvent(kind === "paste"
        ? new ClipboardEvent("paste", {...settings, clipboardData: data})
        : new DragEvent("drop", {...settings, dataTransfer: data}));
}"""


@pytest.fixture
def page(visit):
    return visit(height=1000)


def choose(page, selector, name):
    """Choose a model by its name."""
    field = page.locator(f"{selector} input")
    field.fill(name)
    field.press("Enter")


@pytest.fixture
def wave(tmp_path):
    y, x = np.mgrid[:48, :64] / 9
    picture = (127 + 100 * np.stack([np.sin(x + y), np.cos(x), np.sin(y)], -1)).astype(np.uint8)
    write_png(picture, tmp_path / "wave.png")
    return tmp_path / "wave.png"


def test_a_picture_is_that_of_every_tab_and_results_follow(page, wave):
    choose(page, "#reconstruct-model", "tiny")
    give(page, wave)
    until(page, lambda: rows(page, "#reconstruct-figures").get("Tokens") == "48")
    assert "64 × 48" in page.inner_text("#strip")
    page.get_by_role("tab", name="Compress", exact=True).click()
    page.locator("#compress-figures tr", has_text="64 × 48 pixels").wait_for()
    finished(page, "compress")
    before = rows(page, "#compress-figures")["File"]
    page.locator("#compress-rate label").last.click()
    until(page, lambda: rows(page, "#compress-figures")["File"] != before)


@pytest.mark.parametrize("kind", ["paste", "drop"])
def test_a_picture_comes_from_anywhere_on_the_page(page, wave, kind):
    page.locator("#strip").wait_for()
    page.evaluate(PASTE, [kind, base64.b64encode(wave.read_bytes()).decode()])
    page.locator("#strip", has_text="pasted").wait_for()
    until(page, lambda: "64 × 48" in page.inner_text("#reconstruct-figures"))


def test_an_example_is_one_click(page):
    page.locator("#strip .strip-example").nth(1).click()
    page.locator("#strip .strip-example[aria-pressed=true] img[alt*=flower]").wait_for()
    page.wait_for_function("document.querySelector('#reconstruct-viewer a[download]')?.download === 'flower.png'")


def test_a_refused_file_leaves_the_picture_and_is_named(page, tmp_path):
    (tmp_path / "trick.png").write_text("no picture")
    before = page.inner_text("#strip .strip-text b")
    give(page, tmp_path / "trick.png")
    page.locator("#strip .strip-said", has_text="not a picture").wait_for()
    assert page.inner_text("#strip .strip-text b") == before


def test_the_last_of_many_clicks_wins(page):
    """The class is changed while pictures are drawn: those that are shown in the end are of the last class."""
    page.get_by_role("tab", name="Generate", exact=True).click()
    choose(page, "#generate-model", "sketch")
    for name in ("roses", "daisy", "roses"):
        field = page.locator("#generate-label input")
        field.fill(name)
        field.press("Enter")
        page.locator("#generate-run").click()
    until(
        page,
        lambda: (
            rows(page, "#generate-figures").get("Class") == "roses"
            and page.get_attribute("#generate-status .live-status", "data-state") == "done"
        ),
    )
    page.wait_for_timeout(1500)
    assert rows(page, "#generate-figures")["Class"] == "roses"


def test_an_error_is_said_beside_its_button_and_leaves_the_pictures(page):
    page.get_by_role("tab", name="Generate", exact=True).click()
    choose(page, "#generate-model", "sketch")
    page.locator("#generate-figures tr", has_text="3 of 3 grids are drawn").wait_for()
    finished(page, "generate")
    field = page.locator("#generate-label input")
    field.fill("rosse")
    field.press("Enter")
    page.locator("#generate-status", has_text="did you mean").wait_for()
    assert page.locator("#generate-gallery img").count() >= 1
    assert page.locator("#generate-seed .error, #generate-seed [data-testid=error]").count() == 0


def test_a_drawn_picture_is_sent_to_the_other_tabs(page):
    page.get_by_role("tab", name="Generate", exact=True).click()
    choose(page, "#generate-model", "sketch")
    page.locator("#generate-figures tr", has_text="3 of 3 grids are drawn").wait_for()
    finished(page, "generate")
    page.locator("#generate-send").click()
    page.locator("#strip", has_text="32 × 32 pixels").wait_for()
    open_tab(page, "Reconstruct")
    until(page, lambda: "32 × 32" in page.inner_text("#reconstruct-figures"))


@pytest.mark.parametrize(("tab", "shown"), [
    ("Compare", "#compare-viewer figure"), ("Generate", "#generate-gallery img"), ("Compress", "#compress-viewer img"),
    ("Codebook", "#codebook-words .word-bar"), ("Lattice", "#golay-array td"),
])  # fmt: skip
def test_every_tab_opens_with_a_result_and_its_button_in_sight(visit, tab, shown):
    page = visit(height=800)
    open_tab(page, tab)
    page.locator(shown).first.wait_for()
    if tab != "Lattice":
        box = page.locator(f"#{tab.lower()}-run").bounding_box()
        assert box["y"] + box["height"] <= 800


def test_stop_is_seen_only_while_a_run_goes_on(page):
    finished(page, "reconstruct")
    page.locator("#reconstruct-stop").wait_for(state="hidden")
