"""Takes the picture of the studio in docs/9-studio.md: python scripts/studio_screenshot.py [--example toon] [--set smile=0.8 ...]

Needs Playwright and a Chromium. Uses the shipped networks and an example picture.
"""

from __future__ import annotations

import argparse
import io
import tempfile
from pathlib import Path

from PIL import Image
from studio_browser import studio_page

from crossrig.cli.parser import parse_settings
from crossrig.session import Effort, Networks
from crossrig.studio.examples import EXAMPLES
from crossrig.studio.sessions import Sessions

OUTPUT = Path(__file__).parent.parent / "docs" / "studio.jpg"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--example", choices=sorted(EXAMPLES), default="man")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE", dest="settings")
    parser.add_argument("--tuning-steps", type=int, default=Effort().tuning_steps)
    options = parser.parse_args()
    values = parse_settings(options.settings or ["smile=0.9", "yaw=10"])
    effort = Effort(tuning_steps=options.tuning_steps)
    with tempfile.TemporaryDirectory() as folder, studio_page(Sessions(Networks.shipped("auto"), Path(folder), effort)) as page:
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
    print(OUTPUT)


if __name__ == "__main__":
    main()
