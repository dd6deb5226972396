"""The 3D face as a Wavefront OBJ file, which every 3D program opens: metres, y up, texture coordinates, colours at the vertices."""

from __future__ import annotations

import numpy as np
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.face3d.parts import LASHES
from crossrig.render.shading import srgb_encode


@torch.no_grad()
def obj_text(model: FaceModel, params: FaceParams) -> str:
    """One face (a batch of 1) as OBJ. Lashes are left out: they are cards that need a texture."""
    faces = model.faces[model.face_part != LASHES].cpu().numpy()
    used, renumbered = np.unique(faces, return_inverse=True)  # some vertices belong to no triangle
    places = model.vertices(params)[0].cpu().numpy()[used]
    colours = srgb_encode(model.albedo(params).clamp(0, 1))[0].cpu().numpy()[used]
    lines = ["# The face of an edit, by crossrig", "o face"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f} {r:.4f} {g:.4f} {b:.4f}" for (x, y, z), (r, g, b) in zip(places, colours, strict=True)]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in model.uv.cpu().numpy()[used]]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in renumbered.reshape(-1, 3) + 1]
    return "\n".join(lines) + "\n"
