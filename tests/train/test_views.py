from __future__ import annotations

import torch

from crossrig.train.views import close_up


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
