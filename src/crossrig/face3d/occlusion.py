"""Ambient occlusion of the mean head: the cosine-weighted share of its hemisphere that each vertex sees."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from crossrig.face3d import parts
from crossrig.face3d.normals import vertex_normals

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DIRECTIONS = 192
RESOLUTION = 512
#: Surfaces closer than this along a ray are the vertex's own neighbourhood, metres.
BIAS = 0.0012


@numba.njit(cache=True)
def _depth_map(points: Floats, faces: Integers, depth: Floats) -> None:
    """Nearest depth (third coordinate, larger = nearer) per pixel; points (V, 3) are already in pixels."""
    size = depth.shape[0]
    for index in range(faces.shape[0]):
        a, b, c = points[faces[index, 0]], points[faces[index, 1]], points[faces[index, 2]]
        area = (b[0] - a[0]) * (c[1] - a[1]) - (c[0] - a[0]) * (b[1] - a[1])
        if abs(area) < 1e-9:
            continue
        left, right = max(0, int(min(a[0], b[0], c[0]))), min(size - 1, int(max(a[0], b[0], c[0])) + 1)
        top, bottom = max(0, int(min(a[1], b[1], c[1]))), min(size - 1, int(max(a[1], b[1], c[1])) + 1)
        for row in range(top, bottom + 1):
            for column in range(left, right + 1):
                x, y = column + 0.5, row + 0.5
                u = ((b[0] - x) * (c[1] - y) - (c[0] - x) * (b[1] - y)) / area
                v = ((c[0] - x) * (a[1] - y) - (a[0] - x) * (c[1] - y)) / area
                w = 1.0 - u - v
                if u >= 0.0 and v >= 0.0 and w >= 0.0:
                    depth[row, column] = max(depth[row, column], u * a[2] + v * b[2] + w * c[2])


def sphere_directions(count: int) -> Floats:
    """(count, 3) unit vectors spread evenly over the sphere (a Fibonacci spiral)."""
    index = np.arange(count) + 0.5
    z = 1 - 2 * index / count
    turn = index * np.pi * (3 - np.sqrt(5))
    ring = np.sqrt(1 - z * z)
    return np.stack([ring * np.cos(turn), ring * np.sin(turn), z], axis=1)


def ambient_occlusion(vertices: Floats, faces: Integers, part: npt.NDArray[np.uint8]) -> Floats:
    """(V,) in [0, 1], 1 = nothing in the way. Lashes cast no shadow. Vertices without triangles get 1."""
    normals = vertex_normals(vertices, faces)
    casting = faces[part != parts.LASHES]
    extent = np.abs(vertices[np.unique(faces)]).max() * 1.8
    seen, total = np.zeros(len(vertices)), np.zeros(len(vertices))
    for direction in sphere_directions(DIRECTIONS):
        helper = np.array([0.0, 1.0, 0.0]) if abs(direction[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
        right = np.cross(helper, direction)
        right /= np.linalg.norm(right)
        up = np.cross(direction, right)
        flat = vertices @ np.stack([right, up, direction], axis=1)  # (V, 3)
        flat[:, :2] = (flat[:, :2] / extent + 1) * RESOLUTION / 2
        depth = np.full((RESOLUTION, RESOLUTION), -np.inf)
        _depth_map(flat, casting, depth)
        cosine = np.maximum(normals @ direction, 0)
        column, row = (np.clip(flat[:, k].astype(int), 0, RESOLUTION - 1) for k in (0, 1))
        # a surface that slopes away hides part of its own pixel: allow for it
        slack = BIAS + 2 * extent / RESOLUTION / np.maximum(cosine, 0.15)
        seen += cosine * (depth[row, column] <= flat[:, 2] + slack)
        total += cosine
    return np.where(total > 0, seen / np.maximum(total, 1e-9), 1.0)
