from __future__ import annotations

import pytest
import torch

from crossrig.face3d.params import FaceParams
from crossrig.metrics.angles import correlation, median_angle_errors, slope


def test_median_errors_are_per_angle_and_in_degrees() -> None:
    truth = FaceParams.neutral(3)
    error = torch.tensor([[1.0, 5.0, 0.0], [2.0, -6.0, 0.0], [90.0, 7.0, 0.0]])
    found = median_angle_errors(truth.replace(rotation=torch.deg2rad(error)), truth)
    assert found == pytest.approx({"pitch": 2.0, "yaw": 6.0, "roll": 0.0}, abs=1e-4)


def test_correlation_and_slope() -> None:
    x = torch.linspace(-2, 3, 20)
    assert correlation(x, 5 - 3 * x) == pytest.approx(-1.0)
    assert slope(x, 5 - 3 * x) == pytest.approx(-3.0)
    assert correlation(x, torch.ones(20)) == 0.0
    assert slope(torch.ones(20), x) == 0.0
    y = x + torch.randn(20, generator=torch.Generator().manual_seed(0))
    expected = float(torch.corrcoef(torch.stack([x, y]))[0, 1])
    assert correlation(x, y) == pytest.approx(expected, abs=1e-6)
