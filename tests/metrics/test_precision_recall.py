from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.metrics import precision_recall as module
from crossrig.metrics.precision_recall import precision_recall


def cloud(count: int, seed: int, size: int = 4) -> torch.Tensor:
    return torch.randn(count, size, generator=torch.Generator().manual_seed(seed))


def reference(real: torch.Tensor, generated: torch.Tensor, k: int) -> tuple[float, float]:
    """Equations 1 and 2 of Kynkaanniemi et al. 2019, one pair at a time."""

    def inside(point: torch.Tensor, others: torch.Tensor) -> bool:
        for i, other in enumerate(others):
            near = sorted(float((other - third).norm()) for j, third in enumerate(others) if j != i)
            if float((point - other).norm()) <= near[k - 1]:
                return True
        return False

    precision = sum(inside(point, real) for point in generated) / len(generated)
    return precision, sum(inside(point, generated) for point in real) / len(real)


@pytest.mark.parametrize("k", [1, 3])
def test_blocks_agree_with_one_pair_at_a_time(monkeypatch: pytest.MonkeyPatch, k: int) -> None:
    monkeypatch.setattr(module, "_BLOCK", 11)
    real, generated = cloud(40, 1), 0.8 * cloud(30, 2) + 1.0
    found = precision_recall(real, generated, k)
    assert found == pytest.approx(reference(real, generated, k))
    assert min(found) > 0.0
    assert max(found) < 1.0  # or the comparison would say little


def test_a_collapsed_generator_has_no_recall() -> None:
    real = cloud(200, 3)
    collapsed = real[:1] + 1e-4 * cloud(200, 4)
    precision, recall = precision_recall(real, collapsed)
    assert precision == 1.0
    assert recall <= 1 / 200  # at most the one picture that is repeated


def test_noise_has_no_precision() -> None:
    precision, _ = precision_recall(cloud(200, 5), 50.0 + 20.0 * cloud(200, 6))
    assert precision == 0.0


def test_the_same_distribution_scores_high_and_the_same_set_one() -> None:
    real = cloud(300, 7)
    assert min(precision_recall(real, cloud(300, 8))) > 0.7
    assert precision_recall(real, real) == (1.0, 1.0)


def test_half_of_the_people_is_half_of_the_recall() -> None:
    real = torch.cat([cloud(100, 9), 100.0 + cloud(100, 10)])
    precision, recall = precision_recall(real, cloud(200, 11))
    assert precision > 0.7
    assert 0.35 < recall <= 0.5


def test_too_few_or_misfits_are_refused() -> None:
    with pytest.raises(UserError, match="more than 3"):
        precision_recall(cloud(3, 1), cloud(9, 2))
    with pytest.raises(UserError, match="one length"):
        precision_recall(cloud(9, 1), cloud(9, 2, size=5))
