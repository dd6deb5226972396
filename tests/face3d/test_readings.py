"""Where sliders stand: setting a control to its reading leaves the face as it is."""

from __future__ import annotations

import pytest
import torch

from crossrig.face3d.blocks import EXPRESSION_UNITS
from crossrig.face3d.controls import CONTROLS, EXPRESSIONS, apply
from crossrig.face3d.params import FaceParams
from crossrig.face3d.readings import readings

EXACT = [
    "yaw", "pitch", "roll", "moveX", "moveY", "moveZ", *EXPRESSION_UNITS, "light.azimuth", "light.elevation", "light.strength",
    "light.ambient", "light.contrast", "illumination.0", "illumination.14",
]  # fmt: skip


@pytest.fixture(scope="module")
def face(people: FaceParams) -> FaceParams:
    """A face whose light clearly comes from somewhere."""
    one = FaceParams.unpack(people.pack()[:1])
    return apply(one, {"light.azimuth": 40.0, "light.elevation": 20.0, "light.contrast": 0.6, "light.strength": 1.1})


@pytest.mark.parametrize("name", EXACT)
def test_setting_what_is_read_changes_nothing(face: FaceParams, name: str) -> None:
    value = readings(face, {})[name]
    assert torch.allclose(apply(face, {name: value}).pack(), face.pack(), atol=2e-5)


@pytest.mark.parametrize("name", [*EXPRESSIONS, "gazeYaw", "gazePitch", "light.warmth", "yaw"])
def test_what_was_set_is_read(face: FaceParams, name: str) -> None:
    control = CONTROLS[name]
    wanted = control.minimum + 0.8 * (control.maximum - control.minimum)
    changed = apply(face, {name: wanted})
    assert readings(changed, {})[name] == pytest.approx(wanted, abs=1e-3 * (control.maximum - control.minimum))


def test_every_control_has_a_reading_in_its_range(face: FaceParams) -> None:
    found = readings(face, {"age": 1.5})
    assert list(found) == list(CONTROLS)
    assert all(CONTROLS[name].minimum <= value <= CONTROLS[name].maximum for name, value in found.items())
    assert found["age"] == 1.5
    assert found["noseLength"] == 0.0
