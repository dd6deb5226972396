"""What is set, and the steps that led there; no picture and no thread needed."""

from __future__ import annotations

import pytest

from crossrig.studio.edits import MOST_SENT, ONE_STEP, Edits
from crossrig.studio.protocol import GoTo, Redo, Undo


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def edits(clock: Clock) -> Edits:
    return Edits(clock)


def labels(edits: Edits) -> list[str]:
    return [entry.label for entry in edits.message({}).entries]


def test_a_drag_is_a_step_when_the_hand_lets_go(edits: Edits, clock: Clock) -> None:
    assert not edits.change({"yaw": 1.0}, False)
    clock.now += 5
    assert not edits.change({"yaw": 2.0}, False)
    assert edits.change({"yaw": 3.0}, True)
    assert labels(edits) == ["Original", "Turn left or right 3"]
    assert (edits.revision, edits.unsaved_since) == (3, 100.0)


def test_changes_of_the_same_controls_within_a_moment_are_one_step(edits: Edits, clock: Clock) -> None:
    edits.change({"yaw": 1.0}, True)
    clock.now += ONE_STEP / 2
    edits.change({"yaw": 2.0}, True)
    clock.now += ONE_STEP / 2
    edits.change({"smile": 0.5}, True)
    clock.now += ONE_STEP * 2
    edits.change({"smile": 0.6}, True)
    assert labels(edits) == ["Original", "Turn left or right 2", "Smile 0.5", "Smile 0.6"]


def test_what_was_touched_last_comes_last(edits: Edits) -> None:
    edits.change({"smile": 0.5, "jawOpen": 0.2}, True)
    edits.change({"smile": 0.5}, True)
    assert list(edits.values) == ["jawOpen", "smile"]


def test_an_unsettled_drag_is_undone_first(edits: Edits) -> None:
    edits.change({"yaw": 1.0}, True)
    edits.change({"yaw": 9.0}, False)
    edits.travel(Undo())
    assert edits.values == {"yaw": 1.0}
    edits.travel(Undo())
    assert edits.values == {}
    edits.travel(Redo())
    assert edits.values == {"yaw": 1.0}
    edits.travel(GoTo(0))
    assert edits.values == {}


def test_a_page_sees_the_steps_round_the_one_shown(edits: Edits, clock: Clock) -> None:
    for step in range(3 * MOST_SENT):
        clock.now += 1
        edits.change({"yaw": step / 100}, True)
    edits.travel(GoTo(MOST_SENT))
    numbers = [entry.number for entry in edits.message({}).entries]
    assert len(numbers) == MOST_SENT
    assert numbers[0] < MOST_SENT < numbers[-1]


def test_what_is_locked_stays_under_what_sets_many(edits: Edits) -> None:
    edits.change({"smile": 0.5, "yaw": 10.0}, True)
    edits.lock("expression", True)
    edits.replace_unlocked({"laugh": 0.9, "yaw": -5.0}, "Look")
    assert edits.values == {"yaw": -5.0, "smile": 0.5}
    edits.replace_unlocked({}, "Reset")
    assert edits.values == {"smile": 0.5}
    edits.change({"smile": 0.2}, True)  # a hand on the control itself moves it
    assert edits.message({}).locked == ("expression",)
    edits.travel(Undo())
    edits.lock("expression", False)
    edits.replace_unlocked({}, "Reset")
    assert edits.values == {}


def test_a_lock_is_kept_although_nothing_is_drawn(edits: Edits, clock: Clock) -> None:
    edits.lock("pose", True)
    assert edits.revision == 0
    assert edits.unsaved_since == clock.now
