"""Clothes at the neck: tees, turtlenecks, shirts, jackets with lapels, hoodies; procedural, a millisecond or two per head.

Every garment is drawn in one chart of the body below the chin: `angle` around the neck (0 in front, positive towards the
person's own left) and `reach`, the distance in metres along the skin from the base of the neck (negative up the neck,
positive down the shoulders and the chest), plus a height above the cloth's resting surface. The chart is found once per face
model by shooting rays from inside the chest at the mean head; after that it follows every person's mesh by vertex correspondence.
Below the cropped edge of the body the chart goes on straight down, so that clothes always reach the bottom of the picture.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cache, lru_cache
from typing import Final

import numba
import numpy as np
from numpy.typing import NDArray

from crossrig.data.fabric import PIECE_STRIDE, Pattern, pattern_table
from crossrig.data.geometry import CLOTH, SKIN, Floats, HeadSurface, HeadTemplate, Ints, Patch, mean_surface

GARMENTS: Final = ("tee", "turtleneck", "shirt", "jacket", "hoodie", "top")

ANGLES: Final = 96  # columns of the chart around the neck
REACHES: Final = 46  # rows of the chart
REACH_MIN: Final = -0.075  # metres, up the neck
REACH_MAX: Final = 0.285  # metres, beyond the edge of the crop on every side

# Inside the chest, on the axis of the neck: from here neck, shoulders and chest are all seen from within without overlap.
_CENTRE: Final = (0.0, -0.19, -0.028)
# The base of the neck is the cut of this plane, y = height + slope * (z - centre z), through the pit of the neck and the nape.
_BASE_HEIGHT: Final = -0.112
_BASE_SLOPE: Final = -0.33

RGB = tuple[float, float, float]
Numbers = NDArray[np.floating]  # inputs of any precision; everything is placed in float32


@dataclass(frozen=True)
class Clothes:
    """What a person wears. Lengths in metres, colours linear RGB in [0,1], shares in [0,1]."""

    garment: str = "tee"  # one of GARMENTS
    colour: RGB = (0.1, 0.12, 0.16)  # the outer garment
    under: RGB = (0.7, 0.7, 0.68)  # what shows beneath: the shirt under a jacket, the tee under an open shirt
    accent: RGB = (0.3, 0.05, 0.06)  # tie, contrasting rim
    depth: float = 0.0  # how much lower the neckline is in front, -0.005 .. 0.08
    width: float = 0.0  # how much farther from the neck the neckline is at the sides, 0 .. 0.05
    point: float = 0.0  # 0 round neckline .. 1 V
    rim: float = 0.018  # width of the rim or the height of the collar's stand
    thickness: float = 0.003  # of the cloth, 0.0015 .. 0.008
    looseness: float = 0.6  # 0 follows the skin .. 1 hangs from the shoulders
    opening: float = 0.3  # 0 buttoned up .. 1 wide open (shirt, jacket, hoodie)
    spread: float = 0.5  # of the collar points, 0 .. 1
    leaf: float = 0.5  # size of collar leaf, lapel or hood, 0 .. 1
    contrast_rim: float = 0.0  # share of the accent colour in the rim
    tie: bool = False  # with a jacket over a shirt
    folds: float = 0.5  # strength of wrinkles, 0 .. 1
    pattern: Pattern = field(default_factory=Pattern)
    under_pattern: Pattern = field(default_factory=Pattern)
    accent_pattern: Pattern = field(default_factory=Pattern)

    def __post_init__(self) -> None:
        if self.garment not in GARMENTS:
            raise ValueError(f"unknown garment {self.garment!r}, expected one of {GARMENTS}")

    def patterns(self) -> Floats:
        """(4, n) table for `fabric.cloth_colour`: outer garment, what is beneath, accent, buttons."""
        return pattern_table((self.pattern, self.under_pattern, self.accent_pattern, Pattern(grain=0.0)))


OUTER: Final = 0
UNDER: Final = 1
ACCENT: Final = 2
BUTTONS: Final = 3


# --- the chart ---------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class BodyChart:
    """Where the samples of the chart lie on the mesh of one face model."""

    corners: NDArray[np.int32]  # (A,K,3) mesh vertices of the triangle under each sample
    weights: Floats  # (A,K,3) barycentric
    beyond: Floats  # (A,K,3) metres added where the mesh ends: on along the body below, straight up above
    rotation_weight: Floats  # (A,K)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _shoot(  # type: ignore[no-untyped-def]
    vertices, faces, origin, angles, tilts, corners, weights
):
    """Rays from `origin`, by angle around the vertical and tilt from it: nearest hits as distances (angles, tilts), -1 for none.

    Intersection by Moeller and Trumbore, "Fast, Minimum Storage Ray/Triangle Intersection", 1997, triangle by triangle, only for
    rays near the directions of its corners. `angles` are the whole circle in even steps from -pi.
    """
    count = angles.size
    step_angle, step_tilt = 2.0 * np.pi / count, tilts[1] - tilts[0]
    distance = np.full((count, tilts.size), np.inf)
    azimuth, tilt = np.empty(3), np.empty(3)
    for face in range(faces.shape[0]):
        for k in range(3):
            corner = vertices[faces[face, k]]
            x, y, z = corner[0] - origin[0], corner[1] - origin[1], corner[2] - origin[2]
            azimuth[k], tilt[k] = np.arctan2(x, z), np.arctan2(np.hypot(x, z), y)
        if azimuth.max() - azimuth.min() > np.pi:  # across the nape, where angles start again
            for k in range(3):
                if azimuth[k] < 0.0:
                    azimuth[k] += 2.0 * np.pi
        a, b, c = vertices[faces[face, 0]], vertices[faces[face, 1]], vertices[faces[face, 2]]
        e1x, e1y, e1z = b[0] - a[0], b[1] - a[1], b[2] - a[2]
        e2x, e2y, e2z = c[0] - a[0], c[1] - a[1], c[2] - a[2]
        tx, ty, tz = origin[0] - a[0], origin[1] - a[1], origin[2] - a[2]
        qx, qy, qz = ty * e1z - tz * e1y, tz * e1x - tx * e1z, tx * e1y - ty * e1x
        first = int(np.floor((azimuth.min() - angles[0]) / step_angle))
        last = int(np.ceil((azimuth.max() - angles[0]) / step_angle))
        low = max(int(np.floor((tilt.min() - 0.03 - tilts[0]) / step_tilt)), 0)
        high = min(int(np.ceil((tilt.max() + 0.03 - tilts[0]) / step_tilt)), tilts.size - 1)
        for column in range(first, last + 1):
            i = column % count
            for j in range(low, high + 1):
                dx, dy, dz = np.sin(tilts[j]) * np.sin(angles[i]), np.cos(tilts[j]), np.sin(tilts[j]) * np.cos(angles[i])
                px, py, pz = dy * e2z - dz * e2y, dz * e2x - dx * e2z, dx * e2y - dy * e2x
                determinant = e1x * px + e1y * py + e1z * pz
                if abs(determinant) < 1e-14:
                    continue
                u = (tx * px + ty * py + tz * pz) / determinant
                v = (dx * qx + dy * qy + dz * qz) / determinant
                if u < -1e-6 or v < -1e-6 or u + v > 1.000001:
                    continue
                away = (e2x * qx + e2y * qy + e2z * qz) / determinant
                if 1e-6 < away < distance[i, j]:
                    distance[i, j] = away
                    corners[i, j] = faces[face]
                    weights[i, j, 0], weights[i, j, 1], weights[i, j, 2] = 1.0 - u - v, u, v
    for i in range(count):
        for j in range(tilts.size):
            if distance[i, j] == np.inf:
                distance[i, j] = -1.0
    return distance


@lru_cache(maxsize=4)
def body_chart(template: HeadTemplate) -> BodyChart:
    """The chart of one face model, found on its mean head (once per process)."""
    mean = mean_surface(template).vertices.astype(np.float64)
    faces = template.faces[template.face_part == SKIN]
    faces = np.ascontiguousarray(faces[mean[faces][:, :, 1].min(axis=1) < -0.03])
    origin = np.asarray(_CENTRE)
    angles = chart_angles().astype(np.float64)
    tilts = np.radians(np.linspace(20.0, 150.0, 240))
    corners = np.zeros((angles.size, tilts.size, 3), np.int32)
    weights = np.zeros((angles.size, tilts.size, 3))
    distance = _shoot(mean, faces, origin, angles, tilts, corners, weights)
    reaches = chart_reaches().astype(np.float64)
    out = BodyChart(
        np.zeros((ANGLES, REACHES, 3), np.int32), np.zeros((ANGLES, REACHES, 3), np.float32),
        np.zeros((ANGLES, REACHES, 3), np.float32), np.zeros((ANGLES, REACHES), np.float32),
    )
    for column in range(ANGLES):
        points = np.einsum("ncx,nc->nx", mean[corners[column]], weights[column])
        first, last, base = _usable(points, distance[column], origin)
        points = points[first:last]
        length = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(points, axis=0), axis=1))])
        length -= length[base - first]
        nearest = np.abs(length[None, :] - reaches[:, None]).argmin(axis=1)
        # between two ray hits the barycentric weights of the nearer one are good to a fraction of a millimetre
        out.corners[column] = corners[column, first + nearest]
        out.weights[column] = weights[column, first + nearest]
        ending = points[-1] - points[np.searchsorted(length, length[-1] - 0.03)]
        ending = ending / np.linalg.norm(ending) + (0.0, -0.7, 0.0)
        ending /= np.linalg.norm(ending)
        out.beyond[column] = np.maximum(reaches - length[-1], 0.0)[:, None] * ending
        out.beyond[column, :, 1] += np.maximum(length[0] - reaches, 0.0)
    out.rotation_weight[:] = (template.rotation_weight[out.corners] * out.weights).sum(axis=2)
    return out


def _usable(points: NDArray[np.float64], distance: NDArray[np.float64], origin: NDArray[np.float64]) -> tuple[int, int, int]:
    """Range [first, last) of one column's hits that form one piece of neck, shoulder and chest, and the base of the neck in it.

    From the base upwards it ends where the rays leave the neck for the chin or the jaw, downwards at the edge of the mesh.
    """
    above = points[:, 1] - (_BASE_HEIGHT + _BASE_SLOPE * (points[:, 2] - origin[2]))
    near = (distance > 0.0) & (np.hypot(points[:, 0], points[:, 2] - origin[2]) < 0.13)
    base = int(np.flatnonzero(near & (np.abs(above) < 0.02))[np.abs(above[near & (np.abs(above) < 0.02)]).argmin()])
    hit = distance > 0.0
    steps = np.diff(points, axis=0)  # (n-1,3) downwards
    length = np.linalg.norm(steps, axis=1)
    outward = -np.diff(np.hypot(points[:, 0] - origin[0], points[:, 2] - origin[2]))
    leaves = ~hit[:-1] | (length > 0.008) | (outward > 0.5 * np.abs(steps[:, 1])) | (steps[:, 1] > 0.0)
    ends = ~hit[1:] | (length >= 0.03)
    first = int(np.flatnonzero(leaves[:base]).max(initial=-1)) + 1
    last = int(np.flatnonzero(ends[base:]).min(initial=len(ends) - base)) + base + 1
    return first, last, base


@cache
def chart_angles() -> Floats:
    """(A,) radians around the neck, 0 in front; read-only."""
    return _read_only(2.0 * np.pi * np.arange(ANGLES, dtype=np.float32) / ANGLES - np.pi)


def _read_only(values: Numbers) -> Floats:
    out = values.astype(np.float32)
    out.setflags(write=False)
    return out


@cache
def chart_reaches() -> Floats:
    """(K,) metres from the base of the neck; read-only."""
    return _read_only(np.linspace(REACH_MIN, REACH_MAX, REACHES, dtype=np.float32))


@numba.njit(cache=True, nogil=True)
def _blur(grid: Floats, passes: int) -> Floats:
    """Repeated [1 2 1]/4 smoothing of (A,K,C), periodic in the first axis, ends held in the second."""
    rows, columns, channels = grid.shape
    width = columns * channels
    half, quarter = np.float32(0.5), np.float32(0.25)  # plain constants would make everything double
    current = grid.copy().reshape(rows, width)
    other = np.empty_like(current)
    for _ in range(passes):
        for i in range(rows):
            here, before, after, target = current[i], current[(i - 1) % rows], current[(i + 1) % rows], other[i]
            for j in range(width):
                target[j] = half * here[j] + quarter * (before[j] + after[j])
        for i in range(rows):
            here, target = other[i], current[i]
            for j in range(channels, width - channels):
                target[j] = half * here[j] + quarter * (here[j - channels] + here[j + channels])
            for j in range(channels):
                last = width - channels + j
                target[j] = half * here[j] + quarter * (here[j] + here[j + channels])
                target[last] = half * here[last] + quarter * (here[last - channels] + here[last])
    return current.reshape(rows, columns, channels)


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _grid_normals(grid: Floats) -> Floats:
    """Outward unit normals (A,K,3) of a chart of points."""
    rows, columns, _ = grid.shape
    normals = np.empty_like(grid)
    for i in range(rows):
        after, before, here = grid[(i + 1) % rows], grid[(i - 1) % rows], grid[i]
        for j in range(columns):
            low, high = max(j - 1, 0), min(j + 1, columns - 1)
            ax, ay, az = after[j, 0] - before[j, 0], after[j, 1] - before[j, 1], after[j, 2] - before[j, 2]
            bx, by, bz = here[high, 0] - here[low, 0], here[high, 1] - here[low, 1], here[high, 2] - here[low, 2]
            x, y, z = by * az - bz * ay, bz * ax - bx * az, bx * ay - by * ax
            scale = np.float32(1.0) / np.sqrt(x * x + y * y + z * z + np.float32(1e-24))
            normals[i, j, 0], normals[i, j, 1], normals[i, j, 2] = x * scale, y * scale, z * scale
    return normals


@numba.njit(cache=True, nogil=True)
def _gather(vertices: Floats, corners: Ints, weights: Floats, beyond: Floats) -> Floats:
    rows, columns, _ = corners.shape
    out = np.empty((rows, columns, 3), np.float32)
    for i in range(rows):
        for j in range(columns):
            for c in range(3):
                out[i, j, c] = (
                    vertices[corners[i, j, 0], c] * weights[i, j, 0]
                    + vertices[corners[i, j, 1], c] * weights[i, j, 1]
                    + vertices[corners[i, j, 2], c] * weights[i, j, 2]
                    + beyond[i, j, c]
                )
    return out


@numba.njit(cache=True, nogil=True)
def _rest(skin: Floats, looseness: float, extra: Floats) -> tuple[Floats, Floats]:
    """Points and normals of cloth over `skin` (A,K,3): smoothed, then lifted until it clears the skin by `extra` (A,K)."""
    rows, columns, _ = skin.shape
    cloth = _blur(skin, 10)
    share = np.float32(looseness)
    for i in range(rows):
        for j in range(columns):
            for c in range(3):
                cloth[i, j, c] = skin[i, j, c] + share * (cloth[i, j, c] - skin[i, j, c])
    normals = _grid_normals(cloth)
    lift = np.empty((rows, columns, 1), np.float32)
    for i in range(rows):
        for j in range(columns):
            under = np.float32(0.0)
            for c in range(3):
                under += (skin[i, j, c] - cloth[i, j, c]) * normals[i, j, c]
            lift[i, j, 0] = max(under, np.float32(0.0)) + extra[i, j]
    smooth = _blur(lift, 1)
    for i in range(rows):
        for j in range(columns):
            height = max(smooth[i, j, 0], lift[i, j, 0])
            for c in range(3):
                cloth[i, j, c] += height * normals[i, j, c]
    return cloth, _grid_normals(cloth)


@dataclass(frozen=True, eq=False)
class Drape:
    """The resting surface of cloth on one person: points and normals over the chart."""

    points: Floats  # (A,K,3)
    normals: Floats  # (A,K,3)
    rotation_weight: Floats  # (A,K)


@lru_cache(maxsize=1)
def _sleeve_room() -> Floats:
    """Extra height (A,K): sleeves hang loosely around the upper arms, where the chart's samples are far apart."""
    side = np.exp(-(((np.abs(chart_angles()) - 1.25) / 0.55) ** 2))
    return np.asarray(0.018 * side[:, None] * _ease((chart_reaches() - 0.12) / 0.09)[None, :], np.float32)


