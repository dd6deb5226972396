"""Titles, groups and presets."""

from __future__ import annotations

import itertools

import pytest

from crossrig.face3d.blocks import EXPRESSION_UNITS
from crossrig.face3d.controls import CONTROLS, apply, check_value
from crossrig.face3d.params import FaceParams
from crossrig.studio.panel import COMPONENTS, GROUPS, LOOKS, label_of, panel, title_of


def test_every_control_is_shown_once_and_sections_hang_together() -> None:
    infos = panel()
    assert sorted(info.name for info in infos) == sorted(CONTROLS)
    places = [(info.group, info.section) for info in infos]
    assert len([place for place, _ in itertools.groupby(places)]) == len(set(places))
    assert [group for group, _ in itertools.groupby(infos, key=lambda info: info.group)] == [*GROUPS.values(), COMPONENTS]


def test_titles_are_different_within_a_group_and_no_code() -> None:
    infos = panel()
    assert len({(info.group, info.title) for info in infos}) == len(infos)
    assert title_of("mouthSmileLeft") == "Mouth smile, left"
    assert title_of("shape.0") == "Shape 1"
    assert title_of("illumination.26") == "Light 27"
    assert all(info.title[0].isupper() and "." not in info.title for info in infos)


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS.keys())
def test_presets_set_what_exists_and_clear_what_they_set(look) -> None:  # type: ignore[no-untyped-def]
    for name, value in look.values.items():
        check_value(name, value)
    assert set(look.values) <= look.clears


def test_a_mood_brings_to_rest_what_the_face_shows_and_no_more() -> None:
    face = FaceParams.neutral(1)
    expression = face.expression.clone()
    expression[:, EXPRESSION_UNITS.index("jawOpen")] = 0.4
    expression[:, EXPRESSION_UNITS.index("browInnerUp")] = 0.01
    face = face.replace(expression=expression)
    assert LOOKS["smile"].values_for(face) == {"jawOpen": 0.0, "smile": 0.9}
    assert LOOKS["left"].values_for(face) == {"yaw": -28.0, "pitch": 0.0, "roll": 0.0}
    assert (apply(face, LOOKS["neutral"].values_for(face)).expression < 0.05).all()


def test_labels_say_what_changed() -> None:
    assert label_of({"yaw"}, {"yaw": 12.345}) == "Turn left or right 12.3"
    assert label_of({"yaw"}, {}) == "Turn left or right as it was"
    assert label_of({"yaw", "smile"}, {"yaw": 1.0, "smile": 1.0}) == "Expression and Pose"
    assert label_of({"yaw", "smile", "age"}, {}) == "3 controls"
