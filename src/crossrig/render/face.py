"""Differentiable picture of the face model: parameters in, image, alpha, region masks and landmarks out."""

from __future__ import annotations

from dataclasses import dataclass, field

import torch
from torch import Tensor
from torch.nn import functional

from crossrig.check import check
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.face3d.parts import LASHES, MOUTH_INSIDE, TEETH, TONGUE
from crossrig.render.camera import Camera
from crossrig.render.rasterise import Backend, Fragments, interpolate, rasterise
from crossrig.render.shading import irradiance, srgb_encode

PORTRAIT_CAMERA = Camera()

OPEN_MOUTH_SKY = 0.35
"""Share of the sky that the teeth of an open mouth see."""


@dataclass(frozen=True)
class Rendering:
    """A rendered batch. Row 0 is the top of the picture."""

    image: Tensor  # (B, 3, H, W) sRGB-encoded in [-1, 1], black (-1) where no face is seen
    alpha: Tensor  # (B, 1, H, W) in [0, 1]: the part of the pixel that the face covers
    landmarks: Tensor  # (B, 68, 2) NDC x (right), y (up); also those hidden behind the head
    regions: dict[str, Tensor] = field(default_factory=dict)  # name -> (B, 1, H, W) in [0, 1]

    def over(self, background: Tensor) -> Tensor:
        """The face in front of `background`, a picture that broadcasts to (B, 3, H, W) in [-1, 1]."""
        return self.image + (1 - self.alpha) * (background + 1)


def render_face(
    model: FaceModel,
    params: FaceParams,
    size: int = 128,
    regions: bool = False,
    *,
    supersample: int = 1,
    camera: Camera = PORTRAIT_CAMERA,
    backend: Backend = "numba",
) -> Rendering:
    """Render faces under second-order spherical-harmonics light, without hair or clothes.

    size: pixels per side. regions: also make a mask for each region of the model. supersample: render that many times
    larger and average, for smooth edges. Lashes are left out. The image is differentiable with respect to all blocks of `params`: within
    surfaces, not across silhouettes (see `rasterise`). Raises ValueError for a size or supersample below 1.
    """
    if supersample < 1:
        raise ValueError(f"supersample must be at least 1, got {supersample}")
    vertices = model.vertices(params)  # (B, V, 3)
    projected = camera.project(vertices)
    # The model's lashes are cards for hairs with gaps between them; solid, they would look like thick make-up.
    faces = model.faces[model.face_part != LASHES]
    fragments = rasterise(projected, faces, size * supersample, backend)
    open_sky = open_sky_of(model).expand(len(params), -1).unsqueeze(-1)  # (B, V, 1)
    surface = torch.cat((model.normals(vertices), model.albedo(params), open_sky), dim=-1)  # (B, V, 7)
    normals, albedo, open_sky = torch.split(interpolate(fragments, faces, surface), [3, 3, 1], dim=-1)
    encoded = shade(normals, albedo, params.illumination, open_sky)
    seen = (fragments.triangle >= 0).to(encoded).unsqueeze(1)  # (B, 1, H, W)
    image = 2 * encoded.permute(0, 3, 1, 2) * seen - 1
    masks = region_masks(model, faces, fragments, seen.dtype) if regions else {}
    points = model.landmark_points(vertices)  # (B, 68, 3)
    return Rendering(
        image=_average(image, supersample),
        alpha=_average(seen, supersample),
        landmarks=camera.project(points)[..., :2],
        regions={name: _average(mask, supersample) for name, mask in masks.items()},
    )


def shade(normals: Tensor, albedo: Tensor, illumination: Tensor, open_sky: Tensor | None = None) -> Tensor:
    """Diffuse surfaces: normals (B, ..., 3) of any length, linear albedo (B, ..., 3), illumination (B, 27).

    open_sky (B, ..., 1): share of the sky that the point sees, 1 = all (the default). What it does not see is taken to
    be its own surface, lit alike: the series of bounces darkens creases and mouths without turning them grey.
    Returns sRGB-encoded colour (B, ..., 3) in [0, 1].
    """
    check(albedo, "B ... 3", name="albedo", sizes=check(normals, "B ... 3", name="normals"))
    # Interpolation shortens normals, and empty pixels have none: eps keeps their gradient finite.
    unit = functional.normalize(normals, dim=-1, eps=1e-6)
    if open_sky is not None:
        albedo = albedo * open_sky / (1 - albedo * (1 - open_sky)).clamp(min=1e-3)
    return srgb_encode((albedo * irradiance(unit, illumination)).clamp(0, 1))


def open_sky_of(model: FaceModel) -> Tensor:
    """Share of the sky (V,) that each vertex sees, for `shade`.

    The model's own figures are measured with the mouth closed, when nobody sees what is inside; wherever teeth and tongue
    show, the mouth is open, so they get a typical value for that.
    """
    inside = torch.zeros_like(model.occlusion, dtype=torch.bool)
    for part in (TEETH, TONGUE, MOUTH_INSIDE):
        inside[model.faces[model.face_part == part].flatten()] = True
    return torch.where(inside, model.occlusion.clamp(min=OPEN_MOUTH_SKY), model.occlusion)


def region_masks(model: FaceModel, faces: Tensor, fragments: Fragments, dtype: torch.dtype = torch.float32) -> dict[str, Tensor]:
    """Which pixels see each region of the model: name -> (B, 1, H, W), 0 or 1. `faces` (F, 3): the triangles drawn.

    A triangle belongs to a region when most of its vertices do: regions without common vertices never overlap, and meet.
    """
    member = torch.zeros(len(model.regions), model.mean.shape[0], dtype=torch.bool)  # (R, V)
    for row, indices in zip(member, model.regions.values(), strict=True):
        row[indices.cpu()] = True
    faces_in = member[:, faces.cpu()].sum(dim=-1) >= 2  # (R, F)
    # Pixels without a triangle (-1) pick the last entry, which is in no region.
    faces_in = functional.pad(faces_in, (0, 1)).to(fragments.triangle.device)
    picked = faces_in[:, fragments.triangle.long()].to(dtype)  # (R, B, H, W)
    return {name: mask.unsqueeze(1) for name, mask in zip(model.regions, picked, strict=True)}


def _average(picture: Tensor, factor: int) -> Tensor:
    return picture if factor == 1 else functional.avg_pool2d(picture, factor)
