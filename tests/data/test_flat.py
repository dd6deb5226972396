"""Flat drawings: curves as polygons, even-odd fills, transparent paint."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from crossrig.data.flat import Canvas, flatten

SQUARE = np.array([[-0.5, -0.5], [0.5, -0.5], [0.5, 0.5], [-0.5, 0.5]])
WHITE, BLACK, RED = (1.0, 1.0, 1.0), (0.0, 0.0, 0.0), (1.0, 0.0, 0.0)


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=1, max_size=5))
def test_curves_begin_where_they_are_said_to_and_stay_within_their_points(ends: list[tuple[float, float]]) -> None:
    outline = np.array([(0.0, 0.0), *(point for end in ends for point in (end, end, end))])
    polygon = flatten(outline)
    assert polygon.shape == (16 * len(ends), 2)
    np.testing.assert_allclose(polygon[::16], np.array([(0.0, 0.0), *ends[:-1]]), atol=1e-12)
    assert (polygon.min(axis=0) >= outline.min(axis=0) - 1e-9).all()
    assert (polygon.max(axis=0) <= outline.max(axis=0) + 1e-9).all()


def test_a_quarter_of_a_circle_is_round() -> None:
    kappa = 0.5522847498
    quarter = flatten(np.array([[1, 0], [1, kappa], [kappa, 1], [0, 1]], float))
    np.testing.assert_allclose(np.hypot(*quarter.T), 1.0, atol=1e-3)


def test_x_is_right_and_y_is_up() -> None:
    canvas = Canvas(32, 2, WHITE)
    canvas.fill([np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])], RED)
    picture = canvas.picture()
    assert picture.shape == (32, 32, 3)
    assert picture.dtype == np.uint8
    assert picture[8, 24].tolist() == [255, 0, 0]
    for row, column in ((8, 8), (24, 8), (24, 24)):
        assert picture[row, column].tolist() == [255, 255, 255]


def test_an_area_is_as_large_as_its_polygon() -> None:
    assert Canvas(256, 1, WHITE).mask([SQUARE]).mean() == pytest.approx(0.25, abs=0.01)


def test_a_polygon_within_another_is_a_hole() -> None:
    canvas = Canvas(64, 2, WHITE)
    canvas.fill([SQUARE, 0.4 * SQUARE], BLACK)
    picture = canvas.picture()
    assert picture[32, 32].tolist() == [255, 255, 255]
    assert picture[20, 32].tolist() == [0, 0, 0]


@pytest.mark.parametrize("cut", [False, True])
def test_transparent_paint_mixes_only_where_it_lies(cut: bool) -> None:
    canvas = Canvas(64, 1, WHITE)
    left = canvas.mask([np.array([[-1.0, -1.0], [0.0, -1.0], [0.0, 1.0], [-1.0, 1.0]])])
    canvas.fill([SQUARE], BLACK, 0.2, left if cut else None)
    assert canvas.pixels[32, 24].tolist() == [204, 204, 204]
    assert canvas.pixels[32, 40].tolist() == ([255, 255, 255] if cut else [204, 204, 204])
    assert canvas.pixels[4, 4].tolist() == [255, 255, 255]


def test_nothing_happens_where_nothing_lies() -> None:
    canvas = Canvas(16, 2, RED)
    canvas.fill([SQUARE + 5.0], BLACK, 0.5)
    assert (canvas.picture() == [255, 0, 0]).all()


def test_ink_follows_the_edge() -> None:
    canvas = Canvas(128, 2, WHITE)
    canvas.ink([SQUARE], BLACK, 0.03)
    dark = canvas.pixels[..., 0] == 0
    assert dark[128, 64]  # the left edge
    assert not dark[128, 128]
    assert 2 <= dark[128, 40:90].sum() <= 8
