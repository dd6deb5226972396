"""Beards: stubble as a dotted layer on the skin, moustache, goatee and full beard as ribbons that follow the jaw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.charts import Chart, make_chart
from crossrig.data.geometry import BEARD, SKIN, Floats, HeadSurface, HeadTemplate, Ints, Patch, cross
from crossrig.data.scalp import farthest_order, smoothstep
from crossrig.data.strands import ribbon_mesh

Colour = tuple[float, float, float]

_ROOTS: Final = 1000  # candidates
_MOUSTACHE_ROOTS: Final = 240  # of these
_KNOTS: Final = 5


@dataclass(frozen=True)
class BeardStyle:
    """A person's beard. Metres; shares and strengths in [0, 1]."""

    colour: Colour = (0.030, 0.019, 0.013)  # linear RGB
    greyness: float = 0.0
    moustache: float = 0.0  # fullness by zone
    chin: float = 0.0
    cheeks: float = 0.0  # jaw and sideburns
    length: float = 0.0  # of chin and cheeks; 0: stubble only
    moustache_length: float = 0.007
    shadow: float = 0.0  # darkness of the stubble where the zones are full
    cheek_line: float = 0.0  # metres that the beard reaches higher on the cheeks
    neck_line: float = 0.0  # metres that it reaches lower on the neck
    point: float = 0.3  # how much longer the chin is than the cheeks
    curl: float = 0.15  # disorder of the hairs
    width: float = 0.0028


#: Kinds of beard with typical parameters; `beard_style` turns them into one person's.
BEARDS: Final[Mapping[str, BeardStyle]] = MappingProxyType(
    {
        "shaved": BeardStyle(moustache=1.0, chin=1.0, cheeks=1.0, shadow=0.07, moustache_length=0.0),
        "stubble": BeardStyle(moustache=1.0, chin=1.0, cheeks=0.9, shadow=0.34, length=0.0025, moustache_length=0.0025, width=0.0014),
        "moustache": BeardStyle(moustache=1.0, chin=0.15, cheeks=0.1, shadow=0.25, moustache_length=0.009),
        "goatee": BeardStyle(moustache=1.0, chin=1.0, cheeks=0.12, shadow=0.35, length=0.012, moustache_length=0.008),
        "full": BeardStyle(moustache=1.0, chin=1.0, cheeks=1.0, shadow=0.6, length=0.011, moustache_length=0.008),
        "long": BeardStyle(
            moustache=1.0, chin=1.0, cheeks=1.0, shadow=0.7, length=0.034, moustache_length=0.011, point=0.8, neck_line=0.008
        ),
    }
)

#: What the numbers given to `beard_style` mean, in order; all are standard normals.
BEARD_VARIATIONS: Final = ("length", "shadow", "cheek_line", "neck_line", "moustache", "cheeks", "point", "curl")


def beard_style(kind: str, code: NDArray[np.floating], colour: Colour, greyness: float = 0.0) -> BeardStyle:
    """One person's beard: a kind, standard normals `code` (8,), the colour of the hair (linear RGB). Smooth in all but the kind.

    Raises ValueError for an unknown kind or a code of another length.
    """
    if kind not in BEARDS:
        raise ValueError(f"unknown beard '{kind}'; known are {', '.join(BEARDS)}")
    if np.shape(code) != (len(BEARD_VARIATIONS),):
        raise ValueError(f"a beard code has shape {np.shape(code)}, expected ({len(BEARD_VARIATIONS)},)")
    z = {name: min(max(float(value), -2.5), 2.5) for name, value in zip(BEARD_VARIATIONS, code, strict=True)}
    base = BEARDS[kind]
    longer = float(np.exp(0.3 * z["length"]))
    return replace(
        base,
        colour=colour,
        greyness=greyness,
        length=base.length * longer,
        moustache_length=base.moustache_length * float(np.exp(0.15 * z["length"])),
        shadow=float(np.clip(base.shadow * np.exp(0.3 * z["shadow"]), 0.0, 0.9)),
        cheek_line=base.cheek_line + 0.005 * z["cheek_line"],
        neck_line=base.neck_line + 0.006 * z["neck_line"],
        moustache=float(np.clip(base.moustache + 0.15 * z["moustache"], 0.0, 1.0)),
        cheeks=float(np.clip(base.cheeks + 0.15 * z["cheeks"], 0.0, 1.0)) if base.cheeks > 0.5 else base.cheeks,
        point=max(base.point + 0.2 * z["point"], 0.0),
        curl=base.curl * float(np.exp(0.4 * z["curl"])),
    )


