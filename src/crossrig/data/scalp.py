"""The head as hair sees it: where hair may grow, what it may not enter, and how it follows a person's shape.

All of it is found on the mean head (see `scalp_fitting`). Hair grows on the mean head, against a signed distance grid, and is then
carried to the person by a smooth warp (affine plus a residual lattice), so that a strand never has to search the person's mesh.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from functools import lru_cache
from typing import Any, Final

import numba
import numpy as np
from numpy.typing import NDArray

from crossrig import assets, checkpoint
from crossrig.data.geometry import Floats, HeadTemplate, Ints

Doubles = NDArray[np.float64]

CLUMP_LEVELS: Final = (40, 80, 160, 320)  # numbers of clumps to choose from
ROOTS: Final = 2400  # root candidates on the scalp, in an order whose every beginning is evenly spread
DISTANCE_CELL: Final = 0.008  # metres; finer than the thinnest layer of hair is thick after interpolation
WARP_CELL: Final = 0.048  # metres; identity and expression vary smoothly over this length outside the face
LARGE: Final = ("distance", "warp.lattice")  # arrays that ship in half precision


@dataclass(frozen=True, eq=False)
class Roots:
    """Places where hair can grow, on the mean head. Everything (N,...) in the same order."""

    points: Floats  # (N,3)
    normals: Floats  # (N,3)
    inside: Floats  # (N,) metres inside the natural hairline (negative outside)
    front: Floats  # (N,) 1 on the forehead side of the top
    temple: Floats  # (N,) 1 at the temple corners
    side: Floats  # (N,) 1 above and around the ears
    back: Floats  # (N,) 1 on the back
    crown: Floats  # (N,) metres along the head from the highest bald spot


@dataclass(frozen=True, eq=False)
class Scalp:
    """Prepared hair data of one head template."""

    roots: Roots
    corners: NDArray[np.int64]  # (N,3) template vertices of the triangle a root lies in
    weights: Floats  # (N,3) and where in it
    leaders: NDArray[np.int64]  # (len(CLUMP_LEVELS),N) root that leads each root's clump
    vertices: NDArray[np.int64]  # (n,) template vertices that may carry the under-layer
    faces: Ints  # (m,3) into `vertices`
    surface: Roots  # the same fields on those vertices
    origin: Floats  # (3,) corner of the distance grid
    distance: Floats  # (nx,ny,nz,5): signed distance, its gradient, rotation weight
    warp: Warp
    eye_height: float
    brow_height: float
    chin_height: float
    top_height: float


@dataclass(frozen=True, eq=False)
class Warp:
    """Linear map from a person's mesh to a smooth displacement of the space around the mean head."""

    samples: NDArray[np.int64]  # (S,) template vertices
    affine: Doubles  # (4,S) least-squares fit
    design: Doubles  # (S,4) homogeneous mean positions
    lattice: Floats  # (nodes,S) residual at the lattice nodes
    origin: Floats  # (3,)
    shape: tuple[int, int, int]
    mean: Doubles  # (S,3)

    def fit(self, vertices: Floats) -> tuple[Floats, Floats]:
        """Person's vertices (V,3) -> affine (4,3) and residual lattice (nx,ny,nz,3), both in metres."""
        moved = vertices[self.samples] - self.mean
        affine = self.affine @ moved
        residual = (moved - self.design @ affine).astype(np.float32)
        nodes = np.empty((len(self.lattice), 3), np.float32)
        _times_vectors(self.lattice, np.ascontiguousarray(residual.T), nodes)
        return affine.astype(np.float32), nodes.reshape(*self.shape, 3)


@numba.njit(cache=True, nogil=True, fastmath=True)
def _times_vectors(matrix, columns, out):  # type: ignore[no-untyped-def]
    """`out` (n, 3) = matrix (n, k) @ columns.T (k, 3): BLAS first packs the whole matrix, which takes longer than reading it."""
    for row in range(matrix.shape[0]):
        x, y, z = np.float32(0.0), np.float32(0.0), np.float32(0.0)
        for k in range(matrix.shape[1]):
            weight = matrix[row, k]
            x += weight * columns[0, k]
            y += weight * columns[1, k]
            z += weight * columns[2, k]
        out[row, 0], out[row, 1], out[row, 2] = x, y, z


@lru_cache(maxsize=4)
def scalp_of(template: HeadTemplate) -> Scalp:
    """The hair data of a head template (once per process): read where they ship for this very head, found anew for any other."""
    path = assets.find("scalp")
    if path is not None:
        arrays, header = checkpoint.load_arrays(path)
        if header.get("template") == fingerprint(template):
            return scalp_from(arrays)
    from crossrig.data.scalp_fitting import fit_scalp  # brings SciPy along

    return fit_scalp(template)


