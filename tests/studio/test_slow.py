from __future__ import annotations

import pytest

from crossrig.studio.outlets import Outlets
from crossrig.studio.protocol import Frame, Progress, ServerMessage
from crossrig.studio.slow import SlowWork
from crossrig.studio.worker import Worker


class Page:
    def __init__(self) -> None:
        self.told: list[Progress] = []

    def say(self, message: ServerMessage) -> None:
        assert isinstance(message, Progress)
        self.told.append(message)

    def show(self, frame: Frame, picture: bytes) -> None: ...


def test_progress_is_told_at_every_stage_and_not_at_every_step(monkeypatch: pytest.MonkeyPatch) -> None:
    now = [50.0]
    monkeypatch.setattr("crossrig.studio.slow.time.monotonic", lambda: now[0])
    page = Page()
    slow = SlowWork(Worker(), Outlets({page}))
    for what in ("inverting", "tuning"):
        for step in range(100):
            slow.progress(what, step, 100)
            now[0] += 0.02  # two seconds in all
    assert [(message.what, message.step) for message in page.told if message.step == 0] == [("inverting", 0), ("tuning", 0)]
    assert 12 <= len(page.told) <= 20
    assert page.told[-1].step > 80