def drape(head: HeadSurface, looseness: float, extra: Floats) -> Drape:
    """Cloth at rest on a person: the skin smoothed by `looseness` in [0,1], lifted clear of it, plus `extra` (A,K) metres."""
    chart = body_chart(head.template)
    skin = _blur(_gather(head.vertices, chart.corners, chart.weights, chart.beyond), 1)
    points, normals = _rest(skin, looseness, np.ascontiguousarray(extra + _sleeve_room(), np.float32))
    return Drape(points, normals, chart.rotation_weight)


@numba.njit(cache=True, nogil=True)
def _place(
    points: Floats, normals: Floats, weights: Floats, angle: Floats, reach: Floats, height: Floats,
    out: Floats, weight_out: Floats,
) -> None:
    rows, columns, _ = points.shape
    for n in range(angle.size):
        x = (angle[n] + np.pi) / (2.0 * np.pi) * rows
        y = (reach[n] - REACH_MIN) / (REACH_MAX - REACH_MIN) * (columns - 1)
        y = min(max(y, 0.0), columns - 1.001)
        i, j = int(np.floor(x)), int(y)
        fx, fy = np.float32(x - i), np.float32(y - j)
        i0, i1 = i % rows, (i + 1) % rows
        a, b, c, d = (1 - fx) * (1 - fy), fx * (1 - fy), (1 - fx) * fy, fx * fy
        for k in range(3):
            out[n, k] = (
                a * (points[i0, j, k] + height[n] * normals[i0, j, k])
                + b * (points[i1, j, k] + height[n] * normals[i1, j, k])
                + c * (points[i0, j + 1, k] + height[n] * normals[i0, j + 1, k])
                + d * (points[i1, j + 1, k] + height[n] * normals[i1, j + 1, k])
            )
        weight_out[n] = a * weights[i0, j] + b * weights[i1, j] + c * weights[i0, j + 1] + d * weights[i1, j + 1]


