"""The picture's own detail, carried along with the head.

A generator shows a photograph only roughly: pores, strands and the weave of a collar are lost in the inversion. They belong to surfaces;
and where the surfaces go under an edit the 3D face model says. So an edited picture is put together (`compose`) from

    the photograph, moved by the model's motion from P to P', where its surface was seen before;
    there, what the generator says has changed besides: G(s') minus the moved G(s) - light, skin, a fold;
    G(s') alone where the surface was hidden: the far cheek of a turned head, teeth behind lips, the wall behind the ear.

The generator and the model never move an edge to exactly the same place, and the two edges would both show. So the change is taken as it
is where nothing moves, and smoothed the more the further things move. (HFGI, Wang et al. 2022, section 3, learns to align the
difference G(s) lacks with a network; here the geometry is known.)
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
_STRETCH = 0.12  # a surface seen this much more flatly before than after is too stretched to show; twice that, it shows fully
_HAIR = 0.2  # NDC: how far beyond its outline a bald head takes everything along; hair, mostly
_REACH = 0.3  # NDC: from there to where nothing follows any more
_FRAY = 0.02  # NDC: seams of the photograph this narrow are noise of the outlines, not surface
_SHARP_UNTIL = 0.03  # NDC: from this motion on only the smooth part of the generator's change is believed
_SMOOTH = 0.06  # NDC: standard deviation of that smoothing
_FEATHER = 0.012  # NDC: standard deviation of the soft edge between photograph and generator
_LARGEST = 160  # px: motion is smooth, larger pictures get it enlarged


@dataclass(frozen=True)
class Motion:
    """Where things were before an edit, at every pixel of the picture after it."""

    flow: Tensor
    """(1, 2, H, W): NDC (x right, y up) to add to a pixel's own place to get to where its surface was."""
    kept: Tensor
    """(1, 1, H, W) in [0, 1]: 1 where the surface was seen before, 0 where it was hidden."""
    known: Tensor
    """(1, 1, H, W) in [0, 1]: 1 on the model's surface, whose motion is exact, 0 around it."""


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
        return Motion(still, torch.ones_like(still[:, :1]), torch.ones_like(still[:, :1]))
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
    on_surface = (behind < _HIDDEN).to(old) * ((turned - _STRETCH) / _STRETCH).clamp(0, 1)
    # Off the surface, what was surface before must not stay behind as a ghost.
    uncovered = F.grid_sample(was_surface, source, mode="bilinear", padding_mode="border", align_corners=False)
    moved = (flow.square().sum(1, keepdim=True) > 1e-10).to(old)
    off_surface = 1.0 - uncovered * torch.maximum(moved, was_surface)
    kept = torch.where(surface > 0, on_surface, off_surface)
    if side != size:
        flow, kept, surface = (F.interpolate(part, (size, size), mode="bilinear", align_corners=False) for part in (flow, kept, surface))
    return Motion(flow, kept, surface)


def carry(picture: Tensor, motion: Motion) -> Tensor:
    """A picture (1, C, H, W), moved; what shows where nothing was kept means nothing."""
    own = _pixel_places(picture.shape[-1]).to(picture)
    return F.grid_sample(picture, _as_grid(own + motion.flow), mode="bilinear", padding_mode="border", align_corners=False)


@torch.no_grad()
def compose(photograph: Tensor, inverted: Tensor, edited: Tensor, motion: Motion) -> Tensor:
    """The edited photograph, from it, its inversion G(s) and the edited G(s'), all (1, 3, H, W): see the head of this file.

    Without a motion it is the photograph plus G(s') - G(s). At the seam, what the generator alone shows takes the photograph's colours.
    """
    size = photograph.shape[-1]
    kept = _blur(_shrink(motion.kept, round(_FRAY * size / 2)), _FEATHER * size / 2)
    change = edited - carry(inverted, motion)
    weight = (kept * motion.known).clamp(min=1e-4)
    # Off the surface hair of the generator and hair of the photograph part: a smooth difference would be one's colour on the other.
    smooth = _blur(change * weight, _SMOOTH * size / 2) / _blur(weight, _SMOOTH * size / 2) * _blur(motion.known, _FEATHER * size / 2)
    moved = (motion.flow.square().sum(1, keepdim=True).sqrt() / _SHARP_UNTIL).clamp(max=1.0)
    seen = carry(photograph, motion) + torch.lerp(change, smooth, moved)
    firm = (kept > 0.9).to(kept)
    seam = _extend((seen - edited) * firm, firm) * _fading(firm)  # colours of the photograph, fading into what only the generator shows
    return torch.lerp(edited + seam, seen, kept)


def _blur(picture: Tensor, sigma: float) -> Tensor:
    """Gaussian blur of (1, C, H, W), `sigma` in pixels; edges repeat."""
    line = np.asarray(picture[0].permute(1, 2, 0).cpu().numpy(), np.float32)
    blurred = cv2.GaussianBlur(line, (0, 0), max(sigma, 1e-3), borderType=cv2.BORDER_REPLICATE)
    return torch.from_numpy(blurred.reshape(line.shape)).permute(2, 0, 1)[None].to(picture)


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
    """(1, 1, H, W): 1 up to `_HAIR` outside a mask, then falling with the distance to nothing at `_REACH` from there."""
    outside = (mask[0, 0] <= 0).to(torch.uint8).cpu().numpy()
    distance = np.asarray(cv2.distanceTransform(outside, cv2.DIST_L2, 5)) * (2.0 / mask.shape[-1])  # NDC
    beyond = np.clip((distance - _HAIR) / _REACH, 0.0, 1.0)
    return torch.from_numpy(0.5 + 0.5 * np.cos(np.pi * beyond)).to(mask)[None, None]


def _shrink(mask: Tensor, radius: int) -> Tensor:
    """A mask (1, 1, H, W) without its outermost `radius` pixels; edges of the picture are none."""
    return -F.max_pool2d(-mask, 2 * radius + 1, stride=1, padding=radius)
