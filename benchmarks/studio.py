"""From a slider's event to the new picture, in a real browser: python benchmarks/studio.py [--drags 200].

Times are ratios to one plain synthesis of the same generator, measured in the same run on the same machine: a picture that a person sees
cannot come sooner than the generator makes it. Written to benchmarks/results/studio.json.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import statistics
import tempfile
import threading
import time
from pathlib import Path

import torch
import uvicorn
from playwright.sync_api import sync_playwright

from crossrig.session import Effort, Networks
from crossrig.studio.guard import Policy
from crossrig.studio.server import make_app
from crossrig.studio.sessions import Sessions
from crossrig.train.memory import keep_freed_memory

RESULTS = Path(__file__).parent / "results" / "studio.json"
CONTROLS = ("yaw", "pitch", "smile", "jawOpen", "noseLength", "skinTone", "light.azimuth")

#: Moves a slider to a random place, as a hand would, and waits until a canvas shows the answer to that very message.
DRAG = """async ([name, share]) => {
  const slider = document.getElementById(`control-${name}`);
  const result = document.getElementById("result");
  await new Promise((resolve) => requestAnimationFrame(resolve));
  const before = Number(result.dataset.answers);
  const start = performance.now();
  slider.value = String(Number(slider.min) + share * (Number(slider.max) - Number(slider.min)));
  slider.dispatchEvent(new Event("input"));
  await new Promise((resolve) => {
    const observer = new MutationObserver(() => {
      if (Number(result.dataset.answers) > before) { observer.disconnect(); resolve(); }
    });
    observer.observe(result, { attributes: true });
  });
  return performance.now() - start;
}"""


def synthesis_milliseconds(networks: Networks, count: int) -> float:
    """Median time of one synthesis."""
    generator = networks.generators["human"]
    times = []
    with torch.inference_mode():
        s = generator.affine(generator.map(torch.randn(1, generator.config.z_dim)))
        for _ in range(count + 3):
            start = time.perf_counter()
            generator.synthesise(s)
            times.append(1000 * (time.perf_counter() - start))
    return statistics.median(times[3:])


def drag_milliseconds(sessions: Sessions, count: int) -> list[float]:
    """Times of random drags on the page."""
    random = torch.Generator().manual_seed(5)
    with socket.socket() as listening, sync_playwright() as playwright:
        listening.bind(("127.0.0.1", 0))
        port = listening.getsockname()[1]
        app = make_app(sessions, Policy("127.0.0.1", port, None))
        server = uvicorn.Server(uvicorn.Config(app, log_level="warning", ws="websockets-sansio"))
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
        thread.start()
        while not server.started:
            time.sleep(0.05)
        options = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=options)
        page = browser.new_page(viewport={"width": 1280, "height": 720})
        page.set_default_timeout(600_000)
        page.goto(f"http://127.0.0.1:{port}/")
        page.select_option("#domain", "human")
        page.get_by_role("button", name="Photograph").click()
        page.wait_for_selector("#result[data-refined=true]")
        times = []
        for index in range(count + 5):
            name = CONTROLS[int(torch.randint(len(CONTROLS), (), generator=random))]
            times.append(float(page.evaluate(DRAG, [name, float(torch.rand((), generator=random))])))
            if index % 10 == 9:
                page.wait_for_timeout(300)  # the hand rests, and the picture is refined
        browser.close()
        server.should_exit = True
        thread.join()
    return times[5:]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--drags", type=int, default=200)
    options = parser.parse_args()
    keep_freed_memory()
    networks = Networks.shipped("human")
    with tempfile.TemporaryDirectory() as folder:
        before = synthesis_milliseconds(networks, 50)
        times = drag_milliseconds(Sessions(networks, Path(folder), Effort(steps=5, tuning_steps=5)), options.drags)
        plain = (before + synthesis_milliseconds(networks, 50)) / 2
    ordered = sorted(times)
    figures = {
        "drags": len(times),
        "synthesis_ms": plain,
        "slider.median_ms": statistics.median(times),
        "slider.median_ratio": statistics.median(times) / plain,
        "slider.p95_ratio": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))] / plain,
    }
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps(figures, indent=2) + "\n", encoding="utf-8")
    for name, figure in figures.items():
        print(f"{name:>22} {figure:10.2f}")
    print(f"{'goals':>22} median 2 or less, p95 4 or less")


if __name__ == "__main__":
    main()