# --- pieces ------------------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _grid_faces(rows: int, columns: int, closed: bool) -> Ints:
    """Triangles of a (rows, columns) grid; `closed` joins the last row to the first. Outward for rows by growing angle."""
    i, j = np.meshgrid(np.arange(rows if closed else rows - 1), np.arange(columns - 1), indexing="ij")
    a, b = i * columns + j, ((i + 1) % rows) * columns + j
    quads = np.stack([a, a + 1, b + 1, a, b + 1, b], axis=-1).reshape(-1, 3)
    return quads.astype(np.int32)


def _piece(
    cloth: Drape, angle: Numbers, reach: Numbers, height: Numbers, colour: Numbers | RGB, piece: int, *,
    closed: bool = False, shift: Numbers | None = None, uv: Numbers | None = None, flip: bool = False,
) -> Patch:
    """A grid of (angle, reach, height), each (rows, columns), as a patch. `shift` (rows, columns, 3) is added in space.

    Texture coordinates are metres on the cloth, as flat panels hang: x across and height along, the slope of the shoulder unrolled.
    """
    rows, columns = angle.shape
    count = rows * columns
    vertices = np.empty((count, 3), np.float32)
    weight = np.empty(count, np.float32)
    _place(
        cloth.points, cloth.normals, cloth.rotation_weight,
        np.ascontiguousarray(angle, np.float32).reshape(-1), np.ascontiguousarray(reach, np.float32).reshape(-1),
        np.ascontiguousarray(height, np.float32).reshape(-1), vertices, weight,
    )
    if uv is None:
        uv = np.stack([vertices[:, 0], vertices[:, 1] - 0.7 * np.abs(vertices[:, 2] - _CENTRE[2])], axis=1)
    uv = uv.reshape(count, 2) + np.asarray([(piece + 0.5) * PIECE_STRIDE, 0.0])
    if shift is not None:
        vertices += shift.reshape(count, 3).astype(np.float32)
    shade = np.empty((count, 3), np.float32)
    shade[:] = np.asarray(colour, np.float32).reshape(-1, 3)
    faces = _grid_faces(rows, columns, closed)
    return Patch(
        vertices=vertices, faces=faces[:, ::-1].copy() if flip else faces, uv=uv.astype(np.float32), colour=shade,
        tangent=np.zeros((count, 3), np.float32), rotation_weight=weight, material=CLOTH, opacity=np.ones(count, np.float32),
    )


