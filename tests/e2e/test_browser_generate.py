"""A person draws pictures, takes one of them, paints over a part and has that part drawn anew."""

import os
from pathlib import Path

import pytest

SCREENSHOTS = Path(__file__).parent / "screenshots"
# From now on every piece of the stream of answers comes late, as over a slow line; requests are as fast as before.
SLOW_LINE = """() => {
    const fetched = window.fetch;
    const late = () => new TransformStream({
        transform: (piece, out) => new Promise((done) => setTimeout(() => done(out.enqueue(piece)), 700)),
    });
    window.fetch = async (request, ...rest) => {
        const answer = await fetched(request, ...rest);
        const streamed = String(request.url ?? request).includes('/queue/data');
        return streamed ? new Response(answer.body.pipeThrough(late()), answer) : answer;
    };
}"""
pytestmark = [pytest.mark.slow]


@pytest.fixture
def page(visit):
    """The Generate tab with the small generator chosen."""
    page = visit(height=1400)
    page.get_by_role("tab", name="Generate", exact=True).click()
    choose_small(page)
    return page


def choose_small(page):
    model = page.locator("#generate-model input")
    model.fill("sketch")
    model.press("Enter")


def test_scales_appear_and_a_painted_part_is_drawn_anew(page):
    count = page.locator("#generate-count input[type=number]")
    count.fill("2")
    count.press("Tab")
    page.locator("#generate-run").click()
    page.locator("#generate-figures tr", has_text="3 of 3 grids are drawn").wait_for()
    page.wait_for_function("document.querySelectorAll('#generate-gallery img').length >= 2")
    assert all(
        source.endswith(".png")
        for source in page.eval_on_selector_all("#generate-gallery img", "images => images.map(image => image.src)")
    )
    page.locator("#generate-gallery img").first.click()
    page.get_by_role("tab", name="Edit a picture").click()
    page.locator("#edit-take").click()
    canvas = page.locator("#edit-painting canvas").first
    page.wait_for_function("document.querySelector('#edit-painting canvas')?.getBoundingClientRect().width > 100")
    brush = page.locator("#edit-painting button[aria-label='Brush']")
    brush.first.wait_for()
    brush.first.click()
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    x, y = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2
    page.mouse.move(x - 60, y)
    page.mouse.down()
    page.mouse.move(x, y + 20, steps=5)
    page.mouse.move(x + 60, y, steps=5)
    page.mouse.up()
    page.locator("#edit-run").click()
    page.locator("#edit-figures tr", has_text="of a picture").wait_for()
    assert "filled" in page.locator("#edit-figures tr", has_text="of a picture").inner_text()
    page.wait_for_function("document.querySelectorAll('#edit-viewer figure').length === 5")  # the picture, four answers
    if os.environ.get("WORKBENCH_SCREENSHOTS"):
        page.wait_for_timeout(500)
        page.screenshot(path=SCREENSHOTS / "generate.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(500)
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") <= 0


def test_pictures_come_over_a_slow_line_though_the_model_was_chosen_a_moment_before(visit):
    page = visit(height=1400)
    page.get_by_role("tab", name="Generate", exact=True).click()
    page.wait_for_timeout(2000)  # so that nothing of the page's opening is still to come
    page.evaluate(SLOW_LINE)
    choose_small(page)
    page.wait_for_timeout(300)
    page.locator("#generate-run").click()
    page.locator("#generate-figures tr", has_text="3 of 3 grids are drawn").wait_for()
