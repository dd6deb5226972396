"""The quick picture of the face model against the differentiable one."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossrig.data.align import to_pixels
from crossrig.face3d import controls
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.render.face import render_face
from crossrig.render.quick import QuickFace


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


@pytest.mark.parametrize("supersample", [1, 2])
@pytest.mark.parametrize(
    "values",
    [
        {},
        {"yaw": 50.0, "pitch": -15.0, "roll": 10.0},
        {"jawOpen": 1.0, "smile": 1.0, "noseLength": 2.0, "skinTone": -2.0},
        {"light.azimuth": 70.0, "light.contrast": 1.0, "light.strength": 1.6, "moveZ": 0.1},
    ],
)
def test_it_draws_what_the_renderer_draws(model: FaceModel, values: dict[str, float], supersample: int) -> None:
    params = controls.apply(FaceParams.neutral(), values)
    rendered = render_face(model, params, 64, supersample=supersample)
    expected = to_pixels(rendered.over(torch.zeros_like(rendered.image))).astype(int)
    drawn = QuickFace(model).draw(params, 64, supersample)
    assert drawn.shape == (64, 64, 3)
    assert np.abs(drawn - expected).max() <= 2
    assert (drawn != expected).mean() < 0.03
    assert expected.std() > 10  # something is there to be seen


def test_what_it_cannot_draw_it_refuses(model: FaceModel) -> None:
    quick = QuickFace(model)
    for params, size, supersample in ((FaceParams.neutral(2), 8, 1), (FaceParams.neutral(), 0, 1), (FaceParams.neutral(), 8, 0)):
        with pytest.raises(ValueError, match="one face"):
            quick.draw(params, size, supersample)
