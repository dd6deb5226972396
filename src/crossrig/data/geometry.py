"""What the makers of hair, brows, beards and clothes receive and return: a head surface in, patches out.

Everything is in the person's neutral head space (metres, x = own left, y up, z forward, origin between the ear canals),
before the head is turned, so that one rule (`rotation_weight`) poses skin, hair and clothes alike.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.face3d.normals import vertex_normals

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

# Materials. The first six are the face parts of the head model, so that a head is a patch like any other.
SKIN: Final = 0
EYE: Final = 1
TEETH: Final = 2
TONGUE: Final = 3
LASHES: Final = 4
MOUTH_INSIDE: Final = 5
HAIR: Final = 10
CLOTH: Final = 11
BROW: Final = 12
BEARD: Final = 13
GLASS: Final = 14
METAL: Final = 15


@dataclass(frozen=True, eq=False)
class Patch:
    """One piece of geometry in a person's neutral head space.

    `uv` of a strand ribbon: u in [0, 1] across the ribbon plus a whole number that tells ribbons apart (shaders take
    the fraction for the position and the floor as a seed), v in [0, 1] from root to tip. Surfaces without strands carry
    plain texture coordinates. `tangent` is the direction in which strands run (unit length; zero where there are none).
    """

    vertices: Floats  # (N,3) metres
    faces: Ints  # (F,3) triangles
    uv: Floats  # (N,2)
    colour: Floats  # (N,3) linear RGB
    tangent: Floats  # (N,3)
    rotation_weight: Floats  # (N,) in [0,1], see face3d.model.pose
    material: int
    opacity: Floats  # (N,) in [0,1], compared with noise per pixel

    def __post_init__(self) -> None:
        count = len(self.vertices)
        for name, array, width in (
            ("vertices", self.vertices, 3),
            ("uv", self.uv, 2),
            ("colour", self.colour, 3),
            ("tangent", self.tangent, 3),
        ):
            if array.shape != (count, width):
                raise ValueError(f"Patch.{name} has shape {array.shape}, expected {(count, width)}")
        for name, array in (("rotation_weight", self.rotation_weight), ("opacity", self.opacity)):
            if array.shape != (count,):
                raise ValueError(f"Patch.{name} has shape {array.shape}, expected {(count,)}")
        if self.faces.ndim != 2 or self.faces.shape[1] != 3:
            raise ValueError(f"Patch.faces has shape {self.faces.shape}, expected (F, 3)")


def join_patches(patches: Sequence[Patch]) -> Patch:
    """Several patches of one material as one patch. Raises ValueError for none or for mixed materials."""
    if not patches or len({patch.material for patch in patches}) != 1:
        raise ValueError("join_patches needs at least one patch, all of the same material")
    starts = np.cumsum([0] + [len(patch.vertices) for patch in patches])
    return Patch(
        vertices=np.concatenate([patch.vertices for patch in patches]),
        faces=np.concatenate([patch.faces + np.int32(start) for patch, start in zip(patches, starts, strict=False)]),
        uv=np.concatenate([patch.uv for patch in patches]),
        colour=np.concatenate([patch.colour for patch in patches]),
        tangent=np.concatenate([patch.tangent for patch in patches]),
        rotation_weight=np.concatenate([patch.rotation_weight for patch in patches]),
        material=patches[0].material,
        opacity=np.concatenate([patch.opacity for patch in patches]),
    )


@dataclass(frozen=True, eq=False)
class HeadTemplate:
    """What all heads of one face model share. Compared by identity, so that it can key caches."""

    mean: Floats  # (V,3) the mean head, metres
    faces: Ints  # (F,3)
    uv: Floats  # (V,2)
    face_part: NDArray[np.uint8]  # (F,) SKIN, EYE, ...
    rotation_weight: Floats  # (V,)
    regions: Mapping[str, NDArray[np.int64]]  # name -> vertex indices
    landmarks: Mapping[str, int]  # name -> vertex index


@dataclass(frozen=True, eq=False)
class HeadSurface:
    """One person's head in neutral pose (shape and expression applied, not turned)."""

    template: HeadTemplate
    vertices: Floats  # (V,3) metres
    normals: Floats  # (V,3) unit, outward

    @classmethod
    def of(cls, template: HeadTemplate, vertices: Floats) -> HeadSurface:
        """Head from vertices alone; normals are computed from the faces."""
        vertices = np.ascontiguousarray(vertices, dtype=np.float32)
        return cls(template, vertices, vertex_normals(vertices, template.faces))

    @property
    def faces(self) -> Ints:
        return self.template.faces

    @property
    def uv(self) -> Floats:
        return self.template.uv

    @property
    def regions(self) -> Mapping[str, NDArray[np.int64]]:
        return self.template.regions

    @property
    def landmarks(self) -> Mapping[str, int]:
        return self.template.landmarks

    @property
    def rotation_weight(self) -> Floats:
        return self.template.rotation_weight

    def landmark(self, name: str) -> Floats:
        """Position (3,) of a named landmark."""
        point: Floats = self.vertices[self.template.landmarks[name]]
        return point


@lru_cache(maxsize=4)
def mean_surface(template: HeadTemplate) -> HeadSurface:
    """The mean head as a surface; makers prepare their fixed data (roots, fields) on it once per process."""
    return HeadSurface.of(template, template.mean)


def cross(a: NDArray[np.floating], b: NDArray[np.floating]) -> NDArray[np.floating]:
    """`np.cross` of vectors (..., 3) of one shape: the same numbers without its overhead, which small arrays feel."""
    ax, ay, az, bx, by, bz = a[..., 0], a[..., 1], a[..., 2], b[..., 0], b[..., 1], b[..., 2]
    out = np.empty(a.shape, np.result_type(a, b))
    out[..., 0], out[..., 1], out[..., 2] = ay * bz - az * by, az * bx - ax * bz, ax * by - ay * bx
    return out
