"""Procedural hair: a named cut plus continuous parameters, grown as ribbons of strands on any head.

A cut is a point in one space of parameters; nothing but the gathering of hair (ponytail, bun) and the number of knots is discrete.
Hair grows on the mean head (see `scalp`), then follows the person's shape and expression. Beneath it lies the under-layer, a copy
of the scalp in the hair's darkest colour, so that no skin shines through.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data import strands
from crossrig.data.geometry import HAIR, Floats, HeadSurface, Patch, join_patches
from crossrig.data.scalp import CLUMP_LEVELS, ROOTS, WARP_CELL, Roots, Scalp, carry, plant, scalp_of, smoothstep
from crossrig.face3d.normals import vertex_normals

Colour = tuple[float, float, float]


@dataclass(frozen=True)
class HairStyle:
    """Everything that decides a person's hair. Lengths in metres; shares and strengths in [0, 1] unless said otherwise."""

    colour: Colour = (0.045, 0.026, 0.016)  # linear RGB of the strands
    greyness: float = 0.0  # share of white strands
    # Lengths by zone of the scalp
    length_front: float = 0.05
    length_top: float = 0.05
    length_side: float = 0.03
    length_back: float = 0.03
    raggedness: float = 0.12  # relative spread of lengths
    lowest: float = -0.30  # height of the lowest tips above the chin (negative: below)
    fringe: float = 0.012  # height of the fringe line above the brows
    fringe_slope: float = 0.0  # rise of that line per metre to the own left
    # How it is combed
    part: float = 0.3  # -1 far on the own right .. 1 far on the own left
    part_strength: float = 0.0
    radial: float = 0.5  # away from the whorl
    forward: float = 0.0  # of the front: 1 over the forehead, -1 slicked back
    forward_top: float = 0.0
    sweep: float = 0.0  # of the front, to the own left (negative: right)
    down: float = 0.4
    disorder: float = 0.15  # spread of directions
    volume: float = 0.010  # thickness of the layer
    lift: float = 0.2  # how steeply strands leave the scalp
    front_lift: float = 0.0  # the same, added at the front
    hold: float = 0.10  # length over which hair keeps its combing before it falls
    gravity: float = 1.0
    adhesion: float = 0.5  # how strongly hair that stands off sinks back to the head
    face_opening: float = 1.0  # how strongly falling hair parts before the face
    ear_cover: float = 0.0  # metres that hair is kept off the head at the ears
    # Curls
    wave: float = 0.0  # radius
    wave_length: float = 0.06
    roundness: float = 0.3  # 0 flat waves .. 1 round curls
    coherence: float = 0.8  # 1: neighbours wave together
    clumping: float = 0.4
    clumps: int = 70
    # Hairline
    hairline: float = 0.0  # metres that the front hairline lies higher
    recession: float = 0.0  # metres that the temples recede
    balding: float = -0.02  # radius of the bald spot around the top of the head; negative: none
    # Drawing
    ribbons: int = 700  # share of the root candidates is this over ROOTS
    width: float = 0.008
    knots: int = 8
    steps: int = 16
    opacity: float = 0.85
    taper: float = 0.65  # how much narrower ribbons get at the tip
    cap: float = 0.002  # metres between scalp and under-layer where hair is full
    cap_opacity: float = 1.0
    gather: str = ""  # "" | "tail" | "bun"
    gather_height: float = 0.5  # 0 nape .. 1 top of the head
    tail_length: float = 0.25


_SHORT = HairStyle(
    length_front=0.035, length_top=0.032, length_side=0.016, length_back=0.018, forward=0.5, forward_top=0.2, lift=0.35, volume=0.009,
    ribbons=1500, width=0.0055, knots=5, steps=8, disorder=0.30, clumping=0.35, clumps=220, cap=0.0035, hold=0.2, gravity=0.5,
    fringe=0.018,
)  # fmt: skip
_LONG = HairStyle(
    length_front=0.34, length_top=0.36, length_side=0.32, length_back=0.30, part=0.0, part_strength=1.3, radial=0.2, forward=-0.45,
    down=0.8,
    volume=0.014, lift=0.06, hold=0.12, lowest=-0.14, ribbons=720, width=0.011, knots=11, steps=36, disorder=0.10, clumping=0.45,
    cap=0.003,
    ear_cover=0.014, raggedness=0.1, adhesion=0.9,
)  # fmt: skip

