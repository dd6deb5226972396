"""The program is killed (-9) in the middle of an edit and of a clip; what was set is found again."""

from __future__ import annotations

import contextlib
import importlib.util
import time
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from crossrig import assets
from crossrig.session import Effort, Networks
from crossrig.studio.background import StudioProcess
from crossrig.studio.client import Address
from crossrig.studio.protocol import Keyframe, MakeClip, Meters, Progress, SetControls
from crossrig.studio.sessions import Sessions

Serve = Callable[..., contextlib.AbstractContextManager[Any]]

MOST_LOST = 1.0
BUSY = 4.0
"""Seconds for a computer that does other things as well: a step under way must end before the work is written."""


@pytest.fixture
def kill() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "studio_parts" / "kill.py"
    spec = importlib.util.spec_from_file_location("studio_kill", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_at_most_the_last_second_is_lost(
    kill: ModuleType, tiny_assets: Path, studio_networks: Networks, serve: Serve, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    quick = ("--steps", "1", "--tuning-steps", "1")
    with StudioProcess(tmp_path, quick) as program, Address(program.port).talk() as page:
        session = page.welcome.session
        page.open_example()
        page.wait_for(Meters)  # everything was drawn once
        page.say(SetControls({"smile": 0.5}, True))
        page.say(MakeClip((Keyframe(0.0, {"yaw": -20.0}), Keyframe(20.0, {"yaw": 20.0})), "linear", 30, "mp4"))
        page.wait_for(Progress, lambda progress: progress.what == "Making the clip")
        sent = kill.drag(page, "noseLength", 1.5)
        blow = time.monotonic()
        program.kill()
    with serve(Sessions(studio_networks, tmp_path, Effort())) as again, again.talk(session) as page:
        assert not page.welcome.fresh
        assert 0 <= kill.lost(page, "noseLength", sent, blow) < MOST_LOST + BUSY
        assert page.said[-1].values["smile"] == 0.5
        assert [entry.label for entry in page.said[-1].entries] == ["Original", "Smile 0.5"]
        assert again.request("GET", "/picture.png", session=session)[0] == 200
