"""Steps or minutes, whichever come first."""

from __future__ import annotations

import pytest

from crossrig.train import budget as module
from crossrig.train.budget import Budget


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1000.0]
    monkeypatch.setattr(module.time, "monotonic", lambda: now[0])
    return now


def test_steps_end_a_run_without_a_limit_of_time(clock: list[float]) -> None:
    budget = Budget(4, 0.0, 0, {})
    for _ in range(3):
        clock[0] += 1e6
        budget.advance()
    assert (budget.step, budget.progress, budget.expected) == (3, 0.75, 4)
    budget.advance()
    assert budget.progress == 1.0


def test_minutes_end_a_run_before_its_steps(clock: list[float]) -> None:
    budget = Budget(1000, 2.0, 0, {})
    clock[0] += 30.0
    budget.advance()
    assert budget.progress == 0.25
    assert budget.expected == 4
    clock[0] += 90.0
    budget.advance()
    assert budget.progress >= 1.0


def test_an_interruption_does_not_count(clock: list[float]) -> None:
    budget = Budget(1000, 2.0, 0, {})
    clock[0] += 60.0
    budget.advance()
    kept = budget.state()
    clock[0] += 1e5
    later = Budget(1000, 2.0, budget.step, kept)
    clock[0] += 30.0
    later.advance()
    assert later.step == 2
    assert later.progress == 0.75
