"""Small face models in the very formats of others, written here: a mask of our own head's landmarks and a few points around them."""

from __future__ import annotations

import io
import json
import pickle
import struct
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, ClassVar

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.io import savemat
from scipy.sparse import csc_matrix
from scipy.spatial import Delaunay

from crossrig.face3d.head import load_head
from crossrig.face3d.importers.basel_h5 import IBUG
from crossrig.face3d.importers.carrying import own_landmarks

Floats = NDArray[np.float64]

#: Where the origin of the files lies, metres: ours must not depend on it.
OFFSET = np.array([0.01, -0.02, 0.03])


@dataclass(frozen=True)
class Mask:
    """V points whose first 68 are the landmarks, and F triangles that turn anticlockwise as seen from the front; metres."""

    points: Floats
    faces: NDArray[np.int64]

    def basis(self, count: int, seed: int, size: float = 0.002) -> Floats:
        """(3 V, count): orthonormal columns times `size` or less."""
        random = np.random.default_rng(seed)
        columns, _ = np.linalg.qr(random.normal(size=(3 * len(self.points), count)))
        return np.asarray(columns * size)


@pytest.fixture(scope="session")
def mask() -> Mask:
    landmarks = own_landmarks(load_head())
    angle = np.linspace(0, 2 * np.pi, 40, endpoint=False)
    ring = np.stack([0.085 * np.sin(angle), -0.01 + 0.105 * np.cos(angle), np.zeros(40)], axis=1)
    points = np.concatenate([landmarks, ring])
    faces = Delaunay(points[:, :2]).simplices.astype(np.int64)
    a, b, c = (points[faces[:, corner], :2] for corner in range(3))
    turning = (b - a)[:, 0] * (c - a)[:, 1] - (b - a)[:, 1] * (c - a)[:, 0]
    faces[turning < 0] = faces[turning < 0][:, ::-1]
    return Mask(points, faces)


# -- Basel 2009 -----------------------------------------------------------------------------------------------------


def matlab_variables(mask: Mask) -> dict[str, NDArray[Any]]:
    """What 01_MorphableModel.mat holds: micrometres, triangles from 1 and clockwise, colours from 0 to 255."""
    count = len(mask.points)
    return {
        "shapeMU": ((mask.points + OFFSET) * 1e6).reshape(-1, 1).astype(np.float32),
        "shapePC": mask.basis(90, 1, 1.0).astype(np.float32),
        "shapeEV": np.linspace(9e3, 1e3, 90).reshape(-1, 1).astype(np.float32),
        "texMU": np.full((3 * count, 1), 140.0, np.float32),
        "texPC": mask.basis(60, 2, 1.0).astype(np.float32),
        "texEV": np.linspace(300, 30, 60).reshape(-1, 1).astype(np.float32),
        "tl": (mask.faces[:, ::-1] + 1).astype(np.int32),
        "segbin": np.zeros((count, 4), np.uint8),
    }


def write_basel_2009(folder: Path, mask: Mask) -> Path:
    path = folder / "01_MorphableModel.mat"
    savemat(path, matlab_variables(mask), do_compression=True)
    (folder / "landmarks.txt").write_text("\n".join(str(index) for index in range(68)))
    return path


def write_expressions(folder: Path, mask: Mask, count: int = 60) -> Path:
    """Exp_Pca.bin and what lies beside it, for all vertices but the last two."""
    known = len(mask.points) - 2
    components = np.stack([np.full((known, 3), 100.0 * (index + 1)) for index in range(count)])
    data = struct.pack("<i", count) + np.zeros(3 * known, "<f4").tobytes() + components.astype("<f4").tobytes()
    (folder / "Exp_Pca.bin").write_bytes(data)
    (folder / "std_exp.txt").write_text(" ".join(f"{2.0 + index:.4f}" for index in range(count)))
    savemat(folder / "BFM_exp_idx.mat", {"trimIndex": np.arange(1, known + 1).reshape(-1, 1)})
    return folder / "Exp_Pca.bin"