#: The cuts, each with typical parameters. `vary` turns them into one person's style.
CUTS: Final[Mapping[str, HairStyle]] = MappingProxyType(
    {
        "bald": HairStyle(ribbons=0, cap_opacity=0.0),
        "buzz": replace(
            _SHORT, length_front=0.006, length_top=0.006, length_side=0.004, length_back=0.004, volume=0.003, lift=0.7, ribbons=2000,
            width=0.0035, knots=3, cap=0.0012, cap_opacity=0.9, clumping=0.0, opacity=0.7,
        ),
        "crop": _SHORT,
        "crew": replace(
            _SHORT, length_front=0.028, length_top=0.024, length_side=0.008, length_back=0.010, lift=0.75, front_lift=0.3, forward=-0.1,
            sweep=0.3, volume=0.012,
        ),
        "side part": replace(
            _SHORT, length_front=0.075, length_top=0.060, length_side=0.022, length_back=0.026, part=0.55, part_strength=1.2,
            forward=0.10,
            sweep=0.0, lift=0.20, front_lift=0.30, volume=0.010, knots=7, steps=14, ribbons=1200, width=0.007, disorder=0.10, hold=0.08,
            radial=0.25, fringe=0.03, adhesion=1.2, gravity=0.9,
        ),
        "quiff": replace(
            _SHORT, length_front=0.085, length_top=0.07, length_side=0.015, length_back=0.022, forward=-0.9, forward_top=-0.9,
            radial=0.1, lift=0.18, front_lift=1.0, adhesion=0.35, volume=0.012, knots=7, steps=14, ribbons=1200, width=0.0065,
            hold=0.6, disorder=0.15, sweep=0.25,
        ),
        "slick back": replace(
            _SHORT, length_front=0.11, length_top=0.085, length_side=0.05, length_back=0.035, forward=-1.2, forward_top=-1.0, radial=0.0,
            lift=0.12, front_lift=0.25, volume=0.007, knots=9, steps=20, ribbons=1000, width=0.007, hold=0.5, disorder=0.06, clumping=0.5,
            clumps=120, down=0.25, adhesion=1.3, gravity=0.8,
        ),
        "bowl": replace(
            _LONG, length_front=0.12, length_top=0.15, length_side=0.075, length_back=0.08, part_strength=0.0, radial=1.0, forward=0.5,
            forward_top=0.3, down=0.4, lowest=0.055, fringe=0.012, volume=0.015, knots=9, steps=24, ribbons=850, width=0.010,
            ear_cover=0.010, hold=0.08, raggedness=0.04, face_opening=0.0, taper=0.5, adhesion=0.8, disorder=0.05,
        ),
        "curly": replace(
            _SHORT, length_front=0.07, length_top=0.075, length_side=0.045, length_back=0.05, radial=0.7, forward=0.25, lift=0.6,
            volume=0.022, wave=0.008, wave_length=0.026, roundness=0.8, coherence=0.1, knots=14, steps=14, ribbons=900, width=0.0065,
            clumping=0.5,
            clumps=160, cap=0.009, disorder=0.5, hold=0.15, gravity=0.5, fringe=0.02,
        ),
        "afro": replace(
            _SHORT, length_front=0.050, length_top=0.072, length_side=0.058, length_back=0.058, radial=0.3, forward=0.0, forward_top=0.0,
            lift=3.0, adhesion=0.0, volume=0.045, wave=0.006, wave_length=0.016, roundness=0.9, coherence=0.0, knots=14, steps=10,
            ribbons=1300, width=0.0065,
            clumping=0.25, clumps=400, cap=0.026, disorder=0.7, hold=5.0, gravity=0.0, down=0.0, opacity=0.8, raggedness=0.12,
        ),
        "bob": replace(
            _LONG, lowest=-0.005, volume=0.018, part=0.4, raggedness=0.02, taper=0.5, length_front=0.24, length_top=0.26, length_side=0.2,
            length_back=0.2, knots=11, steps=34, width=0.0095,
        ),
        "long straight": _LONG,
        "long wavy": replace(
            _LONG, wave=0.011, wave_length=0.085, roundness=0.35, coherence=0.85, part=0.35, volume=0.018,
            lowest=-0.10, knots=18, clumping=0.55, disorder=0.12, ribbons=800, width=0.0085, lift=0.15, clumps=160,
        ),
        "long curly": replace(
            _LONG, wave=0.012, wave_length=0.062, roundness=0.8, coherence=0.3, part=0.2, volume=0.030, knots=24, clumping=0.55,
            clumps=160,
            length_front=0.26, length_top=0.28, length_side=0.24, length_back=0.22, disorder=0.22, ribbons=760, width=0.0075,
            lift=0.30, lowest=-0.06, cap=0.012,
        ),
        "long fringe": replace(
            _LONG, forward=1.1, length_front=0.12, fringe=0.006, part=0.0, part_strength=0.5, volume=0.016, radial=0.5, face_opening=0.25
        ),
        "ponytail": replace(
            _LONG, gather="tail", gather_height=0.55, part_strength=0.0, radial=0.0, forward=-0.8, forward_top=-1.0, down=0.0,
            volume=0.005,
            lift=0.08, clumping=0.3, width=0.009, ribbons=800, ear_cover=0.0, raggedness=0.0, disorder=0.05,
        ),
        "bun": replace(
            _LONG, gather="bun", gather_height=0.45, part_strength=0.0, radial=0.0, forward=-0.8, forward_top=-1.0, down=0.0,
            volume=0.005,
            lift=0.08, clumping=0.3, width=0.009, ribbons=800, ear_cover=0.0, raggedness=0.0, disorder=0.05,
        ),
        "updo": replace(
            _LONG, gather="bun", gather_height=0.95, part_strength=0.0, radial=0.0, forward=-0.6, forward_top=-0.6, down=-0.2,
            volume=0.009,
            lift=0.2, clumping=0.4, width=0.009, ribbons=800, ear_cover=0.0, raggedness=0.0, disorder=0.08,
        ),
        "horseshoe": replace(_SHORT, balding=0.084, hairline=0.02, recession=0.02, length_side=0.02, length_back=0.02, lift=0.3),
    }
)