def grow_beard(head: HeadSurface, style: BeardStyle, rng: np.random.Generator) -> list[Patch]:
    """Beard of one person (an empty list where there is none): the stubble layer, then the hairs."""
    template = _template(head.template)
    patches: list[Patch] = []
    if style.shadow > 0:
        patches.append(_stubble(head, template, style))
    if max(style.length, style.moustache_length if style.moustache > 0.3 else 0.0) >= 0.002 and style.shadow > 0.1:
        patches.append(_hairs(head, template, style, rng))
    return patches


@dataclass(frozen=True, eq=False)
class _Zones:
    """Signed distances into the zones, metres on the mean head; all (N,)."""

    at: Floats  # (N,2) chart coordinates
    moustache: Floats
    chin: Floats
    upper: Floats  # below the cheek line
    lower: Floats  # above the neck line
    lips: Floats  # 1 on the lips
    front: Floats  # 1 at the middle of the chin


@dataclass(frozen=True, eq=False)
class _BeardTemplate:
    chart: Chart
    roots: _Zones
    vertices: NDArray[np.int64]  # (n,) template vertices of the stubble layer
    faces: Ints
    surface: _Zones
    side: Floats  # (N,) sign of x, smooth across the middle


def _fullness(zones: _Zones, style: BeardStyle) -> tuple[Floats, Floats]:
    """Fullness in [0, 1] of moustache and of the rest at each place."""
    soft = 0.007
    moustache = style.moustache * smoothstep(-0.001, 0.004, zones.moustache)
    borders = smoothstep(0.0, soft, zones.upper + style.cheek_line) * smoothstep(0.0, soft, zones.lower + style.neck_line)
    chin = style.chin * smoothstep(-0.002, 0.006, zones.chin)
    rest = np.maximum(chin, style.cheeks * (1.0 - smoothstep(-0.001, 0.004, zones.moustache))) * borders
    off_lips = 1.0 - smoothstep(0.15, 0.55, zones.lips)
    return (moustache * off_lips).astype(np.float32), (rest * off_lips * (1.0 - 0.9 * (moustache > 0) * moustache)).astype(np.float32)


def _stubble(head: HeadSurface, template: _BeardTemplate, style: BeardStyle) -> Patch:
    """Skin of the beard region, dotted with hair colour; opacity is the share of dots."""
    moustache, rest = _fullness(template.surface, style)
    opacity = style.shadow * np.maximum(moustache, rest)
    used = (opacity[template.faces] > 0.004).any(axis=1)
    chosen = template.vertices
    vertices = head.vertices[chosen] + 0.0005 * head.normals[chosen]
    base = np.array(style.colour) * (1 - 0.7 * style.greyness) + 0.7 * style.greyness * 0.35
    # In strand noise one unit of u spans nine dots and one of v two and a half; a dot is about 0.6 mm of a face 0.07 m away.
    scale = np.array([0.07 / (9 * 0.0006), 0.07 / (2.5 * 0.0006)], dtype=np.float32)
    uv = template.surface.at * scale - np.array([1000.0, 0.0], dtype=np.float32)
    return Patch(
        vertices=vertices.astype(np.float32),
        faces=template.faces[used],
        uv=uv.astype(np.float32),
        colour=np.repeat(base[None], len(chosen), axis=0).astype(np.float32),
        tangent=np.zeros((len(chosen), 3), dtype=np.float32),
        rotation_weight=head.rotation_weight[chosen],
        material=BEARD,
        opacity=opacity.astype(np.float32),
    )


