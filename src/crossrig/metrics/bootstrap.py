"""How sure a figure is: the percentile bootstrap over people (Efron 1979).

People are drawn with replacement; the same draws serve every method, so that the difference of two methods has its own, narrower,
interval: both are measured on the same people and commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor


@dataclass(frozen=True)
class Statistic:
    """A figure, and what it would have been for other draws of people."""

    value: float
    drawn: Tensor  # (draws,) float64; empty where nothing can be resampled

    @classmethod
    def single(cls, value: float) -> Statistic:
        """A figure without an interval."""
        return cls(value, torch.zeros(0, dtype=torch.float64))

    def interval(self, level: float = 0.95) -> tuple[float, float] | None:
        """(low, high) between which a share `level` of the draws lies; None where nothing was resampled."""
        if not len(self.drawn):
            return None
        tail = (1.0 - level) / 2.0
        low, high = torch.quantile(self.drawn, torch.tensor([tail, 1.0 - tail], dtype=self.drawn.dtype)).tolist()
        return low, high

    def __sub__(self, other: Statistic) -> Statistic:
        """The difference, draw by draw. Both must come from the same `Resampling`."""
        if len(self.drawn) != len(other.drawn):
            raise ValueError(f"these figures were resampled {len(self.drawn)} and {len(other.drawn)} times; take the same resampling")
        return Statistic(self.value - other.value, self.drawn - other.drawn)


def average(statistics: Sequence[Statistic]) -> Statistic:
    """Mean of several figures, draw by draw. All must come from the same `Resampling`."""
    value = sum(statistic.value for statistic in statistics) / len(statistics)
    return Statistic(value, torch.stack([statistic.drawn for statistic in statistics]).mean(0))


class Resampling:
    """`draws` samples of `count` people with replacement, the same for the same `seed`."""

    def __init__(self, count: int, draws: int = 1000, seed: int = 0) -> None:
        if count < 1 or draws < 1:
            raise ValueError(f"resampling needs people and draws: got {count} and {draws}")
        self.draws = draws
        self.index = torch.randint(count, (draws, count), generator=torch.Generator().manual_seed(seed))  # (draws, N)

    @cached_property
    def _counts(self) -> Tensor:
        """(draws, N): how often each person is in each draw."""
        zeros = torch.zeros(self.index.shape, dtype=torch.float64)
        return zeros.scatter_add(1, self.index, torch.ones_like(zeros))

    def _sums(self, values: Tensor) -> Tensor:
        return self._counts @ values.double()  # (draws,)

    def mean(self, values: Tensor) -> Statistic:
        """Mean of (N,) values."""
        return Statistic(float(values.double().mean()), self._sums(values) / self.index.shape[1])

    def median(self, values: Tensor) -> Statistic:
        """Median of (N,) values (of an even number, the lower of the two in the middle)."""
        return Statistic(float(values.median()), values.double()[self.index].median(1).values)

    def ratio(self, above: Tensor, below: Tensor) -> Statistic:
        """Sum of (N,) values over the sum of (N,) others, the latter positive."""
        return Statistic(float(above.double().sum() / below.double().sum()), self._sums(above) / self._sums(below))
