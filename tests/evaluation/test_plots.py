from __future__ import annotations

import numpy as np
import pytest

from crossrig.evaluation.plots import beside, heat_map, scatter


def test_larger_numbers_are_darker() -> None:
    picture = heat_map(np.array([[0.0, 0.5], [1.0, 7.0]]), ["a", "b"], ["c", "d"], "title").astype(int)
    height, width, _ = picture.shape
    assert height > 300
    assert width > 300
    # just inside the corners of the four squares, away from the numbers
    shades = [picture[28 + 150 * row + 10, 96 + 150 * column + 10].sum() for row in (0, 1) for column in (0, 1)]
    assert shades[0] == 255 * 3
    assert shades[0] > shades[1] > shades[2] == shades[3]
    with pytest.raises(ValueError, match="names"):
        heat_map(np.zeros((2, 2)), ["a"], ["c", "d"], "")


def test_points_lie_where_they_belong() -> None:
    x = np.linspace(-1, 1, 101)
    blue = np.array([33, 102, 172])

    def rows_of(picture: np.ndarray, column: int) -> list[int]:
        return [row for row in range(picture.shape[0]) if (picture[row, column] == blue).all()]

    rising, flat = scatter(x, x, "", "", ""), scatter(x, 0 * x, "", "", "")
    left, right = 96 + 30, 96 + 270
    assert rows_of(rising, left)[0] > rows_of(rising, right)[0] + 200
    assert abs(rows_of(flat, left)[0] - rows_of(flat, right)[0]) <= 1
    with pytest.raises(ValueError, match="as many"):
        scatter(x, x[:5], "", "", "")


def test_pictures_beside_one_another() -> None:
    one = np.zeros((4, 6, 3), np.uint8)
    assert beside([one] * 4, columns=3).shape == (8, 18, 3)
    assert beside([one] * 4, columns=3)[4:, 6:].min() == 255
    with pytest.raises(ValueError, match="no picture"):
        beside([])
