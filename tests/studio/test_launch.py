"""`crossrig studio`: what it is told, and what it refuses."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from crossrig.cli import main
from crossrig.errors import UserError
from crossrig.studio import launch
from crossrig.studio.launch import Settings, run


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> list[Settings]:
    """What the command asks for, without doing it."""
    found: list[Settings] = []
    monkeypatch.setattr(launch, "run", found.append)
    return found


def test_by_default_only_this_computer_is_listened_to(told: list[Settings]) -> None:
    assert main(("studio",)) == 0
    (settings,) = told
    assert settings == Settings("127.0.0.1", None, True, None, "cpu")


def test_options(told: list[Settings], tmp_path: Path) -> None:
    words = ("studio", "--host", "::1", "--port", "0", "--no-browser", "--folder", str(tmp_path), "--tuning-steps", "7", "--steps", "3")
    assert main(words) == 0
    (settings,) = told
    assert (settings.host, settings.port, settings.browser, settings.folder) == ("::1", 0, False, tmp_path)
    assert (settings.effort.steps, settings.effort.tuning_steps) == (3, 7)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [(("--port", "70000"), "--port must be"), (("--steps", "0"), "--steps must be"), (("--tuning-steps", "-1"), "at least 0")],
)
def test_bad_options_are_refused(
    told: list[Settings], capsys: pytest.CaptureFixture[str], words: tuple[str, ...], sentence: str
) -> None:
    assert main(("studio", *words)) == 2
    assert sentence in capsys.readouterr().err
    assert told == []


def test_places_that_cannot_be_used_are_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="name another with --folder"):
        run(Settings(browser=False, folder=tmp_path / "file" / "studio"))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(UserError, match="choose another --host or --port"):
        run(Settings(browser=False, folder=tmp_path, port=taken.getsockname()[1]))
    with pytest.raises(UserError, match="choose another --host or --port"):
        run(Settings(browser=False, folder=tmp_path, host="192.0.2.1"))
