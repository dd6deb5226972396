"""What every reader gives: a face model of others in metres and in our axes, before it is cut down to our blocks."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from crossrig.errors import UserError
from crossrig.face3d.blocks import ExpressionKind

Floats = NDArray[np.float64]
Integers = NDArray[np.int64]

MOST_VERTICES = 200_000
"""The largest model known, BFM 2019 with the whole head, has 58 203."""
MOST_TRIANGLES = 500_000
MOST_COMPONENTS = 1_000


@dataclass(frozen=True)
class Point:
    """A place on the surface: three vertices and their weights, which add up to 1."""

    corners: tuple[int, int, int]
    weights: tuple[float, float, float]

    @classmethod
    def at(cls, vertex: int) -> Point:
        """A vertex itself."""
        return cls((vertex, vertex, vertex), (1.0, 0.0, 0.0))

    @property
    def vertex(self) -> int | None:
        """The vertex it lies at; None for a place between vertices."""
        return next((corner for corner, weight in zip(self.corners, self.weights, strict=True) if weight > 1 - 1e-6), None)

    def of(self, values: Floats) -> Floats:
        """Values of the vertices (..., V, C) at this place: (..., C)."""
        return np.asarray(np.einsum("k,...kc->...c", np.asarray(self.weights), values[..., list(self.corners), :]))


@dataclass(frozen=True)
class Deformations:
    """Expressions: metres per standard deviation (components) or at weight 1 (units), (K, V, 3); K names; how many the file has."""

    kind: ExpressionKind
    names: tuple[str, ...]
    basis: Floats
    available: int


@dataclass(frozen=True)
class Colours:
    """sRGB-encoded colours in [0, 1]: mean (V, 3), and (K, V, 3) per standard deviation; how many components the file has."""

    mean: Floats
    basis: Floats
    available: int


@dataclass(frozen=True)
class ForeignModel:
    """A model of V vertices and F triangles: metres, x = own left, y up, the face looking towards +z; its own origin.

    landmarks: iBUG number -> place, as many as are known. part (F,): see parts.py. rotation_weight (V,): how much a vertex turns with the
    head. None stands for what the model does not say, and is taken over from our own head.
    """

    title: str
    licence: str
    mean: Floats  # (V, 3)
    faces: Integers  # (F, 3)
    shape: Floats  # (K, V, 3) per standard deviation
    shape_available: int
    expression: Deformations | None
    colours: Colours | None
    landmarks: Mapping[int, Point]
    part: NDArray[np.uint8] | None = None
    rotation_weight: Floats | None = None
    uv: Floats | None = None
    notes: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        count = len(self.mean)
        if not 0 < count <= MOST_VERTICES or not 0 < len(self.faces) <= MOST_TRIANGLES:
            raise UserError(f"it has {count} vertices and {len(self.faces)} triangles, and a face model has up to {MOST_VERTICES}")
        if self.faces.min() < 0 or self.faces.max() >= count:
            raise UserError("it is damaged: a triangle names a vertex that does not exist")
        bases = [self.mean, self.shape]
        bases += [self.expression.basis] if self.expression else []
        bases += [self.colours.mean, self.colours.basis] if self.colours else []
        for values in bases:
            if values.shape[-2:] != (count, 3):
                raise UserError(f"it is damaged: {count} vertices have a basis of shape {values.shape}")
            if not np.isfinite(values).all():
                raise UserError("it is damaged: it has values that are not finite numbers")
        for point in self.landmarks.values():
            if not all(0 <= corner < count for corner in point.corners) or not np.isfinite(point.weights).all():
                raise UserError("its landmarks name a vertex that does not exist")


def deltas(columns: Floats, count: int, scale: Floats | float = 1.0) -> Floats:
    """Columns (3 count, K) of interleaved x, y, z, as most files have them -> (K, count, 3), each times its scale."""
    if columns.ndim != 2 or len(columns) != 3 * count:
        raise UserError(f"it is damaged: {count} vertices have a basis of shape {columns.shape}")
    scaled = columns.astype(np.float64) * scale
    return np.ascontiguousarray(scaled.T).reshape(-1, count, 3)
