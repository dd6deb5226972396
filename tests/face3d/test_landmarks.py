from __future__ import annotations

import numpy as np
import pytest
import torch

from crossrig.face3d.controls import shipped_directions
from crossrig.face3d.landmarks import LANDMARK_NAMES, MIRROR, find_landmarks
from crossrig.face3d.measures import HELD_SIZES, PLACED_BY_NOSE, measure_shapes
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams


def test_there_are_68_names_and_mirroring_twice_is_nothing() -> None:
    assert len(set(LANDMARK_NAMES)) == 68
    assert [MIRROR[MIRROR[index]] for index in range(68)] == list(range(68))


def test_landmarks_are_distinct_and_symmetric_on_the_mean_head(model: FaceModel) -> None:
    assert len(set(model.landmarks.values())) == 68
    points = model.landmark_points(model.vertices(FaceParams.neutral()))[0]
    mirrored = points[list(MIRROR)] * torch.tensor([-1.0, 1.0, 1.0])
    assert (points - mirrored).norm(dim=1).max() < 0.003


def test_landmarks_are_ordered_as_in_ibug(model: FaceModel) -> None:
    points = model.landmark_points(model.vertices(FaceParams.neutral()))[0]
    for first, last in ((0, 17), (17, 22), (22, 27), (31, 36), (48, 55), (60, 65)):
        assert (points[first : last - 1, 0] < points[first + 1 : last, 0] + 0.001).all(), (first, last)
    assert (points[27:30, 1] > points[28:31, 1]).all()  # down the bridge of the nose
    assert points[30, 2] == points[:, 2].max()  # its tip stands out most
    assert points[8, 1] == points[:, 1].min()  # the chin is lowest
    assert points[31:36, 2].min() > 0.08  # the base of the nose is in front,
    assert abs(float(points[33, 0])) < 1e-4  # its middle on the middle of the face
    for upper, lower in ((37, 41), (38, 40), (43, 47), (44, 46), (51, 57), (50, 58)):
        assert points[upper, 1] > points[lower, 1]
    assert points[17:27, 1].min() > points[36:48, 1].max()  # brows above eyes


@pytest.mark.parametrize("control", PLACED_BY_NOSE)
def test_controls_of_the_nose_leave_the_head_as_large_as_it_was(model: FaceModel, control: str) -> None:
    step = torch.as_tensor(shipped_directions()[control]).float()
    changes = {}
    for name, change in (("nose", step), ("head", torch.zeros_like(step))):
        shapes = model.vertices(FaceParams.neutral().replace(shape=2.0 * change[None]))
        measures = measure_shapes(shapes.double().numpy(), model.landmarks, {k: v.numpy() for k, v in model.regions.items()})
        changes[name] = {key: float(value[0]) for key, value in measures.items()}
    moved = {key: abs(changes["nose"][key] - changes["head"][key]) for key in changes["head"]}
    assert moved[control] > 0.001
    assert max(moved[key] for key in HELD_SIZES) < 0.0006


def test_landmarks_lie_on_the_named_regions(model: FaceModel) -> None:
    def near(name: str, region: str, limit: float) -> bool:
        distance = (model.mean[model.regions[region]] - model.mean[model.landmarks[name]]).norm(dim=1)
        return bool(distance.min() < limit)

    assert all(near(name, "lips", 0.0012) for name in LANDMARK_NAMES if name.startswith("mouth"))
    assert all(near(name, "brows", 0.0005) for name in LANDMARK_NAMES if name.startswith("brow"))
    assert all(near(name, "eyes", 0.003) for name in LANDMARK_NAMES if name.startswith("eye"))
    assert near("nose_bridge_3", "nose", 0.0005)


def test_a_missing_seed_is_named() -> None:
    with pytest.raises(ValueError, match="jaw_0"):
        find_landmarks(np.zeros((4, 3)), {}, np.arange(4))
