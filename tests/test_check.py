"""Shape and range notes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossrig.check import ShapeError, check, check_range


def test_binds_letters_in_order() -> None:
    assert check(torch.zeros(2, 3, 4, 5), "B 3 H W", name="image") == {"B": 2, "H": 4, "W": 5}
    assert list(check(np.zeros((7, 8)), "N M").values()) == [7, 8]


def test_ellipsis_is_any_number_of_axes() -> None:
    assert check(torch.zeros(2, 3), "B ... 3") == {"B": 2}
    assert check(torch.zeros(2, 5, 6, 3), "B ... 3") == {"B": 2}
    assert check(torch.zeros(4), "...") == {}


def test_underscore_is_not_bound() -> None:
    assert check(torch.zeros(2, 9), "_ N") == {"N": 9}


@pytest.mark.parametrize(
    ("shape", "pattern", "says"),
    [
        ((2, 4, 8, 8), "B 3 H W", "axis 1 is not 3"),
        ((2, 3, 8), "B 3 H W", "4 axes"),
        ((2, 3, 8, 9), "B 3 N N", "N = 8"),
        ((3,), "B ... 3", "at least 2 axes"),
    ],
)
def test_wrong_shapes_are_named(shape: tuple[int, ...], pattern: str, says: str) -> None:
    with pytest.raises(ShapeError, match=r"^picture must have shape") as caught:
        check(torch.zeros(shape), pattern, name="picture")
    assert says in str(caught.value)
    assert str(shape) in str(caught.value)


def test_sizes_known_before_must_match() -> None:
    sizes = check(torch.zeros(2, 3), "B 3")
    assert check(torch.zeros(2, 7), "B N", sizes=sizes) == {"B": 2, "N": 7}
    with pytest.raises(ShapeError, match="B = 2"):
        check(torch.zeros(4, 7), "B N", name="other", sizes=sizes)


def test_range() -> None:
    check_range(torch.tensor([-1.0, 1.0]), -1, 1)
    check_range(np.zeros(0), -1, 1)
    with pytest.raises(ValueError, match=r"yaw must lie within -60\.\.60 degrees, but it spans 0\.\.61 degrees"):
        check_range(torch.tensor([0.0, 61.0]), -60, 60, name="yaw", unit="degrees")
    with pytest.raises(ValueError, match="nan"):
        check_range(torch.tensor([0.0, float("nan")]), -1, 1)
