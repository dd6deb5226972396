"""The program is killed in the middle of an edit, and of a clip: how much of the work is lost."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from crossrig.studio.background import StudioProcess
from crossrig.studio.client import Address, Talk
from crossrig.studio.protocol import Edited, Keyframe, MakeClip, Meters, Progress, SetControls

FIRST, STEP = -4.0, 0.001
"""Values of the control that is dragged."""


def measure(options: Sequence[str], seconds: float) -> dict[str, float]:
    """Seconds of work that were lost; each time a hand drags for ``seconds`` before the blow."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with StudioProcess(folder, options) as studio, Address(studio.port).talk() as page:
            session = page.welcome.session
            page.open_example()
            page.wait_for(Meters)  # everything was drawn once
            sent = drag(page, "noseLength", seconds)
            in_edit = time.monotonic()
            studio.kill()
        with StudioProcess(folder, options) as studio, Address(studio.port).talk(session) as page:
            lost_in_edit = lost(page, "noseLength", sent, in_edit)
            page.wait_for(Meters)
            page.say(MakeClip((Keyframe(0.0, {"yaw": -20.0}), Keyframe(20.0, {"yaw": 20.0})), "linear", 30, "mp4"))
            page.wait_for(Progress, lambda progress: progress.step > 1)
            sent = drag(page, "jawWidth", seconds)
            in_clip = time.monotonic()
            studio.kill()
        with StudioProcess(folder, options) as studio, Address(studio.port).talk(session) as page:
            lost_in_clip = lost(page, "jawWidth", sent, in_clip)
    return {"kill.lost_in_edit_s": lost_in_edit, "kill.lost_in_clip_s": lost_in_clip}


def drag(page: Talk, control: str, seconds: float) -> list[float]:
    """Drag without letting go; when each place of the hand was sent. Each place has a value of its own."""
    end = time.monotonic() + seconds
    sent: list[float] = []
    while time.monotonic() < end:
        page.say(SetControls({control: FIRST + STEP * len(sent)}, False))
        sent.append(time.monotonic())
        time.sleep(0.02)
    return sent


def lost(page: Talk, control: str, sent: Sequence[float], blow: float) -> float:
    """Seconds from the last place of the hand that was kept to the blow. Raises ValueError when nothing of the drag was kept."""
    values = page.wait_for(Edited).values
    if control not in values:
        raise ValueError("nothing of the drag was kept")
    return blow - sent[round((values[control] - FIRST) / STEP)]
