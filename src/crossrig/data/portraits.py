"""Portraits of synthetic people: geometry from every maker, one visibility buffer, one deferred shader, a camera.

The picture agrees with its label: vertices, light and camera are those of `render.face`, only finer in everything a label does not say.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import TYPE_CHECKING, Final, Literal

import cv2
import numpy as np
from numpy.typing import NDArray

from crossrig.data import surfaces
from crossrig.data.accessories import make_earrings, make_glasses
from crossrig.data.backdrops import paint_backdrop
from crossrig.data.beard import grow_beard
from crossrig.data.brows import grow_brows, grow_lashes
from crossrig.data.clothes import make_clothes
from crossrig.data.geometry import (
    BEARD,
    BROW,
    EYE,
    GLASS,
    HAIR,
    LASHES,
    MOUTH_INSIDE,
    SKIN,
    TEETH,
    TONGUE,
    HeadSurface,
    HeadTemplate,
    Patch,
    cross,
)  # fmt: skip
from crossrig.data.hair import HairStyle, grow_hair
from crossrig.data.lights import LUMINANCE
from crossrig.data.people import Person, head_model
from crossrig.data.shader import (
    A_AUX,
    A_COLOUR,
    A_NORMAL,
    A_OCCLUSION,
    A_UV,
    ATTRIBUTES,
    NOISE_PIXELS,
    TILE_PIXELS,
    crevices,
    develop_pixels,
    disc_taps,
    pose_head,
    pose_patch,
    project_points,
    raster_cutouts,
    raster_shadow,
    resolve,
    shadow_bounds,
)  # fmt: skip
from crossrig.data.skin_detail import TILE_METRES, SkinMaps, noise_tile, skin_maps
from crossrig.data.teeth import tooth_coordinates
from crossrig.face3d.head import SHOULDER_YAW
from crossrig.face3d.normals import vertex_normals
from crossrig.render.camera import Camera
from crossrig.render.zbuffer import raster_kernel

if TYPE_CHECKING:
    from crossrig.data.wardrobe import Wardrobe
    from crossrig.face3d.params import FaceParams

Floats = NDArray[np.float32]
Ints = NDArray[np.int32]

_SHADOW_SIZE: Final = 112
SHADOW_EXTENT: Final = 0.27  # metres from the centre of the shadow map to its edge
_CUTOUTS: Final = (HAIR, BROW, BEARD, LASHES, GLASS)
_FULL_DETAIL: Final = 160  # pixels of a picture that shows every ribbon
_ROTATIONS: Final = 257  # entries of the table of rotations over the rotation weight; interpolation errs by less than a micrometre


@dataclass(frozen=True, eq=False)
class Studio:
    """The face model as plain arrays, laid out for speed."""

    template: HeadTemplate
    mean: Floats  # (V*3,)
    shape_basis: Floats  # (80, V*3)
    expression_basis: Floats  # (52, V*3)
    albedo_mean: Floats  # (V*3,)
    albedo_basis: Floats  # (48, V*3)
    occlusion: Floats  # (V,)
    fixed: Floats  # (V, ATTRIBUTES) attributes that no person changes
    drawn: Ints  # (F, 3) faces without the model's coarse lashes; the makers' replace them
    drawn_parts: NDArray[np.uint8]  # (F,) their parts
    closed: int  # number of the first of them whose backs are never seen
    decode: Floats  # sRGB decoding table


def _flat(array: Floats) -> Floats:
    return array.reshape(array.shape[0], -1) if array.ndim == 3 else array.reshape(-1)


@cache
def studio() -> Studio:
    """The studio of the shipped head model, set up once per process."""
    model = head_model()
    template = HeadTemplate(
        mean=model.mean, faces=model.faces, uv=model.uv, face_part=model.face_part, rotation_weight=model.rotation_weight,
        regions=model.regions, landmarks=model.landmarks,
    )  # fmt: skip
    maps = skin_maps(template)
    # The front of the head hides its back. Lips fold over and show it; where lids do, it would be a black crescent under the eye.
    folding = maps.lips > 0.01
    closed = (template.face_part == SKIN) & ~folding[template.faces].any(axis=1)
    drawn = np.concatenate([np.flatnonzero(closed), np.flatnonzero(~closed & (template.face_part != LASHES))])
    fixed = _fixed_attributes(template, maps, model.occlusion, model.eye_direction)
    grid = np.linspace(0, 1, 4097)
    decode = np.where(grid <= 0.04045, grid / 12.92, ((grid + 0.055) / 1.055) ** 2.4).astype(np.float32)
    return Studio(
        template=template, mean=_flat(model.mean), shape_basis=_flat(model.shape_basis), expression_basis=_flat(model.expression_basis),
        albedo_mean=_flat(model.albedo_mean), albedo_basis=_flat(model.albedo_basis), occlusion=model.occlusion, fixed=fixed,
        drawn=np.ascontiguousarray(template.faces[drawn]), drawn_parts=template.face_part[drawn].astype(np.uint8), closed=int(closed.sum()),
        decode=decode,
    )  # fmt: skip


def _fixed_attributes(template: HeadTemplate, maps: SkinMaps, occlusion: Floats, eye_direction: Floats) -> Floats:
    count = len(template.mean)
    fixed = np.zeros((count, ATTRIBUTES), np.float32)
    fixed[:, A_UV : A_UV + 2] = maps.coordinates
    fixed[:, A_OCCLUSION] = 0.15 + 0.85 * occlusion
    for offset, mask in enumerate((maps.lips, maps.cheeks, maps.oil, maps.lids, maps.under_eye, maps.forehead)):
        fixed[:, A_AUX + offset] = mask
    eye = np.unique(template.faces[template.face_part == EYE])
    fixed[eye, A_AUX : A_AUX + 3] = eye_direction[eye]
    fixed[eye, A_OCCLUSION] = 0.9
    teeth, on_tooth = tooth_coordinates(template)
    fixed[teeth, A_AUX : A_AUX + 3] = on_tooth
    inside = np.unique(template.faces[np.isin(template.face_part, (TEETH, TONGUE, MOUTH_INSIDE))])
    # Light falls off quickly behind the lips.
    fixed[inside, A_OCCLUSION] = np.exp(-np.maximum(maps.depth[inside] - 0.006, 0.0) / 0.014)
    return fixed


def label(person: Person) -> FaceParams:
    """The exact parameters of the portrait (batch size one)."""
    return person.params()


# --------------------------------------------------------------------------------------------------------------------------- geometry


def rotation_matrices(rotation: NDArray[np.floating], weight: Floats) -> Floats:
    """(V, 3, 3) float32: the rule of `face3d.model.pose` for one person, in NumPy."""
    pitch, yaw, roll = (float(angle) for angle in rotation)
    p, y, r = pitch * weight, yaw * (SHOULDER_YAW + (1 - SHOULDER_YAW) * weight), roll * weight
    cp, sp, cy, sy, cr, sr = np.cos(p), np.sin(p), np.cos(y), np.sin(y), np.cos(r), np.sin(r)
    matrices = np.empty((len(weight), 3, 3), np.float32)
    matrices[:, 0, 0] = cr * cy
    matrices[:, 0, 1] = -cr * sy * sp - sr * cp
    matrices[:, 0, 2] = cr * sy * cp - sr * sp
    matrices[:, 1, 0] = sr * cy
    matrices[:, 1, 1] = -sr * sy * sp + cr * cp
    matrices[:, 1, 2] = sr * sy * cp + cr * sp
    matrices[:, 2, 0] = -sy
    matrices[:, 2, 1] = -cy * sp
    matrices[:, 2, 2] = cy * cp
    return matrices


@dataclass(frozen=True, eq=False)
class Scene:
    """All triangles of a portrait in the world, opaque ones first."""

    vertices: Floats  # (N, 3) metres
    faces: Ints  # (F, 3)
    material: NDArray[np.uint8]  # (F,)
    attributes: Floats  # (N, ATTRIBUTES)
    opaque: int  # number of opaque triangles
    solid: int  # number of their vertices


def head_surface(person: Person) -> HeadSurface:
    """The person's head before it is turned."""
    stage = studio()
    vertices = stage.mean + person.blocks["shape"] @ stage.shape_basis + person.blocks["expression"] @ stage.expression_basis
    return HeadSurface.of(stage.template, vertices.reshape(-1, 3))


