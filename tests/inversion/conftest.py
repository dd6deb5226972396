"""A perceptual distance that is cheap enough for tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from crossrig.features import PerceptualDistance
from crossrig.side import alone


@pytest.fixture(scope="session")
def small_perceptual() -> PerceptualDistance:
    return PerceptualDistance(32)


@pytest.fixture
def exact() -> Iterator[None]:
    """Numbers that come again to the last bit: on some processors several threads add up in another order every time."""
    with alone():
        yield
