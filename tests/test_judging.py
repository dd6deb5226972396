from __future__ import annotations

import numpy as np
import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, PACKED_SIZE, FaceParams
from crossrig.judging import Edit, drift, judgement_of
from crossrig.rig.units import Units


def test_strangers_are_a_hundred_per_cent_apart_in_the_mean_square(tiny_model: FaceModel) -> None:
    random = torch.Generator().manual_seed(0)
    spread = 0.5 + torch.rand(PACKED_SIZE, generator=random)
    units = Units.of(tiny_model)
    people = FaceParams.unpack(spread * torch.randn(800, PACKED_SIZE, generator=random))
    squares = [drift(units, spread, people[i : i + 1], people[i + 400 : i + 401]) ** 2 for i in range(400)]
    assert np.mean(squares) ** 0.5 == pytest.approx(100.0, rel=0.1)
    assert drift(units, spread, people[:1], people[:1]) == 0.0


def test_expression_pose_and_light_make_nobody_else(tiny_model: FaceModel) -> None:
    face = FaceParams.neutral()
    other = face.replace(expression=face.expression + 0.5, rotation=face.rotation + 0.3, illumination=face.illumination + 0.2)
    assert drift(Units.of(tiny_model), torch.ones(PACKED_SIZE), face, other) == 0.0


def test_what_followed_is_the_share_of_the_commanded_way(tiny_model: FaceModel) -> None:
    start = FaceParams.neutral()
    goal, after = (start.replace(rotation=start.rotation + torch.tensor([[0.0, angle, 0.0]])) for angle in (0.4, 0.3))
    found = judgement_of(Edit(start, goal, start, after), Units.of(tiny_model), torch.ones(PACKED_SIZE))
    assert found.attributes["pose"].followed == pytest.approx(0.75, rel=1e-4)
    assert found.angles["yaw"] == pytest.approx((np.degrees(0.4), np.degrees(0.3)), rel=1e-4)
    assert all(found.attributes[name].followed is None for name in ATTRIBUTES if name != "pose")
    assert (found.identity.commanded, found.identity.judged) == (0.0, 0.0)
