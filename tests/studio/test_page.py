"""The page in a real browser: Debian's Chromium, driven by Playwright."""

from __future__ import annotations

import base64
import io
import os
import shutil
import time
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from crossrig.studio.examples import EXAMPLES

sync_api = pytest.importorskip("playwright.sync_api", reason="the page's tests need Playwright: pip install playwright")

CHROMIUM = next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="the page's tests need a browser: apt-get install chromium")

WAIT = 240_000
"""Milliseconds after which something does not come any more; on a busy computer slow is not wrong."""
Studio = Any
Page = Any


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with sync_api.sync_playwright() as playwright:
        # as root, as continuous integration often is, Chromium's sandbox cannot be had
        options = ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=[*options, "--disable-gpu"])
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Any, studio: Studio) -> Iterator[Page]:
    context = browser.new_context(viewport={"width": 1280, "height": 720}, accept_downloads=True)
    context.set_default_timeout(WAIT)
    page = context.new_page()
    wrong: list[str] = []
    page.on("pageerror", lambda error: wrong.append(str(error)))
    page.on("console", lambda message: wrong.append(message.text) if "Content Security Policy" in message.text else None)
    page.goto(studio.origin)
    yield page
    context.close()
    assert wrong == []


def open_example(page: Page) -> None:
    page.select_option("#domain", "human")
    page.get_by_role("button", name="Photograph").click()
    page.wait_for_selector("body[data-mode=edit]")
    settled(page)


def until(page: Page, expression: str) -> None:
    """Wait until an expression is true. (Playwright's own way evaluates it on the page, which the Content-Security-Policy forbids.)"""
    end = time.monotonic() + WAIT / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < end, f"this never became true: {expression}"
        page.wait_for_timeout(50)


def settled(page: Page) -> None:
    """The picture is refined, and everything is on disk."""
    until(
        page, "document.querySelector('#result').dataset.refined === 'true' && document.querySelector('#saved').textContent === 'Kept'"
    )


def picture(page: Page, canvas: str = "result") -> np.ndarray:
    content = page.evaluate(f"document.querySelector('#{canvas}').toDataURL('image/png').split(',')[1]")
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(content))).convert("RGB")).astype(int)


def value(page: Page, control: str) -> str:
    text: str = page.locator(f"[data-control='{control}'] .number").input_value()
    return text


def test_from_start_to_a_saved_picture(page: Page) -> None:
    open_example(page)
    before = picture(page)
    page.get_by_role("button", name="Smile", exact=True).first.click()
    until(page, "document.querySelectorAll('#history li').length === 2")
    settled(page)
    assert np.abs(picture(page) - before).mean() > 0.1
    with page.expect_download() as download:
        page.get_by_role("button", name="Save picture").click()
    assert download.value.suggested_filename == "astronaut-edited.png"
    saved = Image.open(download.value.path())
    assert saved.size == (512, 512)
    assert "smile" in saved.info["xmp"].decode()


