from __future__ import annotations

import pytest
import torch

from crossrig.metrics.path_length import path_lengths, trimmed_mean


def squared(first: torch.Tensor, second: torch.Tensor) -> torch.Tensor:
    return (first - second).square().sum(1)


def test_a_linear_generator_has_the_closed_form() -> None:
    """g(w) = A w under squared distances: |A (w2 - w1)|^2, wherever on the path."""
    random = torch.Generator().manual_seed(1)
    first, second = (torch.randn(50, 6, generator=random, dtype=torch.float64) for _ in range(2))
    matrix = torch.randn(9, 6, generator=random, dtype=torch.float64)
    t = torch.rand(50, generator=random, dtype=torch.float64)
    found = path_lengths(first, second, t, lambda w: w @ matrix.T, squared)
    assert torch.allclose(found, ((second - first) @ matrix.T).square().sum(1), rtol=1e-6)


def test_it_is_the_slope_at_the_place_asked_for() -> None:
    """g(w) = w^2 from 0 to 1: the picture changes by 2 t per step."""
    t = torch.tensor([0.0, 0.25, 0.5, 1.0], dtype=torch.float64)
    first = torch.zeros(4, 1, dtype=torch.float64)
    found = path_lengths(first, first + 1, t, torch.square, squared)
    assert torch.allclose(found, (2 * t).square(), atol=1e-3)


def test_a_generator_that_shows_one_picture_has_no_path() -> None:
    ends = torch.randn(3, 4, generator=torch.Generator().manual_seed(2))
    assert float(path_lengths(ends, -ends, torch.rand(3), torch.zeros_like, squared).max()) == 0.0


def test_the_outermost_hundredths_are_left_out() -> None:
    values = torch.cat([torch.full((198,), 2.0), torch.tensor([-1e6, 1e9])])
    assert trimmed_mean(values) == pytest.approx(2.0)
    assert trimmed_mean(torch.tensor([1.0, 2.0, 3.0]), 0.0, 1.0) == pytest.approx(2.0)
