"""What a slider should stand at: the inverse of the named controls, as far as there is one.

Setting a control to its reading leaves the face as it is where the control is one number of the face (pose, single units, light). A mixture
of units (smile, surprise) reads the amount of it that is nearest to the units. Controls that are added to the face read what was added.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor

from crossrig.face3d.blocks import EXPRESSION_UNITS, SH_BANDS, UNIFORM_LIGHT
from crossrig.face3d.controls import CONTROLS, EXPRESSIONS, Control, dominant_direction
from crossrig.face3d.params import FaceParams

_GREY = torch.tensor([0.2126, 0.7152, 0.0722])
_RED_AT_WARMEST = 1.35 / 0.60
"""Red over blue of the light at warmth 1."""
_FULL_CONTRAST = 2.0 / math.sqrt(3.0)


def readings(params: FaceParams, values: Mapping[str, float]) -> dict[str, float]:
    """Every control's reading of one face (a batch of 1), within the control's range; ``values`` are those set."""
    read = _pose(params) | _expression(params.expression[0]) | _light(params)
    return {name: values.get(name, 0.0) if control.relative else _within(control, read[name]) for name, control in CONTROLS.items()}


def _within(control: Control, value: float) -> float:
    return min(max(value, control.minimum), control.maximum) if math.isfinite(value) else control.minimum


def _pose(params: FaceParams) -> dict[str, float]:
    pitch, yaw, roll = torch.rad2deg(params.rotation[0]).tolist()
    x, y, z = params.translation[0].tolist()
    return {"pitch": pitch, "yaw": yaw, "roll": roll, "moveX": x, "moveY": y, "moveZ": z}


def _expression(weights: Tensor) -> dict[str, float]:
    unit = dict(zip(EXPRESSION_UNITS, weights.tolist(), strict=True))
    mixtures = {
        name: sum(unit[part] * share for part, share in shares) / sum(share * share for _, share in shares)
        for name, (_, shares) in EXPRESSIONS.items()
    }
    out = (unit["eyeLookOutLeft"] + unit["eyeLookInRight"]) / 2
    inwards = (unit["eyeLookInLeft"] + unit["eyeLookOutRight"]) / 2
    up = (unit["eyeLookUpLeft"] + unit["eyeLookUpRight"]) / 2
    down = (unit["eyeLookDownLeft"] + unit["eyeLookDownRight"]) / 2
    return {**unit, **mixtures, "gazeYaw": 26.0 * (out - inwards), "gazePitch": 18.0 * up - 22.0 * down}


def _light(params: FaceParams) -> dict[str, float]:
    bands = params.illumination.reshape(-1, SH_BANDS, 3)[0].cpu()
    x, y, z = dominant_direction(params)[0].tolist()
    grey = _GREY.to(bands.dtype)
    mean = float(bands[0] @ grey)
    directed = float((bands[1:4] @ grey).norm())
    red, blue = max(float(bands[0, 0]), 1e-3), max(float(bands[0, 2]), 1e-3)
    components = {f"illumination.{index}": value for index, value in enumerate(params.illumination[0].tolist())}
    return components | {
        "light.azimuth": math.degrees(math.atan2(x, z)),
        "light.elevation": math.degrees(math.asin(max(-1.0, min(1.0, y)))),
        "light.strength": mean / UNIFORM_LIGHT,
        "light.ambient": mean / UNIFORM_LIGHT,
        "light.contrast": directed / (_FULL_CONTRAST * max(mean, 1e-6)),
        "light.warmth": math.log(red / blue) / math.log(_RED_AT_WARMEST),
    }
