"""Slow work that a person asked for: taking a picture in, making a clip. One at a time, with progress, and it can be stopped."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from crossrig.errors import UserError
from crossrig.studio.outlets import Outlets
from crossrig.studio.protocol import Progress, Stopped
from crossrig.studio.worker import Choice, Urgency, Worker


class Cancelled(Exception):
    """The person stopped the slow work."""


@dataclass
class _Job:
    run: Callable[[], None]
    cancelled: bool = False


_TELL_EVERY = 0.25
"""Seconds: a browser that paints progress does so on the processor that the work needs."""


class SlowWork:
    """What waits to be begun and what runs. Asked for with the worker's lock held."""

    def __init__(self, worker: Worker, outlets: Outlets) -> None:
        self._worker = worker
        self._outlets = outlets
        self._waiting: _Job | None = None
        self._running: _Job | None = None
        self._told = "", 0.0

    @property
    def busy(self) -> bool:
        return self._waiting is not None or self._running is not None

    def begin(self, run: Callable[[], None], otherwise: str) -> None:
        """Have it done. Raises UserError with the sentence ``otherwise`` while there is other slow work."""
        if self.busy:
            raise UserError(otherwise)
        self._waiting = _Job(run)
        self._told = "", 0.0

    def cancel(self) -> None:
        """Stop it, also before it began."""
        if self._waiting is not None:
            self._waiting = None
            self._outlets.say(Stopped())
        if self._running is not None:
            self._running.cancelled = True

    def end(self) -> None:
        """Called by the work before it tells its result: whoever hears of it may ask for more at once."""
        self._running = None

    def progress(self, what: str, step: int, steps: int) -> None:
        """Called by the work between two steps: tells the pages, and lets more urgent things be done. Raises `Cancelled`."""
        running = self._running
        if running is not None and (running.cancelled or self._worker.stopping):
            raise Cancelled
        now = time.monotonic()
        if what != self._told[0] or now - self._told[1] >= _TELL_EVERY:
            self._told = what, now
            self._outlets.say(Progress(what, step, steps))
        self._worker.give_way()

    def choices(self) -> list[Choice]:
        """What the worker may do."""
        return [Choice(Urgency.SLOW, self._run_next)] if self._waiting is not None and self._running is None else []

    def _run_next(self) -> None:
        with self._worker.changed:
            job, self._waiting = self._waiting, None
            self._running = job
        try:
            if job is not None:
                job.run()
        except Cancelled:
            self._outlets.say(Stopped())
        finally:
            self._running = None
