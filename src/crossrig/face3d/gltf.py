"""The 3D face as one binary glTF 2.0 file (.glb): vertices, normals, colours, texture coordinates and triangles.

After the Khronos specification of glTF 2.0: a header of 12 bytes, then a chunk of JSON and a chunk of binary data, each filled up to a
multiple of four bytes; everything little-endian. Lengths are metres, y is up and the face looks towards +z, as in our own space; colours
are linear, and texture coordinates start at the upper left.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from crossrig.face3d.mesh import Mesh, mesh_of
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams

_MAGIC, _VERSION, _JSON, _BINARY = 0x46546C67, 2, 0x4E4F534A, 0x004E4942
_FLOAT, _UNSIGNED = 5126, 5125
_VERTICES, _TRIANGLES = 34962, 34963


def glb_bytes(model: FaceModel, params: FaceParams) -> bytes:
    """One face (a batch of 1) as a .glb file, without lashes."""
    return encode_glb(mesh_of(model, params))


def encode_glb(mesh: Mesh) -> bytes:
    """A mesh as a .glb file."""
    uv = np.stack([mesh.uv[:, 0], 1.0 - mesh.uv[:, 1]], axis=1)
    arrays: Mapping[str, NDArray[Any]] = {
        "POSITION": mesh.places.astype("<f4"), "NORMAL": mesh.normals.astype("<f4"), "COLOR_0": mesh.albedo.astype("<f4"),
        "TEXCOORD_0": uv.astype("<f4"), "indices": mesh.faces.astype("<u4").reshape(-1),
    }  # fmt: skip
    views: list[dict[str, Any]] = []
    accessors: list[dict[str, Any]] = []
    data = bytearray()
    for name, array in arrays.items():
        is_index = name == "indices"
        content = array.tobytes()
        views.append(
            {"buffer": 0, "byteOffset": len(data), "byteLength": len(content), "target": _TRIANGLES if is_index else _VERTICES}
        )
        accessor = {
            "bufferView": len(accessors), "componentType": _UNSIGNED if is_index else _FLOAT, "count": len(array),
            "type": "SCALAR" if is_index else f"VEC{array.shape[1]}",
        }  # fmt: skip
        if name == "POSITION":  # the specification wants these of the positions
            accessor |= {"min": array.min(axis=0).tolist(), "max": array.max(axis=0).tolist()}
        accessors.append(accessor)
        data += content  # of four bytes an item, so every view is aligned
    places = {name: index for index, name in enumerate(arrays) if name != "indices"}
    primitive = {"attributes": places, "indices": len(arrays) - 1, "material": 0, "mode": 4}
    scene = {
        "asset": {"version": "2.0", "generator": "crossrig"},
        "scene": 0,
        "scenes": [{"nodes": [0]}],
        "nodes": [{"mesh": 0, "name": "face"}],
        "meshes": [{"name": "face", "primitives": [primitive]}],
        "materials": [{"name": "skin", "pbrMetallicRoughness": {"metallicFactor": 0.0, "roughnessFactor": 0.8}}],
        "accessors": accessors,
        "bufferViews": views,
        "buffers": [{"byteLength": len(data)}],
    }
    chunks = _chunk(_JSON, json.dumps(scene).encode(), b" ") + _chunk(_BINARY, bytes(data), b"\0")
    return struct.pack("<III", _MAGIC, _VERSION, 12 + len(chunks)) + chunks


def _chunk(kind: int, content: bytes, filling: bytes) -> bytes:
    content += filling * (-len(content) % 4)
    return struct.pack("<II", len(content), kind) + content
