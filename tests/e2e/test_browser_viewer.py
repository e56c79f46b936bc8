"""The viewer: modes, linked zoom and pan by mouse, keyboard and wheel, a page that scrolls on, names of files."""

import pytest
from test_browser import finished

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
VIEWER = "#reconstruct-viewer"
SIZES = f"""() => [...document.querySelectorAll('{VIEWER} .viewer-frame img')].map((image) => image.style.transform
    + image.style.width)"""


@pytest.fixture
def page(visit):
    page = visit(height=1000)
    finished(page, "reconstruct")
    return page


def mode(page, name):
    page.locator(f"{VIEWER} button[data-mode={name}]").click()


def zoom(page):
    return float(page.inner_text(f"{VIEWER} .viewer-zoom").removesuffix("×"))


def test_each_mode_shows_what_it_says(page):
    for name, frames, pictures in (
        ("split", 1, 2),
        ("sides", 2, 2),
        ("flicker", 1, 2),
        ("difference", 1, 2),
        ("all", 4, 4),
    ):
        mode(page, name)
        assert page.locator(f"{VIEWER} .viewer-frame").count() == frames
        assert page.locator(f"{VIEWER} .viewer-frame img").count() == pictures
        assert page.get_attribute(f"{VIEWER} button[data-mode={name}]", "aria-pressed") == "true"
    assert "black 0" in page.inner_text(VIEWER)  # what the colours of the error map mean


def test_all_pictures_zoom_and_move_together(page):
    mode(page, "all")
    frame = page.locator(f"{VIEWER} .viewer-frame").first
    frame.dblclick(position={"x": 20, "y": 20})
    assert zoom(page) == 4
    assert len(set(page.evaluate(SIZES))) == 1
    page.locator(f"{VIEWER} .viewer-stage").focus()
    before = page.evaluate(SIZES)
    page.keyboard.press("ArrowRight")
    after = page.evaluate(SIZES)
    assert before != after
    assert len(set(after)) == 1
    page.keyboard.press("+")
    assert zoom(page) == 5
    page.keyboard.press("0")
    assert zoom(page) == 1


def test_a_wheel_scrolls_the_page_and_zooms_only_with_control(page):
    page.set_viewport_size({"width": 1280, "height": 500})
    page.locator(f"{VIEWER} .viewer-frame").scroll_into_view_if_needed()
    page.locator(f"{VIEWER} .viewer-frame").hover()
    before = page.evaluate("scrollY")
    page.mouse.wheel(0, -200)
    page.wait_for_function(f"scrollY < {before}")
    assert zoom(page) == 1
    page.keyboard.down("Control")
    page.mouse.wheel(0, -300)
    page.keyboard.up("Control")
    page.wait_for_function(f"document.querySelector('{VIEWER} .viewer-zoom').textContent !== '1×'")
    assert zoom(page) > 2


def test_the_bar_is_moved_by_keyboard(page):
    bar = page.locator(f"{VIEWER} .viewer-knob")
    bar.focus()
    page.keyboard.press("ArrowLeft")
    assert bar.get_attribute("aria-valuenow") == "48"


def test_any_two_are_compared_and_saved_under_their_names(page):
    page.select_option(f"{VIEWER} select[data-side=left]", "error map")
    names = page.eval_on_selector_all(f"{VIEWER} a[download]", "links => links.map((link) => link.download)")
    assert names == ["temple-error.png", "temple-photo-leech.png"]
