from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.metrics.dci import completeness, dci, disentanglement, fit, lasso


def normal(*shape: int, seed: int) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_importances_with_known_answers() -> None:
    identity = torch.eye(4)
    assert disentanglement(identity) == pytest.approx(1.0)
    assert completeness(identity) == pytest.approx(1.0)
    everywhere = torch.ones(4, 4)
    assert disentanglement(everywhere) == pytest.approx(0.0, abs=1e-9)
    assert completeness(everywhere) == pytest.approx(0.0, abs=1e-9)
    # Two dimensions for each factor: still one factor a dimension, but ln 2 / ln 4 of the way to scattered.
    twice = torch.eye(2).repeat_interleave(2, 0)
    assert disentanglement(twice) == pytest.approx(1.0)
    assert completeness(twice) == pytest.approx(0.5)
    # The reverse: a dimension that serves both factors, weighed by its importance (3/4) against one that serves one.
    mixed = torch.tensor([[1.5, 1.5], [1.0, 0.0]])
    assert disentanglement(mixed) == pytest.approx(0.25)


def test_dimensions_and_factors_without_importance() -> None:
    assert disentanglement(torch.tensor([[2.0, 0.0], [0.0, 0.0], [0.0, 1.0]])) == pytest.approx(1.0)
    assert completeness(torch.tensor([[2.0, 0.0], [0.0, 0.0]])) == pytest.approx(0.5)  # nothing holds the second factor
    assert disentanglement(torch.zeros(3, 2)) == 0.0


def test_the_code_that_is_the_factors_scores_one() -> None:
    factors = normal(400, 5, seed=1)
    code = torch.cat([3.0 * factors.flip(1) + 7.0, normal(400, 6, seed=2)], 1)  # other order, scale and origin, and noise beside it
    found = dci(code, factors)
    assert found.disentanglement > 0.97
    assert found.completeness > 0.97
    assert found.informativeness > 0.99
    assert found.importance.shape == (11, 5)
    assert torch.equal(found.importance[:5].argmax(0), torch.arange(5).flip(0))


def test_turning_the_code_costs_disentanglement_and_nothing_else() -> None:
    factors = normal(400, 6, seed=3)
    rotation = torch.linalg.qr(normal(6, 6, seed=4)).Q
    found = dci(factors @ rotation, factors)
    assert found.disentanglement < 0.35
    assert found.completeness < 0.35
    assert found.informativeness > 0.99


def test_noise_tells_nothing() -> None:
    found = dci(normal(300, 8, seed=5), normal(300, 3, seed=6))
    assert found.informativeness < 0.05
    assert float(found.r2.max()) < 0.1


def test_informativeness_is_measured_on_codes_not_fitted() -> None:
    """As many dimensions as codes can fit anything, which must not count."""
    found = dci(normal(60, 100, seed=7), normal(60, 2, seed=8))
    assert found.informativeness < 0.2


def test_constant_dimensions_and_factors_do_no_harm() -> None:
    factors = normal(200, 3, seed=9)
    code = torch.cat([factors, torch.full((200, 1), 4.0, dtype=torch.float64)], 1)
    constant = torch.cat([factors, torch.ones(200, 1, dtype=torch.float64)], 1)
    found = dci(code, constant)
    assert bool(torch.isfinite(found.importance).all())
    assert float(found.importance[3].sum()) == 0.0
    assert found.disentanglement > 0.97


def reference_lasso(gram: torch.Tensor, cross: torch.Tensor, penalty: torch.Tensor) -> torch.Tensor:
    """Iterative soft thresholding (Daubechies et al. 2004): a gradient step, then every coefficient shrinks."""
    step = 1.0 / float(torch.linalg.eigvalsh(gram).max())
    found = torch.zeros_like(cross)
    for _ in range(20_000):
        wish = found - step * (gram @ found - cross)
        found = torch.sign(wish) * (wish.abs() - step * penalty).clamp(min=0)
    return found


def test_coordinate_descent_agrees_with_soft_thresholding() -> None:
    codes = normal(80, 12, seed=10) @ normal(12, 12, seed=11)
    codes = (codes - codes.mean(0)) / codes.std(0, correction=0)
    factors = codes[:, :3] + 0.5 * normal(80, 3, seed=12)
    gram, cross = codes.T @ codes / 80, codes.T @ factors / 80
    penalty = torch.tensor([0.02, 0.1, 0.4], dtype=torch.float64)
    found = lasso(gram, cross, penalty)
    assert torch.allclose(found, reference_lasso(gram, cross, penalty), atol=2e-3)
    assert bool((found == 0).any())
    assert torch.allclose(lasso(gram, cross, penalty, start=found), found, atol=1e-3)
    # From the largest correlation on nothing is left.
    assert float(lasso(gram, cross, cross.abs().amax(0) * 1.001).abs().max()) == 0.0


def test_the_penalty_is_weak_for_clean_and_strong_for_noisy_factors() -> None:
    code = normal(300, 40, seed=13)
    clean, noisy = code[:, :1], 0.2 * code[:, :1] + normal(300, 1, seed=14)
    coefficients, _ = fit(code, torch.cat([clean, noisy], 1))
    kept = (coefficients.abs() > 1e-6).sum(0)
    assert float(coefficients[0, 0]) > 0.99
    assert int(kept[1]) < 30


def test_misfits_are_refused() -> None:
    with pytest.raises(UserError, match="20 or more"):
        dci(normal(10, 3, seed=1), normal(10, 2, seed=2))
    with pytest.raises(UserError, match="2 or more factors"):
        dci(normal(30, 3, seed=1), normal(30, 1, seed=2))
