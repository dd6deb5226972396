"""The fixed camera."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from crossrig.render.camera import Camera, pixel_centres


def test_centre_and_edges_of_the_frame() -> None:
    corners = torch.tensor([[0.0, 0.0, 0.0], [0.125, 0.0, 0.0], [0.0, 0.125, 0.0], [-0.125, -0.125, 0.0]])
    expected = torch.tensor([[0.0, 0.0, 1.6], [1.0, 0.0, 1.6], [0.0, 1.0, 1.6], [-1.0, -1.0, 1.6]])
    torch.testing.assert_close(Camera().project(corners), expected)


def test_twice_as_near_is_twice_as_large() -> None:
    far, near = Camera().project(torch.tensor([[0.05, 0.02, 0.0], [0.05, 0.02, 0.8]]))
    torch.testing.assert_close(near[:2], 2 * far[:2])
    assert near[2] == pytest.approx(0.8)


def test_behind_the_camera_stays_finite_and_keeps_its_depth() -> None:
    projected = Camera().project(torch.tensor([[0.1, 0.1, 1.6], [0.1, 0.1, 5.0]]))
    assert torch.isfinite(projected).all()
    torch.testing.assert_close(projected[:, 2], torch.tensor([0.0, -3.4]))


def test_array_twin_agrees() -> None:
    points = np.random.default_rng(0).uniform(-1, 2, (50, 3)).astype(np.float32)
    expected = Camera().project(torch.from_numpy(points)).numpy()
    np.testing.assert_allclose(Camera().project_array(points), expected, rtol=1e-6)


def test_gradcheck() -> None:
    points = torch.randn(2, 5, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0)) * 0.2
    assert torch.autograd.gradcheck(Camera().project, (points.requires_grad_(),))


def test_pixel_centres() -> None:
    x, y = pixel_centres(4)
    np.testing.assert_allclose(x, [-0.75, -0.25, 0.25, 0.75])
    np.testing.assert_allclose(y, [0.75, 0.25, -0.25, -0.75])


@pytest.mark.parametrize("arguments", [(0.0, 0.125), (1.6, -1.0)])
def test_impossible_cameras_are_refused(arguments: tuple[float, float]) -> None:
    with pytest.raises(ValueError, match="positive distance"):
        Camera(*arguments)
