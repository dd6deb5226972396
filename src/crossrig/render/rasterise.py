"""Z-buffer rasterisation of triangle meshes: which triangle each pixel sees, and where in the triangle.

Visibility is decided in `zbuffer`. Barycentric coordinates are then computed again by torch from the projected
vertices, with visibility held fixed, so gradients flow to vertices through colours and normals. As in the renderers of
DECA (Feng et al. 2021, sec. 4) and StyleRig (Tewari et al. 2020, sec. 3.1), silhouettes and occlusions have no gradient.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

from crossrig.check import check
from crossrig.render.zbuffer import raster_kernel, raster_reference

Backend = Literal["numba", "reference"]


@dataclass(frozen=True)
class Fragments:
    """What every pixel sees. `barycentric` and `depth` are differentiable with respect to the projected vertices."""

    triangle: Tensor  # (B, H, W) int32, -1 where nothing is seen
    barycentric: Tensor  # (B, H, W, 3) perspective-correct weights, sum 1; zeros where nothing is seen
    depth: Tensor  # (B, H, W) metres from the camera plane; inf where nothing is seen

    @property
    def covered(self) -> Tensor:
        """(P,) int64: flat indices into B*H*W of the pixels that see a triangle."""
        return torch.nonzero(self.triangle.reshape(-1) >= 0)[:, 0]


def rasterise(projected: Tensor, faces: Tensor, size: int, backend: Backend = "numba", cull_back: bool = False) -> Fragments:
    """Find the nearest triangle at every pixel centre.

    projected (B, V, 3): NDC x (right), y (up), depth in metres. faces (F, 3): vertex numbers; front faces turn
    counter-clockwise in the picture. size: pixels per side. Row i of the picture lies at y = 1 - (2i+1)/size. See
    `zbuffer.raster_kernel` for which triangles are drawn. Runs on the CPU; the result is on the device of `projected`.
    Raises ShapeError for wrong shapes, ValueError for a size below 1, an unknown backend or a vertex out of range.
    """
    return _differentiable_fragments(projected, faces, _first_triangles(projected, faces, size, backend, cull_back))


def _first_triangles(projected: Tensor, faces: Tensor, size: int, backend: Backend, cull_back: bool) -> Tensor:
    """(B, H, W) int32: which triangle every pixel sees, -1 where none."""
    batch, vertices = check(projected, "B V 3", name="projected").values()
    check(faces, "F 3", name="faces")
    if size < 1:
        raise ValueError(f"the picture size must be at least 1 pixel, got {size}")
    if backend not in ("numba", "reference"):
        raise ValueError(f"unknown rasteriser backend {backend!r}: use 'numba' or 'reference'")
    if faces.numel():
        lowest, highest = int(faces.min()), int(faces.max())
        if lowest < 0 or highest >= vertices:
            raise ValueError(f"faces name vertices {lowest}..{highest}, but there are {vertices} vertices")
    draw = raster_kernel if backend == "numba" else raster_reference
    points = np.ascontiguousarray(projected.detach().cpu().to(torch.float32).numpy())
    corners = np.ascontiguousarray(faces.detach().cpu().to(torch.int32).numpy())
    depth = np.full((batch, size, size), np.inf, np.float32)
    triangle = np.full((batch, size, size), -1, np.int32)
    no_bary = np.empty((0, 0, 3), np.float32)
    for b in range(batch):
        draw(points[b], corners, depth[b], triangle[b], no_bary, 0, cull_back)
    return torch.from_numpy(triangle).to(projected.device)


def interpolate(fragments: Fragments, faces: Tensor, attributes: Tensor) -> Tensor:
    """Values at the pixels: attributes (B, V, C) per vertex -> (B, H, W, C); zeros where nothing is seen."""
    batch, height, width = fragments.triangle.shape
    channels = attributes.shape[-1]
    values = interpolate_covered(fragments, faces, attributes)
    flat = values.new_zeros(batch * height * width, channels)
    return flat.index_copy(0, fragments.covered, values).reshape(batch, height, width, channels)


def interpolate_covered(fragments: Fragments, faces: Tensor, attributes: Tensor) -> Tensor:
    """`interpolate` at the covered pixels only: (P, C), in the order of `fragments.covered`."""
    sizes = check(attributes, "B V C", name="attributes")
    if sizes["B"] != fragments.triangle.shape[0]:
        raise ValueError(f"attributes have batch {sizes['B']}, the fragments have {fragments.triangle.shape[0]}")
    covered = fragments.covered
    corners = _corners(fragments.triangle, covered, faces, sizes["V"])  # (P, 3)
    weights = fragments.barycentric.reshape(-1, 3).index_select(0, covered)  # (P, 3)
    flat = attributes.reshape(-1, sizes["C"])
    a, b, c = (weights[:, k, None] * flat.index_select(0, corners[:, k]) for k in range(3))
    return a + b + c


def _corners(triangle: Tensor, covered: Tensor, faces: Tensor, vertices: int) -> Tensor:
    """The three vertices (P, 3) each covered pixel sees, as rows of the batch's vertices laid end to end (B*V, ...)."""
    per_picture = triangle.shape[1] * triangle.shape[2]
    seen = triangle.reshape(-1).index_select(0, covered).long()
    first = torch.div(covered, per_picture, rounding_mode="floor") * vertices
    return faces.to(triangle.device).long().index_select(0, seen) + first[:, None]