def _ease(x: Numbers) -> Floats:
    """Smooth step on [0,1]."""
    t = np.clip(x, 0.0, 1.0)
    return np.asarray(t * t * (3.0 - 2.0 * t), np.float32)


def _neckline(clothes: Clothes, angle: Numbers) -> Floats:
    """Reach (metres) of the upper edge of a pulled-over garment at each angle."""
    front = 0.5 + 0.5 * np.cos(angle)
    side = np.sin(angle) ** 2
    turned = np.abs(np.arctan2(np.sin(angle), np.cos(angle)))
    blunt = 0.45 * (1.0 - clothes.point)  # a half pointed neckline has a round tip
    vee = np.clip(1.0 + blunt - np.sqrt((turned / 1.45) ** 2 + blunt**2), 0.0, 1.0)
    shape = (1.0 - clothes.point) * front**3 + clothes.point * vee
    return (0.006 + 0.006 * front + clothes.width * side + clothes.depth * shape).astype(np.float32)


def _wrinkles(clothes: Clothes, angle: Numbers, reach: Numbers, rng: np.random.Generator) -> Floats:
    """Heights (metres) of folds: long ones radiating from the neck and slack across the chest, a few millimetres."""
    phase = rng.uniform(0.0, 2.0 * np.pi, 6)
    warp = 0.5 * np.sin(2.0 * angle + phase[0]) + 9.0 * reach
    radial = np.sin(9.0 * angle + phase[1] + warp) + 0.6 * np.sin(17.0 * angle + phase[2] - 14.0 * reach)
    slack = np.sin(70.0 * reach + 3.0 * np.cos(angle + phase[3]) + 2.0 * np.sin(3.0 * angle + phase[4]))
    rise = _ease(reach / 0.05)
    return np.asarray(clothes.folds * rise * (0.0016 * (radial + 1.6) + 0.0013 * (slack + 1.0)), np.float32)


