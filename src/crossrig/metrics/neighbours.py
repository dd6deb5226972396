"""Nearest neighbours among feature vectors, a block of the distance table at a time: 10,000 x 10,000 distances never lie in memory."""

from __future__ import annotations

import torch
from torch import Tensor

_BLOCK = 1024  # rows of the distance table held at once


def distances(first: Tensor, second: Tensor) -> Tensor:
    """(N, C), (M, C) -> (N, M) Euclidean distances, computed from differences: exact also for vectors that are nearly the same."""
    return torch.cdist(first, second, compute_mode="donot_use_mm_for_euclid_dist")


def nearest(queries: Tensor, points: Tensor, same: bool = False) -> tuple[Tensor, Tensor]:
    """Distance (N,) and index (N,) of the nearest of `points` (M, C) to each of `queries` (N, C).

    same: queries and points are one set, and nobody is its own neighbour; M is then at least 2.
    """
    found = []
    for start in range(0, len(queries), _BLOCK):
        table = distances(queries[start : start + _BLOCK], points)
        if same:
            rows = torch.arange(len(table))
            table[rows, start + rows] = torch.inf
        found.append(table.min(1))
    return torch.cat([part.values for part in found]), torch.cat([part.indices for part in found])


def nearer_share(first: Tensor, second: Tensor) -> float:
    """Probability that a number of the first sample (N,) is below one of the second (M,), equal ones counting half: the Mann-Whitney
    statistic. 0.5 for samples of one distribution.

    With distances to the training set, of generated and of fresh pictures, it is the test of data-copying of Meehan et al. 2020 (*A
    non-parametric test to detect data-copying in generative models*, section 3): clearly above 0.5 where a generator repeats its
    training set.
    """
    ordered = second.double().sort().values
    below = torch.searchsorted(ordered, first.double(), right=False)
    up_to = torch.searchsorted(ordered, first.double(), right=True)
    return 1.0 - float((below + up_to).double().mean()) / (2 * len(second))
