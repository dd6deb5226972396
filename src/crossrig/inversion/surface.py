"""Where what a pixel shows of a surface was before it moved: compiled loops over the pixels, which leave Python to other threads."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from crossrig.render.zbuffer import raster_kernel

Floats = NDArray[np.float32]
_FAR = 1e3  # metres: depth where nothing is seen


class Surface(NamedTuple):
    """A mesh as the camera sees it."""

    faces: NDArray[np.int32]  # (F,3)
    world: Floats  # (V,3): metres
    places: Floats  # (V,3): NDC x and y of every vertex, and its depth in metres
    triangle: NDArray[np.int32]  # (H,W): -1 where none is seen
    weights: Floats  # (H,W,3): perspective-correct barycentrics
    depth: Floats  # (H,W): metres, far away where nothing is seen

    @classmethod
    def of(cls, faces: NDArray[np.int32], world: Floats, places: Floats, side: int) -> Surface:
        """Looked at in a picture of side x side pixels."""
        depth = np.full((side, side), np.inf, np.float32)
        triangle = np.full((side, side), -1, np.int32)
        weights = np.zeros((side, side, 3), np.float32)
        raster_kernel(places, faces, depth, triangle, weights)
        depth[triangle < 0] = _FAR
        return cls(faces, world, places, triangle, weights, depth)

    def at(self, values: Floats) -> Floats:
        """Values of the vertices (V,) where they are seen (H,W); means nothing where none is."""
        corners = self.faces[np.maximum(self.triangle, 0)]  # (H,W,3)
        return np.asarray((values[corners] * self.weights).sum(-1), np.float32)


def trace_back(now: Surface, before: Surface, distance: float, hidden: float, flat: float) -> tuple[Floats, NDArray[np.bool_]]:
    """At every pixel, NDC (2,H,W) from it to where its surface was before, 0 where there is none; and whether it was seen there (H,W).

    It was not where it lay more than `hidden` metres behind the first surface, or faced the camera, `distance` metres from the origin,
    less than `flat` times as much as now.
    """
    flow = np.zeros((2, *now.triangle.shape), np.float32)
    seen = np.zeros(now.triangle.shape, np.bool_)
    _trace_back(now, before, distance, hidden, flat, flow, seen)
    return flow, seen


@njit(cache=True, nogil=True)
def _trace_back(now, before, distance, hidden, flat, flow, seen):  # type: ignore[no-untyped-def]
    height, width = now.triangle.shape
    for row in range(height):
        for column in range(width):
            triangle = now.triangle[row, column]
            if triangle < 0:
                continue
            x = y = z = np.float32(0.0)
            for corner in range(3):
                weight, vertex = now.weights[row, column, corner], now.faces[triangle, corner]
                x += weight * before.places[vertex, 0]
                y += weight * before.places[vertex, 1]
                z += weight * before.places[vertex, 2]
            flow[0, row, column] = x - ((2 * column + 1) / width - 1)
            flow[1, row, column] = y - (1 - (2 * row + 1) / height)
            # the pixel of before; beyond the border, the last
            across = min(max(int(np.floor((x + 1) * 0.5 * width)), 0), width - 1)
            down = min(max(int(np.floor((1 - y) * 0.5 * height)), 0), height - 1)
            corners = now.faces[triangle]
            flatter = _facing(before.world, corners, distance) < flat * _facing(now.world, corners, distance)
            seen[row, column] = z - before.depth[down, across] < hidden and not flatter


@njit(cache=True, nogil=True, inline="always")
def _facing(world, corners, distance):  # type: ignore[no-untyped-def]
    """Cosine between a triangle's normal and the line to the camera, at least 0."""
    a, b, c = world[corners[0]], world[corners[1]], world[corners[2]]
    ux, uy, uz = b[0] - a[0], b[1] - a[1], b[2] - a[2]
    vx, vy, vz = c[0] - a[0], c[1] - a[1], c[2] - a[2]
    nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
    tx, ty, tz = -a[0], -a[1], distance - a[2]
    length = np.sqrt((nx * nx + ny * ny + nz * nz) * (tx * tx + ty * ty + tz * tz))
    return max((nx * tx + ny * ty + nz * tz) / length, 0.0) if length > 0 else 0.0
