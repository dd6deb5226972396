"""Which pixels are the person."""

from __future__ import annotations

import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.inversion.matte import matte
from crossrig.render.face import render_face

SIZE = 128


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


def portrait(model: FaceModel, hair: float) -> tuple[torch.Tensor, torch.Tensor]:
    """A head with a disc of hair around it and over its forehead, before a light backdrop; and where it is."""
    rendered = render_face(model, FaceParams.neutral(), SIZE)
    axis = (2 * torch.arange(SIZE) + 1.0) / SIZE - 1
    disc = (axis[None, :] ** 2 + (axis[:, None] + 0.15) ** 2).sqrt() < hair
    fringe = disc & (axis[:, None] < -0.4)
    backdrop = torch.where(disc, -0.75, 0.7).expand(1, 3, SIZE, SIZE)
    grain = 0.02 * torch.randn(1, 3, SIZE, SIZE, generator=torch.Generator().manual_seed(1))
    person = torch.maximum(rendered.alpha, disc.to(backdrop)[None, None])
    picture = torch.where(fringe, backdrop, rendered.over(backdrop))
    return (picture + grain).clamp(-1, 1), person


@pytest.mark.parametrize("hair", [0.0, 0.75, 0.9])
def test_hair_is_the_person_and_the_backdrop_is_not(model: FaceModel, hair: float) -> None:
    picture, person = portrait(model, hair)
    found = matte(picture, model, FaceParams.neutral())
    assert found.shape == (1, 1, SIZE, SIZE)
    assert 0.0 <= float(found.min()) <= float(found.max()) <= 1.0
    assert float((found - person).abs().mean()) < 0.04


def test_the_same_picture_has_the_same_matte(model: FaceModel) -> None:
    picture, _ = portrait(model, 0.8)
    assert torch.equal(matte(picture, model, FaceParams.neutral()), matte(picture, model, FaceParams.neutral()))


def test_a_picture_of_one_colour_is_no_reason_to_stop(model: FaceModel) -> None:
    found = matte(torch.zeros(1, 3, SIZE, SIZE), model, FaceParams.neutral())
    assert bool(found.isfinite().all())


def test_a_head_outside_the_picture_leaves_everything_to_the_person(model: FaceModel) -> None:
    away = FaceParams.neutral().replace(translation=torch.tensor([[5.0, 0.0, 0.0]]))
    assert torch.equal(matte(torch.zeros(1, 3, SIZE, SIZE), model, away), torch.ones(1, 1, SIZE, SIZE))
