"""One thread for everything that computes, shared fairly by all sessions.

Nothing is queued: each session is asked what it would do next, and says so from what it is *now*. So a newer value of a slider replaces an
older one by itself. The most urgent step goes first, among equals that of the session that waited longest. Slow work calls
:meth:`Worker.give_way` between its steps, and other people's pictures are drawn meanwhile. A thread with nothing to do sleeps.
"""

from __future__ import annotations

import enum
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from crossrig.side import compute_with


class Urgency(enum.IntEnum):
    """What goes before what."""

    OVERDUE = 0  # a hand that never rests wants a new preview at every moment
    PREVIEW = 1
    MODEL = 2
    ASKED = 3
    REFINE = 4
    SAVE = 5
    THUMB = 6
    SLOW = 7
    JUDGE = 8


class Choice(NamedTuple):
    """Something that a part of a source would have done."""

    urgency: Urgency
    run: Callable[[], None]


@dataclass(frozen=True)
class Step:
    """Something to do. It handles its own errors."""

    urgency: Urgency
    run: Callable[[], None]


class Source(Protocol):
    """Whoever has something to compute. Asked with the worker's lock held."""

    def next_step(self, now: float) -> Step | None:
        """The most urgent step there is at a moment of `time.monotonic`."""

    def due(self) -> float | None:
        """When there will be a step although nothing happens until then."""


class Worker:
    """The thread. Whoever changes what a source wants does so with ``changed`` held and notifies it."""

    _TURN = 0.25
    """Seconds that others may take at once between two steps of slow work."""

    def __init__(self, cores: int | None = None) -> None:
        """`cores`: that the thread computes with (torch's intra-op threads); None: as many as any thread.

        OpenMP keeps a team of threads for each thread that ever computed. Are there more of them than cores, it sends them to sleep after
        every operation (libgomp's throttled spinning), and a preview takes half as long again. So a program that does nothing else lets
        this thread alone have all cores (`launch.run`).
        """
        self._cores = cores
        self._ready = threading.Event()
        self.changed = threading.Condition(threading.RLock())
        self._sources: dict[Source, float] = {}  # -> when it was last served
        self._stopping = False
        self._thread = threading.Thread(target=self._loop, name="studio-worker", daemon=True)

    def start(self) -> None:
        self._thread.start()
        if self._cores is not None:
            self._ready.wait()
            compute_with(1)  # this thread, and all that begin to compute from now on

    def stop(self) -> None:
        """Finish the step under way, and end."""
        with self.changed:
            self._stopping = True
            self.changed.notify_all()
        self._thread.join()

    def add(self, source: Source) -> None:
        """Serve this source, too."""
        with self.changed:
            self._sources[source] = 0.0
            self.changed.notify_all()

    def remove(self, source: Source) -> None:
        """Serve it no more."""
        with self.changed:
            self._sources.pop(source, None)

    def give_way(self) -> None:
        """Called by slow work on the worker's thread: do what is more urgent."""
        end = time.monotonic() + self._TURN
        while time.monotonic() < end:
            with self.changed:
                step = None if self._stopping else self._next(Urgency.SLOW)
            if step is None:
                return
            step.run()

    @property
    def stopping(self) -> bool:
        """Whether slow work should give up."""
        return self._stopping

    def _next(self, below: int) -> Step | None:
        now = time.monotonic()
        best: tuple[Urgency, float, Source, Step] | None = None
        for source, served in self._sources.items():
            step = source.next_step(now)
            if step is not None and step.urgency < below and (best is None or (step.urgency, served) < best[:2]):
                best = (step.urgency, served, source, step)
        if best is None:
            return None
        self._sources[best[2]] = now
        return best[3]

    def _loop(self) -> None:
        if self._cores is not None:
            compute_with(self._cores)
            self._ready.set()
        while True:
            with self.changed:
                while not self._stopping and (step := self._next(len(Urgency))) is None:
                    times = [when for source in self._sources if (when := source.due()) is not None]
                    self.changed.wait(max(0.0, min(times) - time.monotonic()) if times else None)
                if self._stopping:
                    return
            assert step is not None
            step.run()
