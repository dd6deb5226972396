"""The Basel Face Model of 2009 (Paysan et al. 2009): `01_MorphableModel.mat`, 53 490 vertices in micrometres, without expressions.

Expressions come from FaceWarehouse (Cao et al. 2014), carried over by Guo et al. (2018) and used so by Deep3DFaceRecon (Deng et al. 2019):
`Exp_Pca.bin` is an int32 K, then float32 of the mean (3 n) and of K components (3 n each) in micrometres, for the n = 53 215 vertices that
`trimIndex` of `BFM_exp_idx.mat` names, counted from 1; `std_exp.txt` has K standard deviations. As there, the mean is left out.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crossrig.errors import UserError
from crossrig.face3d.blocks import BLOCKS
from crossrig.face3d.importers.foreign import MOST_COMPONENTS, MOST_VERTICES, Colours, Deformations, Floats, ForeignModel, deltas
from crossrig.face3d.importers.landmark_files import read_landmarks
from crossrig.face3d.importers.limits import about, checked_size, floats, integers
from crossrig.face3d.importers.matlab import read_matlab

MICROMETRE = 1e-6
_VARIABLES = ("shapeMU", "shapePC", "shapeEV", "texMU", "texPC", "texEV", "tl")
LICENCE = "the licence of the Basel Face Model (University of Basel), which forbids to pass it on"


def read_basel_2009(path: Path, landmarks: Path | None, expressions: Path | None) -> ForeignModel:
    """The model in `01_MorphableModel.mat`; UserError without the name of the file when it is none."""
    found = read_matlab(path, _VARIABLES)
    missing = [name for name in _VARIABLES if name not in found]
    if missing:
        raise UserError(f"it has no variable {missing[0]}, so it is no Basel Face Model of 2009 (01_MorphableModel.mat)")
    if landmarks is None:
        raise UserError("the Basel Face Model of 2009 does not say where the 68 landmarks are: give their vertex numbers with --landmarks")
    mean = floats(found["shapeMU"].reshape(-1, 1), "shapeMU", 2)
    if len(mean) % 3:
        raise UserError("its shapeMU is no list of points")
    count = len(mean) // 3
    faces = integers(found["tl"], "tl", 2) - 1
    if faces.shape[1] != 3:
        raise UserError("its tl is no list of triangles")
    place = mean.reshape(count, 3) * MICROMETRE
    expression = None if expressions is None else _expressions(expressions, place)
    notes = ["The segments of the file (segbin and others) are not read: regions are carried over from our own head."]
    if expression is None:
        notes.append("The model of 2009 has no expressions: that block moves nothing; --expressions Exp_Pca.bin adds some.")
    else:
        notes.append("Expressions: the mean of Exp_Pca.bin is left out, as in Deep3DFaceRecon; vertices it lacks follow their neighbours.")
    return ForeignModel(
        title="Basel Face Model 2009",
        licence=LICENCE,
        mean=place,
        faces=faces,
        shape=_scaled(found["shapePC"], found["shapeEV"], "shape", count) * MICROMETRE,
        shape_available=found["shapePC"].shape[1],
        expression=expression,
        colours=Colours(
            floats(found["texMU"].reshape(-1, 3), "texMU", 2) / 255.0,
            _scaled(found["texPC"], found["texEV"], "albedo", count) / 255.0,
            found["texPC"].shape[1],
        ),
        landmarks=read_landmarks(landmarks, faces),
        notes=tuple(notes),
    )


def _scaled(components: NDArray[np.generic], deviations: NDArray[np.generic], block: str, count: int) -> Floats:
    """The leading components times their standard deviations, which is what the file calls EV."""
    if components.ndim != 2 or components.shape[1] != deviations.size:
        raise UserError(f"its {block} has components of shape {components.shape} and {deviations.size} standard deviations")
    leading = floats(components[:, : BLOCKS[block]], f"{block} components", 2)
    return deltas(leading, count, floats(deviations.reshape(-1), f"{block} deviations", 1)[: BLOCKS[block]])


def _expressions(path: Path, place: Floats) -> Deformations:
    """The leading components of Exp_Pca.bin for all vertices (V, 3) of the model."""
    folder = path.parent
    with about(folder / "BFM_exp_idx.mat"):
        table = read_matlab(folder / "BFM_exp_idx.mat", ("trimIndex",))
        if "trimIndex" not in table:
            raise UserError("it has no variable trimIndex")
        known = integers(table["trimIndex"].reshape(-1), "trimIndex", 1) - 1
        if known.min() < 0 or known.max() >= len(place):
            raise UserError("its trimIndex names vertices that the face model does not have")
    with about(folder / "std_exp.txt"):
        checked_size(folder / "std_exp.txt", 1 << 20)
        try:
            deviations = np.array((folder / "std_exp.txt").read_bytes().split(), dtype=np.float64)
        except ValueError:
            raise UserError("it is no list of standard deviations") from None
    with about(path):
        size = checked_size(path)
        kept = BLOCKS["expression"]
        with open(path, "rb") as file:
            (count,) = np.frombuffer(file.read(4).ljust(4, b"\0"), "<i4").tolist()
            numbers = 3 * len(known)
            if not 0 < count <= MOST_COMPONENTS or len(known) > MOST_VERTICES or size != 4 * (1 + numbers * (1 + count)):
                raise UserError(f"it does not hold {count} components of {len(known)} vertices: cut short, or of another model")
            if len(deviations) != count:
                raise UserError(f"it has {count} components, and std_exp.txt beside it {len(deviations)} standard deviations")
            file.seek(4 * (1 + numbers))
            values = np.frombuffer(file.read(4 * numbers * min(kept, count)), "<f4").reshape(-1, len(known), 3)
    moved = values.astype(np.float64) * (deviations[: len(values), None, None] * MICROMETRE)
    nearest = cKDTree(place[known]).query(place)[1]  # itself where it is known
    names = tuple(f"component {index}" for index in range(len(values)))
    return Deformations("components", names, moved[:, nearest], count)
