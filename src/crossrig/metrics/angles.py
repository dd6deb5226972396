"""Errors of head angles, in degrees, and how well commanded angles are followed."""

from __future__ import annotations

import torch
from torch import Tensor

from crossrig.face3d.params import FaceParams

#: Order of the rotation block.
ANGLES: tuple[str, ...] = ("pitch", "yaw", "roll")


def median_angle_errors(predicted: FaceParams, truth: FaceParams) -> dict[str, float]:
    """Angle name -> median absolute error in degrees over the batch."""
    error = torch.rad2deg((predicted.rotation - truth.rotation).abs())  # (B,3)
    return dict(zip(ANGLES, error.median(0).values.tolist(), strict=True))


def correlation(first: Tensor, second: Tensor) -> float:
    """Pearson correlation of two (B,) samples; 0 where one of them does not vary."""
    first, second = first.double() - first.double().mean(), second.double() - second.double().mean()
    scale = float(first.norm() * second.norm())
    return float(first @ second) / scale if scale > 0 else 0.0


def slope(commanded: Tensor, judged: Tensor) -> float:
    """Degrees judged per degree commanded: the least-squares slope through the means of two (B,) samples."""
    centred = commanded.double() - commanded.double().mean()
    power = float(centred @ centred)
    return float(centred @ judged.double()) / power if power > 0 else 0.0
