"""Eyeballs: finer spheres than MakeHuman's, and the eyeLook units as real rotations.

MakeHuman's eyeball has rings of vertices 11, 22 and 45 degrees from its axis, too coarse to colour an iris per vertex.
We put a sphere with rings at the pupil's edge and on both sides of the limbus in its place. Every new vertex is a
fixed linear combination of the old ones that reproduces affine maps, so it follows all identity targets (which move,
scale and stretch eyeballs).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

SEGMENTS = 16
#: Angles of the rings from the eye's axis, degrees. Pupil edge about 8.5, limbus about 23.5. Open behind, where the
#: socket hides it.
RINGS = (7.5, 9.5, 13.0, 17.0, 20.5, 22.5, 24.5, 34.0, 46.0, 60.0, 76.0, 94.0, 112.0)
PUPIL_EDGE = 8.5
LIMBUS = 23.5

#: Size relative to MakeHuman's eyeball, which touches the lids: a hair's breadth smaller never shows through them.
SCALE = 0.982

#: How far the eye turns at weight 1 of an eyeLook unit, degrees.
LOOK_ANGLES = {"Up": 18.0, "Down": 22.0, "In": 26.0, "Out": 26.0}


@dataclass(frozen=True)
class Eyeball:
    """mixing (n, m): new vertices = mixing @ old vertices; direction (n, 3) unit vectors in the eye's own frame; faces
    (F, 3)."""

    mixing: Floats
    direction: Floats
    faces: Integers


def fit_sphere(points: Floats) -> tuple[Floats, float]:
    """Least-squares centre (3,) and radius of points (n, 3) on a sphere."""
    system = np.column_stack([2 * points, np.ones(len(points))])
    solution, *_ = np.linalg.lstsq(system, (points**2).sum(axis=1), rcond=None)
    centre = solution[:3]
    return centre, float(np.sqrt(solution[3] + centre @ centre))


def make_eyeball(old: Floats) -> Eyeball:
    """A finer eyeball over the old vertices (m, 3) of one eye that looks along +z. The first vertex is the front
    pole."""
    centre, radius = fit_sphere(old)
    turn = np.arange(SEGMENTS) * (2 * np.pi / SEGMENTS)
    directions = [np.array([[0.0, 0.0, 1.0]])]
    for angle in np.radians(RINGS):
        ring = np.stack(
            [np.sin(angle) * np.cos(turn), np.sin(angle) * np.sin(turn), np.full(SEGMENTS, np.cos(angle))], 1
        )
        directions.append(ring)
    direction = np.concatenate(directions)
    faces: list[tuple[int, int, int]] = []
    for k in range(SEGMENTS):
        following = (k + 1) % SEGMENTS
        faces.append((0, 1 + k, 1 + following))
        for ring_index in range(len(RINGS) - 1):
            inner, outer = 1 + ring_index * SEGMENTS, 1 + (ring_index + 1) * SEGMENTS
            faces.append((inner + k, outer + k, outer + following))
            faces.append((inner + k, outer + following, inner + following))
    local = (old - centre) / radius
    affine = np.linalg.pinv(np.column_stack([local, np.ones(len(local))]))  # (4, m)
    mixing = np.column_stack([direction * SCALE, np.ones(len(direction))]) @ affine
    return Eyeball(mixing, direction, np.asarray(faces, dtype=np.int64))


def look_delta(vertices: Floats, centre: Floats, unit: str) -> Floats:
    """Displacement (n, 3) of an eyeball's vertices at weight 1 of a unit such as `eyeLookOutLeft`."""
    side = 1.0 if unit.endswith("Left") else -1.0
    way = unit.removeprefix("eyeLook").removesuffix("Left").removesuffix("Right")
    angle = np.radians(LOOK_ANGLES[way])
    yaw = {"Out": side * angle, "In": -side * angle}.get(way, 0.0)
    pitch = {"Up": angle, "Down": -angle}.get(way, 0.0)
    about_y = np.array([[np.cos(yaw), 0, np.sin(yaw)], [0, 1, 0], [-np.sin(yaw), 0, np.cos(yaw)]])
    about_x = np.array([[1, 0, 0], [0, np.cos(-pitch), -np.sin(-pitch)], [0, np.sin(-pitch), np.cos(-pitch)]])
    offset = vertices - centre
    return np.asarray(offset @ (about_y @ about_x).T - offset, dtype=np.float64)
