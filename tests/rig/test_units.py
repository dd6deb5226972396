from __future__ import annotations

import math

import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import BLOCKS, FaceParams
from crossrig.render.shading import sh_basis
from crossrig.rig.units import Units


@pytest.mark.parametrize("block", ["shape", "expression"])
def test_geometry_is_the_mean_squared_displacement_of_the_face(block: str, tiny_model: FaceModel, people: FaceParams) -> None:
    a = FaceParams.neutral(4).replace(**{block: getattr(people[:4], block)})
    b = FaceParams.neutral(4).replace(**{block: getattr(people[4:8], block)})
    face = tiny_model.regions["face"]
    expected = (tiny_model.neutral_pose(a) - tiny_model.neutral_pose(b))[:, face].square().sum(-1).mean(1)
    found = Units.of(tiny_model).squared(block, getattr(a, block) - getattr(b, block))
    torch.testing.assert_close(found, expected, rtol=1e-3, atol=1e-9)


def test_illumination_is_the_mean_squared_irradiance_over_the_sphere(tiny_model: FaceModel, people: FaceParams) -> None:
    error = people.illumination[:3] - people.illumination[3:6]
    directions = torch.nn.functional.normalize(torch.randn(200_000, 3, generator=torch.Generator().manual_seed(1)), dim=1)
    light = torch.einsum("nk,bkc->bnc", sh_basis(directions), error.reshape(3, 9, 3))
    found = Units.of(tiny_model).squared("illumination", error)
    torch.testing.assert_close(found, light.square().mean((1, 2)), rtol=0.02, atol=0)


def test_rotation_is_in_degrees(tiny_model: FaceModel) -> None:
    units = Units.of(tiny_model)
    still = FaceParams.neutral(1)
    turned = still.replace(rotation=torch.tensor([[0.0, math.radians(7.0), 0.0]]))
    assert float(units.distance("pose", still, turned)) == pytest.approx(7.0, rel=1e-5)


def test_spread_is_positive_even_without_variation(tiny_model: FaceModel) -> None:
    spread = Units.of(tiny_model).spread(FaceParams.neutral(4))
    assert set(spread) == set(BLOCKS)
    assert all(value > 0 for value in spread.values())


def test_misfit_grams_are_refused(tiny_model: FaceModel) -> None:
    grams = {name: Units.of(tiny_model).gram(name) for name in BLOCKS}
    with pytest.raises(ValueError, match="albedo"):
        Units(grams | {"albedo": torch.eye(3)})


def test_a_root_measures_as_the_form_does(tiny_model: FaceModel, people: FaceParams) -> None:
    units = Units.of(tiny_model)
    other = people.shape.roll(1, 0)
    root = units.root("shape")
    torch.testing.assert_close((people.shape @ root).square().sum(1), units.squared("shape", people.shape), rtol=1e-3, atol=1e-9)
    product = ((people.shape @ root) * (other @ root)).sum(1)
    torch.testing.assert_close(product, units.inner("shape", people.shape, other), rtol=1e-2, atol=1e-7)
    short = units.root("shape", 0.95)
    assert short.shape[1] < root.shape[1]
    assert 0.95 <= float(short.square().sum() / units.gram("shape").trace()) < 1.0
