"""The Basel Face Models of 2017 and 2019 (Gerig et al. 2018): HDF5 in the layout of statismo, millimetres, principal components.

    {shape,expression,color}/model/{mean (3V,), pcaBasis (3V, K) orthonormal, pcaVariance (K,)}, {shape}/representer/cells (3, F),
    metadata/landmarks/json: a list of {"id": "right.eye.corner_outer", "coordinates": [x, y, z]}

The mean deformation of the expressions is not zero: it becomes the first component, so that weights of zero are a face at rest, and any
expression of the file is one of ours with a first weight of 1.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crossrig.errors import UserError
from crossrig.face3d.blocks import BLOCKS
from crossrig.face3d.importers.foreign import MOST_COMPONENTS, MOST_VERTICES, Colours, Deformations, Floats, ForeignModel, Point, deltas
from crossrig.face3d.importers.landmark_files import read_landmarks
from crossrig.face3d.importers.limits import MOST_NUMBERS, checked_size, floats, integers, json_value
from crossrig.pickles.restricted import printable

MILLIMETRE = 1e-3
LICENCE = "the licence of the Basel Face Model (University of Basel), which forbids to pass it on"
#: The landmarks of the file that are iBUG's: the others mark other places, and most of iBUG's are not in the file.
IBUG: Mapping[str, int] = MappingProxyType(
    {
        "center.chin.tip": 8,
        "center.nose.tip": 30,
        "center.nose.attachement_to_philtrum": 33,
        "right.eye.corner_outer": 36,
        "right.eye.corner_inner": 39,
        "left.eye.corner_inner": 42,
        "left.eye.corner_outer": 45,
        "right.lips.corner": 48,
        "right.lips.philtrum_ridge": 50,
        "center.lips.upper.outer": 51,
        "left.lips.philtrum_ridge": 52,
        "left.lips.corner": 54,
        "center.lips.lower.outer": 57,
        "center.lips.upper.inner": 62,
        "center.lips.lower.inner": 66,
    }
)
_NEEDED = (30, 36, 45, 48, 54)
_FAR = 0.01  # metres: a landmark of the file lies on the surface


def read_basel_h5(path: Path, landmarks: Path | None) -> ForeignModel:
    """The model in `model2017-1_*.h5` or `model2019_*.h5`; UserError without the name of the file when it is none."""
    try:
        import h5py
    except ImportError:
        raise UserError("reading HDF5 files needs the package h5py: pip install 'crossrig[face-models]'") from None
    checked_size(path)
    try:
        with h5py.File(path, "r") as file:
            return _model(file, landmarks)
    except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:  # what HDF5 says about damaged files
        raise UserError(f"it is a damaged HDF5 file ({printable(str(error))})") from None


def _model(file: Any, landmarks: Path | None) -> ForeignModel:
    mean = floats(_read(file, "shape/model/mean").reshape(-1), "mean shape", 1)
    if len(mean) % 3 or len(mean) > 3 * MOST_VERTICES:
        raise UserError("its mean shape is no list of points, or of too many")
    count = len(mean) // 3
    place = mean.reshape(count, 3) * MILLIMETRE
    cells = integers(_read(file, "shape/representer/cells"), "triangles", 2)
    faces = cells.T if cells.shape[0] == 3 else cells
    if faces.shape[1] != 3:
        raise UserError("its cells are no triangles")
    notes: list[str] = []
    shape, shape_available = _components(file, "shape", BLOCKS["shape"], count)
    expression = None
    if "expression" in file:
        neutral = floats(_read(file, "expression/model/mean").reshape(-1, 3), "mean expression", 2)
        moved = np.abs(neutral).max() > 0
        components, available = _components(file, "expression", BLOCKS["expression"] - int(moved), count)
        names = tuple(f"component {index}" for index in range(len(components)))
        if moved:
            components, names = np.concatenate([neutral[None], components]), ("mean expression", *names)
            notes.append("Expression 0 is the mean deformation of the file's expressions, as it is at 1; the others are its components.")
        expression = Deformations("components", names, components * MILLIMETRE, available)
    else:
        notes.append("The file has no expressions: that block moves nothing.")
    colours = None
    if "color" in file:
        colour = floats(_read(file, "color/model/mean").reshape(-1, 3), "mean colour", 2)
        scale = 1.0 if colour.max() <= 2.0 else 255.0
        components, available = _components(file, "color", BLOCKS["albedo"], count)
        colours = Colours(colour / scale, components / scale, available)
    if landmarks is not None:
        found = read_landmarks(landmarks, faces)
    else:
        found = _landmarks(file, place)
        notes.append(f"Landmarks: {len(found)} of the 68 are in the file; the others are carried over from our own head.")
    return ForeignModel(
        title="Basel Face Model 2017 or 2019", licence=LICENCE, mean=place, faces=faces, shape=shape * MILLIMETRE,
        shape_available=shape_available, expression=expression, colours=colours, landmarks=found, notes=tuple(notes),
    )  # fmt: skip


def _components(file: Any, part: str, most: int, count: int) -> tuple[Floats, int]:
    """The leading components (K, V, 3) times their standard deviations, and how many there are."""
    variance = floats(_read(file, f"{part}/model/pcaVariance").reshape(-1), f"{part} variance", 1)
    if (variance < 0).any() or len(variance) > MOST_COMPONENTS:
        raise UserError(f"its {part} has negative variances, or too many")
    basis = floats(_read(file, f"{part}/model/pcaBasis", most), f"{part} basis", 2)
    if basis.shape[1] != min(most, len(variance)):
        raise UserError(f"its {part} has a basis of shape {basis.shape} and {len(variance)} variances")
    return deltas(basis, count, np.sqrt(variance[:most])), len(variance)


def _read(file: Any, name: str, columns: int | None = None) -> NDArray[np.generic]:
    """A dataset that lies in the file itself, or its first columns; UserError when it is missing or too large."""
    import h5py

    parent: Any = file
    for part in name.split("/"):
        # links may lead into other files of the computer
        if not isinstance(parent, h5py.Group) or not isinstance(parent.get(part, getlink=True), h5py.HardLink):
            raise UserError(f"it has no {name}, so it is no Basel Face Model of 2017 or 2019")
        parent = parent[part]
    if not isinstance(parent, h5py.Dataset) or parent.external or parent.is_virtual:
        raise UserError(f"its {name} is no array in the file itself")
    shape = tuple(parent.shape or ())
    wanted = (shape[0], min(columns, shape[1])) if columns is not None and len(shape) == 2 else shape
    if math.prod(wanted) > MOST_NUMBERS:
        raise UserError(f"its {name} has the shape {shape}, which no face model needs")
    values = parent[:, :columns] if wanted != shape else parent[()]
    return np.asarray(values)


def _landmarks(file: Any, place: Floats) -> dict[int, Point]:
    """iBUG number -> nearest vertex of the mean shape (V, 3), for the landmarks of the file's metadata that are iBUG's."""
    needs = "give the vertex numbers of the 68 landmarks with --landmarks"
    if "metadata" not in file:
        raise UserError(f"it has no landmarks: {needs}")
    text = _read(file, "metadata/landmarks/json")
    if text.dtype.kind in "SOU":  # text, in one piece or several
        data = b"".join(item if isinstance(item, bytes) else str(item).encode() for item in text.reshape(-1).tolist())
    else:  # its bytes, as statismo writes them
        data = text.tobytes()
    value = json_value(data.rstrip(b"\0"))
    items: list[tuple[object, object]] = list(value.items()) if isinstance(value, dict) else []
    if isinstance(value, list):
        items = [(item.get("id"), item.get("coordinates")) for item in value if isinstance(item, dict)]
    tree = cKDTree(place)
    found: dict[int, Point] = {}
    for name, coordinates in items:
        number = IBUG.get(name) if isinstance(name, str) else None
        if number is None:
            continue
        try:
            point = np.array(coordinates, dtype=np.float64).reshape(3) * MILLIMETRE
        except (TypeError, ValueError):
            raise UserError(f"its landmark {name} has no three coordinates") from None
        distance, vertex = tree.query(np.nan_to_num(point))
        if distance < _FAR:
            found[number] = Point.at(int(vertex))
    if any(number not in found for number in _NEEDED):
        raise UserError(f"too few of its landmarks are those of iBUG: {needs}")
    return found
