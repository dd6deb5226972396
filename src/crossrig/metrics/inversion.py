"""How near an inversion comes to its picture."""

from __future__ import annotations

from torch import Tensor


def l2(made: Tensor, wanted: Tensor) -> Tensor:
    """Pictures (B, 3, H, W) in [-1, 1] twice -> (B,): mean squared difference over pixels and channels, 0 to 4; `made` is clipped as on a
    screen. The L2 of the inversion papers (Richardson et al. 2021, pSp, section 4; Roich et al. 2022, table 1)."""
    return (made.clamp(-1, 1) - wanted).square().mean(dim=(1, 2, 3))
