"""What varies between faces, as a short list of uncorrelated numbers with names: the factors of a DCI evaluation.

Single coefficients will not do: 80 of shape and 52 of expression, most of which move next to nothing, would drown the rest, and those of
left and right rise together. Of shape, expression and albedo the factors are the strongest principal components of a population of
faces, measured in what the face does (`rig.units`: vertices moved, colours changed).
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.face3d.params import SH_BANDS, FaceParams
from crossrig.metrics.angles import ANGLES
from crossrig.rig.units import Units

#: Components of shape, expression and albedo that count.
COMPONENTS = 5
_COMPONENT_BLOCKS: tuple[str, ...] = ("shape", "expression", "albedo")
#: Band of the spherical harmonics -> where light of it comes from.
_DIRECTIONS = {"above": 1, "front": 2, "right of the picture": 3}
_RED, _BLUE = 0, 2


@dataclass(frozen=True)
class Factors:
    """Values (N, K) and the names of the K factors."""

    values: Tensor
    names: tuple[str, ...]

    @classmethod
    def of(cls, units: Units, population: FaceParams) -> Factors:
        """pitch, yaw, roll (degrees); strength, warmth and direction of the light (relative to its strength); principal components."""
        columns = dict(zip(ANGLES, torch.rad2deg(population.rotation).unbind(1), strict=True)) | _light(population)
        for block in _COMPONENT_BLOCKS:
            for index, column in enumerate(_components(units, block, getattr(population, block)).unbind(1)):
                columns[f"{block} {index + 1}"] = column
        return cls(torch.stack(list(columns.values()), 1), tuple(columns))


def _light(population: FaceParams) -> dict[str, Tensor]:
    bands = population.illumination.reshape(-1, SH_BANDS, 3)  # (N, 9, RGB)
    grey = bands.mean(2)
    strength = grey[:, 0]
    # A brighter light has larger coefficients in every band: directions and warmth are shares, so that they are their own factors.
    whole = strength.clamp(min=1e-3)
    found = {"light strength": strength, "light warmth": (bands[:, 0, _RED] - bands[:, 0, _BLUE]) / whole}
    return found | {f"light from {name}": grey[:, band] / whole for name, band in _DIRECTIONS.items()}


def _components(units: Units, block: str, values: Tensor) -> Tensor:
    """(N, n) -> (N, COMPONENTS): coordinates along the directions in which the population moves the face most."""
    moved = (values - values.mean(0)).double() @ units.root(block).double()
    _, _, directions = torch.linalg.svd(moved, full_matrices=False)
    strongest: Tensor = moved @ directions.T.narrow(1, 0, min(COMPONENTS, len(directions)))
    return strongest.float()
