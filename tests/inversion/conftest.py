"""A perceptual distance that is cheap enough for tests."""

from __future__ import annotations

import pytest

from crossrig.features import PerceptualDistance


@pytest.fixture(scope="session")
def small_perceptual() -> PerceptualDistance:
    return PerceptualDistance(32)
