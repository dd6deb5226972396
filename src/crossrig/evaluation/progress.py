"""How much longer: the time left of a slow part of an evaluation, from the speed so far."""

from __future__ import annotations

import time
from collections.abc import Callable

Progress = Callable[[str, int, int], None]


class TimeLeft:
    """A progress callback that adds "4 min left" to what it passes on to `tell`."""

    def __init__(self, tell: Progress, clock: Callable[[], float] = time.monotonic) -> None:
        self._tell, self._clock = tell, clock
        self._what, self._began, self._first = "", 0.0, 0

    def __call__(self, what: str, step: int, steps: int) -> None:
        now = self._clock()
        if what != self._what:  # time runs from the first report of a part: what came before it is not counted
            self._what, self._began, self._first = what, now, step
        done = step - self._first
        if step < steps and done > 0:
            what = f"{what}, {_words((now - self._began) / done * (steps - step))} left,"
        self._tell(what, step, steps)


def _words(seconds: float) -> str:
    if seconds < 90:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
