from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.metrics.r2 import all_r2, attribute_r2
from crossrig.rig.units import Units


def test_the_truth_scores_one_and_the_mean_zero(tiny_model: FaceModel, people: FaceParams) -> None:
    units = Units.of(tiny_model)
    mean = FaceParams.unpack(people.pack().mean(0, keepdim=True).expand(len(people), -1))
    assert all_r2(units, people, people) == dict.fromkeys(ATTRIBUTES, 1.0)
    for name, value in all_r2(units, mean, people).items():
        assert value == pytest.approx(0.0, abs=1e-4), name


def test_shape_is_scored_by_its_vertices(tiny_model: FaceModel, people: FaceParams) -> None:
    wrong = people.replace(shape=people.shape + 0.3 * torch.randn(people.shape.shape, generator=torch.Generator().manual_seed(1)))
    face = tiny_model.regions["face"]
    still = FaceParams.neutral(len(people))

    def points(params: FaceParams) -> torch.Tensor:
        return tiny_model.neutral_pose(still.replace(shape=params.shape))[:, face].double()

    truth = points(people)
    expected = 1 - float((points(wrong) - truth).square().sum() / (truth - truth.mean(0)).square().sum())
    assert attribute_r2(Units.of(tiny_model), "shape", wrong, people) == pytest.approx(expected, abs=1e-4)


def test_pose_ignores_translation(tiny_model: FaceModel, people: FaceParams) -> None:
    moved = people.replace(translation=people.translation + 1.0)
    assert attribute_r2(Units.of(tiny_model), "pose", moved, people) == 1.0


def test_undefined_cases_say_so(tiny_model: FaceModel, people: FaceParams) -> None:
    units = Units.of(tiny_model)
    with pytest.raises(UserError, match="two or more"):
        attribute_r2(units, "pose", people[:1], people[:1])
    with pytest.raises(UserError, match="same albedo"):
        attribute_r2(units, "albedo", FaceParams.neutral(3), FaceParams.neutral(3))
