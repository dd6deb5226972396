"""One training run on disk: settings, log, progress and checkpoints that survive ``kill -9``.

A folder holds one run::

    config.toml                        the settings, as last used
    log.jsonl                          one JSON object a line: {"step": 120, "seconds": 33.1, "loss": 0.41}
    checkpoint-000000120.safetensors   everything needed to go on; the newest two are kept

A recipe stays one visible loop::

    run = Run.open(outdir, config)
    step, tensors = run.latest() or (0, {})
    while step < config.steps:
        run.seed(step)                 # the same random stream whether or not the run was interrupted here
        ...
        step += 1
        run.progress(step, config.steps, loss=float(loss))
        if run.due(120) or step == config.steps:
            run.log(step, loss=float(loss))
            run.save(step, tensors)

Checkpoints and settings appear whole or not at all (temporary file, then ``os.replace``); a log line that was being
written when the process died is dropped on the next start. A lock held by the operating system, which releases it when
the process dies, keeps two processes out of one folder.

Of several processes that train together (`train/parallel.py`) the first writes and speaks; to the others the same calls do nothing, but for
`latest` and `seed`. All must see the same folder.
"""

from __future__ import annotations

import fcntl
import json
import os
import random
import re
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch
from torch import Tensor

from crossrig import checkpoint
from crossrig.config import differences, dump_toml, load_toml, to_mapping
from crossrig.errors import UserError
from crossrig.files import write_text
from crossrig.train.parallel import Processes

_CHECKPOINT = re.compile(r"checkpoint-(\d{9})\.safetensors")
_KEPT = 2  # the newest, and the one before it in case a disk lost the newest
_QUIET_LINE_SECONDS = 20.0  # between progress lines where there is no terminal to overwrite


