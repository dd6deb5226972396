"""Eyebrows and eyelashes as short ribbons that sit on the skin and move with it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.charts import Chart, make_chart
from crossrig.data.geometry import BROW, EYE, LASHES, SKIN, Floats, HeadSurface, HeadTemplate, Patch
from crossrig.data.scalp import smoothstep
from crossrig.data.strands import ribbon_mesh

Colour = tuple[float, float, float]

_BROW_NAMES: Final = tuple(f"brow_left_{index}" for index in range(5))
_HAIRS: Final = 150  # candidates per brow
_KNOTS: Final = 3
_UPPER_LASHES: Final = 56
_LOWER_LASHES: Final = 26
_LASH_KNOTS: Final = 4
_LID_STRIDE: Final = 2.0  # between the starts of two lids on the line of all margins


@dataclass(frozen=True)
class BrowStyle:
    """A person's brows and lashes. Metres; strengths in [0, 1]."""

    colour: Colour = (0.030, 0.018, 0.012)  # linear RGB
    greyness: float = 0.0
    thickness: float = 0.0085  # height of the brow at its fullest
    density: float = 0.8
    hair_length: float = 0.0085
    hair_width: float = 0.0010
    reach: float = 1.0  # length of the brow relative to the mean head's
    arch: float = 0.0  # metres that the peak lies higher
    raise_: float = 0.0  # metres that the whole brow lies higher
    tilt: float = 0.0  # metres that the tail lies higher than the head of the brow
    gap: float = 0.0  # metres that the heads of the brows lie further apart
    disorder: float = 0.16
    lash_colour: Colour = (0.012, 0.009, 0.008)
    lash_length: float = 0.0065  # upper; lower lashes are 0.55 of it
    lash_density: float = 0.8
    lash_width: float = 0.0006


@dataclass(frozen=True, eq=False)
class _BrowTemplate:
    chart: Chart
    line: NDArray[np.float64]  # (3,2) parabola through the left brow: azimuth and elevation over place (0 head .. 1 tail)
    radius: float  # metres per radian
    margin: _Margin


@dataclass(frozen=True, eq=False)
class _Lid:
    """One lid margin: vertices in order along it, and where they lie (0..1)."""

    vertices: NDArray[np.int64]
    along: Floats
    upper: bool
    eye: NDArray[np.int64]  # vertices of this eye


