"""A model of others as one of ours: moved to our origin, cut to our blocks, and completed from our own head."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrig.errors import UserError
from crossrig.face3d import parts
from crossrig.face3d.blocks import BLOCKS
from crossrig.face3d.controls import DIRECTIONS
from crossrig.face3d.head import HeadArrays
from crossrig.face3d.importers.carrying import Carrier, midline, own_landmarks, similarity
from crossrig.face3d.importers.foreign import Floats, ForeignModel, Integers, Point
from crossrig.face3d.mirror import asymmetry
from crossrig.face3d.model import FaceModel
from crossrig.face3d.occlusion import ambient_occlusion

#: Distance of the outer corners of the eyes that a head may have, metres; 0.084 on our mean head.
_EYES_APART = (0.05, 0.15)
_CORNERS = (36, 45)
#: Turn between our mean head and another (radians) beyond which it looks elsewhere.
_MOST_TURN = math.radians(35)
_JAW = 17  # iBUG numbers below are on the outline of the face, which differs most between models
_FEWEST = 5
#: Share of the variance that a mirror image may lack.
_SYMMETRIC = 0.02
UNITS = "metres, x = own left, y up, z forward, origin between the ears; albedo sRGB-encoded 0..1"


def assemble(
    foreign: ForeignModel, head: HeadArrays, source: Mapping[str, str]
) -> tuple[dict[str, Tensor], dict[str, Any], tuple[str, ...]]:
    """Tensors and header of a `FaceModel` file, and sentences about what was left out or supplied.

    head: our own, which supplies what is missing. source: what the header keeps of the file ("file", "sha256"). UserError when the
    landmarks are not those of a head of human size that looks along +z.
    """
    mean = foreign.mean + _move(foreign, head)
    part = np.full(len(foreign.faces), parts.SKIN, np.uint8) if foreign.part is None else foreign.part
    places = {number: point.of(mean) for number, point in foreign.landmarks.items()}
    carrier = Carrier.onto(head, mean, foreign.faces, part, places)
    faces = _outwards(foreign.faces, mean, carrier.regions()["face"])
    skin = np.unique(faces[part == parts.SKIN])
    landmarks = carrier.fill(foreign.landmarks, mean, skin)
    between = {number: point for number, point in landmarks.items() if point.vertex is None}
    index = np.array([point.vertex if point.vertex is not None else -1 for _, point in sorted(landmarks.items())], dtype=np.int64)
    index[list(between)] = len(mean) + np.arange(len(between))

    def padded(basis: Floats | None, block: str) -> Floats:
        """(n, V + extra, 3): the leading components, zeros after the last, and the values at landmarks between vertices."""
        values = np.zeros((BLOCKS[block], len(mean), 3))
        if basis is not None:
            values[: len(basis)] = basis[: BLOCKS[block]]
        return _with_places(values, between)

    colours = foreign.colours
    own = carrier.values
    albedo_basis = np.moveaxis(own(np.moveaxis(head.albedo_basis, 0, 1)), 1, 0) if colours is None else colours.basis
    tensors: dict[str, NDArray[Any]] = {
        "faces": faces.astype(np.int32),
        "uv": _flat(foreign.uv if foreign.uv is not None else _cylinder(mean), between),
        "mean": _with_places(mean, between),
        "shape_basis": padded(foreign.shape, "shape"),
        "expression_basis": padded(foreign.expression.basis if foreign.expression else None, "expression"),
        "albedo_mean": _with_places(own(head.albedo_mean) if colours is None else colours.mean, between).clip(0, 1),
        "albedo_basis": padded(albedo_basis, "albedo"),
        "rotation_weight": _flat(_weights(foreign, own(head.rotation_weight)), between),
        "face_part": part,
        "occlusion": np.concatenate([ambient_occlusion(mean, faces, part), np.ones(len(between))]),
        "eye_direction": np.zeros((len(mean) + len(between), 3)),
        "base_vertex": np.full(len(mean) + len(between), -1, dtype=np.int64),
        "landmark_index": index,
    }
    regions = carrier.regions()
    regions["helpers"] = np.setdiff1d(np.arange(len(mean) + len(between)), faces)
    tensors |= {f"region.{name}": vertices.astype(np.int64) for name, vertices in regions.items()}
    if colours is None:  # then its colours are ours, and so are the directions in them
        tensors |= {f"control.{name}": step for name, step in head.controls.items() if DIRECTIONS.get(name, ("",))[0] == "albedo"}
    plain = {name: _tensor(array) for name, array in tensors.items()}
    header = _header(foreign, source)
    lopsided = asymmetry(FaceModel(plain, header))
    header["symmetric"] = lopsided < _SYMMETRIC
    return plain, header, _notes(foreign, lopsided)


def _move(foreign: ForeignModel, head: HeadArrays) -> Floats:
    """(3,) metres to our origin. UserError when the landmarks do not make sense."""
    places = {number: point.of(foreign.mean) for number, point in foreign.landmarks.items()}
    inner = [number for number in places if number >= _JAW]
    if len(inner) < _FEWEST or any(number not in places for number in _CORNERS):
        raise UserError("too few of its landmarks are known: give their vertex numbers with --landmarks")
    apart = float(np.linalg.norm(places[_CORNERS[0]] - places[_CORNERS[1]]))
    if not _EYES_APART[0] < apart < _EYES_APART[1]:
        raise UserError(
            f"its landmarks put the outer corners of the eyes {apart * 1000:.1f} mm apart, and of a head they are 50 to 150: "
            "the landmarks or the units are those of another model"
        )
    own, goal = own_landmarks(head)[inner], np.stack([places[number] for number in inner])
    _, rotation, _ = similarity(goal, own)
    turn = math.acos(max(-1.0, min(1.0, (np.trace(rotation) - 1) / 2)))
    if turn > _MOST_TURN:
        raise UserError(
            f"its landmarks say that the mean face is turned by {math.degrees(turn):.0f} degrees: it must look along +z with y up, and the "
            "landmarks must be in the order of iBUG's 68"
        )
    move = (own - goal).mean(0)
    move[0] = -midline(places)
    return np.asarray(move)


def _outwards(faces: Integers, mean: Floats, face: Integers) -> Integers:
    """The triangles, turned round if those of the face turn clockwise as seen from the front."""
    a, b, c = (mean[faces[:, corner]] for corner in range(3))
    towards = np.cross(b - a, c - a)[:, 2]
    member = np.zeros(len(mean), dtype=bool)
    member[face] = True
    return faces if towards[member[faces].all(1)].sum() >= 0 else faces[:, ::-1]


def _weights(foreign: ForeignModel, carried: Floats) -> Floats:
    return np.asarray(np.clip(carried if foreign.rotation_weight is None else foreign.rotation_weight, 0.0, 1.0))


def _cylinder(mean: Floats) -> Floats:
    """(V, 2): the angle about the vertical and the height, for models without texture coordinates."""
    low, high = mean[:, 1].min(), mean[:, 1].max()
    angle = np.arctan2(mean[:, 0], mean[:, 2])
    return np.stack([0.5 + angle / (2 * math.pi), (mean[:, 1] - low) / max(high - low, 1e-9)], axis=1)


def _with_places(values: Floats, between: Mapping[int, Point]) -> Floats:
    """Values (..., V, C) with those at places between vertices appended."""
    if not between:
        return values
    return np.concatenate([values, np.stack([point.of(values) for point in between.values()], axis=-2)], axis=-2)


def _flat(values: Floats, between: Mapping[int, Point]) -> Floats:
    """`_with_places` of values (V,) or (V, 2)."""
    return _with_places(values.reshape(len(values), -1), between).reshape(-1, *values.shape[1:])


def _tensor(array: NDArray[Any]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array.astype(np.float32) if array.dtype.kind == "f" else array))


def _header(foreign: ForeignModel, source: Mapping[str, str]) -> dict[str, Any]:
    names = list(foreign.expression.names) if foreign.expression else []
    return {
        "kind": "head",
        "name": f"{foreign.title} {source['sha256'][:12]}",
        "imported": {"model": foreign.title, **source},
        "licence": foreign.licence,
        "sources": [{"what": foreign.title, **source}],
        "units": UNITS,
        "expression": foreign.expression.kind if foreign.expression else "components",
        "expression_names": names,
    }


def _notes(foreign: ForeignModel, lopsided: float) -> tuple[str, ...]:
    notes = [
        _kept("Shape", foreign.shape_available, min(len(foreign.shape), BLOCKS["shape"]), BLOCKS["shape"]),
    ]
    expression, colours = foreign.expression, foreign.colours
    if expression is not None and expression.kind == "units":
        notes.append(f"Expression: {expression.available} files make the named units, 0 to 1.")
    elif expression is not None:
        kept = sum(name.startswith("component") for name in expression.names)
        notes.append(_kept("Expression", expression.available, kept, BLOCKS["expression"]))
        notes.append("Its expressions are components in standard deviations, not named units: controls such as smile are not offered.")
    if colours is None:
        notes.append("Albedo: the file has none; that of our own head is carried over.")
    else:
        notes.append(_kept("Albedo", colours.available, min(len(colours.basis), BLOCKS["albedo"]), BLOCKS["albedo"]))
    if lopsided >= _SYMMETRIC:
        notes.append("It has no mirror image in itself: networks that read it are trained with mirror set to false.")
    return (*notes, *foreign.notes)


def _kept(block: str, available: int, kept: int, size: int) -> str:
    left = available - kept
    end = f"{left} are left out" if left > 0 else "none is left out"
    return f"{block}: {kept} of {available} components; {end}" + (f", and {size - kept} of the block move nothing." if kept < size else ".")