def skin_colours(person: Person) -> Floats:
    """Linear albedo (V, 3) of the head's vertices."""
    stage = studio()
    encoded = stage.albedo_mean + person.blocks["albedo"] @ stage.albedo_basis
    index = (np.clip(encoded, 0.0, 1.0) * 4096 + 0.5).astype(np.int32)
    return stage.decode[index].reshape(-1, 3)


def hair_for(style: HairStyle, size: int) -> HairStyle:
    """The style with as many ribbons as a picture of `size` pixels can show: small pictures get fewer and wider ones."""
    detail = min(max(size / _FULL_DETAIL, 0.55), 1.0)
    ribbons, steps = round(style.ribbons * detail), max(round(style.steps * detail**0.5), 6)
    return replace(style, ribbons=ribbons, width=style.width * detail**-0.75, steps=steps)


def accessories(person: Person, head: HeadSurface, size: int = 256, wardrobe: Wardrobe | None = None) -> list[Patch]:
    """Everything a person carries on the head surface, for a picture of `size` pixels: hair, brows, beard, clothes.

    `wardrobe`: packs that some people take hair and clothes from.
    """
    hair = wardrobe.hair_of(person, head) if wardrobe else None
    clothes = wardrobe.clothes_of(person, head) if wardrobe else None
    patches = [
        *(make_clothes(head, person.clothes, person.rng(3)) if clothes is None else clothes),
        *(grow_hair(head, hair_for(person.hair, size), person.rng(4)) if hair is None else hair),
    ]
    patches += [grow_brows(head, person.brows, person.rng(5)), grow_lashes(head, person.brows, person.rng(6))]
    if person.beard is not None:
        patches += grow_beard(head, person.beard, person.rng(8))
    if person.glasses is not None:
        patches += make_glasses(head, person.glasses)
    if person.earrings is not None:
        patches += make_earrings(head, person.earrings)
    return patches


