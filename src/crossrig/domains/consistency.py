"""Whether a child still shows the people of its parent for the same codes: measured by a network's readings, and asked for in training.

The reading of a picture of another domain is off by as much as the domain is strange to the network (drawn eyes are larger, say), so
readings are compared by how they vary from code to code, not by their values.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch.nn.functional as F
from torch import Tensor

from crossrig.face3d.params import FaceParams
from crossrig.inversion.optimise import centre_weight

_YAW = 1  # of pitch, yaw, roll
_GREY = (0.299, 0.587, 0.114)  # of R, G, B (ITU-R BT.601)


@dataclass(frozen=True)
class Consistency:
    """Correlations over codes, 1 for a child that is its parent; 0 when there is nothing in common."""

    yaw: float
    expression: float
    """Over all expression weights together, each about its own mean."""

    @classmethod
    def between(cls, parent: FaceParams, child: FaceParams) -> Consistency:
        """From the readings of the pictures of the same codes, at least two."""
        return cls(
            correlation(parent.rotation[:, _YAW : _YAW + 1], child.rotation[:, _YAW : _YAW + 1]),
            correlation(parent.expression, child.expression),
        )

    def shortfall(self, least: Consistency) -> str:
        """What lies below `least`, in words; empty when nothing does."""
        short = []
        for name in ("yaw", "expression"):
            mine, wanted = getattr(self, name), getattr(least, name)
            if not mine >= wanted:  # nan is a shortfall, too
                short.append(f"{name} correlates by {mine:.2f} with the parent's, less than {wanted:g}")
        return " and ".join(short)


def correlation(first: Tensor, second: Tensor) -> float:
    """Pearson correlation of (N, K) and (N, K): every column about its own mean, all columns in one sum."""
    a, b = first.double() - first.double().mean(0), second.double() - second.double().mean(0)
    size = a.norm() * b.norm()
    return float((a * b).sum() / size) if float(size) > 0.0 else 0.0


def structure_distance(child: Tensor, parent: Tensor, size: int = 16) -> Tensor:
    """How differently dark and light are spread over heads, pictures (B, 3, R, R) of the same codes: a scalar, 0 to 4, 2 for strangers.

    Grey at `size` px, standardised within the circle of the head: neither the colours of a domain nor its contrast nor what lies behind the
    head counts, only where the hair ends, where eyes and mouth are, which side is in the shade. Ours; cross-domain correspondence
    (Ojha et al. 2021) asks that people differ as much from each other as before, this that each stays the same.
    """
    if child.shape != parent.shape or child.shape[-1] % size:
        raise ValueError(f"both must be (B, 3, R, R) with R a multiple of {size}: got {tuple(child.shape)} and {tuple(parent.shape)}")
    weight = centre_weight(size, border=0.0).to(child)  # (1, 1, size, size)
    weight = weight / weight.sum()
    spread = [_standardised(images, weight) for images in (child, parent)]
    return ((spread[0] - spread[1]).square() * weight).sum(dim=(1, 2, 3)).mean()


def _standardised(images: Tensor, weight: Tensor) -> Tensor:
    """(B, 3, R, R) -> (B, 1, size, size), weighted mean 0 and variance 1."""
    grey = sum(share * images[:, channel : channel + 1] for channel, share in enumerate(_GREY))
    assert isinstance(grey, Tensor)
    small = F.adaptive_avg_pool2d(grey, weight.shape[-1])
    centred = small - (small * weight).sum(dim=(2, 3), keepdim=True)
    variance = (centred.square() * weight).sum(dim=(2, 3), keepdim=True)
    return centred / (variance + 1e-3).sqrt()