def _sheet(
    cloth: Drape, clothes: Clothes, upper: Numbers, angle: Numbers, colour: RGB, piece: int, rng: np.random.Generator, *,
    height: float = 0.0, rows_down: int = 22, folds: bool = True,
) -> Patch:
    """The body of a garment: from `upper` (reach per angle) to the end of the chart, its edge rolled in."""
    t = np.linspace(0.0, 1.0, rows_down, dtype=np.float32) ** 1.35
    reach = upper[:, None] + t[None, :] * (REACH_MAX - upper[:, None])
    around = np.broadcast_to(angle[:, None], reach.shape)
    lift = np.full_like(reach, height)
    if folds:
        lift += _wrinkles(clothes, around, reach - upper[:, None] * 0.5, rng)
    lift[:, 0] -= clothes.thickness + 0.002  # the edge turns inwards, so that no gap shows beneath it
    reach[:, 0] += 0.0005
    closed = bool(abs(angle[-1] - angle[0]) > 6.0)
    return _piece(cloth, around, reach, lift, colour, piece, closed=closed)


def _band(
    cloth: Drape, angle: Numbers, inner: Numbers, outer: Numbers, height: float, colour: Numbers | RGB, piece: int,
    closed: bool = True,
) -> Patch:
    """A rim lying along a neckline from reach `inner` to `outer`, with rounded section and its edges tucked in."""
    across = np.asarray([0.0, 0.0, 0.12, 0.4, 0.75, 1.0, 1.0], np.float32)
    rise = np.asarray([-2.6, 0.0, 0.85, 1.0, 0.95, 0.65, -0.6], np.float32)
    reach = inner[:, None] + across[None, :] * (outer - inner)[:, None]
    around = np.broadcast_to(angle[:, None], reach.shape)
    lift = np.broadcast_to(rise[None, :] * height, reach.shape)
    uv = np.stack([np.broadcast_to(angle[:, None] * 0.07, reach.shape), reach], axis=-1)
    return _piece(cloth, around, reach, lift, colour, piece, closed=closed, uv=uv)


def _mix(a: RGB, b: RGB, share: float) -> RGB:
    return (a[0] + (b[0] - a[0]) * share, a[1] + (b[1] - a[1]) * share, a[2] + (b[2] - a[2]) * share)


def _tee(head: HeadSurface, clothes: Clothes, rng: np.random.Generator) -> list[Patch]:
    angle = chart_angles()
    cloth = drape(head, clothes.looseness, _constant(clothes.thickness))
    upper = _neckline(clothes, angle)
    rim = _mix(clothes.colour, clothes.accent, clothes.contrast_rim)
    sheet = _sheet(cloth, clothes, upper + 0.5 * clothes.rim, angle, clothes.colour, OUTER, rng)
    band = _band(cloth, angle, upper, upper + clothes.rim, 0.0012 + 0.3 * clothes.thickness, rim, ACCENT)
    return [sheet, band]


def _turtleneck(head: HeadSurface, clothes: Clothes, rng: np.random.Generator) -> list[Patch]:
    angle = chart_angles()
    cloth = drape(head, clothes.looseness, _constant(clothes.thickness))
    base = np.full_like(angle, 0.004)
    sheet = _sheet(cloth, clothes, base + 0.006, angle, clothes.colour, OUTER, rng)
    front = 0.5 + 0.5 * np.cos(angle)
    top = -(1.5 * clothes.rim + 0.012) * (1.0 - 0.3 * front)
    # section of the folded collar, from its hem up the outside, over the fold and down inside
    along = np.asarray([0.0, 0.0, 0.15, 0.35, 0.55, 0.75, 0.92, 1.0, 1.0, 0.8, 0.5], np.float32)
    rise = np.asarray([-1.0, 0.8, 1.25, 1.3, 1.2, 1.1, 1.0, 0.7, 0.2, -0.1, -0.6], np.float32)
    height = 0.003 + clothes.thickness
    reach = 0.012 + along[None, :] * (top - 0.012)[:, None]
    around = np.broadcast_to(angle[:, None], reach.shape)
    phase = rng.uniform(0.0, 2.0 * np.pi, 3)
    slack = np.sin(3.0 * angle + phase[0])[:, None] * np.sin(9.0 * along + phase[1])[None, :] + 0.6 * np.sin(
        7.0 * angle[:, None] + phase[2] + 5.0 * along[None, :]
    )
    lift = rise[None, :] * height + 0.0011 * clothes.folds * slack * np.sin(np.pi * along)[None, :]
    uv = np.stack([np.broadcast_to(angle[:, None] * 0.06, reach.shape), reach], axis=-1)
    collar = _piece(cloth, around, reach, lift, clothes.colour, ACCENT, closed=True, uv=uv)
    return [sheet, collar]


def _open_neckline(angle: Numbers, depth: float, half_width: float) -> Floats:
    """Reach of the upper edge of a garment that opens down the front to `depth`, `half_width` radians wide at the neck."""
    turned = np.abs(np.arctan2(np.sin(angle), np.cos(angle)))
    return (0.006 + depth * np.clip(1.0 - turned / half_width, 0.0, 1.0) ** 1.15).astype(np.float32)


