from __future__ import annotations

import pytest
import torch

from crossrig.data.framings import framing_of
from crossrig.face3d.params import FaceParams


def test_framing_of_the_neutral_face_is_the_frame() -> None:
    frame = framing_of(FaceParams.neutral())
    assert (frame.x, frame.y, frame.half) == pytest.approx((0.5, 0.5, 0.5))


def test_framing_follows_the_head() -> None:
    params = FaceParams.neutral().replace(translation=torch.tensor([[0.0125, 0.00625, 0.0]]))
    frame = framing_of(params)
    assert (frame.x, frame.y) == pytest.approx((0.55, 0.475))
    near = framing_of(FaceParams.neutral().replace(translation=torch.tensor([[0.0, 0.0, 0.8]])))
    assert near.half == pytest.approx(1.0)
