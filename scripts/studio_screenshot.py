"""Takes the picture of the studio in docs/9-studio.md: python scripts/studio_screenshot.py [--example toon] [--set smile=0.8 ...]

Needs Playwright and a Chromium. Uses the shipped networks and an example picture.
"""

from __future__ import annotations

import argparse
import io
import os
import shutil
import socket
import tempfile
import threading
import time
from pathlib import Path

import uvicorn
from PIL import Image
from playwright.sync_api import sync_playwright

from crossrig.cli.parser import parse_settings
from crossrig.session import Effort, Networks
from crossrig.studio.examples import EXAMPLES
from crossrig.studio.guard import Policy
from crossrig.studio.server import make_app
from crossrig.studio.sessions import Sessions

OUTPUT = Path(__file__).parent.parent / "docs" / "studio.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--example", choices=sorted(EXAMPLES), default="man")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--tuning-steps", type=int, default=Effort().tuning_steps)
    options = parser.parse_args()
    values = parse_settings(options.settings or ["smile=0.9", "yaw=10"])
    with tempfile.TemporaryDirectory() as folder, socket.socket() as listening, sync_playwright() as playwright:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        sessions = Sessions(Networks.shipped("auto"), Path(folder), Effort(tuning_steps=options.tuning_steps))
        server = uvicorn.Server(uvicorn.Config(make_app(sessions, Policy("127.0.0.1", port, None)), log_level="warning"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        while not server.started:
            time.sleep(0.05)
        sandbox = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=sandbox)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(1_800_000)
        page.goto(f"http://127.0.0.1:{port}/")
        page.get_by_role("button", name=EXAMPLES[options.example].info.title, exact=True).click()
        page.wait_for_selector("#result[data-refined=true]")
        for number, (name, value) in enumerate(values.items(), start=2):
            page.evaluate(
                "([name, value]) => { const slider = document.getElementById(`control-${name}`); slider.value = value;"
                " slider.dispatchEvent(new Event('change')); }",
                [name, str(value)],
            )
            page.wait_for_selector(f"#history li:nth-child({number}) img:not(.empty)")
        page.wait_for_timeout(3000)  # the judge looks
        Image.open(io.BytesIO(page.screenshot())).convert("RGB").save(OUTPUT, quality=85)
        browser.close()
        server.should_exit = True
        thread.join()
    print(OUTPUT)


if __name__ == "__main__":
    main()
