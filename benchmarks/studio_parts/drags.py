"""From a slider's event to the new picture, in a real browser, beside one plain synthesis of the same generator in the same run."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from studio_browser import browser_page

from crossrig.session import Networks
from crossrig.studio.background import StudioProcess

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


def measure(options: tuple[str, ...], count: int) -> dict[str, float]:
    """Figures of ``count`` random drags."""
    networks = Networks.shipped("human")
    before = synthesis_milliseconds(networks, 50)
    times = drag_milliseconds(options, count)
    plain = (before + synthesis_milliseconds(networks, 50)) / 2
    ordered = sorted(times)
    return {
        "drags": len(times),
        "synthesis_ms": plain,
        "slider.median_ms": statistics.median(times),
        "slider.median_ratio": statistics.median(times) / plain,
        "slider.p95_ratio": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))] / plain,
    }


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


def drag_milliseconds(options: tuple[str, ...], count: int) -> list[float]:
    """Times of random drags on the page of a studio as a person starts it."""
    random = torch.Generator().manual_seed(5)
    with (
        tempfile.TemporaryDirectory() as folder,
        StudioProcess(Path(folder), options) as studio,
        browser_page(f"http://127.0.0.1:{studio.port}/") as page,
    ):
        page.select_option("#domain", "human")
        page.get_by_role("button", name="Photograph").click()
        page.wait_for_selector("#result[data-refined=true]")
        times = []
        for index in range(count + 5):
            name = CONTROLS[int(torch.randint(len(CONTROLS), (), generator=random))]
            times.append(float(page.evaluate(DRAG, [name, float(torch.rand((), generator=random))])))
            if index % 10 == 9:
                page.wait_for_timeout(300)  # the hand rests, and the picture is refined
    return times[5:]
