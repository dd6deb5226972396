"""What an edit moved: the change of every attribute in units of its spread over a population."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.rig.units import MEASURED_BLOCK, Units


def moves(units: Units, spread: Mapping[str, float], before: FaceParams, after: FaceParams) -> dict[str, Tensor]:
    """Attribute -> (B,) distance between before and after, divided by the population's spread (`Units.spread`) of that attribute."""
    return {name: units.distance(name, before, after) / spread[MEASURED_BLOCK[name]] for name in ATTRIBUTES}


def moves_most(moved: Mapping[str, Tensor], commanded: str) -> Tensor:
    """(B,) bool: whether the commanded attribute moved more than each of the others."""
    others = torch.stack([moved[name] for name in moved if name != commanded])  # (4,B)
    return moved[commanded] > others.max(0).values
