"""Detail carried along with the head: exact on surfaces, nothing invented where nothing was seen."""

from __future__ import annotations

import math

import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import EXPRESSION_UNITS, FaceParams
from crossrig.inversion.detail import Motion, MovingHead, carry, compose
from crossrig.render.camera import Camera
from crossrig.render.face import render_face

SIZE = 96


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


def turned(yaw: float = 0.0, x: float = 0.0) -> FaceParams:
    neutral = FaceParams.neutral()
    return neutral.replace(rotation=torch.tensor([[0.0, math.radians(yaw), 0.0]]), translation=torch.tensor([[x, 0.0, 0.0]]))


def head_motion(model: FaceModel, before: FaceParams, after: FaceParams, size: int) -> Motion:
    return MovingHead(model, before, size).to(after)


def everybody(like: torch.Tensor) -> torch.Tensor:
    """A matte of a picture that shows nothing but the person."""
    return torch.ones_like(like[:, :1])


def test_without_a_motion_detail_stays_as_it_is(model: FaceModel) -> None:
    lit = turned(10.0)
    motion = head_motion(model, lit, lit.replace(illumination=lit.illumination * 0.5), SIZE)
    detail = torch.randn(1, 3, SIZE, SIZE)
    assert torch.equal(motion.kept, torch.ones(1, 1, SIZE, SIZE))
    assert torch.allclose(carry(detail, motion), detail, atol=1e-5)


