"""The 3D face as OBJ."""

from __future__ import annotations

import numpy as np
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.obj import obj_text
from crossrig.face3d.params import FaceParams


def rows(text: str, kind: str) -> np.ndarray:
    return np.array([[float(word.split("/")[0]) for word in line.split()[1:]] for line in text.splitlines() if line.split()[0] == kind])


def test_the_mesh_comes_back(tiny_model: FaceModel, people: FaceParams) -> None:
    one = FaceParams.unpack(people.pack()[:1])
    text = obj_text(tiny_model, one)
    vertices = rows(text, "v")
    assert np.allclose(vertices[:, :3], tiny_model.vertices(one)[0].numpy(), atol=1e-6)
    assert np.array_equal(rows(text, "f") - 1, tiny_model.faces.numpy())
    assert np.allclose(rows(text, "vt"), tiny_model.uv.numpy(), atol=1e-6)
    assert ((vertices[:, 3:] >= 0) & (vertices[:, 3:] <= 1)).all()


def test_vertices_without_a_triangle_are_left_out(tiny_model: FaceModel) -> None:
    parts = dict(tiny_model.named_buffers())
    tensors = {name: parts[name] for name in parts if not name.startswith(("region_", "control_"))}
    kept = (tensors["faces"] != 5).all(dim=1)  # nothing hangs on vertex 5 any more
    fewer = FaceModel({**tensors, "faces": tensors["faces"][kept], "face_part": tensors["face_part"][kept]})
    text = obj_text(fewer, FaceParams.neutral(1))
    used = torch.unique(fewer.faces)
    assert len(used) == len(fewer.mean) - 1
    assert len(rows(text, "v")) == len(used)
    assert rows(text, "f").min() == 1
    assert rows(text, "f").max() == len(used)
