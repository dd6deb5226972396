"""Detail that the generator does not know, carried along with the head.

A generator shows a photograph only roughly: pores, strands and the weave of a collar are lost in the inversion. What is lost, the
difference between the photograph and its inversion, belongs to surfaces; and where the surfaces go under an edit the 3D face model says.
So an edited picture is G(s') plus that difference, moved by the model's own motion from P to P' and left out where the surface was
hidden before. (HFGI, Wang et al. 2022, section 3, learns to align such a difference with a network; here the geometry is known.)
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.face3d.parts import LASHES
from crossrig.render.camera import Camera
from crossrig.render.rasterise import interpolate, rasterise

_HIDDEN = 0.006  # metres behind the first surface from which a point counts as hidden
_REACH = 0.3  # NDC: how far beyond its outline a head takes its surroundings, hair above all, along
_LARGEST = 160  # px: motion is smooth, larger pictures get it enlarged


@dataclass(frozen=True)
class Motion:
    """Where things were before an edit, at every pixel of the picture after it."""

    flow: Tensor
    """(1, 2, H, W): NDC (x right, y up) to add to a pixel's own place to get to where its surface was."""
    kept: Tensor
    """(1, 1, H, W) in [0, 1]: 1 where the surface was seen before, 0 where it was hidden."""


@torch.no_grad()
def head_motion(model: FaceModel, before: FaceParams, after: FaceParams, size: int, camera: Camera | None = None) -> Motion:
    """Motion of a head (both parameters of batch 1) in a picture of size x size pixels.

    On the model's surface it is exact. Around it, hair moves with the nearest surface and less the further away it is; the background
    stays. Equal parameters give a flow of zero and keep everything.
    """
    camera = camera or Camera()
    side = min(size, _LARGEST)
    faces = model.faces[model.face_part != LASHES]
    world = [model.vertices(params) for params in (before, after)]
    if torch.equal(*world):
        still = world[0].new_zeros(1, 2, size, size)
        return Motion(still, torch.ones_like(still[:, :1]))
    old, new = (camera.project(vertices) for vertices in world)  # (1,V,3) each
    old_view, new_view = (rasterise(points, faces, side) for points in (old, new))
    facing = [_facing(model, vertices, camera) for vertices in world]  # (1,V,1) each
    seen = interpolate(new_view, faces, torch.cat([old, *facing], dim=2)).permute(0, 3, 1, 2)  # (1,5,H,W)
    place, depth, turned = seen[:, :2], seen[:, 2:3], seen[:, 3:4] / seen[:, 4:5].clamp(min=0.05)
    surface = (new_view.triangle >= 0)[:, None].to(old)  # (1,1,H,W)
    was_surface = (old_view.triangle >= 0)[:, None].to(old)

    own = _pixel_places(side).to(old)  # (1,2,H,W)
    flow = _extend((place - own) * surface, surface)
    flow = torch.where(surface > 0, flow, flow * _fading(surface))
    source = _as_grid(own + flow)
    nearest = torch.where(old_view.depth.isfinite(), old_view.depth, old_view.depth.new_full((), 1e3))[:, None]
    behind = depth - F.grid_sample(nearest, source, mode="nearest", padding_mode="border", align_corners=False)
    on_surface = (behind < _HIDDEN).to(old) * ((turned - 0.15) / 0.35).clamp(0, 1)
    # Off the surface, what was surface before must not stay behind as a ghost.
    uncovered = F.grid_sample(was_surface, source, mode="bilinear", padding_mode="border", align_corners=False)
    moved = (flow.square().sum(1, keepdim=True) > 1e-10).to(old)
    off_surface = 1.0 - uncovered * torch.maximum(moved, was_surface)
    kept = torch.where(surface > 0, on_surface, off_surface)
    if side != size:
        flow, kept = (F.interpolate(part, (size, size), mode="bilinear", align_corners=False) for part in (flow, kept))
    return Motion(flow, kept)


def carry(detail: Tensor, motion: Motion) -> Tensor:
    """A difference of pictures (1, C, H, W), moved: what is added to the edited picture."""
    own = _pixel_places(detail.shape[-1]).to(detail)
    moved = F.grid_sample(detail, _as_grid(own + motion.flow), mode="bilinear", padding_mode="border", align_corners=False)
    return moved * motion.kept


def _facing(model: FaceModel, vertices: Tensor, camera: Camera) -> Tensor:
    """(1, V, 1): cosine between a vertex's normal and the line to the camera, at least 0."""
    to_camera = torch.tensor([0.0, 0.0, camera.distance]).to(vertices) - vertices
    cosine = (F.normalize(model.normals(vertices), dim=-1) * F.normalize(to_camera, dim=-1)).sum(-1, keepdim=True)
    return cosine.clamp(min=0.0)


def _pixel_places(size: int) -> Tensor:
    """(1, 2, H, W): NDC x and y of the pixel centres."""
    step = (2 * torch.arange(size) + 1) / size - 1
    return torch.stack([step[None, :].expand(size, size), -step[:, None].expand(size, size)])[None]


def _as_grid(places: Tensor) -> Tensor:
    """NDC places (1, 2, H, W) as `grid_sample` wants them, (1, H, W, 2) with y down."""
    return torch.stack([places[:, 0], -places[:, 1]], dim=-1)


def _extend(values: Tensor, mask: Tensor) -> Tensor:
    """Values (1, C, H, W), zero outside a mask, continued outwards: coarser and coarser averages fill what is empty (push-pull)."""
    levels = [(values, mask)]
    while min(levels[-1][0].shape[-2:]) > 1:
        value, weight = levels[-1]
        levels.append((F.avg_pool2d(value, 2, ceil_mode=True), F.avg_pool2d(weight, 2, ceil_mode=True)))
    value, weight = levels[-1]
    filled = value / weight.clamp(min=1e-6)
    for value, weight in reversed(levels[:-1]):
        coarse = F.interpolate(filled, value.shape[-2:], mode="bilinear", align_corners=False)
        known = (weight * 4).clamp(max=1.0)
        filled = known * value / weight.clamp(min=1e-6) + (1 - known) * coarse
    return filled


def _fading(mask: Tensor) -> Tensor:
    """(1, 1, H, W): 1 at the mask's outline, falling with the distance from it."""
    outside = (mask[0, 0] <= 0).to(torch.uint8).cpu().numpy()
    distance = np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, 5)) * (2.0 / mask.shape[-1])  # NDC
    return torch.from_numpy(np.exp(-((distance / _REACH) ** 2))).to(mask)[None, None]
