from __future__ import annotations

import pytest
import torch
from torch import Tensor

from crossrig.traced import Traced


def chain(x: Tensor, y: Tensor) -> Tensor:
    """Some hundred small operations."""
    for step in range(200):
        x = torch.sin(x) * y + step
    return x.expand(3, *x.shape).sum(0)


def test_it_gives_the_same_for_other_values_and_other_shapes() -> None:
    traced = Traced(chain)
    random = torch.Generator().manual_seed(0)
    for shape in ((2, 3), (2, 3), (1, 3), (4, 5), (1, 3)):
        x, y = torch.randn(shape, generator=random), torch.randn(shape, generator=random)
        torch.testing.assert_close(traced(x, y), chain(x, y))


def test_a_function_runs_once_for_each_set_of_shapes_and_without_gradients() -> None:
    told: list[torch.Size] = []
    weight = torch.ones(3)

    def function(x: Tensor) -> Tensor:
        told.append(x.shape)
        return x * weight

    traced = Traced(function)
    for batch in (1, 2, 1, 2, 1):
        assert not traced(torch.ones(batch, 3, requires_grad=True)).requires_grad
    assert told == [torch.Size([1, 3]), torch.Size([2, 3])]


def test_weights_that_learn_cannot_be_recorded_and_are_used_as_they_are() -> None:
    weight = torch.ones(3, requires_grad=True)
    traced = Traced(lambda x: x * weight)
    for value in (1.0, 2.0):
        with torch.no_grad():
            weight.fill_(value)
        found = traced(torch.ones(2, 3))
        assert not found.requires_grad
        assert torch.equal(found, torch.full((2, 3), value))


def test_where_nothing_can_be_recorded_the_function_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise RuntimeError("not supported")

    monkeypatch.setattr(torch.jit, "trace", refuse)
    x = torch.full((2, 3), 0.5)
    torch.testing.assert_close(Traced(chain)(x, x), chain(x, x))
