from __future__ import annotations

import pytest
import torch

from crossrig.metrics.bootstrap import Resampling, Statistic, average


def test_the_interval_of_a_mean_is_that_of_the_theory() -> None:
    values = torch.randn(400, generator=torch.Generator().manual_seed(1)) * 3 + 5
    statistic = Resampling(400, 2000).mean(values)
    assert statistic.value == pytest.approx(float(values.mean()), rel=1e-5)
    interval = statistic.interval()
    assert interval is not None
    low, high = interval
    error = 1.96 * float(values.std()) / 20
    assert low == pytest.approx(float(values.mean()) - error, abs=0.03)
    assert high == pytest.approx(float(values.mean()) + error, abs=0.03)


def test_ratio_and_median_agree_with_drawing_by_hand() -> None:
    random = torch.Generator().manual_seed(2)
    above, below = torch.rand(31, generator=random), torch.rand(31, generator=random) + 0.5
    resampling = Resampling(31, 7, seed=4)
    ratio, median = resampling.ratio(above, below), resampling.median(above)
    for draw, index in enumerate(resampling.index):
        assert float(ratio.drawn[draw]) == pytest.approx(float(above[index].sum() / below[index].sum()), rel=1e-5)
        assert float(median.drawn[draw]) == pytest.approx(float(above[index].median()))
    assert ratio.value == pytest.approx(float(above.sum() / below.sum()), rel=1e-5)


def test_a_difference_on_the_same_people_is_surer_than_either() -> None:
    random = torch.Generator().manual_seed(3)
    people = torch.randn(200, generator=random) * 10
    resampling = Resampling(200, 500)
    first, second = resampling.mean(people + 1), resampling.mean(people + 0.01 * torch.randn(200, generator=random))
    gap = (first - second).interval()
    own = first.interval()
    assert gap is not None
    assert own is not None
    assert 0.9 < gap[0] < gap[1] < 1.1
    assert own[1] - own[0] > 2.0


def test_average_and_single() -> None:
    resampling = Resampling(20, 50)
    first, second = resampling.mean(torch.ones(20)), resampling.mean(torch.arange(20.0))
    both = average([first, second])
    assert both.value == pytest.approx((1 + 9.5) / 2)
    assert torch.allclose(both.drawn, (first.drawn + second.drawn) / 2)
    assert Statistic.single(3.0).interval() is None
    with pytest.raises(ValueError, match="same resampling"):
        _ = first - Statistic.single(1.0)
    with pytest.raises(ValueError, match="people"):
        Resampling(0)
