"""Precision and recall of generated pictures, after Kynkaanniemi et al. 2019 (arXiv 1904.06991, section 2, equations 1 and 2).

The manifold of a set of feature vectors is the union of balls, one around each vector, that reach to its k-th nearest neighbour in the set.
Precision is the share of generated pictures inside the manifold of the real ones (do they look real?), recall the share of real pictures
inside the manifold of the generated ones (is everything there?). The paper looks with VGG-16; with other features, or another number of
pictures, figures are others, so read them against two sets of real pictures measured in the same way.
"""

from __future__ import annotations

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.metrics.neighbours import distances

_BLOCK = 1024  # rows of the distance table held at once


def radii(features: Tensor, k: int = 3) -> Tensor:
    """(N, C) -> (N,): distance of each vector to its k-th nearest neighbour in the set, itself not counted."""
    found = []
    for start in range(0, len(features), _BLOCK):
        # The smallest of a row is the vector itself at distance 0, so the k-th neighbour is number k + 1.
        found.append(distances(features[start : start + _BLOCK], features).kthvalue(k + 1, dim=1).values)
    return torch.cat(found)


def share_inside(points: Tensor, manifold: Tensor, reach: Tensor) -> float:
    """Share of `points` (N, C) that lie in at least one ball of `manifold` (M, C) with radii `reach` (M,)."""
    inside = 0
    for start in range(0, len(points), _BLOCK):
        inside += int((distances(points[start : start + _BLOCK], manifold) <= reach).any(1).sum())
    return inside / len(points)


def precision_recall(real: Tensor, generated: Tensor, k: int = 3) -> tuple[float, float]:
    """Features of real (N, C) and of generated pictures (M, C), each more than k -> (precision, recall), 0 to 1."""
    if min(len(real), len(generated)) <= k or real.shape[1] != generated.shape[1]:
        got = f"{tuple(real.shape)} and {tuple(generated.shape)}"
        raise UserError(f"Precision and recall with {k} neighbours need two sets of more than {k} vectors of one length, not {got}.")
    return share_inside(generated, real, radii(real, k)), share_inside(real, generated, radii(generated, k))