#: What the numbers given to `vary` mean, in order; all are standard normals.
VARIATIONS: Final = (
    "length", "fringe", "volume", "part", "sweep", "wave", "wave_length", "hairline", "recession", "balding", "side_length", "raggedness",
    "lift", "gather_height", "forward", "clumping",
)  # fmt: skip


def vary(cut: str, code: NDArray[np.floating], colour: Colour, greyness: float = 0.0, masculine: float = 0.0) -> HairStyle:
    """One person's style: a cut, standard normals `code` (len(VARIATIONS),), the colour of the strands (linear RGB).

    masculine in [0, 1] lets temples recede and crowns go bald. Smooth in everything but the cut. Raises ValueError for
    an unknown cut or a code of another length.
    """
    if cut not in CUTS:
        raise ValueError(f"unknown hair cut '{cut}'; known are {', '.join(CUTS)}")
    if np.shape(code) != (len(VARIATIONS),):
        raise ValueError(f"a hair code has shape {np.shape(code)}, expected ({len(VARIATIONS)},)")
    z = {name: min(max(float(value), -2.5), 2.5) for name, value in zip(VARIATIONS, code, strict=True)}
    base = CUTS[cut]
    length = float(np.exp(0.16 * z["length"]))
    gathered = bool(base.gather)
    side = length * float(np.exp(0.15 * z["side_length"]))
    return replace(
        base,
        colour=colour,
        greyness=greyness,
        length_front=base.length_front * (1.0 if gathered else length),
        length_top=base.length_top * (1.0 if gathered else length),
        length_side=base.length_side * (1.0 if gathered else side),
        length_back=base.length_back * (1.0 if gathered else side),
        tail_length=base.tail_length * float(np.exp(0.3 * z["length"])),
        lowest=base.lowest - 0.016 * z["length"],
        fringe=base.fringe + 0.005 * z["fringe"],
        fringe_slope=base.fringe_slope + 0.08 * z["sweep"],
        volume=base.volume * float(np.exp(0.25 * z["volume"])),
        part=float(np.tanh(base.part * np.sign(z["part"] + 1e-9) + 0.25 * z["part"])),
        sweep=base.sweep + 0.35 * z["sweep"],
        forward=base.forward + 0.15 * z["forward"],
        wave=base.wave * float(np.exp(0.3 * z["wave"])) + 0.0012 * max(z["wave"], 0.0),
        wave_length=base.wave_length * float(np.exp(0.2 * z["wave_length"])),
        hairline=base.hairline + 0.005 * z["hairline"],
        recession=base.recession + 0.012 * masculine * max(z["recession"] + 0.5, 0.0),
        balding=base.balding + 0.035 * masculine * max(z["balding"] - 1.0, 0.0),
        raggedness=base.raggedness * float(np.exp(0.4 * z["raggedness"])),
        lift=base.lift * float(np.exp(0.25 * z["lift"])),
        gather_height=float(np.clip(base.gather_height + 0.18 * z["gather_height"], 0.05, 1.0)),
        clumping=float(np.clip(base.clumping + 0.15 * z["clumping"], 0.0, 0.9)),
    )


