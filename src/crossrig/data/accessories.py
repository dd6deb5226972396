"""Glasses and earrings that sit where a person's own landmarks say.

Frames are tubes: METAL for wire, GLASS with full opacity for plastic. Lenses are GLASS with the opacity of their tint, to be blended or
dithered over what is behind; clear lenses have no geometry.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.geometry import GLASS, METAL, Floats, HeadSurface, HeadTemplate, Ints, Patch

RGB = tuple[float, float, float]
Numbers = NDArray[np.floating]

_OUTLINE: Final = 36  # points around a lens
_ARM: Final = 9  # points along an arm


@dataclass(frozen=True)
class Glasses:
    """Lengths in metres, colours linear RGB, shares in [0,1]."""

    width: float = 0.050  # of a lens, 0.042 .. 0.060
    height: float = 0.038  # of a lens, 0.026 .. 0.052
    squareness: float = 0.4  # 0 ellipse .. 1 rounded rectangle
    taper: float = 0.2  # how much narrower the lower half is (aviators 0.5)
    lift: float = 0.05  # of the outer upper corners, cat eyes 0.3
    rim: float = 0.0018  # half width of the rim, 0.0005 wire .. 0.0030 horn
    metal: bool = False
    colour: RGB = (0.02, 0.018, 0.016)
    tint: RGB = (0.02, 0.02, 0.02)
    darkness: float = 0.0  # opacity of the lenses; below 0.03 none are made


@dataclass(frozen=True)
class Earrings:
    """Lengths in metres, colour linear RGB."""

    bead: float = 0.0030  # radius of the stud
    hoop: float = 0.0  # radius of a hoop hanging from it, 0 for none, up to 0.025
    wire: float = 0.0009  # radius of the hoop's wire
    drop: float = 0.0  # length of a pendant, 0 for none, up to 0.035
    colour: RGB = (0.65, 0.48, 0.22)


@dataclass(frozen=True, eq=False)
class Anchors:
    """Vertices of one face model that accessories rest on; index 0 is the person's right side, 1 the left."""

    ear_root: tuple[int, int]  # where the top of the ear meets the head
    lobe: tuple[int, int]  # the lowest point of the ear
    temple: NDArray[np.int64]  # (2, _ARM) vertices on the side of the head along the arm of the glasses


@lru_cache(maxsize=4)
def anchors(template: HeadTemplate) -> Anchors:
    """Resting points on the mean head (once per process)."""
    mean = template.mean
    skin = np.unique(template.faces[template.face_part == 0])
    ears = np.asarray(template.regions["ears"])
    outside = np.setdiff1d(skin, ears)
    roots, lobes, temples = [], [], []
    for side, outer in ((-1.0, "eye_right_0"), (1.0, "eye_left_3")):
        ear = ears[mean[ears, 0] * side > 0.0]
        low, high = mean[ear, 1].min(), mean[ear, 1].max()
        upper = ear[mean[ear, 1] > low + 0.70 * (high - low)]
        # the root is close to the head and to the front of the ear
        root = int(upper[(mean[upper, 0] * side - 0.5 * mean[upper, 2]).argmin()])
        near = ear[mean[ear, 1] < low + 0.10 * (high - low)]
        roots.append(root)
        lobes.append(int(near[(mean[near, 0] * side).argmax()]))
        start = mean[template.landmarks[outer]] + (0.0, 0.004, 0.0)
        line = start + np.linspace(0.0, 1.0, _ARM)[:, None] * (mean[root] - start)
        here = outside[mean[outside, 0] * side > 0.03]
        distance = np.hypot(mean[here, 1] - line[:, 1:2], mean[here, 2] - line[:, 2:3])  # (_ARM, n)
        # among what lies close in the side view the outermost vertex is the surface of the head
        reach = np.where(distance < np.maximum(0.008, distance.min(axis=1, keepdims=True) + 0.001), mean[here, 0] * side, -1.0)
        temples.append(here[reach.argmax(axis=1)])
    return Anchors((roots[0], roots[1]), (lobes[0], lobes[1]), np.asarray(temples, dtype=np.int64))


@lru_cache(maxsize=32)
def _tube_faces(length: int, around: int, closed: bool) -> Ints:
    i, j = np.meshgrid(np.arange(length if closed else length - 1), np.arange(around), indexing="ij")
    a, b = i * around + j, ((i + 1) % length) * around + j
    c, d = ((i + 1) % length) * around + (j + 1) % around, i * around + (j + 1) % around
    return np.stack([a, c, b, a, d, c], axis=-1).reshape(-1, 3).astype(np.int32)


def _patch(vertices: Numbers, faces: Ints, colour: RGB, material: int, opacity: float = 1.0) -> Patch:
    count = len(vertices)
    shade = np.empty((count, 3), np.float32)
    shade[:] = colour
    return Patch(
        vertices=np.ascontiguousarray(vertices, np.float32), faces=faces, uv=np.ascontiguousarray(vertices[:, :2] * 100.0, np.float32),
        colour=shade, tangent=np.zeros((count, 3), np.float32), rotation_weight=np.ones(count, np.float32), material=material,
        opacity=np.full(count, opacity, np.float32),
    )  # fmt: skip


