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
    until(page, "document.querySelectorAll('#history li').length === 2")


def test_a_picture_of_ones_own(page: Page, tmp_path: Path) -> None:
    Image.fromarray(EXAMPLES["astronaut"].load().pixels).save(tmp_path / "me.png")
    page.select_option("#domain", "human")
    page.set_input_files("#file", tmp_path / "me.png")
    page.wait_for_selector("body[data-mode=edit]")
    assert page.locator("#picture-name").inner_text() == "me.png"


def test_a_face_that_is_not_found_is_placed_by_hand(page: Page, tmp_path: Path) -> None:
    Image.fromarray(np.full((90, 90, 3), 90, np.uint8)).save(tmp_path / "grey.png")
    page.select_option("#domain", "human")
    page.set_input_files("#file", tmp_path / "grey.png")
    page.get_by_text("grey.png: no face was found").wait_for()
    until(page, "document.querySelector('#faces-canvas').width === 90")
    assert not page.locator("#working").is_visible()
    knobs = page.locator("#faces-layer .knob")
    assert knobs.count() == 5
    nose = knobs.nth(2)
    before = nose.bounding_box()
    nose.focus()
    page.keyboard.press("Shift+ArrowDown")
    assert nose.bounding_box()["y"] > before["y"] + 2
    box = page.locator("#faces-picture").bounding_box()
    mouth = knobs.nth(3).bounding_box()
    page.mouse.move(mouth["x"] + 13, mouth["y"] + 13)
    page.mouse.down()
    page.mouse.move(box["x"] + 0.45 * box["width"], box["y"] + 0.1 * box["height"], steps=4)
    page.mouse.up()
    page.mouse.move(*(knobs.nth(4).bounding_box()[side] + 13 for side in ("x", "y")))
    page.mouse.down()
    page.mouse.move(box["x"] + 0.55 * box["width"], box["y"] + 0.1 * box["height"], steps=4)
    page.mouse.up()
    page.get_by_role("button", name="Edit the face here").click()
    page.get_by_text("The eyes must lie above the mouth").wait_for()  # and the points can be moved on
    for number in (3, 4):
        knobs.nth(number).focus()
        for _ in range(18):
            page.keyboard.press("Shift+ArrowDown")
    page.get_by_role("button", name="Edit the face here").click()
    page.wait_for_selector("body[data-mode=edit]")
    assert not page.locator("#faces-box").is_visible()


def test_one_of_several_faces_is_picked(page: Page, tmp_path: Path) -> None:
    astronaut = EXAMPLES["astronaut"].load().pixels
    two = np.concatenate([astronaut, np.asarray(Image.fromarray(astronaut).resize((640, 640)))[:512]], axis=1)
    Image.fromarray(two).save(tmp_path / "two.png")
    page.select_option("#domain", "human")
    page.set_input_files("#file", tmp_path / "two.png")
    page.get_by_text("the largest is taken unless you pick another").wait_for()
    until(page, "document.querySelectorAll('#faces-layer .face-frame').length === 2")
    assert page.get_by_label("Face 1, the largest").is_checked()
    page.get_by_label("Face 1, the largest").focus()
    page.keyboard.press("ArrowDown")
    assert page.get_by_label("Face 2").is_checked()
    page.keyboard.press("Escape")
    assert not page.locator("#faces-box").is_visible()
    page.set_input_files("#file", tmp_path / "two.png")
    page.locator("#faces-layer .face-frame").nth(1).click()
    page.get_by_role("button", name="Edit this face").click()
    page.wait_for_selector("body[data-mode=edit]")


def test_handles_on_the_face(page: Page) -> None:
    open_example(page)
    page.keyboard.press("l")
    chin = page.get_by_role("button", name="Chin. The arrow keys move it.")
    chin.wait_for()
    box, picture_box = chin.bounding_box(), page.locator("#result").bounding_box()
    assert picture_box["y"] < box["y"] < picture_box["y"] + picture_box["height"]
    page.mouse.move(box["x"] + 13, box["y"] + 13)
    page.mouse.down()
    page.mouse.move(box["x"] + 13, box["y"] + 45, steps=5)
    page.mouse.up()
    page.wait_for_selector("[data-control=jawOpen].set")
    until(page, "document.querySelectorAll('#history li').length === 2")
    page.select_option("#handles-follow", "shape")
    page.get_by_role("button", name="Jaw on the left").focus()
    page.keyboard.press("Shift+ArrowLeft")
    page.wait_for_selector("[data-control=jawWidth].set", state="attached")
    page.keyboard.press("l")
    assert not chin.is_visible()


