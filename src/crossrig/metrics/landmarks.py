"""Landmark error: how far the 68 projected landmarks are from where they were commanded to be."""

from __future__ import annotations

from torch import Tensor

from crossrig.face3d.params import FaceParams
from crossrig.rig.losses import PointLoss


def landmark_error(landmarks: PointLoss, found: FaceParams, goal: FaceParams) -> Tensor:
    """(B,): mean distance over the landmarks, in percent of the picture's side. `landmarks`: `PointLoss.landmarks(model)`."""
    distance: Tensor = (landmarks.points(found) - landmarks.points(goal)).norm(dim=-1)  # (B, 68), NDC: the side is 2
    return distance.mean(1) * 50.0
