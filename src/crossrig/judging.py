"""What an edit did, as a network sees it that took no part in it: each attribute, and whether it is still the same person."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.metrics.angles import ANGLES
from crossrig.rig.units import MEASURED_BLOCK, Units

#: What the distance of each attribute is measured in.
UNITS: Mapping[str, str] = {
    "shape": "mm", "expression": "mm", "albedo": "sRGB 0..255", "illumination": "% irradiance", "pose": "degrees",
}  # fmt: skip
_UNIT_SCALE = {"shape": 1000.0, "expression": 1000.0, "albedo": 255.0, "illumination": 100.0, "pose": 1.0}


@dataclass(frozen=True)
class Change:
    """What was asked of an attribute and what the judge saw happen to it."""

    commanded: float
    """Distance from the parameters read to those commanded, in ``unit``."""
    judged: float
    """Distance between the judge's readings of the picture before and after the edit."""
    followed: float | None
    """Share of the commanded way that the judged change went in the commanded direction; None where nothing was commanded."""
    unit: str


@dataclass(frozen=True)
class Judgement:
    """The judge's reading of an edit."""

    attributes: dict[str, Change]
    angles: dict[str, tuple[float, float]]
    """pitch, yaw, roll -> (commanded change, judged change), degrees."""
    identity: Change
    """How far shape and skin together, which make a person, are from those of before: 100 % is as far as two people are apart."""


@dataclass(frozen=True)
class Edit:
    """One face four times: the parameters read and commanded, and what the judge read in the pictures before and after."""

    start: FaceParams
    goal: FaceParams
    before: FaceParams
    after: FaceParams


def judgement_of(edit: Edit, units: Units, spread: Tensor) -> Judgement:
    """``spread`` (213,): standard deviation of the people the judge was trained on, packed as `FaceParams`."""
    asked = torch.rad2deg(edit.goal.rotation - edit.start.rotation)[0].tolist()
    seen = torch.rad2deg(edit.after.rotation - edit.before.rotation)[0].tolist()
    angles = {name: (asked[i], seen[i]) for i, name in enumerate(ANGLES)}
    commanded, judged = drift(units, spread, edit.start, edit.goal), drift(units, spread, edit.before, edit.after)
    identity = Change(commanded, judged, None, "% of another person")
    return Judgement({name: _change(name, edit, units) for name in ATTRIBUTES}, angles, identity)


def drift(units: Units, spread: Tensor, first: FaceParams, second: FaceParams) -> float:
    """How much another person a face became: root mean square of shape and skin, in per cent of that of two people of the population."""
    population = FaceParams.unpack(spread[None])
    shares = []
    for name in ("shape", "albedo"):
        block = MEASURED_BLOCK[name]
        strangers = 2.0 * float(units.gram(block).diagonal() @ getattr(population, block)[0].square())
        shares.append(float(units.distance(name, first, second)) ** 2 / strangers)
    return 100.0 * math.sqrt(sum(shares) / len(shares))


def _change(name: str, edit: Edit, units: Units) -> Change:
    block, scale = MEASURED_BLOCK[name], _UNIT_SCALE[name]
    commanded = float(units.distance(name, edit.start, edit.goal))
    judged = float(units.distance(name, edit.before, edit.after))
    asked = getattr(edit.goal, block) - getattr(edit.start, block)
    seen = getattr(edit.after, block) - getattr(edit.before, block)
    followed = float(units.inner(block, asked, seen)) / commanded**2 if commanded > 1e-9 else None
    return Change(commanded * scale, judged * scale, followed, UNITS[name])
