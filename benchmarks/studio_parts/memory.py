"""Memory of the server over many edits of one picture."""

from __future__ import annotations

import tempfile
from pathlib import Path

from crossrig.studio.background import StudioProcess
from crossrig.studio.client import Address
from crossrig.studio.protocol import ApplyLook, Edited, SetControls, Undo
from studio_parts.process import resident_megabytes


def measure(options: tuple[str, ...], edits: int) -> dict[str, float]:
    """Growth from a tenth of the ``edits`` to their end; each is drawn before the next, every fourth is a step of the history."""
    with tempfile.TemporaryDirectory() as folder, StudioProcess(Path(folder), options) as studio, Address(studio.port).talk() as page:
        page.keep = False
        page.open_example()
        early = 0.0
        for number in range(1, edits + 1):
            page.say(SetControls({"yaw": float(number * 7 % 60 - 30), "smile": number % 11 / 10}, number % 4 == 0))
            page.wait_for_frame("result", refined=False)
            if number % 50 == 0:  # a person does other things, too
                page.say(ApplyLook("surprise"))
                page.wait_for(Edited)
                page.say(Undo())
                page.wait_for(Edited)
            if number == max(1, edits // 10):
                early = resident_megabytes(studio.pid)
        late = resident_megabytes(studio.pid)
    return {"memory.edits": edits, "memory.early_mb": early, "memory.late_mb": late, "memory.growth_mb": late - early}
