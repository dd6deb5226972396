"""Things that somebody waits for and that only the worker's thread may compute."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

from crossrig.studio.worker import Choice, Urgency, Worker

T = TypeVar("T")


class Errands:
    """They are done in order, each as soon as no picture has to be drawn at once."""

    def __init__(self, worker: Worker) -> None:
        self._worker = worker
        self._asked: list[Callable[[], None]] = []

    def __bool__(self) -> bool:
        return bool(self._asked)

    def ask(self, work: Callable[[], T]) -> Future[T]:
        """Have something computed. Called on any thread."""
        future: Future[T] = Future()

        def run() -> None:
            if future.set_running_or_notify_cancel():
                try:
                    future.set_result(work())
                except BaseException as error:
                    future.set_exception(error)

        with self._worker.changed:
            self._asked.append(run)
            self._worker.changed.notify_all()
        return future

    def choices(self) -> list[Choice]:
        """What the worker may do."""
        return [Choice(Urgency.ASKED, self._run_next)] if self._asked else []

    def _run_next(self) -> None:
        with self._worker.changed:
            run = self._asked.pop(0)
        run()
