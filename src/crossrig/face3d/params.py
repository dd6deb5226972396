"""Face parameters: six named blocks, and the one place that knows their offsets in a packed vector.

Everything that travels as one vector (dataset labels, network outputs) is packed and unpacked here; all other code
uses block and attribute names (see `face3d.blocks`).
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import torch
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d.blocks import (
    ATTRIBUTES,
    BLOCKS,
    EXPRESSION_UNITS,
    PACKED_SIZE,
    SH_BANDS,
    UNIFORM_LIGHT,
    attribute_size,
    blocks_of,
)

__all__ = [
    "ATTRIBUTES",
    "BLOCKS",
    "EXPRESSION_UNITS",
    "PACKED_SIZE",
    "SH_BANDS",
    "UNIFORM_LIGHT",
    "FaceParams",
    "attribute_size",
    "packed_slice",
]


@dataclass(frozen=True)
class FaceParams:
    """Parameters of a batch of B faces.

    shape         (B, 80)  standard deviations of the shape basis
    expression    (B, 52)  weight of each unit of EXPRESSION_UNITS, 0..1; standard deviations for a model of components (`ExpressionKind`)
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
        return torch.cat([getattr(self, block) for block in blocks_of(name)], dim=1)

    def with_attribute(self, name: str, values: Tensor) -> FaceParams:
        """A copy in which an attribute is replaced by `values` (B, attribute_size(name))."""
        blocks = blocks_of(name)
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
    blocks = (name,) if name in BLOCKS else blocks_of(name)
    order = list(BLOCKS)
    start = sum(BLOCKS[block] for block in order[: order.index(blocks[0])])
    return slice(start, start + sum(BLOCKS[block] for block in blocks))
