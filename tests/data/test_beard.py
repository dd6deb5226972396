from __future__ import annotations

import numpy as np
import pytest
from scipy.spatial import cKDTree

from crossrig.data.beard import BEARD_VARIATIONS, BEARDS, beard_style, grow_beard
from crossrig.data.geometry import BEARD, HeadSurface
from crossrig.data.portraits import studio
from crossrig.face3d.params import EXPRESSION_UNITS

DARK = (0.03, 0.02, 0.01)
PLAIN = np.zeros(len(BEARD_VARIATIONS))


def face(jaw: float = 0.0) -> HeadSurface:
    stage = studio()
    weights = np.zeros(len(EXPRESSION_UNITS), dtype=np.float32)
    weights[EXPRESSION_UNITS.index("jawOpen")] = jaw
    return HeadSurface.of(stage.template, (stage.mean + weights @ stage.expression_basis).reshape(-1, 3))


@pytest.fixture(scope="module")
def head() -> HeadSurface:
    return face()


@pytest.mark.parametrize("kind", list(BEARDS))
def test_every_kind_gives_sound_patches_below_the_nose(head: HeadSurface, kind: str):
    code = np.random.default_rng(3).standard_normal(len(BEARD_VARIATIONS))
    patches = grow_beard(head, beard_style(kind, code, DARK, 0.2), np.random.default_rng(0))
    assert patches
    sideburns = head.landmark("jaw_0")[1] + 0.02
    for patch in patches:
        assert patch.material == BEARD
        assert np.isfinite(patch.vertices).all()
        assert patch.faces.max() < len(patch.vertices)
        assert 0 <= patch.opacity.min() <= patch.opacity.max() <= 1
        seen = patch.vertices[patch.opacity > 0.02]
        assert seen[:, 1].max() < sideburns
        front = seen[np.abs(seen[:, 0]) < 0.015]
        assert front[:, 1].max() < head.landmark("nose_base_2")[1] + 0.004


def test_beards_grow_beside_the_lips_not_on_them(head: HeadSurface):
    hairs = grow_beard(head, beard_style("full", PLAIN, DARK), np.random.default_rng(0))[-1]
    roots = hairs.vertices.reshape(-1, 5, 2, 3)[:, 0].mean(1)
    lips = head.vertices[head.regions["lips"]]
    skin = head.vertices[np.setdiff1d(head.regions["face"], head.regions["lips"])]
    on_lips = cKDTree(lips).query(roots)[0] < cKDTree(skin).query(roots)[0] - 0.002
    assert on_lips.mean() < 0.01


def test_the_beard_goes_with_the_jaw(head: HeadSurface):
    style = beard_style("full", PLAIN, DARK)
    still, opened = (grow_beard(surface, style, np.random.default_rng(0))[-1].vertices for surface in (head, face(jaw=1.0)))
    chin = np.linalg.norm(still - head.landmark("jaw_8"), axis=1) < 0.02
    moved = face(jaw=1.0).landmark("jaw_8") - head.landmark("jaw_8")
    assert chin.sum() > 50
    np.testing.assert_allclose((opened - still)[chin].mean(0), moved, atol=0.006)


def test_kinds_differ_where_they_should(head: HeadSurface):
    def hairs(kind: str) -> np.ndarray:
        return grow_beard(head, beard_style(kind, PLAIN, DARK), np.random.default_rng(0))[-1].vertices

    mouth = head.landmark("mouth_outer_6")
    assert (hairs("moustache")[:, 1] > mouth[1] - 0.02).all()
    assert np.abs(hairs("goatee")[:, 0]).max() < np.abs(hairs("full")[:, 0]).max() - 0.02
    assert hairs("long")[:, 1].min() < hairs("full")[:, 1].min() - 0.01
    assert len(grow_beard(head, beard_style("shaved", PLAIN, DARK), np.random.default_rng(0))) == 1


def test_shadow_and_length_follow_their_numbers(head: HeadSurface):
    code = PLAIN.copy()
    code[BEARD_VARIATIONS.index("shadow")] = 1.5
    light, dark = (grow_beard(head, beard_style("stubble", z, DARK), np.random.default_rng(0))[0].opacity.sum() for z in (PLAIN, code))
    assert dark > 1.3 * light
    code = PLAIN.copy()
    code[BEARD_VARIATIONS.index("length")] = 1.5
    assert beard_style("full", code, DARK).length > 1.4 * beard_style("full", PLAIN, DARK).length


def test_unknown_kinds_and_short_codes_are_refused():
    with pytest.raises(ValueError, match="fu manchu"):
        beard_style("fu manchu", PLAIN, DARK)
    with pytest.raises(ValueError, match="shape"):
        beard_style("full", PLAIN[:3], DARK)


def test_shaved_people_have_no_moustache_however_dark_their_stubble(head: HeadSurface):
    darkest = np.zeros(len(BEARD_VARIATIONS))
    darkest[BEARD_VARIATIONS.index("shadow")] = 2.5
    style = beard_style("shaved", darkest, (0.03, 0.02, 0.013))
    assert style.shadow > 0.1
    assert len(grow_beard(head, style, np.random.default_rng(1))) == 1  # stubble alone
