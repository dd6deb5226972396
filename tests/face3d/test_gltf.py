"""The 3D face as binary glTF: read back by the letter of the specification."""

from __future__ import annotations

import json
import struct
from typing import Any

import numpy as np
import pytest
import torch

from crossrig.face3d.gltf import glb_bytes
from crossrig.face3d.mesh import mesh_of
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams

TYPES = {5126: np.dtype("<f4"), 5125: np.dtype("<u4")}
WIDTHS = {"SCALAR": 1, "VEC2": 2, "VEC3": 3}


def read_glb(content: bytes) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """The scene, and the arrays of its one primitive by name."""
    magic, version, length = struct.unpack_from("<4sII", content)
    assert (magic, version, length) == (b"glTF", 2, len(content))
    chunks, at = {}, 12
    while at < length:
        size, kind = struct.unpack_from("<I4s", content, at)
        assert size % 4 == 0
        chunks[kind] = content[at + 8 : at + 8 + size]
        at += 8 + size
    assert list(chunks) == [b"JSON", b"BIN\0"]
    scene = json.loads(chunks[b"JSON"])
    binary = chunks[b"BIN\0"]
    assert 0 <= len(binary) - scene["buffers"][0]["byteLength"] < 4

    def array(index: int) -> np.ndarray:
        accessor = scene["accessors"][index]
        view = scene["bufferViews"][accessor["bufferView"]]
        kind, width = TYPES[accessor["componentType"]], WIDTHS[accessor["type"]]
        assert view["byteOffset"] % 4 == 0
        assert view["byteLength"] == accessor["count"] * width * kind.itemsize
        part = binary[view["byteOffset"] : view["byteOffset"] + view["byteLength"]]
        found = np.frombuffer(part, kind).reshape(-1, width)
        for name, bound in (("min", found.min(axis=0)), ("max", found.max(axis=0))):
            if name in accessor:
                assert np.allclose(accessor[name], bound)
        return found

    (primitive,) = scene["meshes"][scene["nodes"][scene["scenes"][scene["scene"]]["nodes"][0]]["mesh"]]["primitives"]
    arrays = {name: array(index) for name, index in primitive["attributes"].items()} | {"indices": array(primitive["indices"])}
    assert {"min", "max"} <= set(scene["accessors"][primitive["attributes"]["POSITION"]])
    return scene, arrays


def test_the_mesh_comes_back(tiny_model: FaceModel, people: FaceParams) -> None:
    face = people[0]
    scene, arrays = read_glb(glb_bytes(tiny_model, face))
    assert scene["asset"]["version"] == "2.0"
    assert np.allclose(arrays["POSITION"], tiny_model.vertices(face)[0].numpy(), atol=1e-7)
    assert np.allclose(arrays["COLOR_0"], tiny_model.albedo(face)[0].numpy(), atol=1e-7)
    assert np.allclose(arrays["TEXCOORD_0"][:, 1], 1 - tiny_model.uv[:, 1].numpy(), atol=1e-6)
    assert np.array_equal(arrays["indices"].reshape(-1, 3), tiny_model.faces.numpy())
    assert np.allclose(np.linalg.norm(arrays["NORMAL"], axis=1), 1, atol=1e-5)


@pytest.mark.parametrize("yaw", [0.0, 40.0])
def test_the_shipped_head_is_whole(yaw: float) -> None:
    model = FaceModel.load()
    face = FaceParams.neutral(1).replace(rotation=torch.deg2rad(torch.tensor([[0.0, yaw, 0.0]])))
    _, arrays = read_glb(glb_bytes(model, face))
    mesh = mesh_of(model, face)
    assert arrays["indices"].max() == len(arrays["POSITION"]) - 1 == len(mesh.places) - 1
    assert all(np.isfinite(array).all() for array in arrays.values())
    # faces are anticlockwise from outside: their own normals agree with those of their corners
    a, b, c = (mesh.places[mesh.faces[:, corner]] for corner in range(3))
    facing = (np.cross(b - a, c - a) * mesh.normals[mesh.faces].mean(axis=1)).sum(axis=1)
    assert (facing > 0).mean() > 0.98
