from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from skimage import data

from crossrig.data.align import Framing, crop, to_tensor
from crossrig.data.detect import detect_faces, dlib_box
from crossrig.metrics import identity
from crossrig.metrics.identity import FaceDescriptor, model_folder, same_person


def framing(picture: NDArray[np.uint8]) -> Framing:
    return max(detect_faces(picture), key=lambda face: face.score).framing


def test_without_the_package_there_is_no_descriptor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert identity.model_folder() is None
    assert FaceDescriptor.installed() is None


def test_the_box_is_the_one_dlib_drew() -> None:
    """A picture cut out by a dlib find has dlib's box where `dlib_box` says."""
    cut = crop(data.astronaut(), framing(data.astronaut()), 256)
    again = framing(cut.image)
    left, top, right, bottom = dlib_box(256)
    assert (left + right) / 2 == pytest.approx(128)
    assert right - left == pytest.approx(bottom - top)
    assert again.x == pytest.approx(128, abs=20)
    assert again.y == pytest.approx(128, abs=20)
    assert again.half == pytest.approx(128, rel=0.15)


@pytest.mark.skipif(model_folder() is None, reason="face_recognition_models is not installed")
def test_a_brighter_picture_shows_the_same_person_and_noise_does_not() -> None:
    image = to_tensor(crop(data.astronaut(), framing(data.astronaut()), 128).image)
    noise = torch.from_numpy(np.random.default_rng(0).uniform(-1, 1, (1, 3, 128, 128))).float()
    descriptor = FaceDescriptor.installed()
    assert descriptor is not None
    described = descriptor.describe(torch.cat([image, (image * 0.8 + 0.1), noise]))
    assert described.shape == (3, 128)
    brighter, other = same_person(described[[0, 0]], described[[1, 2]]).tolist()
    assert brighter > 0.97
    assert other < brighter - 0.05
