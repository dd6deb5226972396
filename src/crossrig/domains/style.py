"""How near the pictures of a child have come to those of its domain while it trains.

Mean and spread of every EfficientNet-Lite0 feature are compared (a Frechet distance, Heusel et al. 2017, with diagonal covariances: full
ones cannot be told from a few dozen pictures), as a share of how far the parent's pictures of the same codes lie from the domain.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossrig.features import FeatureTaps
from crossrig.metrics.frechet import pooled_features

_SIZE = 128  # px at which pictures are looked at
_LAST_TAP = (15,)
_BATCH = 32


class StyleDistance:
    """1 for the parent's pictures, towards 0 for those of the domain."""

    def __init__(self, domain: Tensor, parent: Tensor) -> None:
        """`domain` (N,3,R,R) and `parent` (M,3,R,R) in [-1,1], one or more pictures each."""
        self._taps = FeatureTaps(_SIZE, _LAST_TAP)
        self._wanted = self._moments(domain)
        self._start = self._apart(parent)

    def __call__(self, child: Tensor) -> float:
        """Of pictures (M,3,R,R) in [-1,1]."""
        return self._apart(child) / max(self._start, 1e-12)

    @torch.no_grad()
    def _moments(self, images: Tensor) -> Tensor:
        features = torch.cat([pooled_features(self._taps, part) for part in torch.split(images, _BATCH)])
        return torch.stack([features.mean(0), features.std(0, correction=0)])  # (2,C)

    def _apart(self, images: Tensor) -> float:
        return float((self._moments(images) - self._wanted).square().sum())
