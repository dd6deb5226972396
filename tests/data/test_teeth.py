"""Teeth that are drawn on two bands."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossrig.data import portraits
from crossrig.data.geometry import TEETH
from crossrig.data.people import sample_person
from crossrig.data.portraits import studio
from crossrig.data.teeth import LOWER_ENDS, UPPER_ENDS, tooth_coordinates
from crossrig.face3d.params import EXPRESSION_UNITS


def test_coordinates_of_the_two_rows() -> None:
    template = studio().template
    vertices, found = tooth_coordinates(template)
    assert np.array_equal(vertices, np.unique(template.faces[template.face_part == TEETH]))
    points = template.mean[vertices]
    upper = found[:, 2] == 1.0
    assert 0.4 < upper.mean() < 0.6
    assert points[upper, 1].mean() > points[~upper, 1].mean()
    for row in (upper, ~upper):
        along, height = found[row, 0], found[row, 1]
        assert np.all(np.sign(along[np.abs(points[row, 0]) > 1e-3]) == np.sign(points[row, 0][np.abs(points[row, 0]) > 1e-3]))
        assert along.min() == pytest.approx(-along.max(), abs=5e-4)
        assert 0.05 < along.max() < 0.09  # metres around one side of an adult's arch
        assert height.min() == 0.0
        assert height.max() == pytest.approx(1.0)
    # Upper teeth bite downwards, lower ones upwards.
    front = np.abs(points[:, 0]) < 0.010
    assert points[front & upper & (found[:, 1] < 0.05), 1].max() < points[front & upper & (found[:, 1] > 0.95), 1].min()
    assert points[front & ~upper & (found[:, 1] < 0.05), 1].min() > points[front & ~upper & (found[:, 1] > 0.95), 1].max()


def test_teeth_lie_one_beside_the_other() -> None:
    for ends in (UPPER_ENDS, LOWER_ENDS):
        assert len(ends) == 7
        assert np.all(np.diff((0.0, *ends)) > 0.004)


def test_gaps_between_teeth_are_dark() -> None:
    someone = sample_person(2, 5)
    expression = np.zeros_like(someone.blocks["expression"])
    for unit in ("mouthUpperUpLeft", "mouthUpperUpRight", "mouthSmileLeft", "mouthSmileRight"):
        expression[EXPRESSION_UNITS.index(unit)] = 0.8
    someone = replace(someone, blocks={**someone.blocks, "expression": expression, "rotation": np.zeros(3, np.float32)})
    head = portraits.head_surface(someone)
    scene = portraits.assemble(someone, head, portraits.accessories(someone, head))
    visible = portraits.look_at(scene, 512)
    linear = portraits.shade_scene(someone, scene, visible)
    kind = np.where(visible.triangle >= 0, scene.material[np.maximum(visible.triangle, 0)], 255)
    row, col = np.nonzero(kind == TEETH)
    assert len(row) > 200
    corners = scene.faces[visible.triangle[row, col]]
    vertices, found = tooth_coordinates(studio().template)
    table = np.zeros((len(scene.vertices), 3), np.float32)
    table[vertices] = found
    along, height, upper = (np.einsum("nk,nk->n", visible.bary[row, col], table[corners][:, :, part]) for part in range(3))
    ends = np.array((0.0, *UPPER_ENDS))
    gap = np.abs(np.abs(along)[:, None] - ends).min(axis=1)
    shown = (upper > 0.5) & (np.abs(along) < 0.02) & (height < 0.4)
    brightness = linear[row, col].mean(axis=1)
    between, within = brightness[shown & (gap < 0.0004)], brightness[shown & (gap > 0.0025)]
    assert between.mean() < 0.75 * within.mean()