def _differentiable_fragments(projected: Tensor, faces: Tensor, triangle: Tensor) -> Fragments:
    batch, height, width = triangle.shape
    covered = torch.nonzero(triangle.reshape(-1) >= 0)[:, 0]
    corners = _corners(triangle, covered, faces, projected.shape[1])
    flat = projected.reshape(-1, 3)
    a, b, c = (flat.index_select(0, corners[:, k]) for k in range(3))  # (P, 3) each
    column = covered % width
    row = torch.div(covered, width, rounding_mode="floor") % height
    centre = torch.stack(((2 * column + 1) / width - 1, 1 - (2 * row + 1) / height), dim=1).to(projected)  # (P, 2)
    weights = _perspective_weights(a, b, c, centre)
    depth = weights[:, 0] * a[:, 2] + weights[:, 1] * b[:, 2] + weights[:, 2] * c[:, 2]
    pixels = batch * height * width
    dense_weights = projected.new_zeros(pixels, 3).index_copy(0, covered, weights)
    dense_depth = projected.new_full((pixels,), math.inf).index_copy(0, covered, depth)
    return Fragments(triangle, dense_weights.reshape(batch, height, width, 3), dense_depth.reshape(triangle.shape))


def _perspective_weights(a: Tensor, b: Tensor, c: Tensor, centre: Tensor) -> Tensor:
    """Perspective-correct barycentrics (P, 3) of the pixel centres (P, 2) in triangles with corners (P, 3)."""
    da, db, dc = a[:, :2] - centre, b[:, :2] - centre, c[:, :2] - centre
    za, zb, zc = a[:, 2], b[:, 2], c[:, 2]
    # (P, 3): affine weight / depth, times the product of the depths
    raw = torch.stack((_cross(db, dc) * zb * zc, _cross(dc, da) * zc * za, _cross(da, db) * za * zb), dim=1)
    total = raw.sum(dim=1, keepdim=True)
    # A sliver thinner than the fixed-point grid may be seen and yet have no area here: give it its centre.
    empty = total.abs() < torch.finfo(total.dtype).tiny
    weights = torch.where(empty, torch.full_like(raw, 1 / 3), raw / torch.where(empty, torch.ones_like(total), total))
    # Snapping can put a pixel centre a hair outside the exact triangle; extrapolating there would make outliers.
    weights = weights.clamp(min=0)
    return weights / weights.sum(dim=1, keepdim=True)


def _cross(u: Tensor, v: Tensor) -> Tensor:
    return u[:, 0] * v[:, 1] - u[:, 1] * v[:, 0]