class Run:
    """An open run folder. Use :meth:`open`; the folder is locked until :meth:`close` or the end of the process."""

    def __init__(self, outdir: Path, config: Any, lock: IO[str], processes: Processes | None = None) -> None:
        self.outdir = outdir
        self.config = config
        self.processes = processes or Processes()
        self._lock = lock
        self._timers: dict[str, float] = {}
        self._started = time.monotonic()
        self._first_step: int | None = None  # seen by `progress`, and when
        self._started_steps = self._started
        self._line = 0.0
        self._line_open = False
        self._log = (outdir / "log.jsonl" if self.processes.first else Path(os.devnull)).open("a", encoding="utf-8")

    @classmethod
    def open(cls, outdir: str | os.PathLike[str], config: Any) -> Run:
        """Open the folder for the settings ``config`` (a frozen dataclass), making it when it is not there.

        An existing run is continued with the given settings; settings that changed are said on stderr and logged.
        Joins the processes that were started together; those but the first wait until the first has the folder.
        Raises :class:`UserError` when the folder belongs to another recipe or another process is using it.
        """
        folder, processes = Path(outdir), Processes.join()
        if not processes.first:
            processes.barrier()
            return cls(folder, config, Path(os.devnull).open("a", encoding="utf-8"), processes)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "lock").open("a", encoding="utf-8")
        except (FileExistsError, NotADirectoryError) as error:
            raise UserError(f"{folder}: is a file, and a run needs a folder; choose another --outdir.") from error
        except OSError as error:
            raise UserError(f"{folder}: cannot be written ({error.strerror}); choose another --outdir.") from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            lock.close()
            raise UserError(f"{folder}: another process is training into it; choose another --outdir.") from error
        try:
            changed = _settle_config(folder / "config.toml", config)
        except UserError:
            lock.close()
            raise
        _drop_partial_line(folder / "log.jsonl")
        run = cls(folder, config, lock, processes)
        if changed:
            run.say("settings changed: " + ", ".join(f"{key} {old} -> {new}" for key, (old, new) in changed.items()))
            run._write({"event": "settings", "changed": {key: list(pair) for key, pair in changed.items()}})
        processes.barrier()
        return run

    def close(self) -> None:
        """Release the folder."""
        self._end_line()
        self._log.close()
        self._lock.close()

    def __enter__(self) -> Run:
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is None:
            self.processes.barrier()  # what the first has written is there for all
        self.close()

    # -- log and progress -------------------------------------------------------------------------------------------

    def log(self, step: int, **figures: float) -> None:
        """Append one line of figures (anything ``float`` takes) to ``log.jsonl``."""
        seconds = round(time.monotonic() - self._started, 3)
        self._write({"step": step, "seconds": seconds} | {name: float(value) for name, value in figures.items()})

    def note(self, step: int, event: str, sentence: str) -> None:
        """Print a sentence and write it to the log as an event of this step."""
        self.say(sentence)
        self._write({"event": event, "step": step, "said": sentence})

    def progress(self, step: int, total: int, **figures: float) -> None:
        """Show how far the run is, how fast, how long it still takes and the given figures.

        On a terminal one line is overwritten; elsewhere a line is printed every 20 seconds.
        """
        if not self.processes.first:
            return
        now = time.monotonic()
        if self._first_step is None:
            self._first_step, self._started_steps = step, now
        done = step - self._first_step
        terminal = sys.stderr.isatty()
        if step < total and now - self._line < (0.2 if terminal else _QUIET_LINE_SECONDS):
            return
        self._line = now
        text = f"{self.outdir.name}: step {step}/{total} ({min(100 * step // max(total, 1), 100)} %)"
        if done > 0 and now > self._started_steps:
            rate = done / (now - self._started_steps)
            text += f", {rate:.2f} steps/s, {_clock(max(total - step, 0) / rate)} left"
        text += "".join(f", {name} {float(value):.4g}" for name, value in figures.items())
        if terminal:
            print(f"\r\033[K{text}", end="", file=sys.stderr, flush=True)
            self._line_open = True
        else:
            print(text, file=sys.stderr, flush=True)
        if step >= total:
            self._end_line()

    def say(self, sentence: str) -> None:
        """Print a sentence on stderr without disturbing the progress line."""
        if not self.processes.first:
            return
        self._end_line()
        print(f"{self.outdir.name}: {sentence}", file=sys.stderr, flush=True)

    def due(self, seconds: float, what: str = "checkpoint") -> bool:
        """Whether ``seconds`` have passed since this last was true, the run was opened or a checkpoint was saved.

        ``what`` keeps several clocks apart; only the clock of checkpoints is reset by ``save``. Never true but in the first process: what
        is done then must be of no consequence to the training.
        """
        if not self.processes.first:
            return False
        now = time.monotonic()
        if now - self._timers.get(what, self._started) < seconds:
            return False
        self._timers[what] = now
        return True

    # -- state ------------------------------------------------------------------------------------------------------

    def seed(self, step: int) -> None:
        """Seed torch, numpy and random from (``config.seed``, step): a resumed run draws what an unbroken one would."""
        words = np.random.SeedSequence([int(getattr(self.config, "seed", 0)), step]).generate_state(3)
        torch.manual_seed(int(words[0]))
        np.random.seed(int(words[1]))
        random.seed(int(words[2]))

    def save(self, step: int, tensors: Mapping[str, Tensor]) -> Path:
        """Write a checkpoint of the named tensors; older ones but the last are removed afterwards."""
        path = self.outdir / f"checkpoint-{step:09d}.safetensors"
        if not self.processes.first:
            return path
        checkpoint.save(path, dict(tensors), {"kind": "run", "step": step, "config": to_mapping(self.config)})
        self._timers["checkpoint"] = time.monotonic()
        self._write({"event": "saved", "step": step})
        for old in self._checkpoints()[:-_KEPT]:
            old.unlink(missing_ok=True)
        return path

    def latest(self) -> tuple[int, dict[str, Tensor]] | None:
        """``(step, tensors)`` of the newest checkpoint that can be read, or None in a fresh run.

        Raises :class:`UserError` in a process that finds another one than the first process does.
        """
        found = self._newest()
        step = found[0] if found else None
        if self.processes.of_first(lambda: step) != step:
            raise UserError(
                f"{self.outdir}: process {self.processes.rank} does not find the checkpoint that the first process goes on from; "
                "all hosts must share this folder."
            )
        return found

    def _newest(self) -> tuple[int, dict[str, Tensor]] | None:
        for path in reversed(self._checkpoints()):
            try:
                tensors, header = checkpoint.load(path)
            except UserError as error:
                self.say(f"{error} Trying the checkpoint before it.")
                continue
            step = int(str(header["step"]))
            self.say(f"resuming at step {step}")
            self._write({"event": "resumed", "step": step})
            return step, dict(tensors)
        return None

    def _checkpoints(self) -> list[Path]:
        return sorted(path for path in self.outdir.glob("*") if _CHECKPOINT.fullmatch(path.name))

    def _write(self, line: Mapping[str, Any]) -> None:
        self._log.write(json.dumps(line) + "\n")
        self._log.flush()

    def _end_line(self) -> None:
        if self._line_open:
            print(file=sys.stderr, flush=True)
            self._line_open = False


def read_log(outdir: str | os.PathLike[str]) -> list[dict[str, float]]:
    """The logged figures in order of step; steps repeated after a resume appear once, as they went the second time."""
    figures: dict[int, dict[str, float]] = {}
    with (Path(outdir) / "log.jsonl").open(encoding="utf-8") as stream:
        for text in stream:
            line = json.loads(text)
            if line.get("event") == "resumed":
                figures = {step: kept for step, kept in figures.items() if step <= line["step"]}
            elif "event" not in line:
                figures[line["step"]] = line
    return [figures[step] for step in sorted(figures)]


def _settle_config(path: Path, config: Any) -> dict[str, tuple[Any, Any]]:
    """Write the settings; returns those that differ from the ones written before."""
    changed: dict[str, tuple[Any, Any]] = {}
    if path.exists():
        changed = differences(load_toml(type(config), path), config)
    write_text(path, dump_toml(config))
    return changed


def _drop_partial_line(path: Path) -> None:
    """Cut the log after its last line end: what follows was being written when the process died."""
    if path.exists():
        with path.open("rb+") as stream:
            content = stream.read()
            stream.truncate(content.rfind(b"\n") + 1)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