SLOW_PREVIEWS = """{
  const decode = window.createImageBitmap.bind(window);
  window.createImageBitmap = async (blob, ...rest) => {
    if (window.slow) { window.slow = false; await new Promise((resolve) => setTimeout(resolve, 700)); }
    return decode(blob, ...rest);
  };
}"""


def test_a_quick_picture_that_is_decoded_late_does_not_replace_the_refined_one(page: Page) -> None:
    page.add_init_script(SLOW_PREVIEWS)
    page.reload()
    open_example(page)
    page.locator("#control-yaw").focus()
    page.evaluate("window.slow = true")
    page.keyboard.press("ArrowRight")
    until(page, "Number(document.querySelector('#result').dataset.revision) > 0")
    page.wait_for_timeout(1500)
    assert page.evaluate("window.slow") is False
    settled(page)


def test_the_edit_in_every_domain(page: Page) -> None:
    open_example(page)
    page.keyboard.press("d")
    until(page, "document.querySelector('#blend-picture').dataset.revision && document.querySelector('#domain-1').dataset.revision")
    middle = picture(page, "blend-picture")
    page.locator("#blend-share").focus()
    page.keyboard.press("End")
    assert page.locator("#blend-share").get_attribute("aria-valuetext") is not None
    end = time.monotonic() + WAIT / 1000
    while not np.array_equal(picture(page, "blend-picture"), picture(page, "domain-1")):
        assert time.monotonic() < end
        page.wait_for_timeout(50)
    assert not np.array_equal(picture(page, "blend-picture"), middle)
    page.keyboard.press("Escape")
    assert not page.locator("#domain-view").is_visible()


def test_a_group_is_locked(page: Page) -> None:
    open_example(page)
    page.locator("#control-jawOpen").focus()
    page.keyboard.press("End")
    page.wait_for_selector("[data-control=jawOpen].set")
    key = page.get_by_role("button", name="Lock Expression")
    key.focus()
    page.keyboard.press("Enter")
    page.wait_for_selector(".group.locked [data-lock=expression][aria-pressed=true]")
    page.get_by_role("button", name="Surprise").click()
    page.locator("#control-yaw").focus()
    page.keyboard.press("End")
    page.wait_for_selector("[data-control=yaw].set")
    page.locator("#reset").click()
    page.wait_for_selector("[data-control=yaw]:not(.set)")
    assert value(page, "jawOpen") == "100\u202f%"
    key.click()
    page.wait_for_selector("[data-lock=expression][aria-pressed=false]")
    page.locator("#reset").click()
    until(page, "document.querySelectorAll('.slider.set').length === 0")


def test_the_light_of_another_picture(page: Page, tmp_path: Path) -> None:
    open_example(page)
    Image.fromarray(EXAMPLES["drawing"].load().pixels).save(tmp_path / "other.png")
    page.locator(".group:has([data-lock=illumination]) > summary").click()
    with page.expect_file_chooser() as chooser:
        page.get_by_role("button", name="Take the light of another picture").click()
    chooser.value.set_files(tmp_path / "other.png")
    page.wait_for_selector("#history li:nth-child(2) [title='Light of other.png']")
    assert not page.locator("#working").is_visible()
    page.keyboard.press("Control+z")
    page.wait_for_selector("#history li:nth-child(1) [aria-current]")


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
    page.locator("#preview-clip").click()
    page.wait_for_selector("#preview-box[open]")
    until(page, "document.querySelector('#preview-at').value > 0")  # it plays
    page.get_by_role("button", name="Pause").click()
    page.locator("#preview-at").focus()
    page.keyboard.press("Home")
    first = picture(page, "preview-canvas")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    assert np.abs(picture(page, "preview-canvas") - first).mean() > 0.1
    page.keyboard.press("Escape")
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


def test_somebody_is_made_up(page: Page) -> None:
    page.get_by_role("button", name="Make somebody up").click()
    page.wait_for_selector("#result[data-refined=true]")
    assert page.locator("#picture-name").inner_text().startswith("sample ")
    page.locator("#control-yaw").focus()
    page.keyboard.press("ArrowRight")
    page.wait_for_selector("[data-control=yaw].set", state="attached")
    settled(page)