def _leaf_collar(
    cloth: Drape, clothes: Clothes, opening: float, height: float, colour: RGB, piece: int, size: float, lift: float = 0.0
) -> Patch:
    """A shirt collar: a stand around the neck and a leaf folded down over it, ending in two points."""
    rows = 61
    gap = 0.03 + 0.5 * opening
    t = np.linspace(-1.0, 1.0, rows, dtype=np.float32)  # -1 and 1 at the front ends, 0 at the nape; denser at the ends
    t = (t * (1.35 - 0.35 * t * t)).astype(np.float32)
    end = np.abs(t)
    angle_top = np.pi + t * (np.pi - gap)
    angle_edge = np.pi + t * (np.pi - gap - (0.12 + 0.35 * clothes.spread) * np.clip((end - 0.6) / 0.4, 0.0, 1.0) ** 1.5)
    stand = -height * (1.0 - (0.25 + 0.55 * opening) * end**6)
    low = 0.004 + 0.008 * opening * end**8
    edge = 0.010 + 0.010 * size + (0.028 + 0.022 * size) * end**7 + 0.014 * opening * end**8
    #                  inside foot, inside, top inside, fold, outside, leaf ......... edge, under the edge
    share = np.asarray([0.0, 0.0, 0.0, 0.0, 0.06, 0.35, 0.7, 0.93, 1.0, 0.97], np.float32)
    rise = np.asarray([-0.5, 0.6, 0.8, 1.6, 2.9, 3.1, 2.2, 1.7, 1.4, -0.5], np.float32) * 0.0028 + lift
    foot = np.asarray([1.0, 0.5, 0.06, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0], np.float32)
    reach = stand[:, None] + share[None, :] * (edge - stand)[:, None] + foot[None, :] * (low - stand)[:, None]
    around = angle_top[:, None] + share[None, :] * (angle_edge - angle_top)[:, None]
    # towards the points the leaf stands off the cloth a little, as stiffened collars do
    raised = np.broadcast_to(rise[None, :], reach.shape) + 0.0035 * end[:, None] ** 6 * np.minimum(share, 0.9)[None, :]
    uv = np.stack([np.broadcast_to(t[:, None] * 0.2, reach.shape), reach], axis=-1)
    return _piece(cloth, around, reach, raised, colour, piece, uv=uv)


def _strip(
    cloth: Drape, reach: Numbers, half_width: Numbers, height: float, bulge: float, colour: RGB, piece: int
) -> Patch:
    """A ribbon down the front (a placket, a tie): half width in metres at each reach, rounded by `bulge` metres."""
    across = np.asarray([-1.0, -1.0, -0.55, 0.0, 0.55, 1.0, 1.0], np.float32)
    rise = np.asarray([-1.0, 0.55, 0.9, 1.0, 0.9, 0.55, -1.0], np.float32)
    shape = (across.size, reach.size)
    shift = np.zeros((*shape, 3), np.float32)
    shift[:, :, 0] = across[:, None] * half_width[None, :]
    shift[:, :, 2] = rise[:, None] * bulge - 3.0 * shift[:, :, 0] ** 2
    uv = np.stack([np.broadcast_to(across[:, None] * half_width[None, :], shape), np.broadcast_to(-reach[None, :], shape)], axis=-1)
    return _piece(
        cloth, np.zeros(shape, np.float32), np.broadcast_to(reach[None, :], shape), np.full(shape, height, np.float32), colour, piece,
        shift=shift, uv=uv,
    )


def _buttons(cloth: Drape, reaches: Numbers, height: float, colour: RGB, piece: int) -> list[Patch]:
    """Flat discs of 5 mm radius down the front."""
    out = []
    turn = np.linspace(0.0, 2.0 * np.pi, 9, dtype=np.float32)[:, None]
    radius = np.asarray([1.0, 1.0, 0.8, 0.0], np.float32)[None, :] * 0.005
    rise = np.broadcast_to(np.asarray([-0.001, 0.0014, 0.002, 0.0016], np.float32)[None, :], (9, 4))
    for reach in reaches:
        shift = np.stack([radius * np.sin(turn), radius * np.cos(turn), rise], axis=-1)
        zero = np.zeros((9, 4), np.float32)
        out.append(_piece(cloth, zero, zero + reach, zero + height, colour, piece, shift=shift, flip=True))
    return out


def _shirt_layer(
    cloth: Drape, clothes: Clothes, opening: float, colour: RGB, piece: int, rng: np.random.Generator, *, folds: bool
) -> list[Patch]:
    """A shirt on a given drape: sheet, placket with buttons, collar."""
    angle = chart_angles()
    depth = 0.085 * opening
    upper = _open_neckline(angle, depth, 0.16 + 0.55 * opening) - 0.012 * (1.0 - opening) ** 2
    sheet = _sheet(cloth, clothes, upper, angle, colour, piece, rng, folds=folds)
    reach = np.linspace(0.006 + depth * 0.95 - 0.012 * (1.0 - opening) ** 2, REACH_MAX, 14, dtype=np.float32)
    placket = _strip(cloth, reach, np.full(14, 0.015, np.float32), 0.002, 0.0012, colour, piece)
    white = _mix(colour, (0.8, 0.79, 0.76), 0.5)
    buttons = _buttons(cloth, np.arange(0.014 + depth, 0.13, 0.07, dtype=np.float32), 0.0035, white, BUTTONS)
    collar = _leaf_collar(cloth, clothes, opening, clothes.rim + 0.008, colour, piece, clothes.leaf)
    return [sheet, placket, *buttons, collar]


def _under_tee(head: HeadSurface, clothes: Clothes, rng: np.random.Generator) -> list[Patch]:
    """The plain tee beneath an open shirt, jacket or hoodie."""
    angle = chart_angles()
    cloth = drape(head, 0.3 * clothes.looseness, _constant(0.002))
    upper = np.full_like(angle, 0.012) + 0.006 * np.cos(angle)
    return [
        _sheet(cloth, clothes, upper + 0.008, angle, clothes.under, UNDER, rng, folds=False),
        _band(cloth, angle, upper, upper + 0.016, 0.0013, clothes.under, UNDER),
    ]


