"""A real browser: Debian's or the user's Chromium, driven by Playwright."""

import os
import shutil
from pathlib import Path

import pytest

WAIT = 300_000  # milliseconds, far more than any machine needs, and less than a test may take
NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
PLACES = (
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
)


def chromium() -> str | None:
    """Where a Chromium is: `$CHROMIUM`, on the path, or where macOS puts it."""
    named = os.environ.get("CHROMIUM")
    found = [path for name in NAMES if (path := shutil.which(name))]
    return named or next(iter(found), None) or next((place for place in PLACES if Path(place).exists()), None)


@pytest.fixture(scope="session")
def browser():
    """A headless browser; the test skips without one, and fails without one where a browser is required."""
    path = chromium()
    if path is None:
        message = "no Chromium found: install one (Debian: apt-get install chromium) or set CHROMIUM to its path"
        if os.environ.get("WORKBENCH_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox", "--enable-unsafe-swiftshader"])
        yield browser
        browser.close()


@pytest.fixture
def visit(browser, app):
    """Opens the app on a fresh page; the test fails if anything is written to the console as an error."""
    contexts, complaints = [], []

    def fresh(*, width=1280, height=900, theme="light"):
        context = browser.new_context(viewport={"width": width, "height": height})
        contexts.append(context)
        context.set_default_timeout(WAIT)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"{app}?__theme={theme}")
        page.wait_for_selector("#reconstruct-run")
        return page

    yield fresh
    for context in contexts:
        context.close()
    assert not complaints
