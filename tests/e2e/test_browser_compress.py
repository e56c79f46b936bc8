"""A person makes a file of a picture and a picture of the file, and gives a damaged one."""

import numpy as np
import pytest
from test_browser import finished, give

from workbench.images.files import write_png
from workbench.metrics.distortion import psnr

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]
PIXELS = """async () => {
    const shown = document.querySelector('#decompress-picture img');
    const bitmap = await createImageBitmap(await (await fetch(shown.src)).blob());
    const pen = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d');
    pen.drawImage(bitmap, 0, 0);
    return [...pen.getImageData(0, 0, bitmap.width, bitmap.height).data];
}"""


@pytest.fixture
def page(visit):
    """The Compress tab."""
    page = visit(height=1400)
    page.get_by_role("tab", name="Compress", exact=True).click()
    return page


def figures(page, selector):
    """The figures shown: name → value."""
    return page.eval_on_selector_all(
        f"{selector} tr", "rows => Object.fromEntries(rows.map(r => [r.cells[0].innerText, r.cells[1].innerText]))"
    )


def test_a_picture_becomes_a_file_and_comes_back(page, tmp_path):
    yy, xx = np.mgrid[0:96, 0:128]
    picture = np.stack([2 * xx, 2 * yy, xx + yy], axis=2).astype(np.uint8)
    picture[30:60, 40:90] = (200, 40, 40)
    write_png(picture, tmp_path / "mine.png")
    made, damaged = tmp_path / "mine.leech", tmp_path / "damaged.leech"

    give(page, tmp_path / "mine.png")
    page.locator("#compress-figures tr", has_text="128 × 96 pixels").wait_for()
    finished(page, "compress")
    with page.expect_download() as download:
        page.locator("#compress-file a[download]").first.click()
    download.value.save_as(made)
    assert download.value.suggested_filename == "mine.leech"
    costs = figures(page, "#compress-figures")
    assert costs["File"] == f"{made.stat().st_size:,} bytes"
    assert costs["Bits per pixel"] == f"{8 * made.stat().st_size / (96 * 128):.4f}"

    content = made.read_bytes()
    damaged.write_bytes(content[:60] + bytes([content[60] ^ 1]) + content[61:])
    page.locator("#decompress-input input[type=file]").set_input_files(damaged)
    page.get_by_text("the file is damaged").first.wait_for()
    assert page.locator("#decompress-picture img").count() == 0

    page.locator("#decompress-input button[aria-label='Clear']").first.click()
    page.locator("#decompress-input input[type=file]").set_input_files(made)
    page.locator("#decompress-figures tr", has_text="Model").first.wait_for()
    back = page.locator("#decompress-picture img")
    back.scroll_into_view_if_needed()
    page.wait_for_function("document.querySelector('#decompress-picture img').naturalWidth === 128")
    assert back.get_attribute("alt")
    shown = np.array(page.evaluate(PIXELS)).reshape(96, 128, 4)[:, :, :3].astype(np.uint8)
    assert costs["PSNR"] == f"{psnr(picture, shown):.2f} dB"