@dataclass(frozen=True, eq=False)
class _Margin:
    """All lid margins as one line, and the lashes on them (n)."""

    vertices: NDArray[np.int64]  # (m,) along lid after lid
    along: Floats  # (m,) where they lie: _LID_STRIDE * number of the lid + 0..1
    eyes: tuple[NDArray[np.int64], ...]  # vertices of each eye
    lid: NDArray[np.int64]  # (n,) number of the lid
    eye: NDArray[np.int64]  # (n,) number of the eye
    upper: NDArray[np.bool_]  # (n,)
    place: Floats  # (n,) on the lid, 0..1, before it is scattered
    step: Floats  # (n,) to the next lash

    @classmethod
    def of(cls, lids: tuple[_Lid, ...]) -> _Margin:
        counts = [_UPPER_LASHES if lid.upper else _LOWER_LASHES for lid in lids]
        return cls(
            vertices=np.concatenate([lid.vertices for lid in lids]),
            along=np.concatenate([_LID_STRIDE * number + lid.along for number, lid in enumerate(lids)]).astype(np.float32),
            eyes=tuple(lid.eye for lid in lids if lid.upper),
            lid=np.repeat(np.arange(len(lids)), counts),
            eye=np.repeat(np.arange(len(lids)) // 2, counts),  # a left pair of lids, then a right one
            upper=np.repeat([lid.upper for lid in lids], counts),
            place=np.concatenate([(np.arange(count) + 0.15) / count for count in counts]).astype(np.float32),
            step=np.repeat([1.0 / count for count in counts], counts).astype(np.float32),
        )


def brow_style(code: NDArray[np.floating], colour: Colour, greyness: float = 0.0, masculine: float = 0.5, lashes: float = 0.0) -> BrowStyle:
    """Brows from six standard normals: thickness, density, arch, length, tilt, disorder. Smooth in everything.

    colour: linear RGB of the brow hair. masculine in [0, 1] makes brows fuller, lower and straighter; lashes (standard normal):
    length and density of the lashes. Raises ValueError for a code of another length.
    """
    if np.shape(code) != (6,):
        raise ValueError(f"a brow code has shape {np.shape(code)}, expected (6,)")
    thickness, density, arch, reach, tilt, disorder = (min(max(float(value), -2.5), 2.5) for value in code)
    return BrowStyle(
        colour=colour,
        greyness=greyness,
        thickness=(0.0066 + 0.0030 * masculine) * float(np.exp(0.25 * thickness)),
        density=float(np.clip(0.66 + 0.12 * masculine + 0.14 * density, 0.2, 1.0)),
        hair_length=0.0078 * float(np.exp(0.12 * thickness)),
        reach=1.0 + 0.06 * reach,
        arch=0.0020 - 0.0028 * masculine + 0.0016 * arch,
        raise_=0.0008 - 0.0016 * masculine,
        tilt=0.0016 * tilt,
        gap=0.0012 - 0.0012 * masculine + 0.0006 * thickness,
        disorder=0.14 * float(np.exp(0.35 * disorder)),
        lash_length=(0.0052 + 0.0024 * (1 - masculine)) * float(np.exp(0.15 * lashes)),
        lash_density=float(np.clip(0.65 + 0.25 * (1 - masculine) + 0.1 * lashes, 0.2, 1.0)),
        lash_width=0.00038 + 0.00018 * (1 - masculine),
    )


def grow_brows(head: HeadSurface, style: BrowStyle, rng: np.random.Generator) -> Patch:
    """Both eyebrows (material BROW)."""
    template = _template(head.template)
    nodes = template.chart.place(head)
    points, outward, turning, width, shade, white, opacity = _both_brows(template, nodes, style, rng)
    profile = np.array([0.9, 1.0, 0.35], dtype=np.float32)
    return _patch(points, outward, turning, width, profile, _tones(style.colour, shade, white), opacity, BROW)


def grow_lashes(head: HeadSurface, style: BrowStyle, rng: np.random.Generator) -> Patch:
    """Upper and lower eyelashes of both eyes (material LASHES)."""
    points, outward, turning, width = _lash_rows(head, _template(head.template).margin, style, rng)
    colour = np.broadcast_to(np.array(style.lash_colour, dtype=np.float32), (len(points), 3))
    opacity = np.full(len(points), 1.0, dtype=np.float32)
    profile = np.array([1.0, 0.9, 0.7, 0.3], dtype=np.float32)
    return _patch(points, outward, turning, width, profile, colour, opacity, LASHES)


def _both_brows(
    template: _BrowTemplate, nodes: Floats, style: BrowStyle, rng: np.random.Generator
) -> tuple[Floats, Floats, Floats, Floats, Floats, Floats, Floats]:
    """Left and right brow, n hairs in all: points (n,3,3), outward (n,3,3), turning (n,3), width, shade, white, opacity (n,)."""
    share = rng.random((2, _HAIRS, 5), dtype=np.float32)
    jitter = rng.standard_normal((2, _HAIRS, 2), dtype=np.float32)
    s = ((np.arange(_HAIRS) + share[..., 0]) / _HAIRS).astype(np.float32)  # (2,hairs) 0 head .. 1 tail
    t = 2.0 * share[..., 1] - 1.0  # -1 lower edge .. 1 upper edge
    metre = 1.0 / template.radius
    # The brow is full for its first half and runs out into the tail.
    body = (0.55 + 0.45 * smoothstep(0.0, 0.25, s)) * (1.0 - 0.82 * smoothstep(0.40, 1.05, s))
    place = 0.52 + 1.13 * (s - 0.5) * style.reach
    across, height = ((template.line[0, k] * place + template.line[1, k]) * place + template.line[2, k] for k in range(2))
    across = across + style.gap * metre * (1.0 - s)
    height = height + metre * (style.raise_ + style.arch * np.exp(-(((s - 0.62) / 0.28) ** 2)) + style.tilt * (s - 0.4))
    root = height + 0.5 * style.thickness * metre * body * t
    # Hairs at the head of the brow stand up, the upper row lies down towards the tail, the lower row up towards it.
    steep = np.radians(20.0 + 46.0 * (1.0 - smoothstep(0.0, 0.30, s)) - 30.0 * s - 24.0 * t * smoothstep(0.1, 0.4, s))
    following, before = np.minimum(np.arange(_HAIRS) + 1, _HAIRS - 1), np.maximum(np.arange(_HAIRS) - 1, 0)
    slope = (height[:, following] - height[:, before]) / (across[:, following] - across[:, before] + 1e-9)
    angle = np.arctan(np.clip(slope, -1.5, 1.5)) + steep + style.disorder * jitter[..., 0]
    length = style.hair_length * metre * (0.75 + 0.25 * share[..., 2]) * (0.55 + 0.45 * body) * (0.72 + 0.28 * smoothstep(0.0, 0.3, s))
    f = np.linspace(0.0, 1.0, _KNOTS, dtype=np.float32)
    bend = angle[..., None] - 0.35 * f  # tips lie over towards the tail
    reach = length[..., None] * f
    at = np.empty((2, _HAIRS, _KNOTS, 2), dtype=np.float32)
    at[..., 0] = (across[..., None] + reach * np.cos(bend)) * np.array([1.0, -1.0])[:, None, None]
    at[..., 1] = root[..., None] + reach * np.sin(bend)
    placed = template.chart.look_up(nodes, at.reshape(-1, 2)).reshape(2 * _HAIRS, _KNOTS, 7)
    outward = placed[..., 3:6] / (np.sqrt((placed[..., 3:6] ** 2).sum(-1, keepdims=True)) + np.float32(1e-9))
    points = placed[..., 0:3] + outward * (0.0004 + 0.0012 * np.sin(0.8 * np.pi * f + 0.2)).astype(np.float32)[:, None]
    present = smoothstep(-0.12, 0.12, (style.density * (0.55 + 0.45 * body) * 1.15 - share[..., 3]).astype(np.float32))
    width = style.hair_width * (0.8 + 0.4 * share[..., 4]) * present * (0.6 + 0.4 * smoothstep(0.0, 0.15, s))
    shade = np.exp(0.18 * jitter[..., 1])
    white = np.clip(style.greyness + 2.4 * style.greyness * (1 - style.greyness) * (share[..., 2] - 0.5), 0.0, 1.0)
    flat = [np.ascontiguousarray(part.reshape(-1), dtype=np.float32) for part in (width, shade, white, 0.25 + 0.75 * present)]
    return points, outward, np.ascontiguousarray(placed[..., 6]), flat[0], flat[1], flat[2], flat[3]


def _lash_rows(head: HeadSurface, margin: _Margin, style: BrowStyle, rng: np.random.Generator) -> tuple[Floats, Floats, Floats, Floats]:
    """Lashes of all lids: points (n,4,3), outward (n,4,3), turning (n,4), width (n,)."""
    count = len(margin.lid)
    share = rng.random((count, 3), dtype=np.float32)
    sway = rng.standard_normal(count, dtype=np.float32)
    upper, lift = margin.upper, np.where(margin.upper, 1.0, -1.0).astype(np.float32)
    s = 0.06 + 0.90 * (margin.place + 0.7 * share[:, 0] * margin.step)
    # Each lid has an interval of its own on the line that is interpolated along.
    at = _LID_STRIDE * margin.lid + s
    surface = np.concatenate([head.vertices[margin.vertices], head.normals[margin.vertices]], axis=1)
    found = np.stack([np.interp(at, margin.along, surface[:, axis]) for axis in range(6)], axis=1).astype(np.float32)
    root, normal = found[:, :3], found[:, 3:]
    centres = np.stack([head.vertices[eye].mean(0) for eye in margin.eyes])[margin.eye]
    away = root - centres
    away /= np.sqrt((away**2).sum(1, keepdims=True))
    fan = (np.sign(centres[:, 0]) * (s - 0.42)).astype(np.float32)  # outer lashes lean outwards
    first = 0.8 * away + 0.2 * normal
    first[:, 0] += 0.55 * fan
    first[:, 1] -= 0.15 * lift
    first[:, 2] += 0.55
    second = 0.35 * away
    second[:, 0] += 0.5 * fan
    second[:, 1] += 0.50 * lift
    second[:, 2] += 0.65
    first /= np.sqrt((first**2).sum(1, keepdims=True))
    second /= np.sqrt((second**2).sum(1, keepdims=True))
    root[:, 2] += 0.0006
    long = style.lash_length * np.where(upper, 1.0, 0.50) * (0.65 + 0.35 * np.sin(np.pi * np.clip(0.15 + 0.7 * s, 0, 1)))
    long = long * (0.85 + 0.3 * share[:, 1]) * smoothstep(-0.1, 0.15, style.lash_density - share[:, 2])
    f = np.linspace(0.0, 1.0, _LASH_KNOTS, dtype=np.float32)[:, None]
    course = first[:, None] * (f - 0.5 * f * f) + second[:, None] * (0.6 * f * f)
    course[..., 0] += 0.06 * f[:, 0] * sway[:, None]
    points = (root[:, None] + long[:, None, None] * course).astype(np.float32)
    outward = np.broadcast_to(np.array([0.0, 0.25, 1.0], dtype=np.float32), points.shape)
    turning = np.ones((count, _LASH_KNOTS), dtype=np.float32)
    width = style.lash_width * (0.8 + 0.4 * share[:, 1]) * np.where(upper, 1.0, 0.7)
    return points, np.ascontiguousarray(outward), turning, width.astype(np.float32)


def _tones(colour: Colour, shade: Floats, white: Floats) -> Floats:
    base = np.array(colour, dtype=np.float32)
    pale = np.array((0.48, 0.48, 0.47), dtype=np.float32)
    out: Floats = (base + white[:, None] * (pale - base)) * shade[:, None]
    return out


def _patch(
    points: Floats, outward: Floats, turning: Floats, width: Floats, profile: Floats, colour: Floats, opacity: Floats, material: int
) -> Patch:
    knots = points.shape[1]
    twist = np.zeros(len(points), dtype=np.float32)
    along = np.linspace(0.0, 1.0, knots, dtype=np.float32)
    vertices, tangent, weight, faces, uv = ribbon_mesh(points, outward, along, turning, width, twist, profile)
    return Patch(
        vertices=vertices,
        faces=faces,
        uv=uv,
        colour=np.repeat(colour, 2 * knots, axis=0).astype(np.float32),
        tangent=tangent,
        rotation_weight=weight,
        material=material,
        opacity=np.repeat(opacity, 2 * knots).astype(np.float32),
    )


@lru_cache(maxsize=4)
def _template(template: HeadTemplate) -> _BrowTemplate:
    """Brow chart and lid margins of a head template (once per process)."""
    mean = template.mean
    skin_faces = template.faces[template.face_part == SKIN]
    brow = mean[[template.landmarks[name] for name in _BROW_NAMES]]
    brow = brow[np.argsort(brow[:, 0])]
    centre = np.array([0.0, brow[:, 1].mean() - 0.01, 0.0], dtype=np.float32)
    chart = make_chart(
        mean, skin_faces, centre, np.radians(np.linspace(-66.0, 66.0, 67)), np.radians(np.linspace(-14.0, 28.0, 29))
    )
    # A parabola, so that single landmarks do not show.
    line = np.polyfit(np.linspace(0.0, 1.0, len(brow)), chart.coordinates(brow).astype(np.float64), 2)
    radius = float(np.linalg.norm(brow - centre, axis=1).mean())
    return _BrowTemplate(chart, line, radius, _Margin.of(_lids(template)))


def _lids(template: HeadTemplate) -> tuple[_Lid, ...]:
    mean = template.mean
    skin = np.unique(template.faces[template.face_part == SKIN])
    eyes = np.unique(template.faces[template.face_part == EYE])
    lids: list[_Lid] = []
    for sign in (1.0, -1.0):
        eye = eyes[mean[eyes, 0] * sign > 0]
        centre, radius = _sphere(mean[eye])
        offset = mean[skin] - centre
        flat = np.hypot(offset[:, 0], offset[:, 1])
        near = skin[(offset[:, 2] > 0) & (np.abs(np.linalg.norm(offset, axis=1) - radius) < 0.005) & (flat < 0.021)]
        offset = mean[near] - centre
        angle, flat = np.arctan2(offset[:, 1], offset[:, 0] * sign), np.hypot(offset[:, 0], offset[:, 1])
        loop = []
        for start in np.arange(-np.pi, np.pi, np.pi / 14):
            inside = np.flatnonzero((angle >= start) & (angle < start + np.pi / 14))
            if len(inside):
                loop.append(inside[flat[inside].argmin()])
        chosen = np.array(loop)
        across = offset[chosen, 0] * sign  # grows outwards
        inner, outer = chosen[across.argmin()], chosen[across.argmax()]
        middle = np.interp(across, [offset[inner, 0] * sign, offset[outer, 0] * sign], [offset[inner, 1], offset[outer, 1]])
        for upper in (True, False):
            row = chosen[(offset[chosen, 1] > middle) == upper]
            row = np.unique(np.concatenate([row, [inner, outer]]))
            row = row[np.argsort(offset[row, 0] * sign)]
            reach = np.concatenate([[0.0], np.cumsum(np.linalg.norm(np.diff(mean[near[row]], axis=0), axis=1))])
            lids.append(_Lid(near[row], (reach / reach[-1]).astype(np.float32), upper, eye))
    return tuple(lids)


def _sphere(points: Floats) -> tuple[Floats, float]:
    """Least-squares sphere through points: centre and radius."""
    system = np.concatenate([2 * points.astype(np.float64), np.ones((len(points), 1))], axis=1)
    solution, *_ = np.linalg.lstsq(system, (points.astype(np.float64) ** 2).sum(1), rcond=None)
    centre: Floats = solution[:3].astype(np.float32)
    return centre, float(np.sqrt(solution[3] + solution[:3] @ solution[:3]))
