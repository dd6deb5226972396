"""Frechet distance of two sets of pictures in EfficientNet-Lite0 features.

The form of FID (Heusel et al. 2017, equation 6) on another network and at another size: never to be called FID, and only comparable with
figures of the same run. It is biased upwards for few pictures, so a figure is read against the same number of unedited pictures.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.features import FeatureTaps


def pooled_features(features: FeatureTaps, images: Tensor) -> Tensor:
    """Images (B,3,H,W) in [-1,1] -> (B, C): the last tap, averaged over positions."""
    return features(images)[-1].mean(dim=(2, 3))  # type: ignore[no-any-return]


def frechet_distance(first: Tensor, second: Tensor) -> float:
    """Features (N, C) and (M, C), N and M at least 2 -> |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)), at least 0."""
    if len(first) < 2 or len(second) < 2 or first.shape[1] != second.shape[1]:
        got = f"{tuple(first.shape)} and {tuple(second.shape)}"
        raise UserError(f"A Frechet distance needs two sets of two or more feature vectors of one length, not {got}.")
    means = [features.double().mean(0) for features in (first, second)]
    covariances = [torch.cov(features.double().T).reshape(first.shape[1], first.shape[1]) for features in (first, second)]
    # (C1 C2)^(1/2) has the trace of (C1^(1/2) C2 C1^(1/2))^(1/2), and that is symmetric.
    root = _root(covariances[0])
    cross = torch.linalg.eigvalsh(root @ covariances[1] @ root).clamp(min=0).sqrt().sum()
    gap = (means[0] - means[1]).square().sum()
    return max(float(gap + covariances[0].trace() + covariances[1].trace() - 2 * cross), 0.0)


def _root(covariance: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(covariance)
    root: Tensor = (vectors * values.clamp(min=0).sqrt()) @ vectors.T
    return root
