from __future__ import annotations

import torch

from crossrig.evaluation.factors import COMPONENTS, Factors
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.rig.units import Units


def column(factors: Factors, name: str) -> torch.Tensor:
    return factors.values[:, factors.names.index(name)]


def test_names_and_plain_factors(people: FaceParams, tiny_model: FaceModel) -> None:
    factors = Factors.of(Units.of(tiny_model), people)
    assert factors.values.shape == (64, 3 + 5 + 3 * COMPONENTS)
    assert len(set(factors.names)) == len(factors.names) == factors.values.shape[1]
    assert torch.allclose(column(factors, "yaw"), torch.rad2deg(people.rotation[:, 1]))
    assert bool(torch.isfinite(factors.values).all())


def test_a_brighter_light_comes_from_where_it_came(people: FaceParams, tiny_model: FaceModel) -> None:
    units = Units.of(tiny_model)
    plain, bright = Factors.of(units, people), Factors.of(units, people.replace(illumination=1.5 * people.illumination))
    assert torch.allclose(column(bright, "light strength"), 1.5 * column(plain, "light strength"))
    for name in plain.names:
        if name != "light strength":
            assert torch.allclose(column(bright, name), column(plain, name), atol=1e-4), name


def test_components_are_uncorrelated_and_the_strongest_come_first(people: FaceParams, tiny_model: FaceModel) -> None:
    units = Units.of(tiny_model)
    factors = Factors.of(units, people)
    shape = torch.stack([column(factors, f"shape {index + 1}") for index in range(COMPONENTS)], 1).double()
    moments = shape.T @ shape
    deviation = moments.diagonal().sqrt()
    assert torch.allclose(moments / (deviation[:, None] * deviation), torch.eye(COMPONENTS, dtype=torch.float64), atol=1e-3)
    assert bool((deviation.diff() < 0).all())
    # They hold most of what moves, in metres: far more than five coefficients of eighty.
    whole = units.squared("shape", people.shape - people.shape.mean(0)).sum()
    assert 0.5 < float(moments.trace() / whole) < 1.0