# -- Basel 2017 and 2019 --------------------------------------------------------------------------------------------


def write_basel_h5(folder: Path, mask: Mask, name: str = "model2019_fullHead.h5", landmarks: bool = True) -> Path:
    """Statismo's layout: millimetres, orthonormal bases and variances, named landmarks as JSON text."""
    import h5py

    path = folder / name
    place = (mask.points + OFFSET) * 1e3
    with h5py.File(path, "w") as file:
        mean, colour = np.full_like(place, 0.5), np.full_like(place, 0.6)
        parts = (("shape", place, 100, 4.0), ("expression", mean, 60, 2.0), ("color", colour, 50, 0.5))
        for seed, (part, mean, count, spread) in enumerate(parts):
            file[f"{part}/model/mean"] = mean.reshape(-1).astype(np.float32)
            file[f"{part}/model/pcaBasis"] = mask.basis(count, seed, 1.0).astype(np.float32)
            file[f"{part}/model/pcaVariance"] = np.linspace(spread, 0.1 * spread, count).astype(np.float32) ** 2
            file[f"{part}/representer/cells"] = mask.faces.T.astype(np.uint32)
        if landmarks:
            found = [{"id": name, "coordinates": place[number].tolist()} for name, number in IBUG.items()]
            found.append({"id": "right.ear.tragus.tip", "coordinates": [0.0, 0.0, 0.0]})
            file["metadata/landmarks/json"] = json.dumps(found)
    return path


# -- FLAME ----------------------------------------------------------------------------------------------------------


def flame_arrays(mask: Mask) -> dict[str, NDArray[Any]]:
    """What generic_model.pkl holds: metres; the jaw's joint lies between the ears and turns what is below the lips' line."""
    points = mask.points + OFFSET
    count = len(points)
    jaw = 1.0 / (1.0 + np.exp((mask.points[:, 1] + 0.047) * 500))
    weights = np.zeros((count, 5))
    weights[:, 2], weights[:, 1] = jaw, 1.0 - jaw
    weights[-1] = (0.75, 0.25, 0.0, 0.0, 0.0)
    regressor = np.zeros((5, count))
    regressor[:, 0] = 0.5
    regressor[:, 16] = 0.5
    directions = np.moveaxis(mask.basis(300, 3).reshape(count, 3, -1), 2, 0)
    more = np.random.default_rng(4).normal(size=(100, count, 3)) * 0.001
    return {
        "v_template": points,
        "shapedirs": np.moveaxis(np.concatenate([directions, more]), 0, 2),
        "f": mask.faces.astype(np.uint32),
        "J_regressor": regressor,
        "weights": weights,
        "posedirs": np.random.default_rng(5).normal(size=(count, 3, 36)) * 1e-3,
        "kintree_table": np.array([[4294967295, 0, 1, 1, 1], [0, 1, 2, 3, 4]], np.uint32),
    }


class Python2Pickler(pickle._Pickler):  # type: ignore[name-defined,misc]
    """Writes bytes and text as Python 2 did, and numpy's old module names."""

    dispatch: ClassVar[dict[Any, Any]] = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def _string(self, data: bytes) -> None:
        self.write(b"U" + bytes([len(data)]) + data if len(data) < 256 else b"T" + struct.pack("<i", len(data)) + data)

    def save_text(self, value: str) -> None:
        self._string(value.encode("latin1"))
        self.memoize(value)

    def save_data(self, value: bytes) -> None:
        self._string(value)
        self.memoize(value)

    def save_global(self, obj: Any, name: str | None = None) -> None:
        module, label = obj.__module__, name or obj.__qualname__
        module = {"numpy._core.multiarray": "numpy.core.multiarray", "builtins": "__builtin__"}.get(module, module)
        self.write(f"c{module}\n{label}\n".encode())
        self.memoize(obj)

    dispatch[str], dispatch[bytes] = save_text, save_data
    dispatch[type] = save_global
    dispatch[type(len)] = save_global


