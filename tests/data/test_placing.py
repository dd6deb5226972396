"""A head from five points placed by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from crossrig.data.align import Crop, Framing
from crossrig.data.placing import five_points, framing_of_points, read_points
from crossrig.errors import UserError
from crossrig.face3d.landmarks import LANDMARK_NAMES
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.render.camera import Camera

PLACE = Framing(300.0, 240.0, 150.0)


@pytest.fixture(scope="module")
def model() -> FaceModel:
    return FaceModel.load()


def seen(model: FaceModel, yaw: float, pitch: float, roll: float, person: float = 0.0) -> np.ndarray:
    """(5, 2): where the points of a head in the square PLACE would be placed."""
    random = torch.Generator().manual_seed(1)
    params = FaceParams.neutral(1).replace(
        rotation=torch.deg2rad(torch.tensor([[pitch, yaw, roll]])), shape=person * torch.randn(1, 80, generator=random)
    )
    points = Camera().project(model.landmark_points(model.vertices(params)))[0].numpy()
    names = ("eye_right", "eye_left", "nose_bridge_3", "mouth_outer_0", "mouth_outer_6")
    ndc = np.stack([points[[name.startswith(group) for name in LANDMARK_NAMES], :2].mean(axis=0) for group in names])
    side = round(2 * PLACE.half)
    return Crop(np.zeros((2, 2, 3), np.uint8), round(PLACE.x - side / 2), round(PLACE.y - side / 2), side).to_picture(ndc)


def apart(found: Framing) -> tuple[float, float]:
    """How far the middle is off, in half sides, and the factor of the size."""
    return math.hypot(found.x - PLACE.x, found.y - PLACE.y) / PLACE.half, found.half / PLACE.half


def test_the_five_points_are_where_a_face_has_them(model: FaceModel) -> None:
    right, left, nose, mouth_right, mouth_left = five_points(model)
    assert right[0] < 0 < left[0]
    assert mouth_right[0] < 0 < mouth_left[0]
    assert nose[2] > max(right[2], mouth_right[2])
    assert right[1] > nose[1] > mouth_right[1]


def test_a_head_that_looks_straight_is_found_exactly(model: FaceModel) -> None:
    away, size = apart(framing_of_points(seen(model, 0, 0, 0), model))
    assert away < 0.002
    assert size == pytest.approx(1.0, abs=0.002)


@pytest.mark.parametrize(("yaw", "pitch", "roll"), [(32, 0, 0), (-48, 8, 0), (0, -16, 0), (12, 0, 30), (-20, 10, -40)])
def test_turned_and_tilted_heads_are_found(model: FaceModel, yaw: float, pitch: float, roll: float) -> None:
    away, size = apart(framing_of_points(seen(model, yaw, pitch, roll), model))
    assert away < 0.12
    assert size == pytest.approx(1.0, abs=0.12)


def test_another_person_and_an_unsteady_hand_do_little(model: FaceModel) -> None:
    points = seen(model, 15, 0, 5, person=0.7) + np.random.default_rng(2).normal(0, 1.5, (5, 2))
    away, size = apart(framing_of_points(points, model))
    assert away < 0.25
    assert size == pytest.approx(1.0, abs=0.2)


def test_left_and_right_may_be_exchanged(model: FaceModel) -> None:
    points = seen(model, 10, 0, 0)
    assert framing_of_points(points[[1, 0, 2, 4, 3]], model) == framing_of_points(points, model)


@pytest.mark.parametrize(
    ("points", "sentence"),
    [
        (np.zeros((4, 2)), "five points"),
        (np.full((5, 2), np.nan), "five points"),
        (np.ones((5, 2)), "too close together"),
        (np.array([[10, 90], [60, 90], [35, 60], [20, 30], [50, 30]]), "above the mouth"),
    ],
)
def test_points_of_no_face_are_refused(model: FaceModel, points: np.ndarray, sentence: str) -> None:
    with pytest.raises(UserError, match=sentence):
        framing_of_points(points, model)


def test_points_on_the_command_line() -> None:
    assert read_points("1,2,3,4,5,6,7,8,9,10.5").tolist() == [[1, 2], [3, 4], [5, 6], [7, 8], [9, 10.5]]
    with pytest.raises(UserError, match="ten numbers, not 3"):
        read_points("1,2,3")
    with pytest.raises(UserError, match="with commas"):
        read_points("1;2")
