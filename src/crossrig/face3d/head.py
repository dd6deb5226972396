"""The head model as plain arrays, for those who draw heads and need no gradients (nor the start of torch).

`face3d.model.FaceModel` reads the same file and says what every array means.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.landmarks import LANDMARK_NAMES

Floats = NDArray[np.float32]

HEAD_FILE: Final = Path(__file__).resolve().parent.parent / "assets" / "head.safetensors"

#: Share of the yaw that shoulders follow; pitch and roll leave them alone.
SHOULDER_YAW: Final = 0.3

_FLOATS: Final = (
    "uv", "mean", "shape_basis", "expression_basis", "albedo_mean", "albedo_basis", "rotation_weight", "occlusion", "eye_direction",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class HeadArrays:
    """One head model of V vertices and F triangles; metres, sRGB-encoded colours."""

    faces: NDArray[np.int32]  # (F, 3)
    uv: Floats  # (V, 2)
    mean: Floats  # (V, 3)
    shape_basis: Floats  # (80, V, 3)
    expression_basis: Floats  # (52, V, 3)
    albedo_mean: Floats  # (V, 3)
    albedo_basis: Floats  # (48, V, 3)
    rotation_weight: Floats  # (V,)
    face_part: NDArray[np.uint8]  # (F,)
    base_vertex: NDArray[np.int64]  # (V,) in MakeHuman's base mesh, -1 for none
    occlusion: Floats  # (V,)
    eye_direction: Floats  # (V, 3)
    regions: Mapping[str, NDArray[np.int64]]  # name -> vertex indices
    controls: Mapping[str, Floats]  # name -> step (80,) in shape or (48,) in albedo
    landmarks: Mapping[str, int]  # name -> vertex index, in iBUG order


def load_head(path: Path | str = HEAD_FILE) -> HeadArrays:
    """The arrays of the shipped head model, or of the one in `path`. Raises UserError for a file that is none."""
    arrays, _ = checkpoint.load_arrays(path)
    for name in (*_FLOATS, "faces", "face_part", "base_vertex", "landmark_index"):
        if name not in arrays:
            raise UserError(f"The head model has no tensor '{name}'; rebuild it with scripts/build_face_model.py.")

    landmarks = dict(zip(LANDMARK_NAMES, (int(index) for index in arrays["landmark_index"]), strict=True))
    return HeadArrays(
        **{name: arrays[name].astype(np.float32) for name in _FLOATS},
        faces=arrays["faces"].astype(np.int32), face_part=arrays["face_part"].astype(np.uint8),
        base_vertex=arrays["base_vertex"].astype(np.int64),
        regions=MappingProxyType({name: array.astype(np.int64) for name, array in _named(arrays, "region.")}),
        controls=MappingProxyType({name: array.astype(np.float32) for name, array in _named(arrays, "control.")}),
        landmarks=MappingProxyType(landmarks),
    )  # fmt: skip


def _named(arrays: Mapping[str, NDArray[np.generic]], prefix: str) -> list[tuple[str, NDArray[np.generic]]]:
    """The arrays of one kind, by what their names say after the prefix."""
    return [(name.removeprefix(prefix), array) for name, array in arrays.items() if name.startswith(prefix)]
