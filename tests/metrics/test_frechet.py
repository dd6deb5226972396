from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.features import FeatureTaps
from crossrig.metrics.frechet import frechet_distance, pooled_features
from crossrig.rig.reconstruction import blank_tensors


def gaussian(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 6, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_it_agrees_with_the_closed_form_of_diagonal_gaussians() -> None:
    first, second = gaussian(40000, 1), gaussian(40000, 2) * torch.tensor([1.0, 2.0, 3.0, 0.5, 1.0, 1.0]) + 0.5
    # |m1 - m2|^2 + sum (sd1 - sd2)^2
    expected = 6 * 0.25 + (1.0 + 4.0 + 0.25)
    assert frechet_distance(first, second) == pytest.approx(expected, abs=0.12)
    assert frechet_distance(second, first) == pytest.approx(frechet_distance(first, second), rel=1e-6)


def test_it_agrees_with_the_square_root_of_the_product() -> None:
    """Reference: scipy's matrix square root of C1 C2, as FID is usually computed."""
    from scipy.linalg import sqrtm

    mix = torch.randn(6, 6, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    first, second = gaussian(300, 3), gaussian(300, 4) @ mix
    c1, c2 = torch.cov(first.T), torch.cov(second.T)
    root = torch.from_numpy(sqrtm((c1 @ c2).numpy()).real)
    expected = (first.mean(0) - second.mean(0)).square().sum() + torch.trace(c1 + c2 - 2 * root)
    assert frechet_distance(first, second) == pytest.approx(float(expected), rel=1e-6)


def test_equal_sets_are_at_zero_and_misfits_are_refused() -> None:
    same = gaussian(50, 6)
    assert frechet_distance(same, same) == pytest.approx(0.0, abs=1e-6)
    with pytest.raises(UserError, match="two sets"):
        frechet_distance(same, same[:1])
    with pytest.raises(UserError, match="one length"):
        frechet_distance(same, same[:, :3])


def test_features_are_averaged_over_positions() -> None:
    taps = FeatureTaps(32, (2,), blank_tensors())
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.allclose(pooled_features(taps, images), taps(images)[0].flatten(2).mean(2))
