"""The mirrored parameters must be those of the mirrored picture: drawn, not computed again."""

from __future__ import annotations

import pytest
import torch
from scipy.spatial import cKDTree

from crossrig.face3d.blocks import EXPRESSION_UNITS
from crossrig.face3d.mirror import mirror_matrix
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.render.face import render_face


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


@pytest.fixture(scope="module")
def person() -> FaceParams:
    random = torch.Generator().manual_seed(3)
    neutral = FaceParams.neutral()
    expression = torch.zeros(1, 52)
    expression[0, [EXPRESSION_UNITS.index(name) for name in ("mouthSmileLeft", "jawRight", "eyeBlinkLeft", "jawOpen")]] = 0.8
    return neutral.replace(
        shape=torch.randn(1, 80, generator=random),
        expression=expression,
        albedo=torch.randn(1, 48, generator=random),
        illumination=neutral.illumination + 0.2 * torch.randn(1, 27, generator=random),
        rotation=torch.tensor([[0.1, 0.4, -0.15]]),
        translation=torch.tensor([[0.01, 0.005, 0.02]]),
    )


def test_a_drawing_of_mirrored_parameters_is_the_mirrored_drawing(model: FaceModel, person: FaceParams) -> None:
    mirrored = FaceParams.unpack(person.pack() @ mirror_matrix(model))
    drawn, wanted = render_face(model, mirrored, 64, supersample=2).image, render_face(model, person, 64, supersample=2).image.flip(3)
    plain = render_face(model, person, 64, supersample=2).image
    assert float((drawn - wanted).abs().mean()) < 0.05 * float((plain - wanted).abs().mean())


def test_every_vertex_lies_where_its_partner_was(model: FaceModel, person: FaceParams) -> None:
    mirrored = FaceParams.unpack(person.pack() @ mirror_matrix(model))
    shown = model.faces.flatten().unique()
    wanted = cKDTree((model.vertices(person)[0, shown] * torch.tensor([-1.0, 1.0, 1.0])).numpy())
    apart, _ = wanted.query(model.vertices(mirrored)[0, shown].numpy())
    assert apart.max() < 0.0015  # metres


def test_the_mirror_of_the_mirror_is_the_person(model: FaceModel, person: FaceParams) -> None:
    matrix = mirror_matrix(model)
    twice = FaceParams.unpack(person.pack() @ matrix @ matrix)
    once = FaceParams.unpack(person.pack() @ matrix)
    for block in ("expression", "illumination", "rotation", "translation"):
        torch.testing.assert_close(getattr(twice, block), getattr(person, block))
    apart = (model.vertices(twice) - model.vertices(person)).norm(dim=-1)[0, model.faces.flatten()]
    moved = (model.vertices(once) - model.vertices(person)).norm(dim=-1)[0, model.faces.flatten()]
    assert float(apart.mean()) < 0.02 * float(moved.mean())
