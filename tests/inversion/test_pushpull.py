from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.inversion.pushpull import extend


def reference(values: Tensor, mask: Tensor) -> Tensor:
    levels = [(values, mask)]
    while min(levels[-1][0].shape[-2:]) > 1:
        value, weight = levels[-1]
        levels.append((F.avg_pool2d(value, 2, ceil_mode=True), F.avg_pool2d(weight, 2, ceil_mode=True)))
    value, weight = levels[-1]
    filled = value / weight.clamp(min=1e-6)
    for value, weight in reversed(levels[:-1]):
        coarse = F.interpolate(filled, value.shape[-2:], mode="bilinear", align_corners=False)
        known = (weight * 4).clamp(max=1.0)
        filled = known * value / weight.clamp(min=1e-6) + (1 - known) * coarse
    return filled


@pytest.mark.parametrize(("height", "width"), [(16, 16), (13, 20), (7, 5), (1, 1)])
@pytest.mark.parametrize("channels", [1, 3])
def test_it_gives_what_plain_operations_give(channels: int, height: int, width: int) -> None:
    random = torch.Generator().manual_seed(height)
    mask = (torch.rand(1, 1, height, width, generator=random) < 0.2).float()
    mask[..., 0, 0] = 1.0
    values = torch.randn(1, channels, height, width, generator=random) * mask
    torch.testing.assert_close(extend(values, mask), reference(values, mask), rtol=1e-4, atol=1e-5)


def test_what_is_known_stays_and_one_colour_fills_everything() -> None:
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 5:9, 20:28] = 1.0
    assert torch.allclose(extend(0.7 * mask, mask), torch.full_like(mask, 0.7), atol=1e-5)
    values = torch.randn(1, 2, 32, 32, generator=torch.Generator().manual_seed(1)) * mask
    known = mask.expand_as(values) > 0
    assert torch.allclose(extend(values, mask)[known], values[known], atol=1e-6)
