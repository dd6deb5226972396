"""From starting the program to a saved edit, by a hand that knows where to click."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from studio_browser import browser_page

from crossrig.studio.background import StudioProcess


def measure(options: tuple[str, ...]) -> dict[str, float]:
    """Seconds from the start until the page shows, until the photograph is taken in, and until its edit is saved."""
    start = time.perf_counter()
    with (
        tempfile.TemporaryDirectory() as folder,
        StudioProcess(Path(folder), options) as studio,
        browser_page(f"http://127.0.0.1:{studio.port}/") as page,
    ):
        button = page.get_by_role("button", name="Photograph")
        button.wait_for()
        shown = time.perf_counter()
        button.click()
        page.wait_for_selector("#result[data-refined=true]")
        taken = time.perf_counter()
        page.get_by_role("button", name="Smile", exact=True).first.click()
        page.wait_for_selector("#result[data-revision='2'][data-refined=true]")
        with page.expect_download() as download:
            page.get_by_role("button", name="Save picture").click()
        download.value.path()
        saved = time.perf_counter()
    return {"first.page_s": shown - start, "first.picture_s": taken - start, "first.saved_s": saved - start}
