from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from crossrig.data.brows import BrowStyle, brow_style, grow_brows, grow_lashes
from crossrig.data.geometry import BROW, LASHES, HeadSurface
from crossrig.data.portraits import studio
from crossrig.face3d.params import EXPRESSION_UNITS

DARK = (0.03, 0.02, 0.01)


def face(**units: float) -> HeadSurface:
    stage = studio()
    weights = np.zeros(len(EXPRESSION_UNITS), dtype=np.float32)
    for name, value in units.items():
        weights[EXPRESSION_UNITS.index(name)] = value
    return HeadSurface.of(stage.template, (stage.mean + weights @ stage.expression_basis).reshape(-1, 3))


@pytest.fixture(scope="module")
def head() -> HeadSurface:
    return face()


def test_brows_lie_on_both_sides_above_the_eyes_and_do_not_meet(head: HeadSurface):
    for masculine in (0.0, 1.0):
        style = brow_style(np.array([1.5, 1.0, 0.0, 1.0, 0.0, 1.0]), DARK, masculine=masculine)
        patch = grow_brows(head, style, np.random.default_rng(0))
        assert patch.material == BROW
        assert np.isfinite(patch.vertices).all()
        x, y = patch.vertices[:, 0], patch.vertices[:, 1]
        assert np.abs(x).min() > 0.004
        assert (x > 0).sum() == (x < 0).sum()
        assert y.min() > head.landmark("eye_left_0")[1]
        assert y.max() < head.landmark("eye_left_0")[1] + 0.045


def test_brows_follow_expressions(head: HeadSurface):
    style = BrowStyle()
    still, raised = (
        grow_brows(surface, style, np.random.default_rng(0)).vertices for surface in (head, face(browInnerUp=1.0, browOuterUpLeft=1.0))
    )
    left = still[:, 0] > 0.03
    assert (raised - still)[left, 1].mean() > 0.002
    assert (raised - still)[left, 1].mean() > (raised - still)[still[:, 0] < -0.03, 1].mean() + 0.001


def test_thicker_and_arched_brows_cover_more_height(head: HeadSurface):
    def spread(style: BrowStyle) -> float:
        y = grow_brows(head, style, np.random.default_rng(0)).vertices[:, 1]
        return float(y.std())

    assert spread(BrowStyle(thickness=0.013)) > 1.1 * spread(BrowStyle(thickness=0.005))
    lifted = [grow_brows(head, BrowStyle(raise_=raise_), np.random.default_rng(0)).vertices[:, 1].mean() for raise_ in (0.0, 0.004)]
    assert lifted[1] - lifted[0] == pytest.approx(0.004, rel=0.3)


def test_sparse_brows_have_fewer_visible_hairs(head: HeadSurface):
    solid = [grow_brows(head, BrowStyle(density=density), np.random.default_rng(0)).opacity.mean() for density in (0.3, 0.9)]
    assert solid[0] < 0.8 * solid[1]


def test_lashes_stand_before_the_eyes_and_close_with_them(head: HeadSurface):
    style = BrowStyle()
    patch = grow_lashes(head, style, np.random.default_rng(0))
    assert patch.material == LASHES
    closed = grow_lashes(face(eyeBlinkLeft=1.0), style, np.random.default_rng(0))
    middle = (head.landmark("eye_left_0")[1] + head.landmark("eye_left_3")[1]) / 2
    upper = (patch.vertices[:, 1] > middle + 0.002) & (patch.vertices[:, 0] > 0)
    assert upper.any()
    assert (closed.vertices - patch.vertices)[upper, 1].mean() < -0.004
    right = patch.vertices[:, 0] < 0
    assert np.abs((closed.vertices - patch.vertices)[right]).max() < 0.001


def test_longer_lashes_reach_further(head: HeadSurface):
    short, long = (grow_lashes(head, replace(BrowStyle(), lash_length=length), np.random.default_rng(0)) for length in (0.004, 0.010))
    assert long.vertices[:, 2].max() > short.vertices[:, 2].max() + 0.001


def test_the_style_is_smooth_and_checks_its_code():
    code = np.array([0.3, -0.4, 1.0, 0.2, -1.0, 0.5])
    near, here = brow_style(code + 1e-4, DARK), brow_style(code, DARK)
    assert near.thickness == pytest.approx(here.thickness, rel=1e-3)
    with pytest.raises(ValueError, match="shape"):
        brow_style(code[:4], DARK)
