"""Normals of meshes by compiled loops, for arrays; `FaceModel.normals` is the differentiable side."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
from numba import njit
from numpy.typing import NDArray

Real = TypeVar("Real", np.float32, np.float64)


def vertex_normals(vertices: NDArray[Real], faces: NDArray[np.integer]) -> NDArray[Real]:
    """Area-weighted vertex normals (V, 3) of vertices (V, 3) and faces (F, 3), unit length; zero for vertices without faces."""
    out = np.zeros_like(vertices)
    _accumulate_normals(vertices, faces, out)
    return out


@njit(cache=True, nogil=True)
def _accumulate_normals(vertices, faces, out):  # type: ignore[no-untyped-def]
    for face in range(faces.shape[0]):
        a, b, c = faces[face, 0], faces[face, 1], faces[face, 2]
        ux, uy, uz = vertices[b, 0] - vertices[a, 0], vertices[b, 1] - vertices[a, 1], vertices[b, 2] - vertices[a, 2]
        vx, vy, vz = vertices[c, 0] - vertices[a, 0], vertices[c, 1] - vertices[a, 1], vertices[c, 2] - vertices[a, 2]
        nx, ny, nz = uy * vz - uz * vy, uz * vx - ux * vz, ux * vy - uy * vx
        for corner in (a, b, c):
            out[corner, 0] += nx
            out[corner, 1] += ny
            out[corner, 2] += nz
    for vertex in range(out.shape[0]):
        length = np.sqrt(out[vertex, 0] ** 2 + out[vertex, 1] ** 2 + out[vertex, 2] ** 2)
        if length > 1e-20:
            out[vertex, 0] /= length
            out[vertex, 1] /= length
            out[vertex, 2] /= length
