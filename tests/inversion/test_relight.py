"""What light and skin change, quickly: the same as `compose` adds, slowly."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F

from crossrig.inversion.detail import ROUGH, _with_edges_of
from crossrig.inversion.relight import relit

SIZE = 96


def pictures(seed: int = 3) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """A picture with edges, a change of colour, and how much of it is wanted."""
    random = torch.Generator().manual_seed(seed)
    patches = F.interpolate(torch.rand(1, 3, 7, 7, generator=random) * 2 - 1, (SIZE, SIZE), mode="nearest")
    picture = (patches + 0.1 * torch.randn(1, 3, SIZE, SIZE, generator=random)).clamp(-1, 1)
    change = F.interpolate(torch.randn(1, 3, 5, 5, generator=random) * 0.3, (SIZE, SIZE), mode="bilinear") + 0.2 * patches
    return picture, change, torch.rand(1, 1, SIZE, SIZE, generator=random)


@pytest.mark.parametrize("side", [ROUGH, SIZE, 17])
def test_it_adds_what_the_readable_filter_makes_of_the_change(side: int) -> None:
    picture, change, share = pictures()
    expected = picture + _with_edges_of(picture, change, side) * share
    assert float((expected - picture).abs().mean()) > 0.05
    torch.testing.assert_close(relit(picture, change, share, side), expected, atol=1e-4, rtol=0)


def test_a_change_may_have_fewer_pixels_than_the_picture() -> None:
    picture, change, share = pictures()
    half = F.interpolate(change, (SIZE // 2, SIZE // 2), mode="area")
    enlarged = F.interpolate(half, (SIZE, SIZE), mode="bilinear")
    expected = picture + _with_edges_of(picture, enlarged, 16) * share
    apart = (relit(picture, half, share, 16) - expected).abs()
    assert float(apart.mean()) < 0.05 * float((expected - picture).abs().mean())


def test_no_change_and_no_share_change_nothing() -> None:
    picture, change, share = pictures()
    torch.testing.assert_close(relit(picture, torch.zeros_like(change), share, ROUGH), picture, atol=1e-6, rtol=0)
    assert torch.equal(relit(picture, change, torch.zeros_like(share), ROUGH), picture)
