from __future__ import annotations

import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.train.views import close_up, eyes_and_mouth


def test_windows_lie_at_the_same_places_in_every_batch_and_at_places_of_their_own() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(32.0 * 32).reshape(1, 1, 32, 32).expand(6, 3, 32, 32)
    first, second = close_up((ramp, ramp + 1.0), 8)
    assert first.shape == second.shape == (6, 3, 8, 8)
    torch.testing.assert_close(second, first + 1.0)
    corners = {int(window[0, 0, 0]) for window in first}
    assert len(corners) > 1
    for window, corner in zip(first, first[:, 0, 0, 0], strict=True):  # pixels as they were
        row, column = divmod(int(corner), 32)
        torch.testing.assert_close(window, ramp[0, :, row : row + 8, column : column + 8])


def test_pictures_that_are_no_larger_come_back_whole() -> None:
    pictures = (torch.randn(2, 3, 8, 8), torch.randn(2, 3, 8, 8))
    assert close_up(pictures, 8) is pictures
    assert close_up(pictures, 16) is pictures


def test_gradients_reach_the_window_alone() -> None:
    torch.manual_seed(0)
    picture = torch.zeros(1, 1, 16, 16, requires_grad=True)
    close_up((picture,), 4)[0].sum().backward()
    assert picture.grad is not None
    assert float(picture.grad.sum()) == 16.0


def test_a_window_is_laid_on_what_it_shall_show_and_stays_within_the_picture() -> None:
    torch.manual_seed(0)
    row, column = torch.meshgrid(torch.arange(64.0), torch.arange(64.0), indexing="ij")
    ramp = torch.stack([row, column])[None].expand(300, 2, 64, 64)
    at = torch.tensor([[30.0, 40.0], [1.0, 62.0], [torch.nan, torch.nan]]).repeat(100, 1)
    (windows,) = close_up((ramp,), 16, at / 64)
    middle = windows[:, :, 8, 8].reshape(100, 3, 2)
    assert (middle[:, 0] - at[0]).abs().max() == 4.0  # the middle half, and all of it is used
    assert (windows[1::3, 0, 0, 0] <= 1).all()
    assert (windows[1::3, 1, 0, -1] == 63).all()
    spread = middle[:, 2].amax(0) - middle[:, 2].amin(0)
    assert (spread > 40).all()  # anywhere


def test_eyes_and_mouth_lie_where_the_head_has_them() -> None:
    model, straight = FaceModel.load(), FaceParams.neutral(1)
    eye, other, mouth = 100 * eyes_and_mouth(straight.pack(), model)[0]
    assert abs(float(eye[0] - other[0])) < 1.0
    assert float(eye[1]) < 45 < 55 < float(other[1])
    assert float(mouth[0]) > float(eye[0]) + 10
    assert 48 < float(mouth[1]) < 52
    turned = 100 * eyes_and_mouth(straight.replace(rotation=torch.tensor([[0.0, 0.6, 0.0]])).pack(), model)[0]
    assert abs(float(turned[2, 1]) - 50) > 5
