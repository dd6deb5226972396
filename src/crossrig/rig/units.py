"""How much a wrong parameter matters: quadratic forms that turn coefficient errors into metres, colours, light and degrees.

For a linear block with basis B the mean squared displacement of the vertices that a coefficient error e causes is e' G e with the
Gram matrix G = mean over vertices of B_v' B_v. Comparing coefficients through G is exactly comparing vertices, at the price of a
small matrix. The WPDC weights of 3DDFA (Zhu 2016, section 3.4), used by CDDFM3D for its attribute network, are the diagonal of G.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, FaceParams

# : The block by which each attribute is measured (pose: the rotation; the translation has other units and is reported
# by nobody).
MEASURED_BLOCK: Mapping[str, str] = MappingProxyType(
    {name: ("rotation" if name == "pose" else blocks[0]) for name, blocks in ATTRIBUTES.items()}
)


def _gram(basis: Tensor, vertices: Tensor) -> Tensor:
    """basis (K,V,3), vertex indices (n,) -> (K,K): mean over the vertices of the inner products."""
    part = basis[:, vertices].double().flatten(1)
    return (part @ part.T / len(vertices)).float()


class Units(nn.Module):
    """Gram matrices of the six blocks. Squared lengths are in

    shape, expression  m^2, mean squared displacement of the vertices of the region `face`
    albedo             squared sRGB value (0..1), mean over the vertices of the region `face` and over channels
    illumination       squared irradiance, mean over all directions of the sphere and over channels
    rotation           degrees^2, summed over pitch, yaw and roll
    translation        m^2
    """

    def __init__(self, grams: Mapping[str, Tensor]) -> None:
        super().__init__()
        for name, size in BLOCKS.items():
            if tuple(grams[name].shape) != (size, size):
                raise ValueError(f"the Gram matrix of block '{name}' is {tuple(grams[name].shape)}, not {(size, size)}")
            self.register_buffer(name, grams[name].float(), persistent=False)

    @classmethod
    def of(cls, model: FaceModel) -> Units:
        """The forms that belong to a face model."""
        face = model.regions["face"]
        return cls(
            {
                "shape": _gram(model.shape_basis, face),
                "expression": _gram(model.expression_basis, face),
                "albedo": _gram(model.albedo_basis, face) / 3,
                # The nine real harmonics are orthonormal on the sphere, whose area is 4 pi; three channels.
                "illumination": torch.eye(BLOCKS["illumination"]) / (4 * math.pi * 3),
                "rotation": torch.eye(3) * math.degrees(1.0) ** 2,
                "translation": torch.eye(3),
            }
        )

    def gram(self, block: str) -> Tensor:
        """(n, n): the quadratic form of a block."""
        return self.get_buffer(block)

    def squared(self, block: str, difference: Tensor) -> Tensor:
        """(B, n) difference of a block -> (B,) squared length in the units above."""
        return ((difference @ self.gram(block)) * difference).sum(1).clamp(min=0)

    def inner(self, block: str, first: Tensor, second: Tensor) -> Tensor:
        """Two (B, n) differences of a block -> (B,) their inner product, in the squared units above."""
        return ((first @ self.gram(block)) * second).sum(1)

    def root(self, block: str, share: float = 1.0) -> Tensor:
        """(n, r): a root of the form; the plain length of `difference @ root` is the length in the units above.

        With `share` below 1 the fewest columns r that hold this share of the trace: what is left out moves next to nothing.
        """
        values, vectors = torch.linalg.eigh(self.gram(block).double())
        values, vectors = values.clamp(min=0).flip(0), vectors.flip(1)
        held = values.cumsum(0) / values.sum()
        rank = len(values) if share >= 1.0 else int((held < share).sum()) + 1
        root: Tensor = (vectors * values.sqrt()).narrow(1, 0, rank)
        return root.to(self.gram(block))

    def distance(self, attribute: str, first: FaceParams, second: FaceParams) -> Tensor:
        """(B,): how far two batches of faces are apart in an attribute (m, sRGB value, irradiance or degrees, root mean square)."""
        block = MEASURED_BLOCK[attribute]
        return self.squared(block, getattr(first, block) - getattr(second, block)).sqrt()

    def spread(self, population: FaceParams) -> dict[str, float]:
        """Block -> standard deviation of a population (root of the mean squared distance to its mean), above 0."""
        found = {}
        for block in BLOCKS:
            values: Tensor = getattr(population, block)
            found[block] = max(math.sqrt(float(self.squared(block, values - values.mean(0)).mean())), 1e-9)
        return found
