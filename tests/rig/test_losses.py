from __future__ import annotations

import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import BLOCKS, FaceParams
from crossrig.render.camera import Camera
from crossrig.rig.losses import BlockLosses, ContourLoss, PointLoss, RenderLoss, average
from crossrig.rig.units import Units


def test_the_mean_face_costs_about_one_per_block_and_the_truth_nothing(tiny_model: FaceModel, people: FaceParams) -> None:
    losses = BlockLosses(Units.of(tiny_model), people)
    mean = FaceParams.unpack(people.pack().mean(0, keepdim=True).expand(len(people), -1))
    for name, value in losses(mean, people).items():
        assert 0.85 < float(value.mean()) < 1.15, name
    assert float(average(losses(people, people))) == 0.0


def test_every_coefficient_gets_a_gradient(tiny_model: FaceModel, people: FaceParams) -> None:
    losses = BlockLosses(Units.of(tiny_model), people)
    packed = (people.pack() + 0.1).requires_grad_()
    average(losses(FaceParams.unpack(packed), people)).backward()
    assert packed.grad is not None
    assert bool((packed.grad.abs().sum(0) > 0).all())


def test_average_weighs() -> None:
    losses = {"a": torch.tensor([2.0, 4.0]), "b": torch.tensor([0.0, 0.0])}
    assert float(average(losses)) == 1.5
    assert float(average(losses, {"a": 3.0})) == 9.0 / 4.0


def test_landmarks_are_those_of_the_whole_mesh(tiny_model: FaceModel, people: FaceParams) -> None:
    few = people[:5]
    expected = Camera().project(tiny_model.landmark_points(tiny_model.vertices(few)))[..., :2]
    found = PointLoss.landmarks(tiny_model).points(few)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)


def test_the_mouth_counts_more(tiny_model: FaceModel) -> None:
    loss = PointLoss.landmarks(tiny_model)
    weight = loss.point_weight
    assert float(weight.sum()) == 1.0 or abs(float(weight.sum()) - 1.0) < 1e-6
    torch.testing.assert_close(weight[48:].mean(), 3 * weight[:48].mean())


def test_contour_has_a_gradient_for_shape_and_does_not_see_light(tiny_model: FaceModel, people: FaceParams) -> None:
    loss = ContourLoss(tiny_model, sharpness=0.6)  # the tiny sheet has no vertices quite square to the view
    goal = people[:3]
    assert float(loss(goal, goal).max()) == 0.0
    assert float(loss(goal.replace(illumination=goal.illumination * 2), goal).max()) == 0.0
    shape = (goal.shape + 0.5).requires_grad_()
    value = loss(goal.replace(shape=shape), goal).mean()
    value.backward()
    assert float(value.detach()) > 0
    assert shape.grad is not None
    assert float(shape.grad.abs().sum()) > 0


def test_contour_does_not_see_motion_along_the_outline(tiny_model: FaceModel) -> None:
    """A wide, flat patch of a cylinder moved along its axis slides along its own outline."""
    angle, along = torch.meshgrid(torch.linspace(-1.57, 1.57, 20), torch.linspace(-0.5, 0.5, 20), indexing="ij")
    vertices = torch.stack([0.08 * angle.sin(), along, 0.08 * angle.cos()], -1).reshape(-1, 3)
    index = torch.arange(400).reshape(20, 20)
    a, b, c, d = index[:-1, :-1], index[1:, :-1], index[1:, 1:], index[:-1, 1:]
    faces = torch.cat([torch.stack([a, b, c], -1).reshape(-1, 3), torch.stack([a, c, d], -1).reshape(-1, 3)])
    middle = index[:, 8:12].reshape(-1)
    shape_basis = torch.zeros(BLOCKS["shape"], 400, 3)
    shape_basis[0, :, 1] = 0.01  # along the axis
    shape_basis[1] = 0.01 * torch.tensor([1.0, 0.0, 0.0]) * vertices[:, :1].sign()  # wider
    tensors = dict(tiny_model.named_buffers()) | {
        "faces": faces, "mean": vertices, "shape_basis": shape_basis, "uv": torch.zeros(400, 2),
        "expression_basis": torch.zeros(BLOCKS["expression"], 400, 3), "albedo_mean": torch.zeros(400, 3),
        "albedo_basis": torch.zeros(BLOCKS["albedo"], 400, 3), "rotation_weight": torch.ones(400),
        "landmark_index": middle[:68], "region.face": middle,
    }  # fmt: skip
    loss = ContourLoss(FaceModel(tensors))
    still = FaceParams.neutral(2)
    shape = torch.zeros(2, BLOCKS["shape"])
    shape[0, 0] = shape[1, 1] = 1.0
    slid, widened = loss(still.replace(shape=shape), still).tolist()
    assert widened > 0.1
    assert slid < 0.02 * widened


def test_render_loss_is_zero_for_equal_faces_and_sees_colour(tiny_model: FaceModel, people: FaceParams) -> None:
    loss = RenderLoss(tiny_model, size=24)
    few = people[:2]
    assert float(loss(few, few).max()) == 0.0
    albedo = torch.zeros_like(few.albedo).requires_grad_()
    value = loss(few.replace(albedo=albedo), few).mean()
    value.backward()
    assert albedo.grad is not None
    assert float(albedo.grad.abs().sum()) > 0


def test_an_edit_counts_what_was_commanded_and_what_was_kept_apart(tiny_model: FaceModel, people: FaceParams) -> None:
    losses = BlockLosses(Units.of(tiny_model), people)
    turned = people.replace(rotation=people.rotation.roll(1, 0))
    whole, half = (float(losses.edited("pose", turned, people, 0.0, weight)) for weight in (1.0, 0.5))
    assert whole == pytest.approx(2 * half)
    assert half > 0.1
    assert float(losses.edited("pose", turned, people, 1.0, 0.0)) == 0.0
    assert float(losses.edited("shape", turned, people, 0.0, 1.0)) == 0.0
    assert float(losses.edited("shape", turned, people, 1.0, 0.0)) > 0.1


def test_the_spread_of_points_is_what_the_mean_face_costs(tiny_model: FaceModel, people: FaceParams) -> None:
    landmarks = PointLoss.landmarks(tiny_model)
    assert landmarks.spread(people) > 0
    same = FaceParams.unpack(people.pack()[:1].expand(8, -1))
    assert landmarks.spread(same) == pytest.approx(0.0, abs=1e-6)
