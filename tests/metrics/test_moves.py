from __future__ import annotations

import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.metrics.moves import moves, moves_most
from crossrig.rig.units import Units


def test_an_attribute_taken_from_another_person_moves_most_and_alone(tiny_model: FaceModel, people: FaceParams) -> None:
    units = Units.of(tiny_model)
    spread = units.spread(people)
    for attribute in ATTRIBUTES:
        after = people.with_attribute(attribute, people.attribute(attribute).roll(1, 0))
        moved = moves(units, spread, people, after)
        assert moves_most(moved, attribute).all()
        assert all(float(moved[other].max()) == 0 for other in ATTRIBUTES if other != attribute)
        # Two random people are sqrt(2) spreads apart, root mean square.
        assert 1.3 < float(moved[attribute].square().mean().sqrt()) < 1.55


def test_the_largest_move_wins() -> None:
    moved = {name: torch.tensor([1.0, 1.0]) for name in ATTRIBUTES} | {"pose": torch.tensor([1.1, 0.9])}
    assert moves_most(moved, "pose").tolist() == [True, False]
