"""Undo and redo."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrig.errors import UserError
from crossrig.studio.history import History


def test_undo_and_redo_return_what_was_there() -> None:
    history = History()
    history.add("a", {"yaw": 1.0})
    history.add("b", {"yaw": 2.0})
    history.undo()
    assert history.current.values == {"yaw": 1.0}
    history.redo()
    assert history.current.values == {"yaw": 2.0}
    history.go_to(0)
    assert history.current.values == {}
    assert not history.can_undo


def test_what_changes_nothing_is_no_step_but_the_order_counts() -> None:
    history = History()
    assert history.add("a", {"smile": 1.0, "jawOpen": 0.5})
    assert not history.add("a", {"smile": 1.0, "jawOpen": 0.5})
    assert history.add("a", {"jawOpen": 0.5, "smile": 1.0})


def test_a_step_after_an_undo_replaces_what_came_after_and_takes_a_new_number() -> None:
    history = History()
    history.add("a", {"yaw": 1.0})
    history.undo()
    history.add("b", {"yaw": 2.0})
    assert [step.number for step in history.steps] == [0, 2]
    with pytest.raises(UserError, match="no step 1"):
        history.go_to(1)


def test_a_step_taken_back_gives_its_place_to_the_next() -> None:
    history = History()
    history.add("a", {"yaw": 1.0})
    history.add("b", {"yaw": 2.0})
    history.take_back()
    history.add("c", {"yaw": 3.0})
    assert [step.label for step in history.steps] == ["Original", "a", "c"]
    assert [step.number for step in history.steps] == [0, 1, 3]


def test_values_are_copied() -> None:
    values = {"yaw": 1.0}
    history = History()
    history.add("a", values)
    values["yaw"] = 9.0
    assert history.current.values == {"yaw": 1.0}


@given(st.lists(st.sampled_from(["undo", "redo", "add"]), max_size=60))
def test_any_sequence_keeps_the_history_sound(moves: list[str]) -> None:
    history = History()
    for count, move in enumerate(moves):
        if move == "add":
            history.add("x", {"yaw": float(count)})
        else:
            getattr(history, move)()
        numbers = [step.number for step in history.steps]
        assert numbers == sorted(set(numbers))
        assert numbers[0] == 0
        assert 0 <= history.position < len(history.steps)
