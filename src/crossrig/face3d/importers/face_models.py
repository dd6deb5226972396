"""Other people's face models as files of ours: which program wrote a file, and what of it to take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.head import load_head
from crossrig.face3d.importers.assemble import assemble
from crossrig.face3d.importers.basel_2009 import read_basel_2009
from crossrig.face3d.importers.basel_h5 import read_basel_h5
from crossrig.face3d.importers.flame import read_flame
from crossrig.face3d.importers.foreign import ForeignModel
from crossrig.face3d.importers.ict import NEUTRAL, read_ict
from crossrig.face3d.importers.limits import about, checked_size

_MATLAB, _HDF5, _PICKLE, _ZIP = b"MATLAB", b"\x89HDF\r\n\x1a\n", b"\x80", b"PK\x03\x04"


@dataclass(frozen=True)
class Imported:
    """A face model from files of another program: what `FaceModel` takes, and sentences about what was left out or supplied."""

    title: str
    licence: str
    tensors: Mapping[str, Tensor]
    header: Mapping[str, Any]
    notes: tuple[str, ...]


def import_face_model(path: Path, landmarks: Path | None = None, expressions: Path | None = None) -> Imported:
    """The model in a file, or in the folder of ICT-FaceKit, told by its contents. Nothing in the files is executed.

    landmarks: see `landmark_files.read_landmarks`; expressions: `Exp_Pca.bin`, for the Basel Face Model of 2009 only. UserError names the
    file and what is wrong with it: no such file, damaged, too large, asking for code, or none of the models that are known.
    """
    with about(path):
        foreign = _read(path, landmarks, expressions)
        main = path / NEUTRAL if path.is_dir() else path
        source = {"file": path.name, "sha256": checkpoint.sha256(main)}
        tensors, header, notes = assemble(foreign, load_head(), source)
    return Imported(foreign.title, foreign.licence, tensors, header, notes)


def _read(path: Path, landmarks: Path | None, expressions: Path | None) -> ForeignModel:
    if path.is_dir():
        foreign = read_ict(path, landmarks)
    else:
        checked_size(path)
        with open(path, "rb") as file:
            start = file.read(8)
        if start.startswith(_MATLAB):
            return read_basel_2009(path, landmarks, expressions)
        if start == _HDF5:
            foreign = read_basel_h5(path, landmarks)
        elif start.startswith((_PICKLE, _ZIP)) or start.lstrip()[:1] == b"{":
            foreign = read_flame(path, landmarks, start)
        else:
            raise UserError(
                "it is none of the face models that are read: 01_MorphableModel.mat, model2017-1_*.h5 or model2019_*.h5 of Basel, FLAME's "
                "generic_model.pkl (or .npz, .json), or the folder of ICT-FaceKit"
            )
    if expressions is not None:
        raise UserError(f"{foreign.title} has expressions of its own: --expressions is for the Basel Face Model of 2009")
    return foreign
