"""Face parameters: six named blocks, and the one place that knows their offsets in a packed vector.

Everything that travels as one vector (dataset labels, network outputs) is packed and unpacked here; all other code
uses block and attribute names. The five *attributes* are what a person edits (CDDFM3D, arXiv 2104.11228, section 3):
pose joins two blocks.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from types import MappingProxyType

import torch
from torch import Tensor

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
    return sum(BLOCKS[block] for block in _blocks_of(name))


def _blocks_of(name: str) -> tuple[str, ...]:
    if name not in ATTRIBUTES:
        raise UserError(f"There is no attribute '{name}'; the attributes are {', '.join(ATTRIBUTES)}.")
    return ATTRIBUTES[name]


@dataclass(frozen=True)
class FaceParams:
    """Parameters of a batch of B faces.

    shape         (B, 80)  standard deviations of the shape basis
    expression    (B, 52)  weight of each unit of EXPRESSION_UNITS, 0..1
    albedo        (B, 48)  standard deviations of the albedo basis
    illumination  (B, 27)  spherical harmonics, index = band * 3 + channel; radiance = albedo * sum_k L[k] Y_k(normal)
    rotation      (B, 3)   pitch, yaw, roll in radians; +yaw turns the face to its own left
    translation   (B, 3)   x, y, z in metres
    """

    shape: Tensor
    expression: Tensor
    albedo: Tensor
    illumination: Tensor
    rotation: Tensor
    translation: Tensor

    def __post_init__(self) -> None:
        batch = self.shape.shape[0] if self.shape.dim() == 2 else -1
        for name, size in BLOCKS.items():
            block: Tensor = getattr(self, name)
            if tuple(block.shape) != (batch, size):
                raise UserError(
                    f"FaceParams block '{name}' has shape {tuple(block.shape)}; "
                    f"it must be (B, {size}) with the same B in all blocks."
                )

    def __len__(self) -> int:
        return int(self.shape.shape[0])

    def __getitem__(self, index: int | slice | Tensor) -> FaceParams:
        """Part of the batch; an integer keeps a batch of one, a tensor is an index or boolean mask over the batch."""
        if isinstance(index, int):
            position = range(len(self))[index]  # raises IndexError, so that iteration ends
            index = slice(position, position + 1)
        return FaceParams(**{name: getattr(self, name)[index] for name in BLOCKS})

    @property
    def device(self) -> torch.device:
        return self.shape.device

    @classmethod
    def neutral(cls, batch: int = 1) -> FaceParams:
        """Mean face, no expression, straight ahead, uniform white light of strength 1."""
        blocks = {name: torch.zeros(batch, size) for name, size in BLOCKS.items()}
        light = torch.zeros(batch, SH_BANDS, 3)
        light[:, 0] = UNIFORM_LIGHT
        blocks["illumination"] = light.reshape(batch, BLOCKS["illumination"])
        return cls(**blocks)

    def pack(self) -> Tensor:
        """(B, 213): the blocks side by side, in the order of BLOCKS."""
        return torch.cat([getattr(self, name) for name in BLOCKS], dim=1)

    @classmethod
    def unpack(cls, vector: Tensor) -> FaceParams:
        """Inverse of pack. `vector` is (B, 213)."""
        if vector.dim() != 2 or vector.shape[1] != PACKED_SIZE:
            raise UserError(f"A packed FaceParams is (B, {PACKED_SIZE}); this one is {tuple(vector.shape)}.")
        parts = torch.split(vector, list(BLOCKS.values()), dim=1)
        return cls(**dict(zip(BLOCKS, parts, strict=True)))

    @classmethod
    def concatenate(cls, items: list[FaceParams]) -> FaceParams:
        """One batch out of several."""
        return cls(**{name: torch.cat([getattr(item, name) for item in items]) for name in BLOCKS})

    def replace(self, **blocks: Tensor) -> FaceParams:
        """A copy in which the named blocks are replaced."""
        unknown = set(blocks) - set(BLOCKS)
        if unknown:
            raise UserError(f"FaceParams has no block {sorted(unknown)}; the blocks are {', '.join(BLOCKS)}.")
        return FaceParams(**{f.name: blocks.get(f.name, getattr(self, f.name)) for f in fields(self)})

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> FaceParams:
        """A copy on another device and/or in another floating-point type."""
        return FaceParams(**{name: getattr(self, name).to(device=device, dtype=dtype) for name in BLOCKS})

    def detach(self) -> FaceParams:
        """A copy without gradient history."""
        return FaceParams(**{name: getattr(self, name).detach() for name in BLOCKS})

    def attribute(self, name: str) -> Tensor:
        """(B, n): the blocks of an attribute side by side."""
        return torch.cat([getattr(self, block) for block in _blocks_of(name)], dim=1)

    def with_attribute(self, name: str, values: Tensor) -> FaceParams:
        """A copy in which an attribute is replaced by `values` (B, attribute_size(name))."""
        blocks = _blocks_of(name)
        if values.dim() != 2 or values.shape[1] != attribute_size(name):
            raise UserError(f"Attribute '{name}' is (B, {attribute_size(name)}); this one is {tuple(values.shape)}.")
        parts = torch.split(values, [BLOCKS[block] for block in blocks], dim=1)
        return self.replace(**dict(zip(blocks, parts, strict=True)))

    @staticmethod
    def attribute_size(name: str) -> int:
        """Number of values of an attribute."""
        return attribute_size(name)


def packed_slice(name: str) -> slice:
    """Where a block, or an attribute, lies in a packed vector (attributes are contiguous)."""
    blocks = (name,) if name in BLOCKS else _blocks_of(name)
    order = list(BLOCKS)
    start = sum(BLOCKS[block] for block in order[: order.index(blocks[0])])
    return slice(start, start + sum(BLOCKS[block] for block in blocks))
