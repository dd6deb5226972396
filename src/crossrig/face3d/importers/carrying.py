"""What a model of others does not say, carried over from our own head: its landmarks are laid over theirs, and neighbours give.

Our head is scaled, turned and moved onto the known landmarks (Umeyama 1991), and bent so that these fall together (radial basis functions).
A vertex of theirs then is of the region of the nearest vertex of ours of the same kind of surface, and has a mixture of the colours and
rotation weights of the nearest four.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import RBFInterpolator
from scipy.spatial import cKDTree

from crossrig.face3d import parts
from crossrig.face3d.head import HeadArrays
from crossrig.face3d.importers.foreign import Floats, Integers, Point
from crossrig.face3d.landmarks import LANDMARK_NAMES, MIRROR

_NEIGHBOURS = 4
_FAR = 0.03  # metres: what lies further from our head is of no region
#: Regions that our head's hidden helpers or lashes make, which mean nothing on other meshes.
_OURS_ALONE = ("helpers", "lashes")


def own_landmarks(head: HeadArrays) -> Floats:
    """(68, 3) metres: the landmarks of our head. One that lies behind the ears is put between its neighbours: it is not on the face."""
    points = head.mean[list(head.landmarks.values())].astype(np.float64)
    for index in np.flatnonzero(points[:, 2] < 0):
        points[index] = points[[index - 1, index + 1]].mean(axis=0)
    return points


def similarity(start: Floats, goal: Floats) -> tuple[float, Floats, Floats]:
    """Scale, rotation (3, 3) and translation (3,) that bring points (n, 3) nearest to others: goal = scale * start @ rotation.T + move."""
    centre, aim = start.mean(0), goal.mean(0)
    left, values, right = np.linalg.svd((goal - aim).T @ (start - centre))
    sign = np.array([1.0, 1.0, np.sign(np.linalg.det(left @ right))])
    rotation = (left * sign) @ right
    scale = float((values * sign).sum() / max(np.square(start - centre).sum(), 1e-12))
    return scale, rotation, aim - scale * rotation @ centre


@dataclass(frozen=True)
class Carrier:
    """Our head, bent onto a mesh of others: what every vertex of theirs gets."""

    head: HeadArrays
    nearest: Integers  # (V,) vertex of our head
    distance: Floats  # (V,) metres to it
    neighbours: Integers  # (V, 4)
    shares: Floats  # (V, 4), sum 1
    bent_landmarks: Floats  # (68, 3)

    @classmethod
    def onto(cls, head: HeadArrays, mean: Floats, faces: Integers, part: NDArray[np.uint8], landmarks: Mapping[int, Floats]) -> Carrier:
        """mean (V, 3), faces (F, 3) and part (F,) of theirs, metres; landmarks: iBUG number -> place on it."""
        numbers = list(landmarks)
        own, goal = own_landmarks(head), np.stack([landmarks[number] for number in numbers])
        scale, rotation, move = similarity(own[numbers], goal)
        placed = scale * own @ rotation.T + move
        bend = RBFInterpolator(placed[numbers], goal - placed[numbers], kernel="linear", degree=0, smoothing=1e-6)
        points = scale * head.mean.astype(np.float64) @ rotation.T + move
        points = points + bend(points)
        nearest = np.zeros(len(mean), dtype=np.int64)
        neighbours = np.zeros((len(mean), _NEIGHBOURS), dtype=np.int64)
        distances = np.zeros((len(mean), _NEIGHBOURS))
        of_kind = vertices_by_kind(head.faces, head.face_part, len(head.mean))
        theirs = vertices_by_kind(faces, part, len(mean))
        drawn = np.isin(np.arange(len(head.mean)), head.faces)  # our helpers hang in the air
        for kind in np.unique(theirs):
            rows = np.flatnonzero(theirs == kind)
            # a mesh without eyeballs has its eyes in the skin
            seen = [kind, parts.EYE] if kind == parts.SKIN and not (theirs == parts.EYE).any() else [kind]
            ours = np.flatnonzero(np.isin(of_kind, seen) & drawn)
            away, index = cKDTree(points[ours]).query(mean[rows], k=_NEIGHBOURS)
            neighbours[rows], distances[rows], nearest[rows] = ours[index], away, ours[index[:, 0]]
        weights = 1.0 / np.maximum(distances, 1e-6)
        return cls(head, nearest, distances[:, 0], neighbours, weights / weights.sum(1, keepdims=True), placed + bend(placed))

    def values(self, own: NDArray[np.floating]) -> Floats:
        """Values of our vertices (V, ...) for theirs."""
        return np.asarray(np.einsum("vk,vk...->v...", self.shares, own[self.neighbours].astype(np.float64)))

    def regions(self) -> dict[str, Integers]:
        """Region -> vertices of theirs; empty where their mesh does not reach."""
        found = {}
        for name, vertices in self.head.regions.items():
            if name not in _OURS_ALONE:
                member = np.zeros(len(self.head.mean), dtype=bool)
                member[vertices] = True
                found[name] = np.flatnonzero(member[self.nearest] & (self.distance < _FAR))
        return found

    def fill(self, known: Mapping[int, Point], mean: Floats, surface: Integers) -> dict[int, Point]:
        """All 68 landmarks: the known ones, and for the others the vertex of `surface` nearest to where ours comes to lie."""
        tree = cKDTree(mean[surface])
        nearest = surface[tree.query(self.bent_landmarks)[1]]
        return {number: known.get(number) or Point.at(int(nearest[number])) for number in range(len(LANDMARK_NAMES))}


def vertices_by_kind(faces: NDArray[np.integer], part: NDArray[np.uint8], count: int) -> NDArray[np.int64]:
    """(count,) kind of surface of each vertex: the lowest number of its triangles', skin for vertices without any."""
    kind = np.full(count, parts.SKIN, dtype=np.int64)
    for number in sorted(set(part.tolist()), reverse=True):
        kind[faces[part == number].ravel()] = number
    return kind


def midline(points: Mapping[int, Floats]) -> float:
    """x of the middle of a face: the mean over pairs of landmarks and those in the middle."""
    pairs = [0.5 * (points[number][0] + points[MIRROR[number]][0]) for number in points if MIRROR[number] in points]
    return float(np.mean(pairs)) if pairs else 0.0