def grow_hair(head: HeadSurface, style: HairStyle, rng: np.random.Generator) -> list[Patch]:
    """Hair of one person: the under-layer and the strands (an empty list for a bald head).

    head: neutral pose. rng: places single strands; everything large is in `style`. Cost about 5 ms.
    """
    scalp = scalp_of(head.template)
    affine, lattice = scalp.warp.fit(head.vertices)
    patches: list[Patch] = []
    if style.cap_opacity > 0:
        patches.append(_under_layer(head, scalp, style))
    if style.ribbons > 0:
        bundles = [_scalp_strands(scalp, style, rng)]
        if style.gather:
            bundles.append(_gathered(scalp, style, rng))
        patches.append(join_patches([_as_patch(bundle, head, scalp, style, affine, lattice) for bundle in bundles]))
    return patches


@dataclass(frozen=True)
class _Bundle:
    """Grown strands on the mean head, before they become ribbons."""

    points: Floats  # (n,K,3)
    outward: Floats  # (n,K,3)
    turning: Floats  # (n,K)
    width: Floats  # (n,)
    twist: Floats  # (n,)
    shade: Floats  # (n,K) factor on the colour: light that reaches this depth of the hair, and strand to strand differences
    along: Floats  # (K,) place of the knots, 0 root .. 1 tip
    white: Floats  # (n,) share of white in the strand
    opacity: Floats  # (n,K)
    length: Floats  # (n,) metres
    root: NDArray[np.int64]  # (n,) number of the root candidate, -1 for hair that grows elsewhere


def _margin(fields: Roots, style: HairStyle) -> Floats:
    """Metres inside this style's hairline."""
    margin = fields.inside - style.hairline * np.maximum(fields.front, fields.temple) - style.recession * 2.0 * fields.temple
    out: Floats = np.minimum(margin, 0.5 * (fields.crown - style.balding)).astype(np.float32)
    return out


def _comb(fields: Roots, style: HairStyle, scalp: Scalp) -> Floats:
    """Direction (N,3) in which hair is combed at each root, not normalised."""
    x, z = fields.points[:, 0], fields.points[:, 2]
    whorl = np.array([0.008, -0.050])
    away = np.stack([x - whorl[0], z - whorl[1]], axis=1)
    away /= np.linalg.norm(away, axis=1, keepdims=True) + 0.01
    top = fields.points[:, 1] > scalp.brow_height
    reach = np.clip((z + 0.06) / 0.05, 0.0, 1.0) * top
    across = np.tanh((x - 0.042 * style.part) / 0.004) * style.part_strength * reach
    comb = np.zeros_like(fields.points)
    crown = np.clip(1.0 - fields.side - fields.back - fields.front, 0.0, 1.0)
    comb[:, 0] = style.radial * away[:, 0] + across + style.sweep * fields.front
    comb[:, 1] = -style.down * (0.3 + 0.7 * np.maximum(fields.side, fields.back))
    comb[:, 2] = style.radial * away[:, 1] + style.forward * fields.front + style.forward_top * (crown + 0.35 * fields.side)
    return comb


