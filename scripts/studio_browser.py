"""A studio and a page of it in a real browser, for scripts that measure or photograph it. Needs Playwright and a Chromium."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator

from playwright.sync_api import Page, sync_playwright

from crossrig.studio.background import serving
from crossrig.studio.sessions import Sessions

PATIENCE = 1_800_000
"""Milliseconds after which something does not come any more: taking a picture in is slow on a small computer."""


@contextlib.contextmanager
def studio_page(sessions: Sessions) -> Iterator[Page]:
    """A page of 1280 x 720 that shows the first page of a studio; both end with the block."""
    with serving(sessions) as port, browser_page(f"http://127.0.0.1:{port}/") as page:
        yield page


@contextlib.contextmanager
def browser_page(address: str) -> Iterator[Page]:
    """A page of 1280 x 720 at an address."""
    with sync_playwright() as playwright:
        # as root, Chromium's sandbox cannot be had
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(PATIENCE)
        page.goto(address)
        yield page
        browser.close()
