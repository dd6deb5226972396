"""Cropping as the renderer's camera frames a head, and pasting back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from crossrig.data.align import Framing, crop, paste_back, refine, to_pixels, to_tensor
from crossrig.face3d.params import FaceParams
from crossrig.render.camera import Camera


@pytest.fixture
def noise() -> np.ndarray:
    return np.random.default_rng(1).integers(0, 256, (90, 120, 3), dtype=np.uint8)


def test_crop_inside_is_the_picture_itself(noise: np.ndarray) -> None:
    cut = crop(noise, Framing(60, 40, 20), 40)
    assert np.array_equal(cut.image, noise[20:60, 40:80])


def test_crop_reflects_beyond_the_border(noise: np.ndarray) -> None:
    cut = crop(noise, Framing(0, 0, 10), 20)
    assert np.array_equal(cut.image[10:, 10:], noise[:10, :10])
    assert np.array_equal(cut.image[10:, :10], noise[:10, 1:11][:, ::-1])
    assert np.array_equal(cut.image[:10, 10:], noise[1:11, :10][::-1])


def test_crop_far_larger_than_the_picture(noise: np.ndarray) -> None:
    cut = crop(noise, Framing(60, 45, 400), 100)
    assert cut.image.shape == (100, 100, 3)
    assert abs(float(cut.image.mean()) - float(noise.mean())) < 5


def test_scaling_down_averages(noise: np.ndarray) -> None:
    cut = crop(noise, Framing(40, 40, 40), 20)
    expected = noise[:80, :80].reshape(20, 4, 20, 4, 3).mean((1, 3))
    assert np.abs(cut.image - expected).max() <= 1


@given(
    x=st.floats(-50, 200), y=st.floats(-50, 200), half=st.floats(2, 100), u=st.floats(-2, 2), v=st.floats(-2, 2)
)  # fmt: skip
def test_transform_and_back(x: float, y: float, half: float, u: float, v: float) -> None:
    cut = crop(np.zeros((40, 40, 3), np.uint8), Framing(x, y, half), 16)
    point = np.array([u, v])
    assert np.allclose(cut.from_picture(cut.to_picture(point)), point, atol=1e-9)
    assert cut.framing.x == pytest.approx(x, abs=1.01)
    assert cut.framing.half == pytest.approx(half, abs=0.51)


def test_up_in_the_camera_is_up_in_the_picture() -> None:
    cut = crop(np.zeros((100, 100, 3), np.uint8), Framing(50, 50, 20), 16)
    assert cut.to_picture(np.array([1.0, 1.0])).tolist() == [70.0, 30.0]


def test_pasting_the_crop_itself_back_changes_nothing(noise: np.ndarray) -> None:
    for framing in (Framing(60, 40, 20), Framing(5, 80, 30)):
        cut = crop(noise, framing, round(2 * framing.half))
        assert np.array_equal(paste_back(noise, cut, cut.image, 0.16), noise)


def test_paste_back_replaces_the_middle_and_keeps_the_border(noise: np.ndarray) -> None:
    cut = crop(noise, Framing(60, 45, 30), 32)
    white = np.full((32, 32, 3), 255, np.uint8)
    result = paste_back(noise, cut, white, 0.16)
    assert (result[35:55, 50:70] == 255).all()
    outside = np.ones(noise.shape[:2], bool)
    outside[15:75, 30:90] = False
    assert np.array_equal(result[outside], noise[outside])
    assert np.abs(result[15, 30:90].astype(int) - noise[15, 30:90]).max() <= 2
    assert not (noise == 255).all()  # the picture given was not written to


def test_paste_back_outside_the_picture_is_harmless(noise: np.ndarray) -> None:
    cut = crop(noise, Framing(-500, -500, 20), 16)
    assert np.array_equal(paste_back(noise, cut, cut.image, 0.16), noise)


def test_tensor_and_back(noise: np.ndarray) -> None:
    image = to_tensor(noise)
    assert image.shape == (1, 3, 90, 120)
    assert float(image.min()) >= -1.0
    assert float(image.max()) <= 1.0
    assert np.array_equal(to_pixels(image), noise)


class _Oracle:
    """A reconstruction that knows where the head is: at a bright dot whose blob size tells its distance."""

    def __init__(self, picture: np.ndarray, truth: Framing) -> None:
        self.picture, self.truth, self.seen = picture, truth, 0
        self.framing: Framing | None = None

    def __call__(self, image: Tensor) -> FaceParams:
        self.seen += 1
        # find the dot in the crop: its place in camera coordinates follows
        bright = image[0].mean(0)
        rows, columns = torch.nonzero(bright > 0.5, as_tuple=True)
        size = image.shape[-1]
        x = (2 * columns.float().mean() + 1) / size - 1
        y = 1 - (2 * rows.float().mean() + 1) / size
        extent = 2 * (columns.max() - columns.min() + 1) / size  # of the dot, whose true extent is 0.5 half sides
        camera = Camera()
        depth = camera.distance * 0.5 / float(extent)
        translation = torch.tensor([[float(x) * depth / camera.focal, float(y) * depth / camera.focal, camera.distance - depth]])
        return FaceParams.neutral().replace(translation=translation)


def test_refine_finds_the_head() -> None:
    picture = np.zeros((400, 400, 3), np.uint8)
    truth = Framing(220, 180, 80)
    picture[160:200, 200:240] = 255  # 0.5 half sides wide
    oracle = _Oracle(picture, truth)
    found = refine(picture, Framing(250, 200, 95), oracle, 256, rounds=2)
    assert oracle.seen == 2
    assert found.x == pytest.approx(truth.x, abs=2)
    assert found.y == pytest.approx(truth.y, abs=2)
    assert found.half == pytest.approx(truth.half, rel=0.04)


def test_refine_is_bounded_when_the_reading_is_wild() -> None:
    def wild(image: Tensor) -> FaceParams:
        return FaceParams.neutral().replace(translation=torch.tensor([[3.0, -3.0, 1.55]]))

    found = refine(np.zeros((100, 100, 3), np.uint8), Framing(50, 50, 20), wild, 32, rounds=1)
    assert found.x == pytest.approx(60)
    assert found.y == pytest.approx(60)
    assert found.half == pytest.approx(27)