def _scalp_strands(scalp: Scalp, style: HairStyle, rng: np.random.Generator) -> _Bundle:
    count = min(style.ribbons, ROOTS)
    jitter = rng.standard_normal((count, 8), dtype=np.float32)
    share = rng.random((count, 4), dtype=np.float32)
    roots = _take(scalp.roots, slice(count))
    margin = _margin(roots, style)
    chosen = np.flatnonzero(margin > -0.001)
    roots, margin, jitter, share = _take(roots, chosen), margin[chosen], jitter[chosen], share[chosen]

    comb = _comb(roots, style, scalp)
    if style.gather:
        towards = _gather_place(scalp, style)[0] - roots.points
        comb = 0.3 * comb + towards / (np.linalg.norm(towards, axis=1, keepdims=True) + 1e-6)
    comb /= np.linalg.norm(comb, axis=1, keepdims=True) + 1e-6
    comb += style.disorder * jitter[:, :3]
    front, side, back = roots.front, roots.side, roots.back
    top = np.clip(1.0 - front - side - back, 0.0, 1.0)
    total = front + side + back + top
    length = (front * style.length_front + side * style.length_side + back * style.length_back + top * style.length_top) / total
    length = length * (1.0 + style.raggedness * np.clip(jitter[:, 3], -2.0, 2.0))
    edge = smoothstep(-0.001, 0.012, margin)
    length *= 0.45 + 0.55 * edge if style.length_top < 0.1 else 0.8 + 0.2 * edge
    higher = np.clip((roots.points[:, 1] - scalp.eye_height) / (scalp.top_height - scalp.eye_height), 0.0, 1.0)
    layer = 0.55 * share[:, 0] + 0.45 * higher
    # Neighbours lie about equally high, or single strands would stand out of the outline.
    height = 0.25 * share[:, 0] + 0.75 * higher

    table = np.empty((len(chosen), strands.STRAND_COLUMNS), dtype=np.float32)
    table[:, strands.LENGTH] = np.maximum(length, 0.002)
    table[:, strands.HEIGHT] = style.volume * (0.15 + 0.85 * height) * (0.35 + 0.65 * edge)
    table[:, strands.LIFT] = (style.lift + style.front_lift * front) * (0.5 + 0.5 * edge)
    table[:, strands.HOLD] = style.hold
    table[:, strands.GRAVITY] = style.gravity
    table[:, strands.LOWEST] = scalp.chin_height + style.lowest + 0.05 * style.raggedness * jitter[:, 4]
    table[:, strands.FRINGE] = scalp.brow_height + style.fringe + 0.02 * style.raggedness * jitter[:, 5]
    # More knots where hair bends over the head; curls need them everywhere.
    bias = 1.0 + min(style.length_top / 0.5, 0.6) * float(np.exp(-style.wave / 0.002))
    along = (np.linspace(0.0, 1.0, style.knots) ** bias).astype(np.float32)
    bundle = _grow(scalp, style, roots.points, roots.normals, comb, table, _style_vector(scalp, style), along)
    points, outward, turning, grown = bundle

    leaders = _leaders(scalp, style, count, chosen)
    if style.clumping > 0 and len(chosen):
        strands.clump(points, along, leaders, np.float32(style.clumping), 1.3)
    if style.wave > 0:
        swing = strands.smooth_random(rng, roots.points, 0.03, 1)[:, 0]
        phase = style.coherence * 2.5 * swing + (1.0 - style.coherence) * (2 * np.pi * share[leaders, 2] + 0.5 * jitter[:, 6])
        strands.curl(
            points, outward, along, grown, phase.astype(np.float32), (style.wave * (1.0 + 0.2 * jitter[:, 7])).astype(np.float32),
            (style.wave_length * (1.0 + 0.12 * jitter[leaders, 4])).astype(np.float32), style.roundness,
            0.012 + 0.2 * style.length_top, 0.2,
        )  # fmt: skip

    # Parted hair leaves the forehead free, too; a fringe may cover it.
    kept = np.empty(len(chosen), dtype=np.float32)
    parted = float(np.clip(-style.forward / 0.3, 0.0, 1.0) * np.clip(style.part_strength, 0.0, 1.0))
    line = scalp.brow_height - 0.003 + 0.025 * parted
    strands.clear_face(points, np.float32(line), np.float32(0.045), np.float32(0.045), kept)

    depth = 0.50 + 0.50 * layer[:, None] * (0.6 + 0.4 * along)
    root = 1.0 - 0.35 * np.exp(-along[None] * np.maximum(grown, 1e-3)[:, None] / 0.015)
    strand = np.exp(0.16 * jitter[:, 6:7])
    alive = smoothstep(0.002, 0.006, grown)
    # Long hair leaves no stumps where the line above the eyes cuts it.
    stump = 1.0 - smoothstep(0.25, 0.45, (kept * grown / np.maximum(length, 1e-3)).astype(np.float32))
    alive = alive * (1.0 - stump * float(np.clip((style.length_front - 0.14) / 0.08, 0.0, 1.0)))
    fading = 1.0 - max(0.35, 0.7 * style.taper) * smoothstep(0.75, 1.0, along)
    short = np.minimum(0.45 + grown / 0.03, 1.0)
    return _Bundle(
        points=points,
        outward=outward,
        turning=turning,
        along=along,
        width=(style.width * short * (0.75 + 0.5 * share[:, 1]) * (0.45 + 0.55 * edge) * alive).astype(np.float32),
        twist=(0.35 * jitter[:, 5]).astype(np.float32),
        shade=(depth * root * strand).astype(np.float32),
        white=_white(share[:, 3], style.greyness),
        opacity=(style.opacity * fading[None] * (0.35 + 0.65 * edge)[:, None] * alive[:, None]).astype(np.float32),
        length=grown,
        root=chosen,
    )


