"""FLAME (Li et al. 2017), 2020 and 2023: `generic_model.pkl`, or its arrays as .npz or .json; 5023 vertices in metres.

    v_template (V, 3), shapedirs (V, 3, 400): 300 of shape and 100 of expression per standard deviation, f (F, 3), J_regressor (5, V),
    weights (V, 5), posedirs (V, 3, 36), kintree_table (2, 5); the joints are the root, neck, jaw, left and right eye

FLAME opens the mouth by turning the jaw, not by an expression: what its skinning and pose correctives do to the mean face at `JAW_OPEN`
radians becomes one more direction of the expression block, its last.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossrig.errors import UserError
from crossrig.face3d import parts
from crossrig.face3d.blocks import BLOCKS
from crossrig.face3d.importers.foreign import MOST_VERTICES, Deformations, Floats, ForeignModel, Integers
from crossrig.face3d.importers.landmark_files import read_landmarks
from crossrig.face3d.importers.limits import floats, integers, read_json, read_npz
from crossrig.face3d.importers.pickled import array_of, read_pickled

SHAPES, EXPRESSIONS = 300, 100
ROOT, NECK, JAW, EYES = 0, 1, 2, (3, 4)
JOINTS = 5
JAW_OPEN = 0.2
"""Radians that the jaw is turned by a weight of 1; a mouth is wide open at about 0.5."""
LICENCE = "the licence of FLAME (Max Planck Institute for Intelligent Systems), which says who may have it"
_KEYS = ("v_template", "shapedirs", "f", "J_regressor", "weights", "posedirs", "kintree_table")


def read_flame(path: Path, landmarks: Path | None, start: bytes) -> ForeignModel:
    """The model in a file that begins with `start`; UserError without the name of the file when it is none."""
    value: object
    if start.startswith(b"PK\x03\x04"):
        value = read_npz(path, _KEYS)
    elif start.startswith(b"\x80"):
        value = read_pickled(path)
    else:
        value = read_json(path)
    if not isinstance(value, dict):
        raise UserError("it holds no dictionary of arrays, so it is no FLAME model")
    missing = [key for key in _KEYS if key not in value]
    if missing:
        raise UserError(f"it has no {missing[0]}, so it is no FLAME model (generic_model.pkl)")
    if landmarks is None:
        raise UserError("FLAME keeps its landmarks in a file of their own: give it with --landmarks landmark_embedding.npy")
    return _model({key: array_of(value[key], key) for key in _KEYS}, landmarks)


def _model(arrays: Mapping[str, NDArray[np.generic]], landmarks: Path) -> ForeignModel:
    mean = floats(arrays["v_template"], "v_template", 2)
    count = len(mean)
    weights, corrective = floats(arrays["weights"], "weights", 2), floats(arrays["posedirs"], "posedirs", 3)
    regressor = floats(arrays["J_regressor"], "J_regressor", 2)
    directions = floats(arrays["shapedirs"], "shapedirs", 3)
    expected = {
        "v_template": (mean, (count, 3)),
        "weights": (weights, (count, JOINTS)),
        "posedirs": (corrective, (count, 3, 9 * (JOINTS - 1))),
        "J_regressor": (regressor, (JOINTS, count)),
        "shapedirs": (directions, (count, 3, SHAPES + EXPRESSIONS)),
    }
    for name, (array, shape) in expected.items():
        if array.shape != shape or count > MOST_VERTICES:
            raise UserError(f"its {name} has the shape {array.shape}, and FLAME of {count} vertices has {shape}")
    faces = integers(arrays["f"], "f", 2)
    if faces.shape[1] != 3:
        raise UserError("its f is no list of triangles")
    parents = integers(arrays["kintree_table"][0:1].astype(np.float64), "kintree_table", 2)[0]
    if parents.shape != (JOINTS,) or parents[1:].tolist() != [ROOT, NECK, NECK, NECK]:
        raise UserError("its joints are not the root, neck, jaw and eyes of FLAME")
    kept = BLOCKS["expression"] - 1
    basis = np.moveaxis(directions, 2, 0)
    jaw = _jaw_open(mean, regressor, weights, corrective)
    expression = Deformations(
        "components",
        (*(f"component {index}" for index in range(kept)), "jawOpen"),
        np.concatenate([basis[SHAPES : SHAPES + kept], jaw[None]]),
        EXPRESSIONS,
    )
    return ForeignModel(
        title="FLAME",
        licence=LICENCE,
        mean=mean,
        faces=faces,
        shape=np.ascontiguousarray(basis[: BLOCKS["shape"]]),
        shape_available=SHAPES,
        expression=expression,
        colours=None,
        landmarks=read_landmarks(landmarks, faces),
        part=_parts(faces, weights),
        rotation_weight=1.0 - weights[:, ROOT],
        notes=(
            f"Expression {kept} opens the jaw: {math.degrees(JAW_OPEN):.0f} degrees of its joint at 1, made from skinning and correctives.",
            "Turns of the eyes' and neck's own joints are left out: the head turns as our own does.",
        ),
    )


def _jaw_open(mean: Floats, regressor: Floats, weights: Floats, corrective: Floats) -> Floats:
    """(V, 3): what a jaw turned about x by JAW_OPEN does to the mean face, by FLAME's skinning (its equations 2 and 4)."""
    cosine, sine = math.cos(JAW_OPEN), math.sin(JAW_OPEN)
    turn = np.array([[1, 0, 0], [0, cosine, -sine], [0, sine, cosine]])
    first = 9 * (JAW - 1)  # the root has no corrective
    shaped = mean + corrective[:, :, first : first + 9] @ (turn - np.eye(3)).reshape(-1)
    joint = regressor[JAW] @ mean
    turned = (shaped - joint) @ turn.T + joint
    return np.asarray(shaped + weights[:, JAW, None] * (turned - shaped) - mean)


def _parts(faces: Integers, weights: Floats) -> NDArray[np.uint8]:
    """Eyeballs are what turns with the joints of the eyes."""
    eyes = weights[:, EYES].sum(1) > 0.5
    return np.where(eyes[faces].all(1), parts.EYE, parts.SKIN).astype(np.uint8)
