"""Finding on a mean head what `scalp.Scalp` holds: hair roots, the distance grid and the warp.

It takes more than a second and rounds differently with every version of LAPACK, so the result for the shipped head ships, too
(`scripts/build_scalp.py`); other heads are fitted when they are first used.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.spatial import cKDTree

from crossrig.data.geometry import EYE, SKIN, Floats, HeadTemplate, Ints, mean_surface
from crossrig.data.scalp import CLUMP_LEVELS, DISTANCE_CELL, ROOTS, WARP_CELL, Doubles, Roots, Scalp, Warp, farthest_order, smoothstep

WARP_SAMPLES: Final = 450

# The natural hairline as height over azimuth (0 = forehead, 90 = ear, 180 = nape). Heights are relative: 0 at the eyes,
# 1 at the top of the head (about 0.106 m above), so that other mean heads fit as well.
_HAIRLINE_AZIMUTH: Final = (0.0, 14.0, 28.0, 40.0, 50.0, 59.0, 66.0, 71.0, 76.0, 81.0, 88.0, 98.0, 106.0, 114.0, 126.0, 150.0, 180.0)
_HAIRLINE_HEIGHT: Final = (
    0.545, 0.553, 0.555, 0.50, 0.36, 0.19, 0.02, -0.17, -0.27, -0.10, 0.07, 0.05, -0.12, -0.40, -0.68, -0.80, -0.83,
)  # fmt: skip


def fit_scalp(template: HeadTemplate) -> Scalp:
    """The hair data of a head template (more than a second)."""
    surface = mean_surface(template)
    skin = np.unique(template.faces[template.face_part == SKIN])
    eyes = np.unique(template.faces[template.face_part == EYE])
    mean = template.mean
    eye_height = float(mean[eyes, 1].mean())
    top_height = float(mean[skin, 1].max())
    unit = top_height - eye_height

    is_ear = np.zeros(len(mean), dtype=bool)
    is_ear[template.regions["ears"]] = True
    triangles = template.faces[template.face_part == SKIN]
    smooth_points, smooth_normals = _without_ears(mean, surface.normals, skin, is_ear)

    fields = _fields(mean, surface.normals, eye_height, unit)
    on_head = ~is_ear & (mean[:, 1] > eye_height - 1.0 * unit) & (fields.inside > -0.012)
    # The inside of the mouth and throat is skin by name, too; it looks inwards.
    centre = np.array([0.0, eye_height + 0.2 * unit, 0.0], dtype=np.float32)
    outward = ((mean - centre) * surface.normals).sum(1) > 0
    on_head &= outward & (np.linalg.norm(mean - centre, axis=1) > 0.055)
    faces = triangles[on_head[triangles].all(1)]
    used = np.unique(faces)
    remap = np.full(len(mean), -1, dtype=np.int32)
    remap[used] = np.arange(len(used), dtype=np.int32)

    corners, weights = _scatter(mean, faces)
    points = np.einsum("nc,nca->na", weights, mean[corners])
    normals = np.einsum("nc,nca->na", weights, surface.normals[corners])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True) + 1e-12
    root_fields = _fields(points, normals, eye_height, unit)
    origin, grid = _distance_grid(smooth_points, smooth_normals, template.rotation_weight, skin, mean)
    return Scalp(
        roots=root_fields,
        corners=corners,
        weights=weights,
        leaders=np.stack([cKDTree(points[:level]).query(points)[1] for level in CLUMP_LEVELS]),
        vertices=used,
        faces=remap[faces],
        surface=_fields(mean[used], surface.normals[used], eye_height, unit),
        origin=origin,
        distance=grid,
        warp=_warp(mean, skin[~is_ear[skin]], surface.normals),
        eye_height=eye_height,
        brow_height=eye_height + 0.20 * unit,
        chin_height=eye_height - 1.01 * unit,
        top_height=top_height,
    )


def _fields(points: Floats, normals: Floats, eye_height: float, unit: float) -> Roots:
    x, y, z = points.T.astype(np.float64)
    azimuth = np.degrees(np.arctan2(np.abs(x), z - 0.002))
    height = (y - eye_height) / unit
    # Smooth the corners of the line: average it over +-4 degrees.
    line = np.mean([np.interp(azimuth + d, _HAIRLINE_AZIMUTH, _HAIRLINE_HEIGHT) for d in (-4.0, -2.0, 0.0, 2.0, 4.0)], axis=0)
    ahead = np.interp(azimuth + 3.0, _HAIRLINE_AZIMUTH, _HAIRLINE_HEIGHT)
    behind = np.interp(azimuth - 3.0, _HAIRLINE_AZIMUTH, _HAIRLINE_HEIGHT)
    radius = np.hypot(x, z) + 1e-6
    slope = (ahead - behind) * unit / (radius * np.radians(6.0))
    inside = (height - line) * unit / np.sqrt(1.0 + slope**2)
    top = smoothstep(0.35, 0.75, height.astype(np.float32))
    front = smoothstep(0.0, 0.06, z.astype(np.float32)) * top
    temple = np.exp(-(((azimuth - 36.0) / 13.0) ** 2)) * smoothstep(0.2, 0.5, height.astype(np.float32))
    side = smoothstep(40.0, 65.0, azimuth.astype(np.float32)) * (1 - smoothstep(105.0, 135.0, azimuth.astype(np.float32)))
    back = smoothstep(105.0, 135.0, azimuth.astype(np.float32)) * (1 - top)
    spot = np.array([0.0, eye_height + 0.97 * unit, -0.028])
    reach = points - spot
    reach[:, 2] *= np.where(reach[:, 2] > 0, 0.62, 1.0)  # baldness spreads forwards
    crown = np.linalg.norm(reach, axis=1)
    return Roots(
        points=np.ascontiguousarray(points, dtype=np.float32),
        normals=np.ascontiguousarray(normals, dtype=np.float32),
        inside=inside.astype(np.float32),
        front=front.astype(np.float32),
        temple=temple.astype(np.float32),
        side=(side * (1 - top)).astype(np.float32),
        back=back.astype(np.float32),
        crown=crown.astype(np.float32),
    )


def _scatter(vertices: Floats, faces: Ints) -> tuple[NDArray[np.int64], Floats]:
    """Evenly spread points on triangles, farthest first out of many random ones: corners (N,3), barycentric weights (N,3)."""
    rng = np.random.default_rng(20_001)
    a, b, c = (vertices[faces[:, corner]] for corner in range(3))
    area = np.linalg.norm(np.cross(b - a, c - a), axis=1)
    pick = rng.choice(len(faces), size=12 * ROOTS, p=area / area.sum())
    first, second = rng.random((2, len(pick)))
    root = np.sqrt(first)
    weights = np.stack([1 - root, root * (1 - second), root * second], axis=1).astype(np.float32)
    points = np.einsum("nc,nca->na", weights, vertices[faces[pick]])
    order = farthest_order(np.ascontiguousarray(points, dtype=np.float32), ROOTS)
    return faces[pick[order]].astype(np.int64), weights[order]


def _without_ears(points: Floats, normals: Floats, skin: NDArray[np.int64], is_ear: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """Skin points with each ear replaced by a smooth continuation of the head around it (|x| quadratic in y, z)."""
    points, normals = points.copy(), normals.copy()
    for sign in (-1.0, 1.0):
        ear = np.flatnonzero(is_ear & (points[:, 0] * sign > 0))
        others = skin[~is_ear[skin] & (points[skin, 0] * sign > 0.03)]
        distance, _ = cKDTree(points[ear]).query(points[others])
        rim = others[distance < 0.022]

        def terms(at: NDArray[np.int64]) -> Doubles:
            y, z = points[at, 1].astype(np.float64), points[at, 2].astype(np.float64)
            return np.stack([np.ones_like(y), y, z, y * y, y * z, z * z], axis=1)

        fit, *_ = np.linalg.lstsq(terms(rim), points[rim, 0], rcond=None)
        points[ear, 0] = (terms(ear) @ fit).astype(np.float32)
        normals[ear] = (sign, 0.0, 0.0)
    return points, normals


def _distance_grid(
    points: Floats, normals: Floats, rotation_weight: Floats, skin: NDArray[np.int64], mean: Floats
) -> tuple[Floats, Floats]:
    low = np.maximum(mean[skin].min(0) - 0.05, (-0.29, -0.30, -0.24)).astype(np.float32)
    low = np.minimum(low, (-0.27, -0.28, -0.22)).astype(np.float32)
    high = np.array([-low[0], mean[skin, 1].max() + 0.10, mean[skin, 2].max() + 0.06], dtype=np.float32)
    counts = np.ceil((high - low) / DISTANCE_CELL).astype(int) + 1
    axes = [low[k] + DISTANCE_CELL * np.arange(counts[k], dtype=np.float32) for k in range(3)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    distance, nearest = cKDTree(points[skin]).query(nodes, k=4)
    weights = 1.0 / (distance + 0.002)
    weights /= weights.sum(1, keepdims=True)
    near = skin[nearest]
    plane = (weights * ((nodes[:, None] - points[near]) * normals[near]).sum(-1)).sum(1)
    signed = np.where(np.abs(plane) > 0.6 * distance[:, 0], plane, np.sign(plane) * distance[:, 0])
    turning = (weights * rotation_weight[near]).sum(1)
    shape = tuple(int(n) for n in counts)
    signed, turning = signed.reshape(shape), turning.reshape(shape)
    for _ in range(2):
        signed = _blur(signed)
    for _ in range(12):
        turning = _blur(turning)
    gradient = np.stack(np.gradient(signed, DISTANCE_CELL), axis=-1)
    gradient /= np.linalg.norm(gradient, axis=-1, keepdims=True) + 1e-9
    grid = np.concatenate([signed[..., None], gradient, turning[..., None]], axis=-1)
    return low, np.ascontiguousarray(grid, dtype=np.float32)


def _blur(volume: Doubles) -> Doubles:
    for axis in range(3):
        padded = np.pad(volume, [(1, 1) if k == axis else (0, 0) for k in range(3)], mode="edge")
        before, here, after = (np.take(padded, range(k, k + volume.shape[axis]), axis=axis) for k in range(3))
        volume = 0.25 * before + 0.5 * here + 0.25 * after
    return volume


def _warp(mean: Floats, skin: NDArray[np.int64], normals: Floats) -> Warp:
    centre = np.array([0.0, 0.03, 0.0])
    outward = ((mean[skin] - centre) * normals[skin]).sum(1) > 0
    outside = skin[outward & (np.linalg.norm(mean[skin] - centre, axis=1) > 0.05)]
    samples = outside[farthest_order(np.ascontiguousarray(mean[outside]), min(WARP_SAMPLES, len(outside)))]
    points = mean[samples].astype(np.float64)
    design = np.concatenate([points, np.ones((len(points), 1))], axis=1)
    low = points.min(0) - 0.06
    counts = np.ceil((points.max(0) + 0.06 - low) / WARP_CELL).astype(int) + 1
    axes = [low[k] + WARP_CELL * np.arange(counts[k]) for k in range(3)]
    nodes = np.stack(np.meshgrid(*axes, indexing="ij"), axis=-1).reshape(-1, 3)
    squared = ((nodes[:, None] - points[None]) ** 2).sum(-1)

    def smooth(width: float) -> Doubles:
        logits = -squared / (2 * width**2)
        weights = np.exp(logits - logits.max(1, keepdims=True))
        return np.asarray(weights / weights.sum(1, keepdims=True))

    at_samples = _trilinear_matrix(points, low, counts)
    identity = np.eye(len(points))
    lattice = smooth(0.032)
    for _ in range(2):  # correct what the smooth fit leaves over
        lattice = lattice + smooth(0.025) @ (identity - at_samples @ lattice)
    return Warp(
        samples=samples,
        affine=np.linalg.pinv(design),
        design=design,
        lattice=np.ascontiguousarray(lattice, dtype=np.float32),
        origin=low.astype(np.float32),
        shape=(int(counts[0]), int(counts[1]), int(counts[2])),
        mean=points,
    )


def _trilinear_matrix(points: Doubles, low: Doubles, counts: NDArray[np.int64]) -> Doubles:
    matrix = np.zeros((len(points), int(np.prod(counts))))
    position = (points - low) / WARP_CELL
    cell = np.clip(np.floor(position).astype(int), 0, counts - 2)
    fraction = position - cell
    for corner in np.ndindex(2, 2, 2):
        offset = np.array(corner)
        weight = np.prod(np.where(offset == 1, fraction, 1 - fraction), axis=1)
        index = np.ravel_multi_index(tuple((cell + offset).T), tuple(int(n) for n in counts))
        matrix[np.arange(len(points)), index] += weight
    return matrix