def fingerprint(template: HeadTemplate) -> str:
    """SHA-256 of everything about a head template that its hair data depend on."""
    digest = hashlib.sha256()
    for array in (template.mean, template.faces, template.face_part, template.rotation_weight, template.regions["ears"]):
        digest.update(f"{array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()


def scalp_arrays(scalp: Scalp) -> dict[str, NDArray[np.generic]]:
    """Hair data as named arrays; `scalp_from` is the inverse, exactly."""
    return _flatten(scalp, "")


def _flatten(data: Scalp | Roots | Warp, prefix: str) -> dict[str, NDArray[np.generic]]:
    out: dict[str, NDArray[np.generic]] = {}
    for field in fields(data):
        value = getattr(data, field.name)
        if isinstance(value, Roots | Warp):
            out |= _flatten(value, f"{prefix}{field.name}.")
        else:
            out[prefix + field.name] = np.asarray(value)
    return out


def scalp_from(arrays: Mapping[str, NDArray[np.generic]]) -> Scalp:
    """Hair data from named arrays (see `scalp_arrays`), the large ones in any precision."""

    arrays = {name: array.astype(np.float32) if name in LARGE else array for name, array in arrays.items()}

    def part(kind: type[Roots] | type[Warp] | type[Scalp], prefix: str) -> dict[str, Any]:
        return {field.name: arrays[prefix + field.name] for field in fields(kind) if prefix + field.name in arrays}

    warp = part(Warp, "warp.")
    warp["shape"] = tuple(int(count) for count in warp["shape"])
    whole = part(Scalp, "")
    for name in ("eye_height", "brow_height", "chin_height", "top_height"):
        whole[name] = float(whole[name])
    return Scalp(**whole, roots=Roots(**part(Roots, "roots.")), surface=Roots(**part(Roots, "surface.")), warp=Warp(**warp))


def smoothstep(low: float, high: float, x: Floats) -> Floats:
    """0 below `low`, 1 above `high`, smooth between."""
    t = np.minimum(np.maximum((x - low) / (high - low), 0.0), 1.0)  # np.clip takes three times as long on small arrays
    out: Floats = (t * t * (3.0 - 2.0 * t)).astype(np.float32)
    return out


@numba.njit(cache=True, nogil=True)
def farthest_order(points: Floats, count: int) -> NDArray[np.int64]:
    """Indices of `count` points, each the furthest from all before: every beginning of the list is evenly spread."""
    distance = np.full(points.shape[0], np.inf)
    order = np.zeros(count, dtype=np.int64)
    current = 0
    for step in range(count):
        order[step] = current
        best = -1.0
        following = 0
        for index in range(points.shape[0]):
            dx = points[index, 0] - points[current, 0]
            dy = points[index, 1] - points[current, 1]
            dz = points[index, 2] - points[current, 2]
            squared = dx * dx + dy * dy + dz * dz
            distance[index] = min(distance[index], squared)
            if distance[index] > best:
                best = distance[index]
                following = index
        current = following
    return order


@numba.njit(cache=True, nogil=True, fastmath=True)
def plant(points, along, length, vertices, corners, weights, fade):  # type: ignore[no-untyped-def]
    """Move strands (n,K,3) so that each starts at its place on the person's skin, in place.

    What the smooth warp left over at the root fades along the strand with the length `fade`.
    """
    count, knots = points.shape[0], points.shape[1]
    for i in range(count):
        for axis in range(3):
            target = 0.0
            for corner in range(3):
                target += weights[i, corner] * vertices[corners[i, corner], axis]
            rest = target - points[i, 0, axis]
            for k in range(knots):
                points[i, k, axis] += rest * np.exp(-length[i] * along[k] / fade)


@numba.njit(cache=True, nogil=True)
def carry(points: Floats, affine: Floats, lattice: Floats, origin: Floats, cell: float) -> None:
    """Move points (N,3) from the mean head to the person, in place (see `Warp.fit`)."""
    nx, ny, nz = lattice.shape[0], lattice.shape[1], lattice.shape[2]
    for index in range(points.shape[0]):
        x, y, z = points[index, 0], points[index, 1], points[index, 2]
        gx = min(max((x - origin[0]) / cell, 0.0), nx - 1.001)
        gy = min(max((y - origin[1]) / cell, 0.0), ny - 1.001)
        gz = min(max((z - origin[2]) / cell, 0.0), nz - 1.001)
        i, j, k = int(gx), int(gy), int(gz)
        fx, fy, fz = gx - i, gy - j, gz - k
        for axis in range(3):
            low = (lattice[i, j, k, axis] * (1 - fz) + lattice[i, j, k + 1, axis] * fz) * (1 - fy)
            low += (lattice[i, j + 1, k, axis] * (1 - fz) + lattice[i, j + 1, k + 1, axis] * fz) * fy
            high = (lattice[i + 1, j, k, axis] * (1 - fz) + lattice[i + 1, j, k + 1, axis] * fz) * (1 - fy)
            high += (lattice[i + 1, j + 1, k, axis] * (1 - fz) + lattice[i + 1, j + 1, k + 1, axis] * fz) * fy
            moved = x * affine[0, axis] + y * affine[1, axis] + z * affine[2, axis] + affine[3, axis]
            points[index, axis] += moved + low * (1 - fx) + high * fx
