"""The named blocks of face parameters: names, sizes, order and the face units, for those who need no tensors.

`face3d.params.FaceParams` holds the values. The five *attributes* are what a person edits (CDDFM3D, arXiv 2104.11228, section 3):
pose joins two blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

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
