from __future__ import annotations

import numpy as np
import pytest

from crossrig.face3d.basis import direction, principal_components


def sample(count: int = 400, rank: int = 4, size: int = 30) -> np.ndarray:
    rng = np.random.default_rng(0)
    return rng.normal(size=(count, rank)) * [5, 3, 2, 1] @ rng.normal(size=(rank, size)) + rng.normal(size=size)


def test_data_of_low_rank_are_reconstructed_exactly() -> None:
    data = sample()
    basis = principal_components(data, 4)
    assert np.allclose(basis.mean + basis.scores @ basis.components, data, atol=1e-8)
    assert basis.explained == pytest.approx(1.0)


def test_scores_are_white_and_components_ordered() -> None:
    basis = principal_components(sample(), 4)
    assert np.allclose(basis.scores.T @ basis.scores / 400, np.eye(4), atol=1e-8)
    norms = np.linalg.norm(basis.components, axis=1)
    assert (np.diff(norms) <= 1e-9).all()


def test_coordinates_without_weight_follow_the_others() -> None:
    data = sample()
    weight = np.ones(30)
    weight[20:] = 0
    basis = principal_components(data, 4, weight)
    assert np.allclose(basis.mean + basis.scores @ basis.components, data, atol=1e-6)


def test_direction_raises_the_property_by_one_sd_with_the_shortest_step() -> None:
    data = sample()
    basis = principal_components(data, 4)
    values = 7 + basis.scores @ np.array([1.0, 0, 2.0, 0])
    step = direction(basis.scores, values)
    assert step @ np.array([1.0, 0, 2.0, 0]) == pytest.approx(values.std())
    assert np.allclose(step[[1, 3]], 0, atol=1e-9)


def test_fixed_properties_stay_while_the_named_one_rises() -> None:
    basis = principal_components(sample(), 4)
    wanted, held = basis.scores @ np.array([1.0, 1, 0, 0]), basis.scores @ np.array([1.0, 0, 0, 0])
    step = direction(basis.scores, wanted, (held,))
    assert step @ np.array([1.0, 1, 0, 0]) == pytest.approx(wanted.std())
    assert step @ np.array([1.0, 0, 0, 0]) == pytest.approx(0, abs=1e-9)


def test_impossible_requests_are_refused() -> None:
    with pytest.raises(ValueError, match="components"):
        principal_components(sample(10), 10)
    with pytest.raises(ValueError, match="never varies"):
        direction(sample(10), np.ones(10))