def test_without_a_motion_only_the_light_of_the_person_changes(model: FaceModel) -> None:
    photograph = render_face(model, turned(10.0), SIZE).image
    person = torch.zeros(1, 1, SIZE, SIZE)
    person[..., : SIZE // 2] = 1.0
    motion = head_motion(model, turned(10.0), turned(10.0), SIZE)
    same = torch.rand(1, 3, SIZE, SIZE)
    torch.testing.assert_close(compose(photograph, person, same, same, motion), photograph, atol=1e-5, rtol=0)
    composed = compose(photograph, person, same, same + 0.2, motion)
    torch.testing.assert_close(composed[..., : SIZE // 2], photograph[..., : SIZE // 2] + 0.2, atol=1e-3, rtol=0)
    torch.testing.assert_close(composed[..., SIZE // 2 + 1 :], photograph[..., SIZE // 2 + 1 :], atol=1e-5, rtol=0)


def test_light_has_the_edges_of_the_photograph(model: FaceModel) -> None:
    """The generator darkens one side of an edge that it has some pixels beside the photograph's."""
    column = torch.arange(SIZE).expand(1, 3, SIZE, SIZE)
    photograph = torch.where(column < 48, 0.5, -0.5)
    moved = torch.where(column < 51, 0.5, -0.5)
    edited = torch.where(column < 51, 0.1, -0.5)
    motion = head_motion(model, turned(), turned(), SIZE)
    change = compose(photograph, everybody(photograph), moved, edited, motion) - photograph
    rows = slice(30, 60)
    assert float((change[..., rows, 49:51]).abs().mean()) < 0.5 * 0.4  # added as it is, the change would show a line of 0.4 there
    assert float(change[..., rows, 40:47].mean()) == pytest.approx(-0.4, abs=0.06)
    assert float(change[..., rows, 70:].abs().max()) < 0.03


def test_a_turned_photograph_of_a_known_person_is_that_person_turned(model: FaceModel) -> None:
    """Fine texture that the generator does not know, on a head whose generator draws smooth and a little beside the right place."""
    before, after = turned(), turned(14.0)
    smooth = render_face(model, after, SIZE).image
    grain = FaceParams.neutral().replace(albedo=torch.randn(1, 48, generator=torch.Generator().manual_seed(1)) * 2)
    fine = [render_face(model, grain.replace(rotation=params.rotation), SIZE).image for params in (before, after)]
    misplaced = smooth.roll(1, dims=3)
    motion = head_motion(model, before, after, SIZE)
    composed = compose(fine[0], everybody(smooth), misplaced, misplaced, motion)
    face = inner(render_face(model, after, SIZE).alpha).expand_as(composed)
    assert float((composed - fine[1]).abs()[face].mean()) < 0.6 * float((misplaced - fine[1]).abs()[face].mean())


def test_what_nobody_saw_is_the_generators(model: FaceModel) -> None:
    before, after = turned(-55.0), turned(55.0)
    motion = head_motion(model, before, after, SIZE)
    photograph, moved = torch.full((1, 3, SIZE, SIZE), 0.3), torch.rand(1, 3, SIZE, SIZE)
    composed = compose(photograph, everybody(photograph), moved, moved, motion)
    deep = torch.nn.functional.max_pool2d(motion.kept, 9, 1, 4) < 0.01  # far from everything that was kept
    assert float(deep.float().mean()) > 0.01
    apart = composed - moved
    assert float(apart[deep.expand_as(apart)].std()) < 0.3 * float(moved.std())  # its texture, at most its colour is shifted


def test_teeth_that_nobody_saw_are_the_generators(model: FaceModel) -> None:
    jaw = torch.zeros(1, 52)
    jaw[0, EXPRESSION_UNITS.index("jawOpen")] = 1.0
    motion = head_motion(model, turned(), turned().replace(expression=jaw), SIZE)
    mouth = motion.kept[0, 0] < 0.5
    rows, columns = mouth.nonzero(as_tuple=True)
    assert int(mouth.sum()) > 0.004 * SIZE**2
    assert float(rows.float().mean()) > 0.55 * SIZE
    assert abs(float(columns.float().mean()) - SIZE / 2) < 0.05 * SIZE


def test_an_open_mouth_has_the_colours_of_the_generator(model: FaceModel) -> None:
    """Skin around it is brighter in the photograph than in the generator's picture, which says nothing about the inside of the mouth."""
    jaw = torch.zeros(1, 52)
    jaw[0, EXPRESSION_UNITS.index("jawOpen")] = 1.0
    motion = head_motion(model, turned(), turned().replace(expression=jaw), SIZE)
    photograph, moved = torch.full((1, 3, SIZE, SIZE), 0.5), torch.full((1, 3, SIZE, SIZE), -0.5)
    composed = compose(photograph, everybody(photograph), moved, moved, motion)
    deep = torch.nn.functional.max_pool2d(motion.kept, 5, 1, 2) < 0.01
    assert bool(deep.any())
    torch.testing.assert_close(composed[deep.expand_as(composed)], moved[deep.expand_as(moved)], atol=0.02, rtol=0)


def test_a_step_to_the_side_moves_the_head_and_not_the_far_background(model: FaceModel) -> None:
    step = 0.02
    motion = head_motion(model, turned(), turned(x=step), SIZE)
    expected = -Camera().focal * step / Camera().distance
    centre = motion.flow[0, :, SIZE // 2, SIZE // 2]
    assert float(centre[0]) == pytest.approx(expected, rel=0.1)  # the face is nearer than the origin of the head
    assert abs(float(centre[1])) < 0.01
    assert float(motion.flow[0, :, 0, 0].norm()) < 0.3 * abs(expected)


def inner(alpha: torch.Tensor) -> torch.Tensor:
    """The middle of a face, away from its outline."""
    return -torch.nn.functional.max_pool2d(-alpha, 17, 1, 8) > 0.99


def test_a_picture_of_the_head_is_carried_to_where_the_head_is_drawn(model: FaceModel) -> None:
    before, after = turned(), turned(12.0)
    drawn, wanted = (render_face(model, params, SIZE).image for params in (before, after))
    # Texture that sits on the surface: the albedo is the same before and after, the light does not depend on the direction.
    motion = head_motion(model, before, after, SIZE)
    carried = carry(drawn, motion)
    face = inner(render_face(model, after, SIZE).alpha).expand_as(wanted)
    moved = (carried - wanted).abs()[face].mean()
    still = (drawn - wanted).abs()[face].mean()
    assert float(moved) < 0.4 * float(still)


def test_what_was_hidden_is_not_kept(model: FaceModel) -> None:
    motion = head_motion(model, turned(-55.0), turned(55.0), SIZE)
    face = render_face(model, turned(55.0), SIZE).alpha > 0.99
    assert float((motion.kept[face] < 0.5).float().mean()) > 0.1  # the cheek that faced away
    assert float((motion.kept[face] > 0.5).float().mean()) > 0.2
    assert float(motion.kept.min()) >= 0.0
    assert float(motion.kept.max()) <= 1.0


def test_a_small_turn_keeps_everything_that_is_seen(model: FaceModel) -> None:
    motion = head_motion(model, turned(), turned(8.0), SIZE)
    assert float((motion.kept < 0.5).float().mean()) < 0.002


def test_the_outline_of_a_turning_head_stays_and_its_middle_moves(model: FaceModel) -> None:
    """Hair beside the head must not be dragged along with the nose."""
    motion = head_motion(model, turned(), turned(20.0), SIZE)
    head = render_face(model, turned(20.0), SIZE).alpha[0, 0] > 0.5
    row = round(0.3 * SIZE)
    first = int(head[row].nonzero()[0])
    along = motion.flow[0, 0, row]
    assert abs(float(along[SIZE // 2])) > 3 * abs(float(along[max(first - 3, 0)]))


def test_no_ghost_stays_where_the_head_was(model: FaceModel) -> None:
    before, after = turned(x=-0.02), turned(x=0.02)
    old, new = (render_face(model, params, SIZE) for params in (before, after))
    backdrop = torch.full((1, 3, SIZE, SIZE), -0.8)
    photograph = old.over(backdrop)
    motion = head_motion(model, before, after, SIZE)
    composed = compose(photograph, old.alpha, new.over(backdrop), new.over(backdrop), motion)
    left = (old.alpha > 0.99) & (torch.nn.functional.max_pool2d(new.alpha, 9, 1, 4) < 0.01)
    left[..., round(0.85 * SIZE) :, :] = False  # the shoulders are held where the picture ends
    assert int(left.sum()) > 20
    ghost = (composed - backdrop).abs().mean(1, keepdim=True)[left]
    assert float(ghost.mean()) < 0.1 * float((photograph - backdrop).abs().mean(1, keepdim=True)[left].mean())


def test_the_backdrop_stays_where_it_is(model: FaceModel) -> None:
    before, after = turned(x=-0.02), turned(x=0.02)
    old, new = (render_face(model, params, SIZE) for params in (before, after))
    stripes = torch.where(torch.arange(SIZE) % 8 < 4, 0.6, -0.6).expand(1, 3, SIZE, SIZE)
    photograph = old.over(stripes)
    composed = compose(photograph, old.alpha, new.over(stripes), new.over(stripes), head_motion(model, before, after, SIZE))
    near = torch.nn.functional.max_pool2d(torch.maximum(old.alpha, new.alpha), 25, 1, 12) > 0.5
    wall = (near & (torch.nn.functional.max_pool2d(torch.maximum(old.alpha, new.alpha), 7, 1, 3) < 0.01)).expand_as(stripes)
    assert float((composed - stripes).abs()[wall].mean()) < 0.05


def test_nothing_moves_at_the_border_of_the_picture(model: FaceModel) -> None:
    flow = head_motion(model, turned(), turned(30.0), SIZE).flow
    border = torch.ones(SIZE, SIZE, dtype=torch.bool)
    border[2:-2, 2:-2] = False
    assert float(flow[0, :, border].abs().max()) < 0.1 * float(flow.abs().max())


def test_motion_of_a_large_picture_is_the_enlarged_one(model: FaceModel) -> None:
    small, large = (head_motion(model, turned(), turned(15.0), size) for size in (160, 320))
    assert large.flow.shape == (1, 2, 320, 320)
    apart = torch.nn.functional.avg_pool2d(large.flow, 2) - small.flow
    assert float(apart.abs().mean()) < 0.02 * float(small.flow.abs().mean())