def test_sliders_drags_undo_and_reset(page: Page) -> None:
    open_example(page)
    start = value(page, "yaw")
    box = page.locator("#result").bounding_box()
    middle = (box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    page.mouse.move(*middle)
    page.mouse.down()
    for step in range(1, 6):
        page.mouse.move(middle[0] + 20 * step, middle[1])
    page.mouse.up()
    until(page, "document.querySelectorAll('#history li').length === 2")
    turned = value(page, "yaw")
    assert turned != start
    page.locator("#control-pitch").focus()
    page.keyboard.press("ArrowRight")
    until(page, "document.querySelectorAll('#history li').length === 3")
    page.keyboard.press("Control+z")
    page.wait_for_selector("#history li:nth-child(2) [aria-current]")
    assert value(page, "yaw") == turned
    page.keyboard.press("Control+Shift+z")
    page.wait_for_selector("#history li:nth-child(3) [aria-current]")
    page.locator("#control-yaw").dblclick()
    page.wait_for_selector("[data-control=yaw]:not(.set)")
    assert value(page, "yaw") == start
    page.locator("[data-control=yaw] .number").fill("17")
    page.keyboard.press("Enter")
    page.wait_for_selector("[data-control=yaw].set")
    assert value(page, "yaw") == "+17°"
    page.locator("#reset").click()
    until(page, "document.querySelectorAll('.slider.set').length === 0")


def test_the_ball_moves_the_light(page: Page) -> None:
    open_example(page)
    box = page.locator("#light").bounding_box()
    page.mouse.click(box["x"] + 0.15 * box["width"], box["y"] + 0.5 * box["height"])
    page.wait_for_selector("[data-control='light.azimuth'].set", state="attached")
    assert value(page, "light.azimuth").startswith("\u2212")  # from the left


def test_search_and_linked_sides(page: Page) -> None:
    open_example(page)
    page.keyboard.press("/")
    page.keyboard.type("smile left")
    page.wait_for_selector("[data-control=mouthSmileLeft]:visible")
    assert page.locator(".slider:visible").count() < 5
    page.locator("#control-mouthSmileLeft").focus()
    page.keyboard.press("End")
    page.wait_for_selector("[data-control=mouthSmileLeft].set")
    assert value(page, "mouthSmileRight") == value(page, "mouthSmileLeft") == "100\u202f%"


def test_compare_and_the_whole_picture(page: Page) -> None:
    open_example(page)
    page.keyboard.press("c")
    assert page.locator("#wipe").is_visible()
    page.keyboard.press("ArrowRight")
    assert page.locator("#wipe").get_attribute("aria-valuenow") == "55"
    page.keyboard.press("Escape")
    assert not page.locator("#wipe").is_visible()
    page.keyboard.press("f")
    until(page, "document.querySelector('#result').width === 512")


def test_work_is_found_again(page: Page) -> None:
    open_example(page)
    page.get_by_role("button", name="Surprise").click()
    until(page, "document.querySelectorAll('#history li').length === 2")
    settled(page)
    until(page, "localStorage.getItem('crossrig.recents')")
    page.reload()
    page.wait_for_selector("body[data-mode=edit]")
    until(page, "document.querySelectorAll('#history li').length === 2")
    page.locator("#new").click()
    page.wait_for_selector("body[data-mode=start]")
    page.locator("#recents button").first.click()
    page.wait_for_selector("body[data-mode=edit]")
    assert page.locator("#history li").count() == 2


def test_a_picture_of_ones_own_and_one_without_a_face(page: Page, tmp_path: Path) -> None:
    Image.fromarray(np.full((90, 90, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    Image.fromarray(EXAMPLES["astronaut"].load().pixels).save(tmp_path / "me.png")
    page.select_option("#domain", "human")
    page.set_input_files("#file", tmp_path / "grey.png")
    page.get_by_text("no face was found").wait_for()
    assert not page.locator("#working").is_visible()
    page.set_input_files("#file", tmp_path / "me.png")
    page.wait_for_selector("body[data-mode=edit]")
    assert page.locator("#picture-name").inner_text() == "me.png"


def test_a_clip(page: Page) -> None:
    open_example(page)
    page.locator("#tab-clip").click()
    page.locator("#orbit").click()
    assert page.locator("#keyframes li").count() == 3
    page.select_option("#format", "png")
    page.select_option("#rate", "10")
    for second, field in (("0.2", 1), ("0.4", 2)):
        page.locator("#keyframes input").nth(field).fill(second)
        page.keyboard.press("Tab")
    with page.expect_download() as download:
        page.locator("#make-clip").click()
    with zipfile.ZipFile(download.value.path()) as archive:
        assert len(archive.namelist()) >= 4


def test_everything_has_a_name_and_can_be_reached_by_keyboard(page: Page) -> None:
    open_example(page)
    nameless = page.evaluate(
        """[...document.querySelectorAll('button, input:not([type=file]), select, canvas[tabindex], [role=slider]')]
        .filter((element) => !(element.getAttribute('aria-label') || element.labels?.length || element.textContent.trim()))
        .map((element) => element.outerHTML)"""
    )
    assert nameless == []
    page.locator("#model").focus()
    start = value(page, "yaw")
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-control=yaw].set")
    assert value(page, "yaw") != start
    page.keyboard.press("?")
    assert page.locator("#help-box").is_visible()
