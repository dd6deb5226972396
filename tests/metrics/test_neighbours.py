from __future__ import annotations

import pytest
import torch

from crossrig.metrics import neighbours
from crossrig.metrics.neighbours import nearer_share, nearest


def points(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def test_the_nearest_is_found_in_blocks_as_in_one_table(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    queries, known = points(23, 1), points(31, 2)
    table = (queries[:, None] - known[None]).norm(dim=2)
    gaps, index = nearest(queries, known)
    assert torch.allclose(gaps, table.min(1).values)
    assert torch.equal(index, table.argmin(1))


def test_nobody_is_its_own_neighbour(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(neighbours, "_BLOCK", 7)
    known = points(20, 3)
    known[13] = known[2]  # twins, in different blocks
    gaps, index = nearest(known, known, same=True)
    assert float(gaps[2]) == float(gaps[13]) == 0.0
    assert index[2] == 13
    assert index[13] == 2
    assert bool((index != torch.arange(20)).all())


def test_the_share_that_is_nearer() -> None:
    assert nearer_share(torch.tensor([1.0, 2.0]), torch.tensor([3.0, 4.0, 5.0])) == 1.0
    assert nearer_share(torch.tensor([6.0]), torch.tensor([3.0, 4.0])) == 0.0
    assert nearer_share(torch.tensor([3.0, 3.0]), torch.tensor([3.0, 3.0])) == 0.5
    first, second = points(9, 4).flatten(), points(11, 5).flatten()
    pairs = (first[:, None] < second[None]).double() + 0.5 * (first[:, None] == second[None]).double()
    assert nearer_share(first, second) == pytest.approx(float(pairs.mean()))
