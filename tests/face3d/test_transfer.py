"""One attribute of another face, as controls."""

from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.controls import CONTROLS, apply
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.face3d.transfer import controls_of


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_the_block_becomes_that_of_the_other_face(attribute: str, people: FaceParams) -> None:
    face, other = people[3], people[8]
    changed = apply(face, controls_of(attribute, face, other))
    if attribute == "pose":
        assert torch.allclose(changed.rotation, other.rotation, atol=1e-5)
        assert torch.equal(changed.translation, face.translation)
    else:
        assert torch.allclose(changed.attribute(attribute), other.attribute(attribute), atol=1e-5)
    for rest in set(ATTRIBUTES) - {attribute}:
        assert torch.equal(changed.attribute(rest), face.attribute(rest))


def test_what_no_control_can_say_stays_within_its_range(people: FaceParams) -> None:
    face = people[0]
    far = face.replace(shape=face.shape + 9.0, illumination=face.illumination + 90.0)
    for attribute in ("shape", "illumination"):
        values = controls_of(attribute, face, far)
        assert all(value == CONTROLS[name].maximum for name, value in values.items())


def test_other_names_are_refused(people: FaceParams) -> None:
    with pytest.raises(UserError, match="no attribute 'hair'"):
        controls_of("hair", people[0], people[1])