@cache
def _rotation_weights() -> Floats:
    """Evenly spaced weights (_ROTATIONS,) of the table of rotations."""
    return np.linspace(0, 1, _ROTATIONS, dtype=np.float32)


def _tidy(values: Floats) -> Floats:
    """The same values as the kernels were compiled for: float32, contiguous."""
    return np.ascontiguousarray(values, dtype=np.float32)


def assemble(person: Person, head: HeadSurface, patches: Sequence[Patch]) -> Scene:
    """Head and patches in the world, posed."""
    stage = studio()
    solid = [patch for patch in patches if patch.material not in _CUTOUTS]
    cut = [patch for patch in patches if patch.material in _CUTOUTS]
    ordered = [*solid, *cut]
    counts = [len(head.vertices), *(len(patch.vertices) for patch in ordered)]
    starts = np.cumsum([0, *counts])
    table = rotation_matrices(person.blocks["rotation"], _rotation_weights())
    translation = person.blocks["translation"]
    vertices = np.empty((starts[-1], 3), np.float32)

    faces = [stage.drawn, *(patch.faces + np.int32(start) for patch, start in zip(ordered, starts[1:-1], strict=True))]
    material = [stage.drawn_parts, *(np.full(len(patch.faces), patch.material, np.uint8) for patch in ordered)]
    opaque = len(faces[0]) + sum(len(patch.faces) for patch in solid)
    joined = np.ascontiguousarray(np.concatenate(faces))

    attributes = np.empty((len(vertices), ATTRIBUTES), np.float32)
    attributes[: counts[0]] = stage.fixed
    attributes[: counts[0], A_COLOUR : A_COLOUR + 3] = skin_colours(person)
    pose_head(table, translation, _tidy(head.vertices), _tidy(head.rotation_weight), vertices[: counts[0]])
    for patch, start, count in zip(ordered, starts[1:-1], counts[1:], strict=True):
        rows = slice(start, start + count)
        pose_patch(
            table, translation, _tidy(patch.vertices), _tidy(patch.rotation_weight), _tidy(patch.tangent), _tidy(patch.colour),
            _tidy(patch.uv), _tidy(patch.opacity), vertices[rows], attributes[rows],
        )  # fmt: skip
    attributes[:, A_NORMAL : A_NORMAL + 3] = vertex_normals(vertices, joined)
    return Scene(vertices, joined, np.concatenate(material), attributes, opaque, int(starts[1 + len(solid)]))


# --------------------------------------------------------------------------------------------------------------------------- pictures


