"""Files that say where the 68 landmarks lie on a mesh: vertex numbers, or places in triangles as FLAME's embeddings have them."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossrig.errors import UserError
from crossrig.face3d.importers.foreign import Integers, Point
from crossrig.face3d.importers.limits import MOST_TEXT, about, checked_size, floats, integers, json_value, read_npy, read_npz
from crossrig.face3d.importers.pickled import array_of, pickle_at, read_pickled, unwrapped
from crossrig.face3d.landmarks import LANDMARK_NAMES

COUNT = len(LANDMARK_NAMES)
_CONTOUR = 17  # landmarks of the jaw, which embeddings without them leave to a table by the angle of the head
_KEYS = (
    "full_lmk_faces_idx", "full_lmk_bary_coords", "lmk_face_idx", "lmk_b_coords", "static_lmk_faces_idx", "static_lmk_bary_coords",
    "dynamic_lmk_faces_idx", "dynamic_lmk_bary_coords",
)  # fmt: skip


def read_landmarks(path: Path, faces: Integers) -> dict[int, Point]:
    """iBUG number -> place, all 68, on a mesh with these triangles (F, 3).

    Read are: 68 vertex numbers, the first vertex being 0, as text, JSON or .npy; FLAME's `landmark_embedding.npy` and files with
    `lmk_face_idx` and `lmk_b_coords` for 68 landmarks (.pkl, .npy, .npz, .json). UserError names the file and what is wrong with it.
    """
    with about(path):
        checked_size(path, MOST_TEXT)
        value = _value(path)
        if isinstance(value, dict):
            return _embedded(value, faces)
        return numbered(array_of(value, "list of landmarks"))


def numbered(vertices: NDArray[np.generic]) -> dict[int, Point]:
    """iBUG number -> vertex, from 68 vertex numbers. UserError when they are something else."""
    if vertices.size != COUNT:
        raise UserError(f"it has {vertices.size} numbers, and {COUNT} vertex numbers are needed, in the order of iBUG's landmarks")
    return {index: Point.at(int(vertex)) for index, vertex in enumerate(integers(vertices.reshape(-1), "landmarks", 1))}


def _value(path: Path) -> object:
    with open(path, "rb") as file:
        start = file.read(6)
        file.seek(0)
        if start == b"\x93NUMPY":
            array = read_npy(file, path.stat().st_size)
            return array if array is not None else unwrapped(pickle_at(file))
    if start[:4] == b"PK\x03\x04":
        return read_npz(path, _KEYS)
    if start[:1] == b"\x80":
        return unwrapped(read_pickled(path))
    data = path.read_bytes()
    if data.lstrip()[:1] in (b"[", b"{"):
        return json_value(data)
    try:
        return [float(word) for word in data.replace(b",", b" ").split()]
    except ValueError:
        raise UserError("it is no landmark file that is read: vertex numbers as text, JSON or .npy, or FLAME's embedding") from None


def _embedded(value: Mapping[object, object], faces: Integers) -> dict[int, Point]:
    def pair(triangles: str, weights: str, row: bool = False) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        first, second = array_of(value[triangles], triangles), array_of(value[weights], weights)
        if row:  # the first of several is for a head that looks straight ahead
            first, second = first[0], second[0]
        return integers(first.reshape(-1), triangles, 1), floats(second.reshape(-1, 3), weights, 2)

    if "full_lmk_faces_idx" in value and "full_lmk_bary_coords" in value:
        triangles, weights = pair("full_lmk_faces_idx", "full_lmk_bary_coords")
    elif all(key in value for key in _KEYS[4:]):
        inner, contour = pair(_KEYS[4], _KEYS[5]), pair(_KEYS[6], _KEYS[7], row=True)
        triangles, weights = (np.concatenate([outer, own]) for outer, own in zip(contour, inner, strict=True))
    elif "lmk_face_idx" in value and "lmk_b_coords" in value:
        triangles, weights = pair("lmk_face_idx", "lmk_b_coords")
    else:
        raise UserError("it has none of the entries of a landmark embedding of FLAME: full_lmk_faces_idx, lmk_face_idx ...")
    if len(triangles) == COUNT - _CONTOUR:
        raise UserError(f"it has the inner {COUNT - _CONTOUR} landmarks only: give landmark_embedding.npy, which has the jaw, too")
    if len(triangles) != COUNT or len(weights) != COUNT:
        raise UserError(f"it has {len(triangles)} landmarks with {len(weights)} places, and {COUNT} are needed")
    if triangles.min() < 0 or triangles.max() >= len(faces):
        raise UserError("its landmarks lie in triangles that the face model does not have: it belongs to another model")
    if not np.allclose(weights.sum(1), 1.0, atol=1e-3) or weights.min() < -1e-3:
        raise UserError("its landmarks have weights that do not add up to 1")
    return {
        index: Point((int(a), int(b), int(c)), (float(u), float(v), float(w)))
        for index, ((a, b, c), (u, v, w)) in enumerate(zip(faces[triangles], weights, strict=True))
    }
