"""The 3D head model: face parameters in, vertices, normals and colours out (all differentiable).

The tensors come from `assets/head.safetensors`, made by `scripts/build_face_model.py`.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.blocks import ExpressionKind, FaceSpace
from crossrig.face3d.head import HEAD_FILE, SHOULDER_YAW
from crossrig.face3d.landmarks import LANDMARK_NAMES
from crossrig.face3d.params import BLOCKS, FaceParams


def rotation_matrix(rotation: Tensor) -> Tensor:
    """(..., 3) angles (pitch, yaw, roll) in radians -> (..., 3, 3): R = Rz(roll) @ Ry(yaw) @ Rx(-pitch), for column
    vectors."""
    pitch, yaw, roll = rotation.unbind(-1)
    cp, sp, cy, sy, cr, sr = pitch.cos(), pitch.sin(), yaw.cos(), yaw.sin(), roll.cos(), roll.sin()
    rows = (
        (cr * cy, -cr * sy * sp - sr * cp, cr * sy * cp - sr * sp),
        (sr * cy, -sr * sy * sp + cr * cp, sr * sy * cp + cr * sp),
        (-sy, -cy * sp, cy * cp),
    )
    return torch.stack([torch.stack(row, dim=-1) for row in rows], dim=-2)


def pose(vertices: Tensor, rotation: Tensor, translation: Tensor, rotation_weight: Tensor) -> Tensor:
    """Turn a head about the origin and move it; the neck twists, the shoulders nearly stay.

    vertices (B, V, 3) metres, rotation (B, 3) pitch, yaw, roll in radians, translation (B, 3) metres, rotation_weight
    (V,) in [0, 1]. A vertex of weight w turns by (0.3 + 0.7 w) yaw, w pitch and w roll.
    """
    w = rotation_weight
    x, y, z = vertices.unbind(-1)  # (B, V) each
    # `rotation_matrix` of every vertex's own angles, one axis after the other
    y, z = _turn(y, z, -rotation[:, :1] * w)
    z, x = _turn(z, x, rotation[:, 1:2] * (SHOULDER_YAW + (1 - SHOULDER_YAW) * w))
    x, y = _turn(x, y, rotation[:, 2:] * w)
    return torch.stack((x, y, z), dim=-1) + translation[:, None]


def _turn(u: Tensor, v: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """Coordinates on two axes after a turn from the first towards the second."""
    sine, cosine = angle.sin(), angle.cos()
    return cosine * u - sine * v, sine * u + cosine * v


def srgb_to_linear(encoded: Tensor) -> Tensor:
    """sRGB-encoded values in [0, 1] -> linear light (IEC 61966-2-1)."""
    return torch.where(encoded <= 0.04045, encoded / 12.92, ((encoded.clamp_min(0.04045) + 0.055) / 1.055) ** 2.4)


class FaceModel(nn.Module):
    """Linear model of shape, expression and colour on one mesh of V vertices and F triangles.

    Buffers: faces (F, 3) int64; uv (V, 2); mean (V, 3) m; shape_basis (80, V, 3) m per sd; expression_basis (52, V, 3)
    m at weight 1; albedo_mean (V, 3) and albedo_basis (48, V, 3), sRGB-encoded [0, 1]; rotation_weight (V,); face_part
    (F,) uint8, see parts.py; occlusion (V,) share of the sky that a vertex of the mean head sees, 1 = open;
    eye_direction (V, 3): where a vertex lies on its eyeball, as a unit vector in the eye's own frame (+z = where the
    eye looks), 0 outside eyes; base_vertex (V,) index in MakeHuman's hm08 base mesh, -1 for vertices it does not have;
    region_<name> index lists; landmark_index (68,).

    Some vertices (`regions["helpers"]`) belong to no triangle: clothes and hair of MakeHuman packs hang on them, and landmarks of imported
    models that lie between vertices. Of imported models (`face3d.importers`) the expression basis may be principal components in standard
    deviations (`expression_kind`), and regions may be empty.
    """

    faces: Tensor
    uv: Tensor
    mean: Tensor
    shape_basis: Tensor
    expression_basis: Tensor
    albedo_mean: Tensor
    albedo_basis: Tensor
    rotation_weight: Tensor
    face_part: Tensor
    occlusion: Tensor
    eye_direction: Tensor
    base_vertex: Tensor
    landmark_index: Tensor

    def __init__(self, tensors: Mapping[str, Tensor], header: Mapping[str, Any] | None = None) -> None:
        super().__init__()
        self.header: dict[str, Any] = dict(header or {})
        self.region_names: list[str] = []
        self.control_names: list[str] = []
        for name in _BUFFERS:
            if name not in tensors:
                raise UserError(f"The head model has no tensor '{name}'; rebuild it with scripts/build_face_model.py.")
            self.register_buffer(name, _native(tensors[name]), persistent=False)
        for name, tensor in tensors.items():
            kind, _, label = name.partition(".")
            if kind == "region":
                self.region_names.append(label)
                self.register_buffer(f"region_{label}", tensor.to(torch.int64), persistent=False)
            elif kind == "control":
                self.control_names.append(label)
                self.register_buffer(f"control_{label}", tensor.to(torch.float32), persistent=False)
        for block, basis in (
            ("shape", self.shape_basis),
            ("expression", self.expression_basis),
            ("albedo", self.albedo_basis),
        ):
            if len(basis) != BLOCKS[block]:
                raise UserError(f"The head model has {len(basis)} {block} components, not {BLOCKS[block]}; rebuild it.")

    @classmethod
    def load(cls, path: Path | str | None = None) -> FaceModel:
        """The shipped head model, or the one in `path`."""
        file = Path(path) if path is not None else HEAD_FILE
        tensors, header = checkpoint.load(file)
        return cls(tensors, header)

    @property
    def space(self) -> FaceSpace:
        """Whose parameters these are; networks that read faces are made for one model."""
        own = FaceSpace()
        return FaceSpace(str(self.header.get("name", own.name)), self.expression_kind)

    @property
    def expression_kind(self) -> ExpressionKind:
        """What the expression block holds."""
        return "components" if self.header.get("expression") == "components" else "units"

    @property
    def imported(self) -> bool:
        """Whether it is a model of others (`crossrig import face-model`)."""
        return "imported" in self.header

    @property
    def symmetric(self) -> bool:
        """Whether its mesh and bases have a mirror image in themselves; what needs one is `face3d.mirror`."""
        return bool(self.header.get("symmetric", True))

    @property
    def regions(self) -> dict[str, Tensor]:
        """Region name -> vertex indices (n,) int64."""
        return {name: self.get_buffer(f"region_{name}") for name in self.region_names}

    @property
    def landmarks(self) -> dict[str, int]:
        """Landmark name -> vertex index, in iBUG order."""
        return dict(zip(LANDMARK_NAMES, self.landmark_index.tolist(), strict=True))

    @property
    def control_directions(self) -> dict[str, Tensor]:
        """Control name -> step (80,) in shape or (48,) in albedo that raises the property by one sd of the
        population."""
        return {name: self.get_buffer(f"control_{name}") for name in self.control_names}

    def neutral_pose(self, params: FaceParams) -> Tensor:
        """(B, V, 3) metres: shape and expression, before the head is turned."""
        offset = params.shape @ self.shape_basis.flatten(1) + params.expression @ self.expression_basis.flatten(1)
        return self.mean + offset.reshape(-1, *self.mean.shape)

    def vertices(self, params: FaceParams) -> Tensor:
        """(B, V, 3) metres in the camera's world."""
        return pose(self.neutral_pose(params), params.rotation, params.translation, self.rotation_weight)

    def normals(self, vertices: Tensor) -> Tensor:
        """(B, V, 3) unit normals, area-weighted; zero for vertices without triangles."""
        a, b, c = (vertices[:, self.faces[:, corner]] for corner in range(3))  # (B, F, 3) each
        area = torch.linalg.cross(b - a, c - a)
        total = torch.zeros_like(vertices)
        for corner in range(3):
            total = total.index_add(1, self.faces[:, corner], area)
        return total / total.square().sum(-1, keepdim=True).add(1e-24).sqrt()

    def albedo(self, params: FaceParams) -> Tensor:
        """(B, V, 3) linear reflectance in [0, 1]."""
        encoded = self.albedo_mean + (params.albedo @ self.albedo_basis.flatten(1)).reshape(-1, *self.mean.shape)
        return srgb_to_linear(encoded.clamp(0.0, 1.0))

    def landmark_points(self, vertices: Tensor) -> Tensor:
        """(B, 68, 3): the landmarks of `vertices` (B, V, 3)."""
        return vertices[:, self.landmark_index]


_BUFFERS = (
    "faces",
    "uv",
    "mean",
    "shape_basis",
    "expression_basis",
    "albedo_mean",
    "albedo_basis",
    "rotation_weight",
    "face_part",
    "occlusion",
    "eye_direction",
    "base_vertex",
    "landmark_index",
)


def _native(tensor: Tensor) -> Tensor:
    """Stored types are small; computing types are float32, int64 and (for part numbers) uint8."""
    if tensor.dtype == torch.uint8:
        return tensor
    return tensor.to(torch.float32 if tensor.is_floating_point() else torch.int64)
