"""The compiled loops against the differentiable rasteriser and whole-picture operations of torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.face3d.controls import apply
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.inversion.surface import Surface, trace_back
from crossrig.render.camera import Camera
from crossrig.render.rasterise import interpolate, rasterise

SIDE = 64
HIDDEN, FLAT = 0.006, 0.35


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


def looked_at(model: FaceModel, values: dict[str, float]) -> tuple[Surface, Tensor, Tensor]:
    """The head under controls; its vertices in the world and in the picture, (1, V, 3)."""
    world = model.vertices(apply(FaceParams.neutral(), values))
    places = Camera().project(world)
    faces = model.faces.to(torch.int32).numpy()
    return Surface.of(faces, world[0].numpy(), places[0].numpy(), SIDE), world, places


def cosines(model: FaceModel, world: Tensor, triangle: Tensor) -> Tensor:
    """(1, H, W): of the triangles' normals with the line to the camera."""
    a, b, c = (world[0, model.faces[:, corner]] for corner in range(3))
    to_camera = torch.tensor([0.0, 0.0, Camera().distance]) - a
    cosine = F.cosine_similarity(torch.linalg.cross(b - a, c - a), to_camera, dim=-1).clamp(min=0)
    return cosine[triangle.clamp(min=0)]


@pytest.mark.parametrize("values", [{"yaw": 25.0}, {"jawOpen": 0.8, "pitch": -12.0}, {"yaw": -40.0, "noseLength": 2.0}])
def test_a_surface_is_traced_back_as_torch_traces_it(model: FaceModel, values: dict[str, float]) -> None:
    before, world_before, places_before = looked_at(model, {"smile": 0.3, "pitch": 3.0})
    now, world_now, places_now = looked_at(model, {"smile": 0.3} | values)
    flow, seen = trace_back(now, before, Camera().distance, HIDDEN, FLAT)

    fragments = rasterise(places_now, model.faces, SIDE)
    covered = (fragments.triangle >= 0)[:, None]
    own = (2 * torch.arange(SIDE) + 1) / SIDE - 1
    own = torch.stack([own.expand(SIDE, SIDE), -own[:, None].expand(SIDE, SIDE)])[None]
    origin = interpolate(fragments, model.faces, places_before).permute(0, 3, 1, 2)
    expected = (origin[:, :2] - own) * covered
    depth = rasterise(places_before, model.faces, SIDE).depth
    depth = torch.where(depth.isfinite(), depth, torch.tensor(1e3))[:, None]
    grid = torch.stack([origin[:, 0], -origin[:, 1]], dim=-1)
    behind = origin[:, 2:3] - F.grid_sample(depth, grid, mode="nearest", padding_mode="border", align_corners=False)
    triangle = fragments.triangle
    flatter = cosines(model, world_before, triangle) < FLAT * cosines(model, world_now, triangle)
    visible = covered & (behind < HIDDEN) & ~flatter[:, None]

    assert np.abs(flow - expected[0].numpy()).max() < 5e-4  # NDC: the weights are those of corners on a grid of 1/4096 pixel
    assert 0.3 < visible.float().sum() / covered.float().sum() < 0.99  # some is hidden, most is not
    # pixels at the very edge of hidden may be either
    assert (seen != visible[0, 0].numpy()).mean() < 2e-3


def test_nothing_is_traced_where_there_is_no_surface(model: FaceModel) -> None:
    before, _, _ = looked_at(model, {})
    now, _, _ = looked_at(model, {"yaw": 30.0})
    flow, seen = trace_back(now, before, Camera().distance, HIDDEN, FLAT)
    empty = now.triangle < 0
    assert empty.any()
    assert not seen[empty].any()
    assert not flow[:, empty].any()
    assert (now.depth[empty] > 100).all()
    assert (now.depth[~empty] < 10).all()


def test_values_of_vertices_are_found_where_they_are_seen(model: FaceModel) -> None:
    now, _, places = looked_at(model, {"yaw": 30.0})
    found = now.at(places[0, :, 2].numpy().copy())
    assert np.abs(found - now.depth)[now.triangle >= 0].max() < 5e-4  # metres
