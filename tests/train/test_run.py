"""The run folder: resuming, the log, progress and what a kill leaves behind."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import textwrap
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import pytest
import torch

from crossrig.errors import UserError
from crossrig.train import run as run_module
from crossrig.train.run import Run, read_log


@dataclass(frozen=True)
class Config:
    steps: int = 10
    lr: float = 0.1
    seed: int = 3


@dataclass(frozen=True)
class OtherConfig:
    colour: str = "red"


def test_smoke(tmp_path: Path) -> None:
    with Run.open(tmp_path / "run", Config()) as run:
        assert run.latest() is None
        run.log(1, loss=0.5)
        run.save(1, {"weight": torch.arange(3.0)})
    with Run.open(tmp_path / "run", Config()) as run:
        latest = run.latest()
    assert latest is not None
    step, tensors = latest
    assert step == 1
    assert torch.equal(tensors["weight"], torch.arange(3.0))
    assert [line["loss"] for line in read_log(tmp_path / "run")] == [0.5]


def test_only_two_checkpoints_are_kept(tmp_path: Path) -> None:
    with Run.open(tmp_path, Config()) as run:
        for step in (1, 2, 3, 4):
            run.save(step, {"x": torch.tensor([float(step)])})
        assert [path.name for path in sorted(tmp_path.glob("*.safetensors"))] == [
            "checkpoint-000000003.safetensors",
            "checkpoint-000000004.safetensors",
        ]


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Run.open(tmp_path, Config()) as run:
        run.save(1, {"x": torch.ones(4)})
        newest = run.save(2, {"x": torch.zeros(4)})
        newest.write_bytes(newest.read_bytes()[:40])
        latest = run.latest()
    assert latest is not None
    assert latest[0] == 1
    assert "Trying the checkpoint before it" in capsys.readouterr().err


def test_partial_log_line_is_dropped(tmp_path: Path) -> None:
    with Run.open(tmp_path, Config()) as run:
        run.log(1, loss=1.0)
    with (tmp_path / "log.jsonl").open("a") as stream:
        stream.write('{"step": 2, "lo')
    with Run.open(tmp_path, Config()) as run:
        run.log(2, loss=2.0)
    assert [line["loss"] for line in read_log(tmp_path)] == [1.0, 2.0]


def test_log_after_resume_replaces_what_was_lost(tmp_path: Path) -> None:
    with Run.open(tmp_path, Config()) as run:
        run.log(1, loss=1.0)
        run.save(1, {"x": torch.ones(1)})
        run.log(2, loss=2.0)
        run.log(3, loss=3.0)
    with Run.open(tmp_path, Config()) as run:
        assert run.latest() is not None
        run.log(2, loss=2.5)
    assert [(line["step"], line["loss"]) for line in read_log(tmp_path)] == [(1, 1.0), (2, 2.5)]


def test_two_runs_cannot_share_a_folder(tmp_path: Path) -> None:
    with Run.open(tmp_path, Config()), pytest.raises(UserError, match="another process"):
        Run.open(tmp_path, Config())
    Run.open(tmp_path, Config()).close()


def test_another_recipe_is_refused(tmp_path: Path) -> None:
    Run.open(tmp_path, Config()).close()
    with pytest.raises(UserError, match="unknown key"):
        Run.open(tmp_path, OtherConfig())
    Run.open(tmp_path, Config()).close()  # and the folder is not left locked


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="needs a folder"):
        Run.open(tmp_path / "file", Config())


def test_changed_settings_are_said_and_kept(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Run.open(tmp_path, Config()).close()
    Run.open(tmp_path, replace(Config(), lr=0.2)).close()
    assert "lr 0.1 -> 0.2" in capsys.readouterr().err
    assert "lr = 0.2" in (tmp_path / "config.toml").read_text()


def test_due_waits_and_save_resets_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [100.0]
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now[0])
    with Run.open(tmp_path, Config()) as run:
        assert not run.due(10)
        now[0] += 10
        assert run.due(10)
        assert not run.due(10)
        now[0] += 9
        run.save(1, {"x": torch.ones(1)})
        now[0] += 9
        assert not run.due(10)
        assert run.due(10, "log")  # clocks are kept apart


def test_progress_tells_rate_and_time_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    now = [0.0]
    monkeypatch.setattr(run_module.time, "monotonic", lambda: now[0])
    with Run.open(tmp_path / "faces", Config()) as run:
        now[0] = 100.0
        run.progress(10, 100)
        now[0] = 140.0
        run.progress(30, 100, loss=0.25)
        now[0] = 220.0
        run.progress(104, 100)  # the last batch went over the end
    lines = capsys.readouterr().err.splitlines()
    assert "faces: step 30/100 (30 %), 0.50 steps/s, 2:20 left, loss 0.25" in lines
    assert lines[-1] == "faces: step 104/100 (100 %), 0.78 steps/s, 0:00 left"


def test_seed_depends_on_seed_and_step_only(tmp_path: Path) -> None:
    def draw(seed: int, step: int) -> tuple[float, float]:
        with Run.open(tmp_path, Config(seed=seed)) as run:
            run.seed(step)
            return float(torch.rand(())), float(np.random.rand())

    assert draw(3, 7) == draw(3, 7)
    assert draw(3, 7) != draw(3, 8)
    assert draw(3, 7) != draw(4, 7)


_LOOP = """
    import sys, time
    from dataclasses import dataclass
    import torch
    from crossrig.train.run import Run

    @dataclass(frozen=True)
    class Config:
        seed: int = 1

    with Run.open(sys.argv[1], Config()) as run:
        latest = run.latest()
        step, x = (latest[0], latest[1]["x"]) if latest else (0, torch.zeros(3))
        while step < 60:
            run.seed(step)
            x = 0.9 * x + torch.randn(3)
            step += 1
            run.log(step, x=float(x[0]))
            if step % 10 == 0:
                run.save(step, {"x": x})
            if step == int(sys.argv[2]):
                print("here", flush=True)
                time.sleep(60)
    print(x.tolist())
"""


def test_kill_9_and_resume_gives_the_unbroken_run(tmp_path: Path) -> None:
    script = tmp_path / "loop.py"
    script.write_text(textwrap.dedent(_LOOP))
    environment = os.environ | {"OMP_NUM_THREADS": "1"}

    def command(folder: str, stop: int) -> list[str]:
        return [sys.executable, str(script), str(tmp_path / folder), str(stop)]

    with subprocess.Popen(command("killed", 33), stdout=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "here\n"
        process.send_signal(signal.SIGKILL)
    resumed = subprocess.run(command("killed", -1), capture_output=True, text=True, env=environment, check=True)
    unbroken = subprocess.run(command("whole", -1), capture_output=True, text=True, env=environment, check=True)
    assert json.loads(resumed.stdout) == json.loads(unbroken.stdout)
    assert "resuming at step 30" in resumed.stderr
    strip = [{"step": line["step"], "x": line["x"]} for line in read_log(tmp_path / "killed")]
    assert strip == [{"step": line["step"], "x": line["x"]} for line in read_log(tmp_path / "whole")]
    assert len(strip) == 60


def test_a_note_is_said_and_logged_and_is_no_figure(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    with Run.open(tmp_path, Config()) as run:
        run.log(5, loss=0.5)
        run.note(5, "stopped", "it was enough.")
    assert "it was enough." in capsys.readouterr().err
    lines = [json.loads(line) for line in (tmp_path / "log.jsonl").read_text().splitlines()]
    assert lines[-1] == {"event": "stopped", "step": 5, "said": "it was enough."}
    assert [line["step"] for line in read_log(tmp_path)] == [5]
