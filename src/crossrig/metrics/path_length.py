"""Perceptual path length in W (Karras et al. 2019, *A style-based generator architecture*, section 4.1, equation 3).

    l_W = E[ d( g(lerp(w1, w2; t)), g(lerp(w1, w2; t + eps)) ) / eps^2 ]      w1, w2 ~ f(z), t ~ U(0, 1), eps = 1e-4

How much the picture changes under the smallest step of an interpolation: small where nothing appears and vanishes on the way. The paper's d
is a distance in VGG-16 and its pictures are cropped to the face; with another d, as here, figures can only be compared with one another.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

#: Step of the interpolation.
STEP = 1e-4


def path_lengths(
    first: Tensor,
    second: Tensor,
    t: Tensor,
    paint: Callable[[Tensor], Tensor],
    distance: Callable[[Tensor, Tensor], Tensor],
    step: float = STEP,
) -> Tensor:
    """(B,): d / step^2 for pairs of w (B, W) and places t (B,) in 0..1 between them.

    paint: w (B, W) -> pictures; distance: two batches of pictures -> (B,), quadratic in small differences. Both pictures of a pair are
    painted in one batch, so that they are rounded alike.
    """
    ends = [torch.lerp(first, second, place[:, None]) for place in (t, t + step)]
    before, after = paint(torch.cat(ends)).chunk(2)
    return distance(before, after) / step**2


def trimmed_mean(values: Tensor, low: float = 0.01, high: float = 0.99) -> float:
    """Mean of those (N,) values that lie between two quantiles: the authors' code leaves out the outermost hundredths."""
    edges = torch.quantile(values.double(), torch.tensor([low, high], dtype=torch.float64))
    kept = values.double()[(values >= edges[0]) & (values <= edges[1])]
    return float(kept.mean()) if len(kept) else float(values.double().mean())
