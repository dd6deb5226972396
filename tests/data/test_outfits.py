from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from crossrig.data.accessories import Earrings, Glasses
from crossrig.data.backdrops import SCENES, Backdrop
from crossrig.data.clothes import GARMENTS, Clothes
from crossrig.data.outfits import dress, muted, put_on, surround

normals = st.floats(-4.5, 4.5)


def codes(count: int) -> st.SearchStrategy[list[float]]:
    return st.lists(normals, min_size=count, max_size=count)


def is_colour(colour: tuple[float, float, float]) -> bool:
    return len(colour) == 3 and all(0.0 <= value <= 1.0 for value in colour)


@settings(max_examples=80, deadline=None)
@given(codes(10), codes(14), normals)
def test_every_code_dresses(kind: list[float], style: list[float], femininity: float) -> None:
    clothes = dress(np.array(kind), np.array(style), femininity)
    assert is_colour(clothes.colour)
    assert is_colour(clothes.under)
    assert is_colour(clothes.accent)
    assert -0.005 <= clothes.depth <= 0.08
    assert 0.0 <= clothes.width <= 0.05
    assert 0.0015 <= clothes.thickness <= 0.008
    for share in (clothes.point, clothes.looseness, clothes.opening, clothes.spread, clothes.leaf, clothes.contrast_rim, clothes.folds):
        assert 0.0 <= share <= 1.0
    assert 0.003 <= clothes.pattern.scale <= 0.06
    assert is_colour(clothes.pattern.colour)


@settings(max_examples=80, deadline=None)
@given(codes(6), codes(18), st.floats(0.0, 1.0))
def test_every_code_has_a_backdrop(kind: list[float], style: list[float], defocus: float) -> None:
    backdrop = surround(np.array(kind), np.array(style), defocus)
    assert is_colour(backdrop.base)
    assert is_colour(backdrop.second)
    assert is_colour(backdrop.accent)
    for share in (backdrop.light, backdrop.contrast, backdrop.defocus, backdrop.vignette, backdrop.texture):
        assert 0.0 <= share <= 1.0
    assert -1.0 <= backdrop.side <= 1.0


@settings(max_examples=80, deadline=None)
@given(codes(8), normals, st.floats(18.0, 80.0))
def test_accessories_are_wearable(z: list[float], femininity: float, age: float) -> None:
    glasses, earrings = put_on(np.array(z), femininity, age)
    if glasses is not None:
        assert 0.040 <= glasses.width <= 0.062
        assert 0.026 <= glasses.height <= 0.052
        assert 0.0005 <= glasses.rim <= 0.003
        assert is_colour(glasses.colour)
        assert is_colour(glasses.tint)
    if earrings is not None:
        assert 0.001 <= earrings.bead <= 0.005
        assert 0.0 <= earrings.hoop <= 0.025
        assert is_colour(earrings.colour)


def population(count: int) -> tuple[list[Clothes], list[Backdrop], list[tuple[Glasses | None, Earrings | None]]]:
    rng = np.random.default_rng(0)
    worn, behind, extras = [], [], []
    for _ in range(count):
        worn.append(dress(rng.standard_normal(10), rng.standard_normal(14), float(rng.standard_normal())))
        behind.append(surround(rng.standard_normal(6), rng.standard_normal(18), 0.5))
        extras.append(put_on(rng.standard_normal(8), 0.0, 40.0))
    return worn, behind, extras


def test_a_population_wears_everything_but_mostly_muted_colours() -> None:
    worn, behind, extras = population(800)
    assert {clothes.garment for clothes in worn} == set(GARMENTS)
    assert {backdrop.scene for backdrop in behind} == set(SCENES)
    assert 0.1 < np.mean([glasses is not None for glasses, _ in extras]) < 0.35
    colours = np.array([clothes.colour for clothes in worn]) ** (1 / 2.2)
    chroma = np.ptp(colours, axis=1)
    assert np.median(chroma) < 0.15
    assert 0.02 < (chroma > 0.3).mean() < 0.25


def test_most_of_the_code_acts_smoothly() -> None:
    rng = np.random.default_rng(1)
    for _ in range(20):
        kind, style = rng.standard_normal(10), rng.standard_normal(14)
        one, two = dress(kind, style, 0.0), dress(kind, style + 1e-4, 0.0)
        if one.garment == two.garment:
            np.testing.assert_allclose(one.colour, two.colour, atol=2e-3)
            assert abs(one.depth - two.depth) < 1e-4


def test_muted_greys_are_grey() -> None:
    assert muted(0.3, 0.0, 0.5) == pytest.approx((0.5**2.2,) * 3)
