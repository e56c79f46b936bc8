"""The Train tab in a browser: one click gives a model, seen while it learns and downloaded."""

import pytest

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


@pytest.fixture
def page(visit):
    """The Train tab."""
    page = visit()
    page.get_by_role("tab", name="Train").first.click()
    return page


def test_a_click_gives_a_model(page):
    page.locator("#train-source").wait_for()
    page.locator("#train-minutes input").fill("0.1")
    page.locator("#train-name").locator("input, textarea").first.fill("browsed")
    page.locator("#train-start").click()
    page.wait_for_function("document.querySelector('#train-figures').innerText.includes('done')")
    picture = page.locator("#train-preview img").first
    picture.wait_for()
    assert picture.get_attribute("alt")
    page.locator("#train-quality .plot-container, #train-quality .js-plotly-plot").first.wait_for()
    page.wait_for_function("!document.querySelector('#train-pack').disabled")
    page.locator("#train-pack").click()
    page.locator("#train-packed a").first.wait_for()
    assert page.locator("#train-stop").is_disabled()


def test_each_source_asks_for_what_it_needs(page):
    page.locator("#train-source").wait_for()
    assert not page.locator("#train-archive").is_visible()
    page.locator("#train-source label", has_text="An archive").click()
    page.locator("#train-archive").wait_for(state="visible")
    page.locator("#train-source label", has_text="Drawn by rule").click()
    page.locator("#train-archive").wait_for(state="hidden")
    assert page.locator("#train-source label", has_text="A folder").count() == 0  # the app was started without any
