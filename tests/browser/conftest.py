"""Debian's Chromium, headless; without it these tests are skipped and say so, on CI they fail."""

import os
import shutil

import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="session")
def browser():
    """One Chromium for all tests of this folder."""
    if CHROMIUM is None:
        stop = pytest.fail if os.environ.get("CI") else pytest.skip
        stop("no chromium here; install it (Debian: sudo apt install chromium)")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--headless"]
        )
        yield started
        started.close()
