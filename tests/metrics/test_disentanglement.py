from __future__ import annotations

import math

import pytest

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.metrics.bootstrap import Resampling
from crossrig.metrics.disentanglement import overall, score, set_variances
from crossrig.rig.units import Units


def sets_of(people: FaceParams, varied: dict[str, float]) -> FaceParams:
    """8 sets of 8: the first of each set, but for a share of each named attribute's own variety."""
    first = people.pack().reshape(8, 8, -1)[:, :1].expand(-1, 8, -1).flatten(0, 1)
    made = FaceParams.unpack(first.clone())
    for name, share in varied.items():
        values = made.attribute(name)
        made = made.with_attribute(name, values + share * (people.attribute(name) - values))
    return made


def test_variances_are_those_inside_the_sets(tiny_model: FaceModel, people: FaceParams) -> None:
    units = Units.of(tiny_model)
    spread = units.spread(people)
    found = set_variances(units, spread, sets_of(people, {"pose": 1.0}), 8)
    assert found["shape"].shape == (8,)
    assert float(found["shape"].abs().max()) < 1e-9
    assert float(found["pose"].mean()) == pytest.approx(7 / 8, rel=0.2)  # 8 of a population: less than its variance by 1/8


def test_the_score_is_the_product_of_ratios(tiny_model: FaceModel, people: FaceParams) -> None:
    units = Units.of(tiny_model)
    spread = units.spread(people)
    varied = {"pose": 1.0} | {name: 0.1 for name in ATTRIBUTES if name != "pose"}
    variances = set_variances(units, spread, sets_of(people, varied), 8)
    resampling = Resampling(8, 30)
    found = score(variances, "pose", resampling)
    means = {name: float(values.mean()) for name, values in variances.items()}
    expected = math.prod(means["pose"] / means[name] for name in ATTRIBUTES if name != "pose")
    assert found.value == pytest.approx(expected, rel=1e-4)
    assert 1e6 < found.value < 1e10  # about (1 / 0.01)^4
    equal = score(set_variances(units, spread, people, 8), "pose", resampling)
    assert 0.2 < equal.value < 5.0  # everything varies: no more than chance
    both = overall({"pose": found, "shape": equal})
    assert both.value == pytest.approx(math.sqrt(found.value * equal.value), rel=1e-6)
    assert both.interval() is not None
