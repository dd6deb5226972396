"""Which pixels of a picture are the person: the head with its hair, neck and clothes, against the backdrop.

The 3D model knows head and neck, and what is far above and beside them is backdrop; what lies between, hair and shoulders, GrabCut
(Rother et al. 2004; OpenCV's) sorts by colour.
"""

from __future__ import annotations

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.face3d.parts import LASHES
from crossrig.render.camera import Camera
from crossrig.render.rasterise import rasterise

_SIDE = 256  # px at which colours are sorted
_HAIR = 0.45  # NDC: no hair is expected further from the head than that
_SURE = 0.04  # NDC: what lies so far inside the model's outline is the person
_ROUNDS = 4


@torch.no_grad()
def matte(picture: Tensor, model: FaceModel, params: FaceParams, camera: Camera | None = None) -> Tensor:
    """(1, 1, H, W) in [0, 1]: 1 where a picture (1, 3, H, W) in [-1, 1] shows the person whose parameters (of batch 1) are given."""
    size = picture.shape[-1]
    faces = model.faces[model.face_part != LASHES]
    seen = rasterise((camera or Camera()).project(model.vertices(params)), faces, _SIDE).triangle[0] >= 0
    head = seen.to(torch.uint8).cpu().numpy()
    inside, outside = (cv2.distanceTransform(mask, cv2.DIST_L2, 5) * (2.0 / _SIDE) for mask in (head, 1 - head))
    row = np.arange(_SIDE)[:, None]
    lowest = row > _SIDE * 0.8  # clothes may fill the lower edge
    labels = np.where(head > 0, cv2.GC_PR_FGD, cv2.GC_PR_BGD).astype(np.uint8)
    labels[(outside > _HAIR) & ~lowest] = cv2.GC_BGD
    labels[inside > _SURE] = cv2.GC_FGD
    if not ((labels == cv2.GC_BGD) | (labels == cv2.GC_PR_BGD)).any() or not head.any():
        return torch.ones_like(picture[:, :1])
    small = F.interpolate(picture, (_SIDE, _SIDE), mode="area")[0]
    pixels = ((small.clamp(-1, 1) + 1) * 127.5).permute(1, 2, 0).round().to(torch.uint8).cpu().numpy()
    cv2.setRNGSeed(0)
    cv2.grabCut(np.ascontiguousarray(pixels), labels, None, np.zeros((1, 65)), np.zeros((1, 65)), _ROUNDS, cv2.GC_INIT_WITH_MASK)  # type: ignore[call-overload]
    person = ((labels == cv2.GC_FGD) | (labels == cv2.GC_PR_FGD)).astype(np.float32)
    soft = cv2.GaussianBlur(person, (0, 0), 0.8)
    return F.interpolate(torch.from_numpy(soft)[None, None].to(picture), (size, size), mode="bilinear", align_corners=False)