def _hairs(head: HeadSurface, template: _BeardTemplate, style: BeardStyle, rng: np.random.Generator) -> Patch:
    zones = template.roots
    moustache, rest = _fullness(zones, style)
    share = rng.random((_ROOTS, 4)).astype(np.float32)
    jitter = rng.standard_normal((_ROOTS, 5)).astype(np.float32)
    full = np.maximum(moustache, rest if style.length >= 0.002 else 0.0 * rest)
    keep = np.flatnonzero(full > 0.18 + 0.42 * share[:, 0])
    placed = template.chart.look_up(template.chart.place(head), zones.at[keep])
    normal = placed[:, 3:6] / (np.linalg.norm(placed[:, 3:6], axis=1, keepdims=True) + 1e-9)
    share, jitter, full, moustache = share[keep], jitter[keep], full[keep], moustache[keep]
    side, front = template.side[keep], zones.front[keep]
    lip = moustache >= 0.5 * full

    length = np.where(lip, style.moustache_length, style.length * (1.0 + style.point * front))
    length = length * (0.75 + 0.35 * share[:, 1]) * (0.45 + 0.55 * full)
    comb = np.zeros_like(normal)
    comb[:, 0] = np.where(lip, 0.85 * side, 0.10 * side)
    comb[:, 1] = -1.0
    comb[:, 2] = np.where(lip, 0.0, -0.15)
    comb += style.curl * 1.6 * jitter[:, :3]
    comb -= (comb * normal).sum(1, keepdims=True) * normal
    comb /= np.linalg.norm(comb, axis=1, keepdims=True) + 1e-6
    # Chin hair on the underside grows forwards before it falls.
    lift = (0.32 + 0.25 * share[:, 2])[:, None]
    points = np.empty((len(keep), _KNOTS, 3), dtype=np.float32)
    fall = np.array([0.0, -1.0, 0.10], dtype=np.float32)
    hang = np.clip((length - 0.010) / 0.03, 0.0, 1.0)[:, None] * 0.75
    across = cross(comb, normal)
    for knot in range(_KNOTS):
        f = knot / (_KNOTS - 1)
        along = f - 0.5 * hang * f * f
        course = along * comb + 0.6 * lift * np.sin(0.8 * np.pi * f) * normal + 0.5 * hang * f * f * fall
        points[:, knot] = placed[:, 0:3] - 0.0005 * normal + length[:, None] * course
        wiggle = style.curl * 0.22 * length[:, None] * np.sin(2.0 * np.pi * (1.2 * f + share[:, 3:4])) * f
        points[:, knot] += wiggle * across
    outward = np.repeat(normal[:, None], _KNOTS, axis=1)
    turning = np.repeat(placed[:, 6:7], _KNOTS, axis=1)
    width = style.width * (0.7 + 0.6 * share[:, 1]) * np.clip(0.55 + length / 0.02, 0.6, 1.6)
    profile = np.array([0.7, 1.0, 0.95, 0.75, 0.35], dtype=np.float32)
    vertices, tangent, weight, faces, uv = ribbon_mesh(
        points, outward, np.linspace(0.0, 1.0, _KNOTS, dtype=np.float32), turning, width.astype(np.float32),
        (0.3 * jitter[:, 3]).astype(np.float32), profile,
    )  # fmt: skip
    white = np.clip(style.greyness + 2.4 * style.greyness * (1 - style.greyness) * (share[:, 3:4] - 0.5), 0.0, 1.0)
    base = np.array(style.colour, dtype=np.float32)
    strand = (base + white * (np.float32(0.46) - base)) * np.exp(0.2 * jitter[:, 4:5])
    along = np.linspace(0.65, 1.05, _KNOTS, dtype=np.float32)
    colour = strand[:, None] * along[:, None]
    fading = np.array([0.75, 0.85, 0.8, 0.7, 0.45], dtype=np.float32)
    opacity = (0.55 + 0.45 * full)[:, None] * fading
    return Patch(
        vertices=vertices,
        faces=faces,
        uv=uv,
        colour=np.repeat(colour.reshape(-1, 3), 2, axis=0).astype(np.float32),
        tangent=tangent,
        rotation_weight=weight,
        material=BEARD,
        opacity=np.repeat(opacity.reshape(-1), 2).astype(np.float32),
    )


@lru_cache(maxsize=4)
def _template(template: HeadTemplate) -> _BeardTemplate:
    """Beard chart, roots and zones of a head template (once per process)."""
    mean = template.mean
    mark = {name: mean[index] for name, index in template.landmarks.items()}
    corner, chin = mark["mouth_outer_6"], mark["jaw_8"]
    centre = np.array([0.0, corner[1] + 0.004, 0.25 * corner[2]], dtype=np.float32)
    skin = template.faces[template.face_part == SKIN]
    chart = make_chart(mean, skin, centre, np.radians(np.linspace(-110.0, 110.0, 89)), np.radians(np.linspace(-66.0, 42.0, 49)))
    nodes = chart.spread(np.concatenate([mean, _flags(template, "lips")[:, None]], axis=1).astype(np.float32))

    at = _scatter(chart, nodes, mark)
    known = chart.look_up(nodes, at)
    roots = _zones(at, known[:, :3], known[:, 3], mark)

    is_ear = _flags(template, "ears") > 0
    beard_like = (mean[:, 1] < mark["jaw_0"][1] + 0.005) & (mean[:, 1] > chin[1] - 0.035) & (mean[:, 2] > -0.005) & ~is_ear
    beard_like &= np.linalg.norm(mean - centre, axis=1) > 0.035
    beard_like &= ((mean - centre) * _mean_normals(template)).sum(1) > 0
    faces = skin[beard_like[skin].all(1)]
    used = np.unique(faces)
    remap = np.full(len(mean), -1, dtype=np.int32)
    remap[used] = np.arange(len(used), dtype=np.int32)
    place = chart.coordinates(mean[used])
    surface = _zones(place, mean[used], _flags(template, "lips")[used], mark)
    return _BeardTemplate(chart, roots, used, remap[faces], surface, np.tanh(known[:, 0] / 0.006).astype(np.float32))


