"""A page that nobody touches: what the server and the page compute meanwhile."""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
from studio_browser import browser_page

from crossrig.studio.background import StudioProcess
from studio_parts.process import cpu_seconds


def measure(options: tuple[str, ...], seconds: float) -> dict[str, float]:
    """Shares of one processor over ``seconds``, with a picture open in a browser."""
    with (
        tempfile.TemporaryDirectory() as folder,
        StudioProcess(Path(folder), options) as studio,
        browser_page(f"http://127.0.0.1:{studio.port}/") as page,
    ):
        page.select_option("#domain", "human")
        page.get_by_role("button", name="Photograph").click()
        page.wait_for_selector("#result[data-refined=true]")
        page.wait_for_selector("#meters .meter")  # the judge is the last to look
        page.wait_for_timeout(1500)
        session = page.context.new_cdp_session(page)
        session.send("Performance.enable")

        def busy() -> float:
            metrics = session.send("Performance.getMetrics")["metrics"]
            return float(next(metric["value"] for metric in metrics if metric["name"] == "TaskDuration"))

        server, tasks = cpu_seconds(studio.pid), busy()
        page.wait_for_timeout(1000 * seconds)
        return {
            "idle.seconds": seconds,
            "idle.server_cpu_share": (cpu_seconds(studio.pid) - server) / seconds,
            "idle.page_task_share": (busy() - tasks) / seconds,
        }