def _shirt(head: HeadSurface, clothes: Clothes, rng: np.random.Generator) -> list[Patch]:
    under = _under_tee(head, clothes, rng) if clothes.opening > 0.45 and clothes.point < 0.5 else []
    cloth = drape(head, clothes.looseness, _constant(clothes.thickness + (0.002 if under else 0.0)))
    return under + _shirt_layer(cloth, clothes, clothes.opening, clothes.colour, OUTER, rng, folds=True)


def _tie(cloth: Drape, clothes: Clothes) -> list[Patch]:
    t = np.linspace(0.0, 1.0, 12, dtype=np.float32)
    reach = -0.022 + 0.046 * t
    width = (0.0185 - 0.008 * t) * np.sqrt(np.clip(1.0 - (2.0 * t - 1.0) ** 8, 0.15, 1.0))
    knot = _strip(cloth, reach, width, 0.004, 0.007, clothes.accent, ACCENT)
    down = np.linspace(0.018, REACH_MAX, 16, dtype=np.float32)
    blade = _strip(cloth, down, (0.0105 + 0.16 * (down - 0.018)).clip(0.0, 0.04).astype(np.float32), 0.005, 0.0035, clothes.accent, ACCENT)
    return [knot, blade]


def _lapels(cloth: Drape, clothes: Clothes, depth: float, half_width: float) -> list[Patch]:
    """Collar and two lapels of a tailored jacket, along the edge that `_open_neckline` gives the jacket."""
    gorge = 0.80 * half_width  # angle where collar and lapel meet
    broad = 0.034 + 0.026 * clothes.leaf
    across = np.asarray([-0.02, 0.0, 0.12, 0.5, 0.94, 1.0, 0.97], np.float32)
    rise = np.asarray([-4.0, 3.0, 5.5, 5.0, 4.0, 3.0, -1.0], np.float32) * 0.001
    out = []
    for side in (1.0, -1.0):
        lapel_t = np.linspace(0.0, 1.0, 22, dtype=np.float32)
        collar_t = np.linspace(0.0, 1.0, 22, dtype=np.float32)
        lapel = (lapel_t * gorge, broad * np.sqrt(lapel_t) * (0.55 + 0.45 * lapel_t), 0.15 + 0.75 * lapel_t**3)
        collar = (
            gorge + collar_t * (np.pi - gorge), 0.72 * broad + (0.034 - 0.72 * broad) * _ease(collar_t / 0.5),
            0.95 + (0.5 * np.pi - 0.95) * _ease(collar_t / 0.35),
        )
        for part, (angle, width, direction) in enumerate((lapel, collar)):
            stand = -0.014 * _ease((angle - 0.9 * half_width) / 0.9)
            edge = _open_neckline(angle, depth, half_width) + stand
            reach = edge[:, None] + across[None, :] * (width * np.sin(direction) - stand)[:, None]
            around = angle[:, None] + across[None, :] * (width * np.cos(direction) / 0.105)[:, None]
            uv = np.stack([np.broadcast_to(0.6 * angle[:, None], reach.shape), reach], axis=-1)
            height = np.broadcast_to(rise[None, :], reach.shape) + (0.001 if part else 0.0)
            out.append(_piece(cloth, side * around, reach, height, clothes.colour, OUTER, uv=uv, flip=side < 0.0))
    return out


def _jacket(head: HeadSurface, clothes: Clothes, rng: np.random.Generator) -> list[Patch]:
    angle = chart_angles()
    if clothes.tie or clothes.point < 0.5:
        inner_cloth = drape(head, 0.4 * clothes.looseness, _constant(0.0015))
        inner = _shirt_layer(inner_cloth, clothes, 0.0 if clothes.tie else 0.6 * clothes.opening, clothes.under, UNDER, rng, folds=False)
        if clothes.tie:
            inner += _tie(inner_cloth, clothes)
    else:
        inner = _under_tee(head, clothes, rng)
    turned = np.abs(chart_angles())[:, None]
    reach = chart_reaches()[None, :]
    # shoulder pads on both sides, and room for what is worn beneath
    pad = 0.010 * np.exp(-(((turned - 1.6) / 0.55) ** 2)) * _ease((reach - 0.02) / 0.09)
    cloth = drape(head, max(clothes.looseness, 0.7), (pad + 0.005 + clothes.thickness).astype(np.float32))
    depth, half_width = 0.11 + 0.03 * (1.0 - clothes.opening), 1.05 + 0.15 * clothes.opening
    upper = _open_neckline(angle, depth, half_width)
    sheet = _sheet(cloth, clothes, upper, angle, clothes.colour, OUTER, rng)
    return [*inner, sheet, *_lapels(cloth, clothes, depth, half_width)]


def _tube(cloth: Drape, angle: Numbers, reach: Numbers, height: Numbers, radius: float, colour: RGB, piece: int) -> Patch:
    """A cord along a path on the cloth."""
    turn = np.linspace(0.0, 2.0 * np.pi, 7, dtype=np.float32)
    shape = (turn.size, angle.size)
    shift = np.zeros((*shape, 3), np.float32)
    shift[:, :, 0] = radius * np.sin(turn)[:, None]
    shift[:, :, 2] = radius * np.cos(turn)[:, None]
    return _piece(
        cloth, np.broadcast_to(angle, shape), np.broadcast_to(reach, shape), np.broadcast_to(height, shape), colour, piece, shift=shift,
    )


