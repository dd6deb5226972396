from __future__ import annotations

import pytest

from crossrig.face3d.model import FaceModel


@pytest.fixture(scope="session")
def model() -> FaceModel:
    return FaceModel.load()
