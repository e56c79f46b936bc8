"""Addresses: what is seen stands in them, and they restore it."""

import pytest
from test_browser import open_tab, rows

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1800)]


def test_an_address_restores_tab_and_settings(visit, app):
    page = visit()
    page.goto(f"{app}?tab=generate&generator=sketch&class=roses&seed=5&effort=elsewhere")
    page.locator("#generate-figures tr", has_text="3 of 3 grids are drawn").wait_for()
    page.locator("#generate-figures tr", has_text="roses").first.wait_for()
    assert rows(page, "#generate-figures")["Seed"] == "5"
    assert page.input_value("#reconstruct-effort input[type=number]") == "2"  # what is not on offer changes nothing


def test_a_tab_and_a_setting_stand_in_the_address(visit):
    page = visit()
    open_tab(page, "Compress")
    page.wait_for_function("location.search.includes('tab=compress')")
    page.locator("#compress-rate label").first.click()
    page.wait_for_function("location.search.includes('rate=1')")
