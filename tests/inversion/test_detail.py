"""Detail carried along with the head: exact on surfaces, nothing invented where nothing was seen."""

from __future__ import annotations

import math

import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.inversion.detail import carry, compose, head_motion
from crossrig.render.camera import Camera
from crossrig.render.face import render_face

SIZE = 64


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


def turned(yaw: float = 0.0, x: float = 0.0) -> FaceParams:
    neutral = FaceParams.neutral()
    return neutral.replace(rotation=torch.tensor([[0.0, math.radians(yaw), 0.0]]), translation=torch.tensor([[x, 0.0, 0.0]]))


def test_without_a_motion_detail_stays_as_it_is(model: FaceModel) -> None:
    lit = turned(10.0)
    motion = head_motion(model, lit, lit.replace(illumination=lit.illumination * 0.5), SIZE)
    detail = torch.randn(1, 3, SIZE, SIZE)
    assert torch.equal(motion.kept, torch.ones(1, 1, SIZE, SIZE))
    assert torch.allclose(carry(detail, motion), detail, atol=1e-5)


def test_without_a_motion_a_picture_changes_as_the_generator_says(model: FaceModel) -> None:
    photograph, inverted, edited = torch.rand(3, 1, 3, SIZE, SIZE)
    motion = head_motion(model, turned(10.0), turned(10.0), SIZE)
    composed = compose(photograph, inverted, edited, motion)
    torch.testing.assert_close(composed, photograph + edited - inverted, atol=1e-5, rtol=0)


def test_a_turned_photograph_of_a_known_person_is_that_person_turned(model: FaceModel) -> None:
    """Fine texture that the generator does not know, on a head whose generator draws smooth and a little beside the right place."""
    before, after = turned(), turned(14.0)
    smooth = [render_face(model, params, SIZE).image for params in (before, after)]
    grain = FaceParams.neutral().replace(albedo=torch.randn(1, 48, generator=torch.Generator().manual_seed(1)) * 2)
    fine = [render_face(model, grain.replace(rotation=params.rotation), SIZE).image for params in (before, after)]
    misplaced = smooth[1].roll(1, dims=3)
    composed = compose(fine[0], smooth[0], misplaced, head_motion(model, before, after, SIZE))
    face = (render_face(model, after, SIZE).alpha > 0.99).expand_as(composed)
    assert float((composed - fine[1]).abs()[face].mean()) < 0.6 * float((misplaced - fine[1]).abs()[face].mean())


def test_what_nobody_saw_is_the_generators(model: FaceModel) -> None:
    before, after = turned(-45.0), turned(45.0)
    motion = head_motion(model, before, after, SIZE)
    photograph, edited = torch.full((1, 3, SIZE, SIZE), 0.3), torch.rand(1, 3, SIZE, SIZE)
    composed = compose(photograph, photograph, edited, motion)
    deep = torch.nn.functional.max_pool2d(motion.kept, 9, 1, 4) < 0.01  # far from everything that was kept
    assert float(deep.float().mean()) > 0.01
    apart = composed - edited
    assert float(apart[deep.expand_as(apart)].std()) < 0.3 * float(edited.std())  # its texture, at most its colour is shifted


def test_a_step_to_the_side_moves_the_head_and_not_the_far_background(model: FaceModel) -> None:
    step = 0.02
    motion = head_motion(model, turned(), turned(x=step), SIZE)
    expected = -Camera().focal * step / Camera().distance
    centre = motion.flow[0, :, SIZE // 2, SIZE // 2]
    assert float(centre[0]) == pytest.approx(expected, rel=0.1)  # the face is nearer than the origin of the head
    assert abs(float(centre[1])) < 0.01
    assert float(motion.flow[0, :, 0, 0].norm()) < 0.3 * abs(expected)


def test_a_picture_of_the_head_is_carried_to_where_the_head_is_drawn(model: FaceModel) -> None:
    before, after = turned(), turned(12.0)
    drawn, wanted = (render_face(model, params, SIZE).image for params in (before, after))
    # Texture that sits on the surface: the albedo is the same before and after, the light does not depend on the direction.
    motion = head_motion(model, before, after, SIZE)
    carried = carry(drawn + 1.0, motion) - 1.0
    alpha = render_face(model, after, SIZE).alpha * motion.kept
    inner = (alpha > 0.99).expand_as(wanted)
    moved = (carried - wanted).abs()[inner].mean()
    still = (drawn - wanted).abs()[inner].mean()
    assert float(moved) < 0.5 * float(still)


def test_what_was_hidden_gets_no_detail(model: FaceModel) -> None:
    motion = head_motion(model, turned(-45.0), turned(45.0), SIZE)
    face = render_face(model, turned(45.0), SIZE).alpha > 0.99
    assert float((motion.kept[face] < 0.5).float().mean()) > 0.15  # the cheek and ear that faced away
    assert float((motion.kept[face] > 0.5).float().mean()) > 0.2
    assert float(motion.kept.min()) >= 0.0
    assert float(motion.kept.max()) <= 1.0


def test_no_ghost_stays_where_the_head_was(model: FaceModel) -> None:
    before, after = turned(x=-0.03), turned(x=0.03)
    old, new = (render_face(model, params, SIZE).alpha for params in (before, after))
    motion = head_motion(model, before, after, SIZE)
    ghost = carry(old, motion) * motion.kept * (new < 0.01)
    assert float(ghost.mean()) < 0.1 * float((old * (new < 0.01)).mean())


def test_motion_of_a_large_picture_is_the_enlarged_one(model: FaceModel) -> None:
    small, large = (head_motion(model, turned(), turned(15.0), size) for size in (160, 320))
    assert large.flow.shape == (1, 2, 320, 320)
    apart = torch.nn.functional.avg_pool2d(large.flow, 2) - small.flow
    assert float(apart.abs().mean()) < 0.02 * float(small.flow.abs().mean())
