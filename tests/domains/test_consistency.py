from __future__ import annotations

import pytest
import torch

from crossrig.domains.consistency import Consistency, correlation, structure_distance
from crossrig.face3d.params import FaceParams


def _noise(seed: int, count: int = 8) -> torch.Tensor:
    small = torch.randn(count, 3, 16, 16, generator=torch.Generator().manual_seed(seed))
    return torch.nn.functional.interpolate(small, (32, 32))


def test_correlation_is_of_variation_not_of_values() -> None:
    values = torch.randn(50, 4)
    assert correlation(values, values) == pytest.approx(1.0)
    assert correlation(values, 3.0 * values + torch.tensor([5.0, -1.0, 0.0, 9.0])) == pytest.approx(1.0)
    assert correlation(values, -values) == pytest.approx(-1.0)
    assert abs(correlation(values, torch.randn(50, 4, generator=torch.Generator().manual_seed(1)))) < 0.3
    assert correlation(values, torch.ones(50, 4)) == 0.0


def test_consistency_reads_yaw_and_expression(people: FaceParams) -> None:
    same = Consistency.between(people, people)
    assert same == Consistency(pytest.approx(1.0), pytest.approx(1.0))
    turned = people.replace(rotation=people.rotation.roll(1, 0))
    assert Consistency.between(people, turned).expression == pytest.approx(1.0)
    assert Consistency.between(people, turned).yaw < 0.5
    nodding = people.replace(rotation=people.rotation + torch.tensor([0.5, 0.0, 0.0]) * torch.randn(64, 1))
    assert Consistency.between(people, nodding).yaw == pytest.approx(1.0)
    smiling = people.replace(expression=people.expression.roll(1, 0))
    assert Consistency.between(people, smiling).expression < 0.5
    assert Consistency.between(people, smiling).yaw == pytest.approx(1.0)


def test_shortfall_names_what_lies_below() -> None:
    assert Consistency(0.95, 0.6).shortfall(Consistency(0.9, 0.5)) == ""
    assert Consistency(0.8, 0.6).shortfall(Consistency(0.9, 0.5)) == "yaw correlates by 0.80 with the parent's, less than 0.9"
    assert " and expression" in Consistency(0.8, float("nan")).shortfall(Consistency(0.9, 0.5))


def test_structure_is_blind_to_colour_contrast_and_backdrop() -> None:
    images = 0.3 * _noise(0)
    assert float(structure_distance(images, images)) == 0.0
    greyer = 0.5 * images + 0.2
    assert float(structure_distance(greyer, images)) < 0.02
    corners = images.clone()
    corners[:, :, :2, :2] = 1.0
    corners[:, :, -2:, -2:] = -1.0
    assert float(structure_distance(corners, images)) < 1e-3
    strangers = float(structure_distance(0.3 * _noise(1), images))
    assert strangers == pytest.approx(2.0, abs=0.2)
    assert float(structure_distance(images.flip(3), images)) > 1.0
    assert float(structure_distance(-images, images)) == pytest.approx(4.0, abs=0.1)


def test_structure_pulls_the_child_to_the_parent() -> None:
    images, goal = _noise(1).requires_grad_(), _noise(0)
    before = structure_distance(images, goal)
    (gradient,) = torch.autograd.grad(before, [images])
    after = structure_distance((images - 20.0 * gradient).detach(), goal)
    assert float(after) < float(before.detach())
    with pytest.raises(ValueError, match="multiple of 16"):
        structure_distance(torch.zeros(1, 3, 24, 24), torch.zeros(1, 3, 24, 24))
