from __future__ import annotations

import pytest
import torch
from torch import nn

from crossrig.gan.ema import WeightAverage


class Point(nn.Module):
    """One weight and one buffer."""

    buffer: torch.Tensor

    def __init__(self, value: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor([value]))
        self.register_buffer("buffer", torch.tensor([value]))


def test_half_life_in_images() -> None:
    average = WeightAverage(Point(1.0), half_life=1000.0, rampup=None)
    live = Point(0.0)
    for step in range(10):
        average.update(live, images=100, seen=100 * (step + 1))
    assert average.module.weight.item() == pytest.approx(0.5, rel=1e-5)


def test_the_batch_size_does_not_matter() -> None:
    small, large = (WeightAverage(Point(1.0), half_life=1000.0, rampup=None) for _ in range(2))
    for _ in range(8):
        small.update(Point(0.0), images=8, seen=64)
    large.update(Point(0.0), images=64, seen=64)
    torch.testing.assert_close(small.module.weight, large.module.weight)


def test_rampup_leaves_the_start_quickly() -> None:
    average = WeightAverage(Point(1.0), half_life=10_000.0, rampup=0.05)
    average.update(Point(0.0), images=16, seen=16)
    assert average.module.weight.item() < 1e-4
    assert average.beta(16, seen=10**9) == pytest.approx(0.5 ** (16 / 10_000))


def test_buffers_are_copied_and_the_average_is_frozen() -> None:
    source = Point(1.0)
    average = WeightAverage(source, half_life=1000.0)
    live = Point(5.0)
    average.update(live, images=1, seen=10**6)
    assert average.module.buffer.item() == 5.0
    assert 1.0 < average.module.weight.item() < 1.1
    assert source.weight.item() == 1.0  # a copy: the network itself is untouched
    assert not average.module.weight.requires_grad
    assert not average.module.training


def test_half_life_must_be_positive() -> None:
    with pytest.raises(ValueError, match="half_life"):
        WeightAverage(Point(1.0), half_life=0.0)