def _mean_normals(template: HeadTemplate) -> Floats:
    return HeadSurface.of(template, template.mean).normals


def _flags(template: HeadTemplate, region: str) -> Floats:
    flags = np.zeros(len(template.mean), dtype=np.float32)
    flags[template.regions[region]] = 1.0
    return flags


def _scatter(chart: Chart, nodes: Floats, mark: Mapping[str, Floats]) -> Floats:
    """Chart coordinates (_ROOTS,2) of hair roots, evenly spread within the moustache and within the widest beard."""
    rng = np.random.default_rng(20_002)
    azimuth = rng.uniform(chart.azimuth[0], chart.azimuth[-1], 60_000)
    elevation = rng.uniform(chart.elevation[0], chart.elevation[-1], 60_000)
    at = np.stack([azimuth, elevation], axis=1).astype(np.float32)
    known = chart.look_up(nodes, at)
    points = known[:, :3]
    reach = np.linalg.norm(points - chart.centre, axis=1)
    area = np.cos(elevation) * reach**2
    zones = _zones(at, points, known[:, 3], mark)
    possible = (reach > 0.03) & (zones.lips < 0.5)
    lip = possible & (zones.moustache > -0.001)
    rest = possible & ~lip & (np.minimum(zones.upper, zones.lower) > -0.012)
    parts = []
    for zone, count in ((lip, _MOUSTACHE_ROOTS), (rest, _ROOTS - _MOUSTACHE_ROOTS)):
        among = np.flatnonzero(zone)
        pick = rng.choice(among, size=min(6 * count, len(among)), replace=False, p=area[among] / area[among].sum())
        parts.append(at[pick[farthest_order(np.ascontiguousarray(points[pick]), count)]])
    return np.concatenate(parts)


def _zones(at: Floats, points: Floats, lips: Floats, mark: Mapping[str, Floats]) -> _Zones:
    x, y = np.abs(points[:, 0]).astype(np.float64), points[:, 1].astype(np.float64)
    azimuth = np.degrees(np.abs(at[:, 0])).astype(np.float64)
    corner, top, bottom = np.abs(mark["mouth_outer_6"]), mark["mouth_outer_3"], mark["mouth_outer_9"]
    corner_y = mark["mouth_outer_6"][1]
    nose, chin, ear = mark["nose_base_2"], mark["jaw_8"], mark["jaw_0"]
    # Moustache: from under the nose to a little beyond and below the corners of the mouth.
    roof = np.interp(
        x, [0.0, 0.012, corner[0] + 0.002, corner[0] + 0.010],
        [nose[1] - 0.001, nose[1] - 0.001, corner_y + 0.011, corner_y - 0.002],
    )  # fmt: skip
    floor = np.interp(x, [0.0, corner[0] - 0.002, corner[0] + 0.010], [top[1] - 0.006, corner_y - 0.003, corner_y - 0.012])
    moustache = np.minimum(np.minimum(roof - y, y - floor), corner[0] + 0.009 - x)
    chin_zone = np.minimum(0.75 * corner[0] + 0.35 * np.clip(bottom[1] - y, 0.0, 0.03) - x, bottom[1] + 0.001 - y)
    line = np.interp(
        azimuth, [0.0, 18.0, 32.0, 48.0, 66.0, 78.0, 95.0],
        [bottom[1] + 0.004, corner_y + 0.002, corner_y + 0.006, corner_y + 0.014, ear[1] - 0.030, ear[1] - 0.006, ear[1] + 0.004],
    )  # fmt: skip
    # The neck line is where the underside of the jaw meets the neck; measured along the skin, height falls faster there.
    neck = np.interp(
        azimuth, [0.0, 35.0, 60.0, 80.0, 100.0],
        [chin[1] - 0.006, chin[1] + 0.002, chin[1] + 0.018, corner_y - 0.014, corner_y + 0.004],
    )  # fmt: skip
    back = 0.8 * (92.0 - azimuth) * np.pi / 180 * 0.075
    front = np.exp(-((azimuth / 26.0) ** 2)) * smoothstep(0.0, 0.02, (bottom[1] - y).astype(np.float32))
    return _Zones(
        at=at,
        moustache=moustache.astype(np.float32),
        chin=chin_zone.astype(np.float32),
        upper=np.minimum(line - y, back).astype(np.float32),
        lower=(y - neck).astype(np.float32),
        lips=lips.astype(np.float32),
        front=front.astype(np.float32),
    )
