from __future__ import annotations

import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.metrics.landmarks import landmark_error
from crossrig.render.camera import Camera
from crossrig.rig.losses import PointLoss


def test_a_shifted_head_is_off_by_the_shift(tiny_model: FaceModel) -> None:
    landmarks = PointLoss.landmarks(tiny_model)
    face = FaceParams.neutral(2)
    step = 0.01  # metres; nearer points of the head move a little more
    moved = face.replace(translation=face.translation + torch.tensor([step, 0.0, 0.0]))
    camera = Camera()
    error = landmark_error(landmarks, moved, face)
    assert error.shape == (2,)
    assert float(error[0]) == pytest.approx(step / (2 * camera.half_height) * 100, rel=0.1)
    assert float(landmark_error(landmarks, face, face).max()) == 0.0