def _tube(
    path: Numbers, first: Numbers, second: Numbers, colour: RGB, material: int, *, closed: bool = False, around: int = 6
) -> Patch:
    """A tube along `path` (n,3); `first` and `second` (n,3) span its elliptic section: first x second = direction."""
    turn = 2.0 * np.pi * np.arange(around) / around
    ring = np.cos(turn)[None, :, None] * first[:, None, :] + np.sin(turn)[None, :, None] * second[:, None, :]
    return _patch((path[:, None, :] + ring).reshape(-1, 3), _tube_faces(len(path), around, closed), colour, material)


def _outline(glasses: Glasses, side: float) -> Floats:
    """(_OUTLINE, 2) of a lens around its centre, counter-clockwise in the picture."""
    turn = 2.0 * np.pi * np.arange(_OUTLINE) / _OUTLINE
    power = 2.0 / (2.0 + 3.0 * glasses.squareness)
    x = np.sign(np.cos(turn)) * np.abs(np.cos(turn)) ** power
    y = np.sign(np.sin(turn)) * np.abs(np.sin(turn)) ** power
    x = x * (1.0 - glasses.taper * np.clip(-y, 0.0, 1.0) ** 1.5)
    y = y + glasses.lift * side * x * (0.5 + 0.5 * y)
    return np.stack([0.5 * glasses.width * x, 0.5 * glasses.height * y], axis=1).astype(np.float32)


def make_glasses(head: HeadSurface, glasses: Glasses) -> list[Patch]:
    """Frame, arms and tinted lenses on a person's nose and ears."""
    places = anchors(head.template)
    eyes = [
        np.mean([head.landmark(f"eye_{name}_{index}") for index in range(6)], axis=0) for name in ("right", "left")
    ]
    root, bridge = head.landmark("nose_bridge_0"), head.landmark("nose_bridge_1")
    material = METAL if glasses.metal else GLASS
    half = 0.5 * float(eyes[1][0] - eyes[0][0])
    middle_x = 0.5 * float(eyes[0][0] + eyes[1][0])
    # lenses keep a gap for the nose between them
    centre_x = max(half - 0.001, 0.5 * glasses.width + 0.0075)
    centre_y = 0.5 * float(eyes[0][1] + eyes[1][1]) - 0.0035
    # The rims stand clear of those parts of the brows that they reach up to.
    brows = np.asarray([head.landmark(f"brow_{name}_{index}") for name in ("right", "left") for index in range(5)])
    reached = brows[brows[:, 1] < centre_y + 0.5 * glasses.height + 0.006]
    clear = reached[:, 2] + 3.0 * (reached[:, 0] - middle_x) ** 2 - 0.10 * (reached[:, 1] - centre_y) + glasses.rim + 0.002
    plane = max([0.5 * float(root[2] + bridge[2]) + 0.002, *clear.tolist()])

    def bend(points: Floats) -> Floats:
        """(n,2) in the frame -> (n,3): wrapped around the face, the lower edge leaning to the cheeks."""
        depth = plane - 3.0 * points[:, 0] ** 2 + 0.10 * (points[:, 1] - centre_y)
        return np.stack([points[:, 0] + middle_x, points[:, 1], depth], axis=1).astype(np.float32)

    out = []
    depth_axis = np.asarray([0.0, 0.0, max(0.8 * glasses.rim, 0.0006)])
    for index, side in enumerate((-1.0, 1.0)):
        shape = _outline(glasses, side)
        flat = shape + np.asarray([side * centre_x, centre_y], np.float32)
        path = bend(flat)
        tangent = np.roll(shape, -1, axis=0) - np.roll(shape, 1, axis=0)
        outward = np.stack([tangent[:, 1], -tangent[:, 0], np.zeros(_OUTLINE)], axis=1)
        outward /= np.linalg.norm(outward, axis=1, keepdims=True) + 1e-9
        # horn rims are heavier along the brow
        heavy = glasses.rim * (1.0 + 0.35 * np.clip(shape[:, 1] / glasses.height * 2.0, 0.0, 1.0) * (not glasses.metal))
        out.append(
            _tube(path, np.broadcast_to(depth_axis, path.shape), outward * heavy[:, None], glasses.colour, material, closed=True)
        )
        hinge = bend(np.asarray([[side * (centre_x + 0.5 * glasses.width), centre_y + 0.22 * glasses.height]], np.float32))[0]
        out.append(_arm(head, places, index, side, hinge, glasses, material))
        if glasses.darkness > 0.03:
            lens = np.concatenate([path, bend(np.asarray([[side * centre_x, centre_y]], np.float32))])
            fan = np.stack([np.arange(_OUTLINE), (np.arange(_OUTLINE) + 1) % _OUTLINE, np.full(_OUTLINE, _OUTLINE)], axis=1)
            out.append(_patch(lens, fan.astype(np.int32), glasses.tint, GLASS, glasses.darkness))
    across = np.linspace(-1.0, 1.0, 9, dtype=np.float32)
    gap = centre_x - 0.5 * glasses.width + 0.5 * glasses.rim
    arch = bend(np.stack([across * gap, centre_y + 0.14 * glasses.height + 0.0035 * (1.0 - across**2)], axis=1).astype(np.float32))
    arch[:, 2] += 0.002 * (1.0 - across**2)
    thick = max(1.1 * glasses.rim, 0.0008)
    out.append(
        _tube(arch, np.tile([0.0, thick, 0.0], (9, 1)), np.tile([0.0, 0.0, 0.8 * thick], (9, 1)), glasses.colour, material)
    )
    return out


