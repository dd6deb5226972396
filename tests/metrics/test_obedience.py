from __future__ import annotations

import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.metrics.bootstrap import Resampling
from crossrig.metrics.obedience import answer, answer_along
from crossrig.metrics.r2 import attribute_r2
from crossrig.rig.units import Units


@pytest.fixture(scope="module")
def units(tiny_model: FaceModel) -> Units:
    return Units.of(tiny_model)


def test_it_is_the_usual_r2_where_commands_add_up_to_nothing(units: Units, people: FaceParams) -> None:
    command = people.shape.roll(-1, 0) - people.shape
    change = 0.7 * command + 0.3 * torch.randn(command.shape, generator=torch.Generator().manual_seed(1))
    r2 = answer(units, "shape", 0.01, command, change).r2(Resampling(64, 20))
    expected = attribute_r2(units, "shape", people.replace(shape=change), people.replace(shape=command))
    assert r2.value == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize(("share", "r2"), [(1.0, 1.0), (0.0, 0.0), (0.5, 0.75), (2.0, 0.0), (-1.0, -3.0)])
def test_a_share_of_the_command(units: Units, people: FaceParams, share: float, r2: float) -> None:
    command = people.expression.roll(-1, 0) - people.expression
    resampling = Resampling(64, 20)
    for measure in (answer, answer_along):
        found = measure(units, "expression", 2.0, command, share * command)
        assert found.r2(resampling).value == pytest.approx(r2, abs=1e-4)
        assert found.slope(resampling).value == pytest.approx(share, abs=1e-5)


def test_along_forgives_what_happens_across(units: Units) -> None:
    command, change = torch.zeros(4, 3), torch.zeros(4, 3)
    command[:, 1] = torch.tensor([0.1, -0.2, 0.3, -0.4])
    change[:, 1] = command[:, 1]
    change[:, 0] = 0.5  # degrees of freedom nobody commanded
    resampling = Resampling(4, 20)
    assert answer_along(units, "rotation", 1.0, command, change).r2(resampling).value == pytest.approx(1.0, abs=1e-5)
    assert answer_along(None, "rotation", 1.0, command, change).r2(resampling).value == pytest.approx(1.0, abs=1e-5)
    assert answer(units, "rotation", 1.0, command, change).r2(resampling).value < 0
