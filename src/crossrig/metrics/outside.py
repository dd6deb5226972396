"""What an edit does where there is no face: backdrop, clothes and hair."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.face3d.parts import LASHES
from crossrig.render.camera import Camera
from crossrig.render.face import region_masks
from crossrig.render.rasterise import rasterise

#: Pixels this close to the face, as a share of the picture's side, count as face: the mask is a little wrong, and skin reflects.
MARGIN = 1 / 32


@torch.no_grad()
def face_mask(model: FaceModel, params: FaceParams, size: int) -> Tensor:
    """(B, 1, size, size) in {0, 1}: where the rendered region `face` of the model is seen, grown by MARGIN."""
    if "face" not in model.regions:
        raise UserError('The face model has no region "face", so that nobody knows what lies outside it; give a model that has one.')
    faces = model.faces[model.face_part != LASHES]
    # Which triangle is seen says it all: no normals, no light.
    mask = region_masks(model, faces, rasterise(Camera().project(model.vertices(params)), faces, size))["face"]
    reach = max(1, round(size * MARGIN))
    return (functional.max_pool2d(mask, 2 * reach + 1, 1, reach) > 0).float()


def outside_change(before: Tensor, after: Tensor, face: Tensor) -> Tensor:
    """Images (B,3,H,W) in [-1,1] before and after, face (B,1,H,W): 1 where a face is in either -> (B,).

    Mean absolute difference over the other pixels and over channels, in levels of 8-bit sRGB (0..255); 0 where the face fills all.
    """
    outside = 1.0 - face
    difference = (after.clamp(-1, 1) - before.clamp(-1, 1)).abs().mean(1, keepdim=True) * 127.5
    return (difference * outside).sum((1, 2, 3)) / outside.sum((1, 2, 3)).clamp(min=1.0)
