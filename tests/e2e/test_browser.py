"""A person in a browser: upload, wait, drag, read; on a desk and on a phone, in light and in dark."""

import os
import re
from pathlib import Path

import numpy as np
import pytest

from workbench.images.files import write_png
from workbench.metrics.distortion import psnr

SCREENSHOTS = Path(__file__).parent / "screenshots"
# What the viewer shows: address, alternative text, width, height and pixels of both pictures.
READ_VIEWER = """async () => {
    const shown = [...document.querySelectorAll('#reconstruct-viewer img')].slice(0, 2);
    return Promise.all(shown.map(async (img) => {
        const bitmap = await createImageBitmap(await (await fetch(img.src)).blob());
        const [width, height] = [bitmap.width, bitmap.height];
        const pen = new OffscreenCanvas(width, height).getContext('2d');
        pen.drawImage(bitmap, 0, 0);
        return [img.src, img.alt, width, height, [...pen.getImageData(0, 0, width, height).data]];
    }));
}"""
pytestmark = [pytest.mark.slow]


@pytest.fixture
def page(visit):
    return visit()


def until(page, holds):
    """Look again and again until something holds: what a page shows follows what was done to it, but not at once."""
    for _ in range(600):
        if holds():
            return
        page.wait_for_timeout(100)
    pytest.fail("it never came to hold")


def give(page, path):
    """Upload a picture as a person does."""
    with page.expect_file_chooser() as chooser:
        page.locator("#strip [data-way=file]").click()
    chooser.value.set_files(path)


def finished(page, name):
    """Wait until the last thing that a run was asked for is shown."""
    page.wait_for_function(
        f"(({{busy, state}}) => busy === 'false' && state !== 'idle')"
        f"(document.querySelector('#{name}-status .live-status').dataset)"
    )


def rows(page, selector):
    """The figures shown: name → value."""
    return page.eval_on_selector_all(
        f"{selector} tr", "rows => Object.fromEntries(rows.map(r => [r.cells[0].innerText, r.cells[1].innerText]))"
    )


def test_the_page_opens_with_a_result(page):
    page.wait_for_selector("#reconstruct-figures tr")
    page.wait_for_function("document.querySelectorAll('#reconstruct-viewer img').length >= 2")
    assert re.fullmatch(r"\d+\.\d\d dB", rows(page, "#reconstruct-figures")["PSNR"])


def test_a_picture_is_uploaded_reconstructed_and_compared(page, tmp_path):
    yy, xx = np.mgrid[0:192, 0:256]
    picture = np.stack([xx, yy, (xx + yy) // 2], axis=2).astype(np.uint8)
    picture[40:90, 60:160] = (200, 40, 40)
    write_png(picture, tmp_path / "mine.png")

    give(page, tmp_path / "mine.png")
    until(page, lambda: rows(page, "#reconstruct-figures").get("Tokens") == f"{32 * 24:,}")
    finished(page, "reconstruct")
    shown = rows(page, "#reconstruct-figures")
    assert shown["Bits"] == f"{32 * 24 * np.log2(196560):,.0f}"
    assert shown["Bits per pixel"] == f"{np.log2(196560) / 64:.4f}"

    # The number shown is that of the pictures shown.
    pictures = page.evaluate(READ_VIEWER)
    arrays = [np.array(p[4], dtype=np.uint8).reshape(p[3], p[2], 4)[:, :, :3] for p in pictures]
    assert all(p[0].endswith(".png") for p in pictures)
    assert all(p[1] for p in pictures), "a picture without an alternative text"
    before = next(a for a in arrays if np.array_equal(a, picture))
    after = next(a for a in arrays if a is not before)
    assert shown["PSNR"] == f"{psnr(before, after):.2f} dB"
    assert psnr(before, after) > 15

    # The bar moves, and the part of the picture that it uncovers with it.
    bar = page.locator("#reconstruct-viewer .viewer-knob")
    bar.scroll_into_view_if_needed()
    start = bar.bounding_box()
    page.mouse.move(start["x"] + start["width"] / 2, start["y"] + start["height"] / 2)
    page.mouse.down()
    page.mouse.move(start["x"] + start["width"] / 2 - 150, start["y"] + start["height"] / 2, steps=8)
    page.mouse.up()
    until(page, lambda: abs(bar.bounding_box()["x"] - (start["x"] - 150)) <= 12)


def test_the_first_click_gives_a_result(page):
    page.click("#reconstruct-run")
    finished(page, "reconstruct")
    assert re.fullmatch(r"\d+\.\d\d dB", rows(page, "#reconstruct-figures")["PSNR"])
    page.locator("#reconstruct-viewer [data-mode=all]").first.click()
    page.wait_for_function("document.querySelectorAll('#reconstruct-viewer figure').length == 4")
    page.wait_for_timeout(500)
    if os.environ.get("WORKBENCH_SCREENSHOTS"):
        SCREENSHOTS.mkdir(exist_ok=True)
        page.screenshot(path=SCREENSHOTS / "reconstruct.png", full_page=True)


def test_a_file_that_is_no_picture_gives_a_message_and_the_app_goes_on(page, tmp_path):
    (tmp_path / "trick.png").write_text("<script>alert(1)</script>")
    give(page, tmp_path / "trick.png")
    page.get_by_text("not a picture of an accepted kind").wait_for()
    page.get_by_role("tab", name="Lattice").click()
    page.locator("#golay-array td.tetrad0").first.wait_for()


def test_five_positions_are_an_octad(page):
    page.get_by_role("tab", name="Lattice").click()
    page.locator("#golay-positions label").filter(has_text=re.compile(r"^\s*4\s*$")).click()
    page.wait_for_function("document.querySelectorAll('#golay-array td.octad').length == 8")
    assert "0 1 2 3 4 6 18 21" in page.inner_text("#golay-figures")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_nothing_is_cut_off_at_the_side(visit, width, theme):
    page = visit(width=width, height=844, theme=theme)
    assert page.evaluate("document.body.classList.contains('dark')") == (theme == "dark")
    for tab in ("Reconstruct", "Lattice"):
        open_tab(page, tab)
        page.wait_for_function("document.documentElement.scrollWidth <= document.documentElement.clientWidth")


def open_tab(page, name):
    """Click a tab; where the page is narrow it stands in the menu behind the last one that fits.

    Tabs move there when the page has been laid out and measured, which may be between a look and a click.
    """
    from playwright.sync_api import TimeoutError as MovedAway

    tab, menu = page.get_by_role("tab", name=name).first, page.locator(".overflow-menu > button").first

    def opened():
        try:
            if tab.count():
                tab.click(timeout=2000)
            else:
                menu.click(timeout=2000)
                page.locator(".overflow-dropdown button", has_text=name).first.click(timeout=2000)
        except MovedAway:
            return False
        return page.locator(f"#tab-{name.lower()}").is_visible()

    until(page, opened)


def test_the_page_can_be_worked_by_keyboard(page):
    page.locator("#reconstruct-model input").focus()
    passed = []
    while "reconstruct-run" not in passed and len(passed) < 6:
        page.keyboard.press("Tab")
        passed.append(page.evaluate("document.activeElement.id || document.activeElement.type || ''"))
    assert passed[-1] == "reconstruct-run"
    assert any(one.startswith("range") for one in passed)  # the effort