@pytest.fixture
def chumpy(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Makes a class importable as chumpy.ch.Ch, so that the tests can write what chumpy writes; calling it fails."""
    module = ModuleType("chumpy.ch")

    class Ch:
        def __init__(self) -> None:
            raise AssertionError("called")

    Ch.__module__, Ch.__qualname__ = "chumpy.ch", "Ch"
    module.Ch = Ch  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "chumpy", ModuleType("chumpy"))
    monkeypatch.setitem(sys.modules, "chumpy.ch", module)

    def wrap(array: NDArray[Any]) -> Any:
        made = object.__new__(Ch)
        made.__dict__.update({"x": array, "_dirty_vars": {"x"}, "_itr": None, "_depends_on_deps": {}, "_status": "new"})
        return made

    return wrap


def flame_pickle(arrays: dict[str, NDArray[Any]], wrap: Any, python2: bool) -> bytes:
    contents = {
        **arrays,
        "v_template": wrap(arrays["v_template"]),
        "shapedirs": wrap(arrays["shapedirs"]),
        "J_regressor": csc_matrix(arrays["J_regressor"]),
        "bs_type": "lrotmin",
    }
    if not python2:
        return pickle.dumps(contents, 5)
    file = io.BytesIO()
    Python2Pickler(file, 2).dump(contents)
    return file.getvalue()


def write_embedding(path: Path, mask: Mask) -> Path:
    """landmark_embedding.npy: a pickled dictionary in a .npy; landmarks are corners of triangles, but the first is in the middle of one."""
    triangles, weights = [], []
    for number in range(68):
        triangle = int(np.flatnonzero((mask.faces == number).any(1))[0])
        triangles.append(triangle)
        weights.append((mask.faces[triangle] == number).astype(np.float64))
    weights[0] = np.full(3, 1 / 3)
    contents = {"full_lmk_faces_idx": np.array([triangles]), "full_lmk_bary_coords": np.array([weights]), "lmk_other": [1, 2]}
    with open(path, "wb") as file:
        np.save(file, np.array(contents, dtype=object), allow_pickle=True)
    return path


# -- ICT ------------------------------------------------------------------------------------------------------------


def obj_text(points: Floats, faces: NDArray[np.int64]) -> str:
    lines = ["mtllib ICTFaceModelMaterial.mtl", *(f"v {x:.15f} {y:.15f} {z:.15f}" for x, y, z in points)]
    lines += [f"vt {0.5 + x / 30:.6f} {0.5 + y / 30:.6f}" for x, y, _ in points]
    lines += ["usemtl M_Face", *(f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in faces + 1)]
    return "\n".join(lines) + "\n"


def write_ict(folder: Path, mask: Mask) -> Path:
    folder = folder / "FaceXModel"
    folder.mkdir()
    points = (mask.points + OFFSET) * 100
    (folder / "generic_neutral_mesh.obj").write_text(obj_text(points, mask.faces))
    for index in range(83):
        moved = points + 100 * mask.basis(83, 6)[:, index].reshape(-1, 3)
        (folder / f"identity{index:03d}.obj").write_text(obj_text(moved, mask.faces))
    shifts = {
        "jawOpen": (0, -1, 0), "mouthSmile_L": (0.3, 0, 0), "browInnerUp_L": (0, 0.2, 0), "browInnerUp_R": (0, 0, 0.1),
        "jawLeft": (0.4, 0, 0),
    }  # fmt: skip
    for name, shift in shifts.items():
        moved = points.copy()
        moved[8] += shift
        (folder / f"{name}.obj").write_text(obj_text(moved, mask.faces))
    (folder / "vertex_indices.json").write_text(json.dumps({"idx_to_landmark_verts": list(range(68)), "expressions": list(shifts)}))
    return folder


@pytest.fixture(scope="session")
def writers() -> ModuleType:
    """This module, for its functions: pytest's import mode does not let tests import it."""
    return sys.modules[__name__]