def _hoodie(head: HeadSurface, clothes: Clothes, rng: np.random.Generator) -> list[Patch]:
    angle = chart_angles()
    cloth = drape(head, max(clothes.looseness, 0.6), _constant(clothes.thickness + 0.002))
    front = 0.5 + 0.5 * np.cos(angle)
    depth = 0.004 + 0.03 * clothes.opening
    centre = 0.010 + depth * front**4 + 0.010 * (1.0 - front)
    sheet = _sheet(cloth, clothes, (centre - 0.006).astype(np.float32), angle, clothes.colour, OUTER, rng)
    phase = rng.uniform(0.0, 2.0 * np.pi, 3)
    size = 0.007 + (0.010 + 0.012 * clothes.leaf) * (1.0 - front) ** 0.8
    size = size * (1.0 + 0.12 * clothes.folds * (np.sin(5.0 * angle + phase[0]) + 0.5 * np.sin(11.0 * angle + phase[1])))
    turn = np.linspace(-0.8, 2.0 * np.pi - 0.8, 15, dtype=np.float32)[None, :]
    # the hood lies around the neck as a thick roll, higher than wide
    tall = 1.15 + 0.5 * clothes.leaf * (1.0 - front)
    reach = centre[:, None] + (size * tall)[:, None] * np.cos(turn) - (0.5 * size)[:, None]
    lift = (0.75 * size)[:, None] * (1.0 - 0.15 * front[:, None]) + size[:, None] * np.sin(turn)
    lift = lift + 0.0012 * clothes.folds * np.sin(7.0 * angle[:, None] + 3.0 * turn + phase[2])
    uv = np.stack([np.broadcast_to(angle[:, None] * 0.09, reach.shape), np.broadcast_to(turn * 0.02, reach.shape)], axis=-1)
    hood = _piece(cloth, np.broadcast_to(angle[:, None], reach.shape), reach, lift, clothes.colour, OUTER, closed=True, uv=uv, flip=True)
    cords = []
    for side in (-1.0, 1.0):
        down = np.linspace(0.0, 0.14, 10, dtype=np.float32)
        path = (side * (0.20 - 0.5 * down)).astype(np.float32)
        reach_at = (0.008 + depth + down).astype(np.float32)
        height = (0.010 * np.exp(-down / 0.02) + 0.0025).astype(np.float32)
        cords.append(_tube(cloth, path, reach_at, height, 0.0026, clothes.accent, ACCENT))
    return [sheet, hood, *cords]


def _reach_at_height(cloth: Drape, height: Numbers) -> NDArray[np.float64]:
    """Reach (A,) at which each column of the chart comes down to `height` (A,) metres; near its end where it does not."""
    heights = cloth.points[:, :, 1].astype(np.float64)
    reaches = chart_reaches().astype(np.float64)
    below = heights < height[:, None]
    after = np.maximum(below.argmax(axis=1), 1)
    columns = np.arange(ANGLES)
    high, low = heights[columns, after - 1], heights[columns, after]
    share = np.clip((high - height) / np.maximum(high - low, 1e-6), 0.0, 1.0)
    found = reaches[after - 1] + share * (reaches[after] - reaches[after - 1])
    return np.where(below.any(axis=1), np.minimum(found, REACH_MAX - 0.02), REACH_MAX - 0.02)


def _top(head: HeadSurface, clothes: Clothes, rng: np.random.Generator) -> list[Patch]:
    """A top with straps that leaves the shoulders bare, from narrow straps to a broad tank top (`width`)."""
    angle = chart_angles()
    cloth = drape(head, 0.4 * clothes.looseness, _constant(clothes.thickness))
    # The edge is a scoop between the straps and falls away under the arms.
    turned = np.minimum(np.abs(angle), np.pi - np.abs(angle))
    scoop = -0.170 - clothes.depth + (0.010 + 0.6 * clothes.depth) * np.clip(turned / 0.95, 0.0, 1.0) ** 2
    upper = _reach_at_height(cloth, scoop)
    upper += (REACH_MAX - 0.02 - upper) * _ease((turned - 0.95) / 0.4)
    upper = (0.5 * upper + 0.25 * (np.roll(upper, 1) + np.roll(upper, -1))).astype(np.float32)
    sheet = _sheet(cloth, clothes, upper, angle, clothes.colour, OUTER, rng, rows_down=16)
    band = _band(cloth, angle, upper, upper + 0.008, 0.0014, clothes.colour, OUTER)
    straps = []
    half = 0.0025 + 0.30 * clothes.width
    along = np.linspace(-1.0, 1.0, 17, dtype=np.float32)
    across = np.asarray([-1.0, -0.97, -0.6, 0.0, 0.6, 0.97, 1.0], np.float32)
    rise = np.asarray([-2.0, 0.5, 0.9, 1.0, 0.9, 0.5, -2.0], np.float32) * 0.0013
    # over the shoulder from front to back: far from the neck at both ends, near it on top
    path_angle = 1.62 + along * 0.95
    path_reach = 0.040 + half + (0.045 + 0.5 * clothes.depth) * along**2
    for turn in (1.0, -1.0):
        around = np.broadcast_to(turn * path_angle[:, None], (17, 7)) + turn * 0.0
        reach = path_reach[:, None] + across[None, :] * half
        height = np.broadcast_to(rise[None, :], (17, 7))
        straps.append(_piece(cloth, around, reach, height, clothes.colour, OUTER, flip=turn < 0.0))
    return [sheet, band, *straps]


_MAKERS: Final = {"tee": _tee, "turtleneck": _turtleneck, "shirt": _shirt, "jacket": _jacket, "hoodie": _hoodie, "top": _top}


def _constant(value: float) -> Floats:
    return np.full((ANGLES, REACHES), value, np.float32)


def make_clothes(head: HeadSurface, clothes: Clothes, rng: np.random.Generator) -> list[Patch]:
    """Patches (material CLOTH) of what a person wears, in the head's neutral space.

    Large shapes depend on `clothes` alone; `rng` only places folds. Colours per vertex are plain: the pattern is evaluated per
    pixel by `fabric.cloth_colour` from the patches' texture coordinates and `clothes.patterns()`.
    """
    return _MAKERS[clothes.garment](head, clothes, rng)