def _leaders(scalp: Scalp, style: HairStyle, count: int, chosen: NDArray[np.int64]) -> NDArray[np.int64]:
    """For each chosen root the chosen root that leads its clump (itself where the leader has no hair)."""
    level = int(np.argmin([abs(np.log(amount / style.clumps)) for amount in CLUMP_LEVELS]))
    place = np.full(ROOTS, -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    lead = place[scalp.leaders[level, :count][chosen]]
    out: NDArray[np.int64] = np.where(lead < 0, np.arange(len(chosen)), lead)
    return out


def _gathered(scalp: Scalp, style: HairStyle, rng: np.random.Generator) -> _Bundle:
    """What hangs or sits where the hair is gathered: a tail or a bun."""
    place, outward = _gather_place(scalp, style)
    count = 130
    jitter = rng.standard_normal((count, 8)).astype(np.float32)
    share = rng.random((count, 4)).astype(np.float32)
    if style.gather == "tail":
        knots = 12
        along = np.linspace(0.0, 1.0, knots, dtype=np.float32)
        spread = np.cross(jitter[:, :3], outward)
        spread *= (np.sqrt(share[:, :1]) / (np.linalg.norm(spread, axis=1, keepdims=True) + 1e-6)).astype(np.float32)
        roots = (place + 0.011 * spread).astype(np.float32)
        normals = np.repeat(outward[None], count, axis=0).astype(np.float32)
        comb = (outward + 0.35 * spread + np.array([0.0, 0.1, 0.0])).astype(np.float32)
        table = np.zeros((count, strands.STRAND_COLUMNS), dtype=np.float32)
        table[:, strands.LENGTH] = style.tail_length * (1.0 + 0.1 * jitter[:, 3])
        table[:, strands.HEIGHT] = 0.004 + 0.022 * share[:, 1]
        table[:, strands.LIFT] = 0.8
        table[:, strands.HOLD] = 0.035
        table[:, strands.GRAVITY] = 1.0
        table[:, strands.LOWEST] = -1.0
        table[:, strands.FRINGE] = -1.0
        loose = replace(style, gather="", ear_cover=0.0)
        points, away, turning, grown = _grow(scalp, style, roots, normals, comb, table, _style_vector(scalp, loose), along)
        if style.wave > 0:
            strands.curl(
                points, away, along, grown, (6.3 * share[:, 2]).astype(np.float32), np.full(count, style.wave, np.float32),
                np.full(count, style.wave_length, np.float32), style.roundness, 0.03, 0.2,
            )  # fmt: skip
        depth = share[:, 1]
    else:
        knots = 11
        radius = 0.030 + 0.25 * max(style.volume - 0.005, 0.0) + 0.02 * (style.tail_length - 0.25)
        along = np.linspace(0.0, 1.0, knots, dtype=np.float32)
        first = np.cross(outward, np.array([1.0, 0.0, 0.0]))
        first /= np.linalg.norm(first)
        second = np.cross(outward, first)
        # Strands wind around the axis of the bun, each at its own height, and sink in at both ends.
        polar = np.arccos(np.clip(1.0 - 1.75 * share[:, 0], -1, 1))[:, None] + 0.35 * (along - 0.5)[None] + 0.08 * jitter[:, :1]
        turn = 2 * np.pi * share[:, 1:2] + along[None] * (1.6 + 0.6 * share[:, 2:3])
        sink = 1.0 - 0.22 * (2 * along - 1)[None] ** 4 - 0.10 * share[:, 3:4]
        ring = np.sin(polar)[..., None] * (np.cos(turn)[..., None] * first + np.sin(turn)[..., None] * second)
        away = (ring + np.cos(polar)[..., None] * outward).astype(np.float32)
        centre = place + outward * radius * 0.55
        points = (centre + radius * sink[..., None] * away * np.array([1.0, 0.9, 1.0])).astype(np.float32)
        turning = np.ones((count, knots), dtype=np.float32)
        depth = 1.0 - share[:, 3]
    fading = 1.0 - (0.45 * smoothstep(0.75, 1.0, along) if style.gather == "tail" else 0.0 * along)
    return _Bundle(
        points=points,
        outward=away,
        turning=turning,
        along=along,
        width=(0.011 * (0.75 + 0.5 * share[:, 1])).astype(np.float32),
        twist=(0.4 * jitter[:, 5]).astype(np.float32),
        shade=((0.6 + 0.4 * depth) * np.exp(0.16 * jitter[:, 6]))[:, None].repeat(knots, axis=1).astype(np.float32),
        white=_white(share[:, 3], style.greyness),
        opacity=np.broadcast_to(style.opacity * fading, (count, knots)).astype(np.float32),
        length=np.ones(count, dtype=np.float32),
        root=np.full(count, -1),
    )


def _white(share: Floats, greyness: float) -> Floats:
    """How white each ribbon is: a mixture of white and coloured strands, more mixed half-way."""
    spread = 2.4 * greyness * (1.0 - greyness)
    out: Floats = np.clip(greyness + spread * (share - 0.5), 0.0, 1.0).astype(np.float32)
    return out


def _gather_place(scalp: Scalp, style: HairStyle) -> tuple[Floats, Floats]:
    """Where hair is gathered on the back of the mean head, and the direction away from the head there."""
    angle = np.radians(-28.0 + 115.0 * style.gather_height)
    target = np.array([0.0, np.sin(angle), -np.cos(angle)])
    centre = np.array([0.0, scalp.eye_height + 0.02, -0.005])
    directions = scalp.roots.points - centre
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    weight = np.exp(60.0 * (directions @ target - 1.0))
    place = (weight[:, None] * scalp.roots.points).sum(0) / weight.sum()
    outward = (weight[:, None] * scalp.roots.normals).sum(0)
    outward /= np.linalg.norm(outward)
    place[0] = 0.0
    out: Floats = (place + 0.008 * outward).astype(np.float32)
    return out, outward.astype(np.float32)


def _style_vector(scalp: Scalp, style: HairStyle) -> Floats:
    vector = np.zeros(strands.STYLE_ENTRIES, dtype=np.float32)
    if style.gather:
        place, _ = _gather_place(scalp, style)
        vector[strands.GATHER_X], vector[strands.GATHER_Y], vector[strands.GATHER_Z] = place
        vector[strands.GATHER_RADIUS] = 0.014
    vector[strands.FACE_TOP] = scalp.brow_height
    vector[strands.FACE_HALF_WIDTH] = 0.052
    vector[strands.FRINGE_SLOPE] = style.fringe_slope
    vector[strands.FRINGE_BOW] = -3.0
    vector[strands.EAR_COVER] = style.ear_cover
    vector[strands.EAR_HEIGHT] = scalp.eye_height - 0.02
    vector[strands.HEIGHT_RAMP] = 0.012 + 0.1 * min(style.length_top, 0.4)
    vector[strands.ADHESION] = style.adhesion
    vector[strands.FACE_OPENING] = style.face_opening
    return vector


def _grow(
    scalp: Scalp, style: HairStyle, roots: Floats, normals: Floats, comb: Floats, table: Floats, vector: Floats, along: Floats
) -> tuple[Floats, Floats, Floats, Floats]:
    count, knots = len(roots), len(along)
    points = np.empty((count, knots, 3), dtype=np.float32)
    outward = np.empty_like(points)
    turning = np.empty((count, knots), dtype=np.float32)
    grown = np.empty(count, dtype=np.float32)
    comb = np.ascontiguousarray(comb, dtype=np.float32)
    strands.grow(
        roots, normals, comb, table, vector, scalp.distance, scalp.origin, style.steps, along, points, outward, turning, grown
    )
    return points, outward, turning, grown


def _as_patch(bundle: _Bundle, head: HeadSurface, scalp: Scalp, style: HairStyle, affine: Floats, lattice: Floats) -> Patch:
    along = bundle.along
    flat = bundle.points.reshape(-1, 3)
    carry(flat, affine, lattice, scalp.warp.origin, WARP_CELL)
    if len(bundle.root) and bundle.root[0] >= 0:
        plant(bundle.points, along, bundle.length, head.vertices, scalp.corners[bundle.root], scalp.weights[bundle.root], 0.06)
    profile = (0.55 + 0.45 * smoothstep(0.0, 0.25, along)) * (1.0 - style.taper * smoothstep(0.55, 1.0, along))
    vertices, tangent, turning, faces, uv = strands.ribbon_mesh(
        bundle.points, bundle.outward, along, bundle.turning, bundle.width, bundle.twist, profile.astype(np.float32)
    )
    white = np.array((0.33, 0.33, 0.325), dtype=np.float32)
    base = np.array(style.colour, dtype=np.float32)
    strand = base + bundle.white[:, None] * (white - base)
    colour = strand[:, None] * bundle.shade[..., None]
    return Patch(
        vertices=vertices,
        faces=faces,
        uv=uv,
        colour=np.repeat(np.clip(colour, 0.0, 1.0).reshape(-1, 3), 2, axis=0).astype(np.float32),
        tangent=tangent,
        rotation_weight=turning,
        material=HAIR,
        opacity=np.repeat(bundle.opacity.reshape(-1), 2).astype(np.float32),
    )


def _under_layer(head: HeadSurface, scalp: Scalp, style: HairStyle) -> Patch:
    """The scalp, pushed out beneath the strands and coloured like the depth of the hair."""
    fields = scalp.surface
    margin = _margin(fields, style)
    inner = smoothstep(0.0, max(0.012, 0.9 * style.cap), margin)
    shape = 1.0 - 0.35 * fields.side - 0.25 * fields.back if style.cap < 0.02 else np.ones(len(margin), dtype=np.float32)
    height = 0.0004 + style.cap * inner * shape
    vertices = (head.vertices[scalp.vertices] + height[:, None] * head.normals[scalp.vertices]).astype(np.float32)
    covered = smoothstep(-0.004, 0.008, margin) * style.cap_opacity
    used = (covered[scalp.faces] > 0).any(axis=1)
    faces = scalp.faces[used]
    normals = vertex_normals(vertices, scalp.faces)
    comb = _comb(fields, style, scalp)
    tangent = comb - (comb * normals).sum(1, keepdims=True) * normals
    tangent /= np.linalg.norm(tangent, axis=1, keepdims=True) + 1e-6
    # Strands of the under-layer run away from the whorl.
    across = np.arctan2(fields.points[:, 0] - 0.008, fields.points[:, 2] + 0.05)
    away = np.hypot(fields.points[:, 0], fields.points[:, 2] + 0.05)
    base = np.array(style.colour) * (1 - 0.8 * style.greyness) + 0.8 * style.greyness * 0.45
    # Short hair shows as much of the under-layer as of itself; deep in long hair it is dark.
    length = fields.side * style.length_side + fields.back * style.length_back
    length = length + np.clip(1.0 - fields.side - fields.back, 0.0, 1.0) * style.length_top
    deep = 0.80 - 0.42 * smoothstep(0.004, 0.045, length.astype(np.float32))
    return Patch(
        vertices=vertices,
        faces=faces,
        uv=np.stack([-40.0 + 9.0 * across, away / 0.12], axis=1).astype(np.float32),
        colour=(deep[:, None] * base).astype(np.float32),
        tangent=tangent.astype(np.float32),
        rotation_weight=head.rotation_weight[scalp.vertices],
        material=HAIR,
        opacity=covered.astype(np.float32),
    )


def _take(fields: Roots, index: NDArray[np.int64] | slice) -> Roots:
    return Roots(**{name: getattr(fields, name)[index] for name in Roots.__dataclass_fields__})