@dataclass(frozen=True, eq=False)
class Visible:
    """What every sample of the picture sees."""

    triangle: Ints  # (S, S), -1 = backdrop
    bary: Floats  # (S, S, 3)
    depth: Floats  # (S, S)


def look_at(scene: Scene, samples: int) -> Visible:
    """Rasterise a scene with the project's camera at samples x samples."""
    camera = Camera()
    projected = np.empty_like(scene.vertices)
    project_points(scene.vertices, camera.distance, camera.focal, projected)
    depth = np.full((samples, samples), np.inf, np.float32)
    triangle = np.full((samples, samples), -1, np.int32)
    bary = np.empty((samples, samples, 3), np.float32)
    closed = studio().closed
    raster_kernel(projected[: scene.solid], scene.faces[:closed], depth, triangle, bary, 0, True)
    raster_kernel(projected[: scene.solid], scene.faces[closed : scene.opaque], depth, triangle, bary, closed, False)
    raster_cutouts(
        projected, scene.faces[scene.opaque :], scene.material[scene.opaque :], scene.attributes, depth, triangle, bary, scene.opaque
    )
    return Visible(triangle, bary, depth)


def key_shadow(scene: Scene, towards: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Depth map (size, size) along the key lamp, and its axes (3, 3): rows right, up, towards the lamp."""
    helper = np.array([0.0, 1.0, 0.0]) if abs(towards[1]) < 0.9 else np.array([1.0, 0.0, 0.0])
    right = cross(helper, towards)
    right /= np.linalg.norm(right)
    axes = np.stack([right, cross(towards, right), towards]).astype(np.float32)
    depth = np.full((_SHADOW_SIZE, _SHADOW_SIZE), np.inf, np.float32)
    raster_shadow(scene.vertices, scene.faces, scene.material, axes, SHADOW_EXTENT, depth)
    return depth, axes


def look_vector(person: Person, samples: int) -> Floats:
    """What the shader needs to know about a person (see the L_* offsets of `surfaces`) in a picture shaded at samples x samples places."""
    look = np.zeros(surfaces.LOOK_SIZE, np.float32)
    skin, eyes = person.skin, person.eyes
    rng = person.rng(1)
    for offset, value in (
        (surfaces.L_MOTTLING, skin.mottling), (surfaces.L_FRECKLES, skin.freckles), (surfaces.L_BLEMISHES, skin.blemishes),
        (surfaces.L_MOLES, skin.moles), (surfaces.L_ROUGHNESS, skin.roughness), (surfaces.L_SHEEN, skin.sheen),
        (surfaces.L_FLUSH, skin.flush),
        (surfaces.L_WRINKLES, skin.wrinkles), (surfaces.L_UNDER_EYE, skin.under_eye), (surfaces.L_LIPSTICK, skin.lipstick),
        (surfaces.L_GLOSS, skin.gloss), (surfaces.L_SHADOW, skin.shadow), (surfaces.L_BLUSH, skin.blush), (surfaces.L_LINER, skin.liner),
        (surfaces.L_IRIS, eyes.iris), (surfaces.L_PUPIL, eyes.pupil), (surfaces.L_FIBRES, eyes.fibres), (surfaces.L_REDNESS, eyes.redness),
        (surfaces.L_IRIS_OFFSET, eyes.offset), (surfaces.L_NOISE_U, rng.random()), (surfaces.L_NOISE_V, rng.random()),
        (surfaces.L_TILE, TILE_METRES), (surfaces.L_HALF_HEIGHT, Camera().half_height / Camera().distance),
        (surfaces.L_DISTANCE, Camera().distance), (surfaces.L_HAIR_SHINE, 1.0),
        (surfaces.L_RELIEF, max(1.0, 2 * Camera().half_height / samples * TILE_PIXELS / TILE_METRES)),
    ):  # fmt: skip
        look[offset] = value
    for offset, colour in (
        (surfaces.L_LIP_COLOUR, skin.lip_colour), (surfaces.L_SHADOW_COLOUR, skin.shadow_colour), (surfaces.L_IRIS_OUTER, eyes.outer),
        (surfaces.L_IRIS_INNER, eyes.inner),
    ):  # fmt: skip
        look[offset : offset + 3] = colour
    return look


def shade_scene(person: Person, scene: Scene, visible: Visible, merge: bool = False) -> Floats:
    """Linear RGB (S, S, 3) of the covered samples; `merge` shades 2 x 2 samples of one surface at once (see `surfaces.shade`)."""
    samples = len(visible.depth)
    light = person.lighting
    lamps = light.lamps
    openness = np.empty((samples // 2, samples // 2), np.float32)
    taps = disc_taps()
    crevices(visible.depth, 0.020 / (2 * Camera().half_height) * samples / 2, 0.05, taps, openness)
    cv2.GaussianBlur(openness, (3, 3), 0, dst=openness)  # 1 2 1: neighbours, who look at other places, agree on a mean
    shadow_map, axes = key_shadow(scene, lamps[0].direction)
    spread = 0.6 + 3.0 * lamps[0].softness
    # Highlights of lamps that are all but off cannot be seen.
    shining = [lamp for number, lamp in enumerate(lamps) if number == 0 or max(lamp.colour) > 0.02]
    out = np.zeros((samples, samples, 3), np.float32)
    surfaces.shade(
        visible.triangle, visible.bary, visible.depth, scene.faces, scene.material, scene.attributes,
        look_vector(person, samples // 2 if merge else samples), noise_tile(),
        # Rounded as the label is, then widened once for all pixels.
        light.coefficients().astype(np.float32).astype(np.float64), lamps[0].coefficients().astype(np.float32).astype(np.float64),
        np.stack([lamp.direction for lamp in shining]), np.array([lamp.colour for lamp in shining]),
        shadow_map, *shadow_bounds(shadow_map, spread), axes, SHADOW_EXTENT, spread, taps, openness, person.clothes.patterns(), merge, out,
    )  # fmt: skip
    return out


def encode(linear: Floats) -> Floats:
    """Linear light -> sRGB-encoded values (IEC 61966-2-1), not rounded."""
    curve = 1.055 * np.clip(linear, 1e-9, 1) ** np.float32(1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve).astype(np.float32, copy=False)


def develop(person: Person, linear: Floats) -> NDArray[np.uint8]:
    """Linear RGB (H, W, 3) -> 8-bit sRGB: contrast, saturation, vignette, noise of the sensor."""
    camera = person.camera
    row, col = person.rng(2).integers(NOISE_PIXELS, size=2).tolist()
    out = np.empty(linear.shape, np.uint8)
    develop_pixels(
        np.ascontiguousarray(linear, dtype=np.float32), _sensor_noise(), row, col, _encoding_curve(), np.float32(camera.vignette),
        np.float32(camera.saturation), np.float32(camera.contrast), np.float32(camera.noise / 255), LUMINANCE.astype(np.float32), out,
    )  # fmt: skip
    return out


@cache
def _sensor_noise() -> Floats:
    """Standard normals (NOISE_PIXELS, NOISE_PIXELS, 3). Every picture takes its noise from another place: drawing it anew costs more."""
    return np.random.default_rng(20210424).standard_normal((NOISE_PIXELS, NOISE_PIXELS, 3), dtype=np.float32)


@cache
def _encoding_curve() -> Floats:
    """`encode` of evenly spaced linear values in [0, 1]."""
    return encode(np.linspace(0, 1, 4097, dtype=np.float32))


def render_portrait(
    person: Person, size: int, supersample: int = 2, style: Literal["photo", "toon", "statue"] = "photo", wardrobe: Wardrobe | None = None
) -> NDArray[np.uint8]:
    """Portrait (size, size, 3) uint8 sRGB. `supersample` samples per pixel and axis; `wardrobe` as in `accessories`."""
    if style == "toon":
        from crossrig.data.styles import render_toon  # the styles build on this module

        return render_toon(person, size, supersample, wardrobe)
    if style == "statue":
        from crossrig.data.statues import render_statue

        return render_statue(person, size, supersample, wardrobe)
    head = head_surface(person)
    scene = assemble(person, head, accessories(person, head, size, wardrobe))
    visible = look_at(scene, size * supersample)
    linear = shade_scene(person, scene, visible, merge=supersample == 2)
    backdrop = paint_backdrop(person.backdrop, size, person.rng(7))
    out = np.empty((size, size, 3), np.float32)
    resolve(linear, visible.triangle, backdrop, supersample, out)
    return develop(person, out)
