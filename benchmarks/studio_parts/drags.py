"""From a slider's event to the new picture, in a real browser, beside one plain synthesis of the same generator in the same run."""

from __future__ import annotations

import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from studio_browser import browser_page

from crossrig.gan.generator import Generator
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


TURNS = 20
"""Drags from one look at the generator alone to the next."""


def measure(options: tuple[str, ...], count: int) -> dict[str, float]:
    """Figures of ``count`` random drags. Both sides take turns: a computer that shares its processors is fast now and slow then."""
    plain: list[float] = []
    generator = Networks.shipped("human").generators["human"]
    times = drag_milliseconds(options, count, lambda: plain.extend(synthesis_milliseconds(generator, 10)))
    ordered, synthesis = sorted(times), statistics.median(plain)
    return {
        "drags": len(times),
        "synthesis_ms": synthesis,
        "slider.median_ms": statistics.median(times),
        "slider.median_ratio": statistics.median(times) / synthesis,
        "slider.p95_ratio": ordered[min(len(ordered) - 1, round(0.95 * len(ordered)))] / synthesis,
    }


@torch.inference_mode()
def synthesis_milliseconds(generator: Generator, count: int) -> list[float]:
    """Times of one plain synthesis after the other, after two that warm up."""
    s = generator.affine(generator.map(torch.randn(1, generator.config.z_dim)))
    times = []
    for _ in range(count + 2):
        start = time.perf_counter()
        generator.synthesise(s)
        times.append(1000 * (time.perf_counter() - start))
    return times[2:]


def drag_milliseconds(options: tuple[str, ...], count: int, meanwhile: Callable[[], None]) -> list[float]:
    """Times of random drags on the page of a studio as a person starts it; `meanwhile` is done now and then while the studio rests."""
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
            if index % TURNS == TURNS - 1 or index == 0:
                page.wait_for_timeout(2000)  # until the judge has looked, too
                meanwhile()
    return times[5:]