def _arm(
    head: HeadSurface, places: Anchors, index: int, side: float, hinge: Floats, glasses: Glasses, material: int
) -> Patch:
    """One arm: from the hinge along the temple to the root of the ear and in behind it."""
    root = head.vertices[places.ear_root[index]]
    t = np.linspace(0.0, 1.0, _ARM, dtype=np.float32)
    path = hinge + t[:, None] * (root + np.asarray([0.0, 0.002, -0.002], np.float32) - hinge)
    skin = head.vertices[places.temple[index], 0] * side
    room = np.maximum(path[:, 0] * side, skin + 0.0015 + 0.5 * glasses.rim)
    # an arm is stiff: take the smooth curve that stays outside everywhere
    room = np.maximum(room, np.convolve(np.pad(room, 1, mode="edge"), [0.25, 0.5, 0.25], mode="valid"))
    path[:, 0] = side * room
    behind = path[-1] + np.asarray([[-0.004 * side, -0.001, -0.010]], np.float32)  # between the ear and the head
    path = np.concatenate([path, behind])
    tall = np.full(len(path), max(1.3 * glasses.rim, 0.0009))
    thin = np.full(len(path), max(0.5 * glasses.rim, 0.0006))
    first = np.stack([np.zeros_like(tall), tall, np.zeros_like(tall)], axis=1)
    second = np.stack([thin, np.zeros_like(thin), np.zeros_like(thin)], axis=1)
    return _tube(path, first, second, glasses.colour, material)


def _ball(centre: Floats, radius: float, colour: RGB, material: int) -> Patch:
    latitude = np.linspace(0.0, np.pi, 7)
    longitude = 2.0 * np.pi * np.arange(10) / 10
    points = np.stack(
        [
            np.sin(latitude)[:, None] * np.cos(longitude)[None, :], np.broadcast_to(np.cos(latitude)[:, None], (7, 10)),
            np.sin(latitude)[:, None] * np.sin(longitude)[None, :],
        ],
        axis=-1,
    )  # fmt: skip
    return _patch((centre + radius * points.reshape(-1, 3)).astype(np.float32), _tube_faces(7, 10, False), colour, material)


def make_earrings(head: HeadSurface, earrings: Earrings) -> list[Patch]:
    """Studs, with hoops or pendants if asked for, at both lobes."""
    places = anchors(head.template)
    out = []
    for index, side in enumerate((-1.0, 1.0)):
        lobe = head.vertices[places.lobe[index]] + np.asarray([0.0005 * side, 0.0035, 0.001], np.float32)
        if earrings.bead > 0.0005:
            out.append(_ball(lobe, earrings.bead, earrings.colour, METAL))
        if earrings.hoop > 0.002:
            turn = 2.0 * np.pi * np.arange(24) / 24
            # hoops hang edge-on to the head, turned a little to the front
            plane = np.asarray([0.45 * side, 0.0, 0.89])
            radial = np.sin(turn)[:, None] * plane + np.cos(turn)[:, None] * np.asarray([0.0, 1.0, 0.0])
            path = lobe - np.asarray([0.0, earrings.hoop, 0.0]) + earrings.hoop * radial
            normal = np.cross(plane, [0.0, 1.0, 0.0])
            out.append(_tube(path, radial * earrings.wire, np.tile(normal * earrings.wire, (24, 1)), earrings.colour, METAL, closed=True))
        if earrings.drop > 0.002:
            t = np.linspace(0.0, 1.0, 9)
            path = lobe - np.stack([np.zeros(9), earrings.drop * t, np.zeros(9)], axis=1)
            swell = earrings.wire + 0.0030 * np.sin(np.pi * np.clip(t * 1.6 - 0.6, 0.0, 1.0)) ** 0.8
            out.append(
                _tube(path, np.stack([swell, 0 * t, 0 * t], axis=1), np.stack([0 * t, 0 * t, swell], axis=1), earrings.colour, METAL)
            )
    return out
