"""The 3D face as a Wavefront OBJ file, which every 3D program opens: metres, y up, texture coordinates, colours at the vertices."""

from __future__ import annotations

import torch

from crossrig.face3d.mesh import mesh_of
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.render.shading import srgb_encode


def obj_text(model: FaceModel, params: FaceParams) -> str:
    """One face (a batch of 1) as OBJ, without lashes."""
    mesh = mesh_of(model, params)
    colours = srgb_encode(torch.from_numpy(mesh.albedo)).numpy()
    lines = ["# The face of an edit, by crossrig", "o face"]
    lines += [f"v {x:.6f} {y:.6f} {z:.6f} {r:.4f} {g:.4f} {b:.4f}" for (x, y, z), (r, g, b) in zip(mesh.places, colours, strict=True)]
    lines += [f"vt {u:.6f} {v:.6f}" for u, v in mesh.uv]
    lines += [f"f {a}/{a} {b}/{b} {c}/{c}" for a, b, c in mesh.faces + 1]
    return "\n".join(lines) + "\n"
