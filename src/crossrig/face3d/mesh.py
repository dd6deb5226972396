"""The 3D face as plain arrays, for files that other programs open."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.face3d.parts import LASHES


@dataclass(frozen=True)
class Mesh:
    """One face, without what no triangle needs."""

    places: NDArray[np.float32]
    """(V, 3) metres, y up, the face looks towards +z."""
    normals: NDArray[np.float32]
    """(V, 3) of length 1."""
    albedo: NDArray[np.float32]
    """(V, 3) linear reflectance in [0, 1]."""
    uv: NDArray[np.float32]
    """(V, 2) texture coordinates from the lower left."""
    faces: NDArray[np.int64]
    """(F, 3) vertex indices, anticlockwise as seen from outside."""


@torch.no_grad()
def mesh_of(model: FaceModel, params: FaceParams) -> Mesh:
    """The mesh of one face (a batch of 1). Lashes are left out: they are cards that need a texture."""
    faces = model.faces[model.face_part != LASHES].cpu().numpy()
    used, renumbered = np.unique(faces, return_inverse=True)  # some vertices belong to no triangle
    vertices = model.vertices(params)
    return Mesh(
        vertices[0].cpu().numpy()[used],
        model.normals(vertices)[0].cpu().numpy()[used],
        model.albedo(params).clamp(0, 1)[0].cpu().numpy()[used],
        model.uv.cpu().numpy()[used],
        renumbered.reshape(-1, 3),
    )
