"""The named blocks of face parameters: names, sizes, order and the face units, for those who need no tensors.

`face3d.params.FaceParams` holds the values. The five *attributes* are what a person edits (CDDFM3D, arXiv 2104.11228, section 3):
pose joins two blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from crossrig.errors import UserError

#: Block name -> number of values, in packing order.
BLOCKS: Mapping[str, int] = MappingProxyType(
    {"shape": 80, "expression": 52, "albedo": 48, "illumination": 27, "rotation": 3, "translation": 3}
)

#: Length of a packed vector.
PACKED_SIZE: int = sum(BLOCKS.values())

#: Attribute name -> the blocks it consists of, in order.
ATTRIBUTES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "shape": ("shape",),
        "expression": ("expression",),
        "albedo": ("albedo",),
        "illumination": ("illumination",),
        "pose": ("rotation", "translation"),
    }
)

#: What the numbers of the expression block are. units: weights of EXPRESSION_UNITS, 0 to 1. components: standard deviations of principal
#: components, of either sign, as in most face models of others.
ExpressionKind = Literal["units", "components"]

#: The ARKit face units, alphabetical: index i of the expression block is the weight of unit i, in [0, 1].
EXPRESSION_UNITS: tuple[str, ...] = (
    "browDownLeft",
    "browDownRight",
    "browInnerUp",
    "browOuterUpLeft",
    "browOuterUpRight",
    "cheekPuff",
    "cheekSquintLeft",
    "cheekSquintRight",
    "eyeBlinkLeft",
    "eyeBlinkRight",
    "eyeLookDownLeft",
    "eyeLookDownRight",
    "eyeLookInLeft",
    "eyeLookInRight",
    "eyeLookOutLeft",
    "eyeLookOutRight",
    "eyeLookUpLeft",
    "eyeLookUpRight",
    "eyeSquintLeft",
    "eyeSquintRight",
    "eyeWideLeft",
    "eyeWideRight",
    "jawForward",
    "jawLeft",
    "jawOpen",
    "jawRight",
    "mouthClose",
    "mouthDimpleLeft",
    "mouthDimpleRight",
    "mouthFrownLeft",
    "mouthFrownRight",
    "mouthFunnel",
    "mouthLeft",
    "mouthLowerDownLeft",
    "mouthLowerDownRight",
    "mouthPressLeft",
    "mouthPressRight",
    "mouthPucker",
    "mouthRight",
    "mouthRollLower",
    "mouthRollUpper",
    "mouthShrugLower",
    "mouthShrugUpper",
    "mouthSmileLeft",
    "mouthSmileRight",
    "mouthStretchLeft",
    "mouthStretchRight",
    "mouthUpperUpLeft",
    "mouthUpperUpRight",
    "noseSneerLeft",
    "noseSneerRight",
    "tongueOut",
)


@dataclass(frozen=True)
class FaceSpace:
    """Whose parameters a network reads: the name of the face model, and what its expression block holds. Networks keep it in their headers;
    those without one read the model that is shipped."""

    name: str = "crossrig"
    expression: ExpressionKind = "units"

    def check(self, model: FaceSpace, what: str) -> None:
        """Raises UserError when `what`, which reads these parameters, is to be used with another face model."""
        if self != model:
            raise UserError(
                f"The {what} was made for the face model {self.name}, and {model.name} is in use: train one for it, or put the "
                "head.safetensors that belongs to it into the folder CROSSRIG_ASSETS."
            )


#: Number of spherical-harmonics bands of the illumination block (index = band * 3 + channel).
SH_BANDS: int = 9

#: Value of the constant band that gives a uniform light of strength 1: the inverse of Y00 = 1 / (2 sqrt(pi)).
UNIFORM_LIGHT: float = 3.5449077018110318


def attribute_size(name: str) -> int:
    """Number of values of an attribute (a key of ATTRIBUTES)."""
    return sum(BLOCKS[block] for block in blocks_of(name))


def blocks_of(name: str) -> tuple[str, ...]:
    """The blocks of an attribute (a key of ATTRIBUTES), in order. Raises UserError for any other name."""
    if name not in ATTRIBUTES:
        raise UserError(f"There is no attribute '{name}'; the attributes are {', '.join(ATTRIBUTES)}.")
    return ATTRIBUTES[name]
