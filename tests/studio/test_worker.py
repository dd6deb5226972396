"""The worker: the most urgent first, everybody in turn, nothing to do costs nothing."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator

import pytest
import torch

from crossrig.studio.worker import Step, Urgency, Worker


class Wisher:
    """A source that has a number of steps of one urgency."""

    def __init__(self, urgency: Urgency, count: int, told: list[str], name: str, work: Callable[[], None] = lambda: None) -> None:
        self.urgency, self.count, self.told, self.name, self.work = urgency, count, told, name, work
        self.asked = 0
        self.when: float | None = None

    def next_step(self, now: float) -> Step | None:
        self.asked += 1
        if self.count == 0 or (self.when is not None and now < self.when):
            return None
        return Step(self.urgency, self.run)

    def run(self) -> None:
        self.count -= 1
        self.told.append(self.name)
        self.work()

    def due(self) -> float | None:
        return self.when if self.count else None


@pytest.fixture
def worker() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.stop()


def finish(worker: Worker, told: list[str], count: int) -> None:
    worker.start()
    end = time.monotonic() + 20
    while len(told) < count:
        assert time.monotonic() < end
        time.sleep(0.005)


def test_the_most_urgent_goes_first_and_equals_take_turns(worker: Worker) -> None:
    told: list[str] = []
    for wisher in (Wisher(Urgency.JUDGE, 1, told, "c"), Wisher(Urgency.PREVIEW, 2, told, "a"), Wisher(Urgency.PREVIEW, 2, told, "b")):
        worker.add(wisher)
    finish(worker, told, 5)
    assert told in (["a", "b", "a", "b", "c"], ["b", "a", "b", "a", "c"])


def test_slow_work_gives_way(worker: Worker) -> None:
    told: list[str] = []
    quick = Wisher(Urgency.PREVIEW, 0, told, "quick")

    def slow() -> None:
        with worker.changed:
            quick.count = 2
        worker.give_way()
        told.append("slow done")

    worker.add(Wisher(Urgency.SLOW, 1, told, "slow", slow))
    worker.add(Wisher(Urgency.JUDGE, 1, told, "judge"))
    worker.add(quick)
    finish(worker, told, 5)
    assert told == ["slow", "quick", "quick", "slow done", "judge"]


def test_idle_means_asleep(worker: Worker) -> None:
    wisher = Wisher(Urgency.PREVIEW, 0, [], "x")
    worker.add(wisher)
    worker.start()
    time.sleep(0.1)
    before, spent = wisher.asked, time.process_time()
    time.sleep(0.5)
    assert wisher.asked == before
    assert time.process_time() - spent < 0.1


def test_what_is_due_later_is_done_then(worker: Worker) -> None:
    told: list[str] = []
    wisher = Wisher(Urgency.JUDGE, 1, told, "x")
    start = time.monotonic()
    wisher.when = start + 0.2
    worker.add(wisher)
    finish(worker, told, 1)
    assert time.monotonic() - start >= 0.2


def test_stopping_waits_for_the_step_under_way() -> None:
    worker = Worker()
    began, ended = threading.Event(), []

    def work() -> None:
        began.set()
        time.sleep(0.1)
        ended.append(1)

    worker.add(Wisher(Urgency.ASKED, 1, [], "x", work))
    worker.start()
    assert began.wait(10)
    worker.stop()
    assert ended == [1]


def test_the_threads_cores_are_its_own() -> None:
    before, found = torch.get_num_threads(), []
    worker = Worker(cores=2)
    done = threading.Event()
    try:
        worker.start()
        assert torch.get_num_threads() == 1  # everybody else computes alone
        told: list[str] = []
        worker.add(Wisher(Urgency.MODEL, 1, told, "a", lambda: (found.append(torch.get_num_threads()), done.set())[1]))
        assert done.wait(5.0)
        assert found == [2]
    finally:
        worker.stop()
        torch.set_num_threads(before)
