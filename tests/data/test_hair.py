from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from scipy.spatial import cKDTree

from crossrig.data.geometry import EYE, HAIR, SKIN, HeadSurface
from crossrig.data.hair import CUTS, VARIATIONS, grow_hair, vary
from crossrig.data.portraits import studio
from crossrig.data.scalp import scalp_of

BROWN = (0.05, 0.03, 0.02)
PLAIN = np.zeros(len(VARIATIONS))


@pytest.fixture(scope="module")
def head() -> HeadSurface:
    template = studio().template
    return HeadSurface.of(template, template.mean)


def person(seed: int) -> HeadSurface:
    stage = studio()
    shape = np.random.default_rng(seed).standard_normal(len(stage.shape_basis)).astype(np.float32)
    return HeadSurface.of(stage.template, (stage.mean + shape @ stage.shape_basis).reshape(-1, 3))


@pytest.mark.parametrize("cut", list(CUTS))
def test_every_cut_gives_sound_patches_that_leave_the_eyes_free(cut: str):
    code = np.random.default_rng(len(cut)).standard_normal(len(VARIATIONS))
    head = person(len(cut))
    patches = grow_hair(head, vary(cut, code, BROWN, 0.3, 0.7), np.random.default_rng(2))
    assert bool(patches) == (cut != "bald")
    eyes = head.vertices[np.unique(head.faces[head.template.face_part == EYE])]
    for patch in patches:
        assert patch.material == HAIR
        for array in (patch.vertices, patch.uv, patch.colour, patch.tangent, patch.rotation_weight, patch.opacity):
            assert array.dtype == np.float32
            assert np.isfinite(array).all()
        assert patch.faces.min() >= 0
        assert patch.faces.max() < len(patch.vertices)
        assert patch.opacity.min() >= 0
        assert patch.opacity.max() <= 1
        assert patch.colour.min() >= 0
        assert np.abs(patch.vertices).max() < 0.5
        seen = patch.vertices[np.unique(patch.faces)][patch.opacity[np.unique(patch.faces)] > 0.05]
        before = (seen[:, 2] > eyes[:, 2].max()) & (np.abs(seen[:, 0]) < 0.040) & (np.abs(seen[:, 1] - eyes[:, 1].mean()) < 0.010)
        assert not before.any()


@pytest.mark.parametrize("cut", ["crop", "quiff", "bob", "long straight", "ponytail"])
def test_hair_stays_out_of_the_head(cut: str):
    head = person(4)
    strands = grow_hair(head, vary(cut, PLAIN, BROWN), np.random.default_rng(0))[-1]
    skin = np.unique(head.faces[head.template.face_part == SKIN])
    centres = strands.vertices.reshape(-1, 2, 3).mean(1)
    distance, nearest = cKDTree(head.vertices[skin]).query(centres)
    depth = ((centres - head.vertices[skin][nearest]) * head.normals[skin][nearest]).sum(1)
    sunk = (depth < -0.004) & (distance < 0.02) & (strands.opacity[::2] > 0.05)
    assert sunk.mean() < 0.02


def test_strands_start_on_the_scalp(head: HeadSurface):
    head = person(9)
    patch = grow_hair(head, CUTS["crop"], np.random.default_rng(0))[-1]
    knots = CUTS["crop"].knots
    roots = patch.vertices.reshape(-1, knots, 2, 3)[:, 0].mean(1)
    scalp = scalp_of(head.template)
    expected = np.einsum("nc,nca->na", scalp.weights, head.vertices[scalp.corners])
    assert cKDTree(expected).query(roots)[0].max() < 0.001


def test_the_same_seed_gives_the_same_hair(head: HeadSurface):
    style = vary("long wavy", PLAIN, BROWN)
    first, second = (grow_hair(head, style, np.random.default_rng(5))[-1] for _ in range(2))
    np.testing.assert_array_equal(first.vertices, second.vertices)
    other = grow_hair(head, style, np.random.default_rng(6))[-1]
    assert first.vertices.shape == other.vertices.shape
    assert np.abs(first.vertices - other.vertices).max() > 0.001


@pytest.mark.parametrize("cut", ["crop", "side part", "long straight", "afro", "bun"])
def test_hair_changes_smoothly_with_its_code(head: HeadSurface, cut: str):
    rng = np.random.default_rng(0)
    code, step = rng.standard_normal((2, len(VARIATIONS)))
    code[VARIATIONS.index("hairline")] = step[VARIATIONS.index("hairline")] = 0  # moves single roots in and out
    near, far = (
        np.median(np.abs(grow_hair(head, vary(cut, code + s * step, BROWN), np.random.default_rng(1))[-1].vertices - here.vertices))
        for here in (grow_hair(head, vary(cut, code, BROWN), np.random.default_rng(1))[-1],)
        for s in (0.01, 0.3)
    )
    assert near < 0.0008
    assert near < 0.2 * far


def test_longer_codes_give_longer_hair(head: HeadSurface):
    def lowest(value: float) -> float:
        code = PLAIN.copy()
        code[VARIATIONS.index("length")] = value
        patch = grow_hair(head, vary("bob", code, BROWN), np.random.default_rng(1))[-1]
        return float(np.quantile(patch.vertices[:, 1], 0.02))

    assert lowest(2.0) < lowest(0.0) - 0.01 < lowest(-2.0) - 0.02


def test_greyness_whitens(head: HeadSurface):
    shades = [grow_hair(head, vary("crop", PLAIN, BROWN, grey), np.random.default_rng(1))[-1].colour.mean() for grey in (0.0, 0.5, 1.0)]
    assert shades[0] < 0.5 * shades[1] < 0.5 * shades[2]


def test_baldness_clears_the_top(head: HeadSurface):
    def on_top(balding: float) -> float:
        patch = grow_hair(head, replace(CUTS["crop"], balding=balding), np.random.default_rng(1))[-1]
        return float(patch.vertices[patch.opacity > 0.1][:, 1].max())

    assert on_top(0.085) < on_top(-0.02) - 0.015


def test_long_hair_on_the_body_turns_less_than_the_head(head: HeadSurface):
    patch = grow_hair(head, CUTS["long straight"], np.random.default_rng(1))[-1]
    high, low = patch.vertices[:, 1] > 0.0, patch.vertices[:, 1] < -0.19
    assert patch.rotation_weight[high].mean() > 0.97
    assert patch.rotation_weight[high].min() > 0.6
    assert patch.rotation_weight[low].mean() < 0.6


def test_unknown_cuts_and_short_codes_are_refused():
    with pytest.raises(ValueError, match="mohawk"):
        vary("mohawk", PLAIN, BROWN)
    with pytest.raises(ValueError, match="shape"):
        vary("crop", PLAIN[:-1], BROWN)
