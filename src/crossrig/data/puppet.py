"""How a drawing of a head from in front is bent to a person and turned: what stands in for a rig where there is only a drawing.

Coordinates of the drawing are x to the right and y down, 768 a side; the frame of the camera is a square of it around the middle of the
face.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np

from crossrig.data.flat import Points
from crossrig.data.people import Person, head_model
from crossrig.data.portraits import rotation_matrices
from crossrig.face3d.blocks import EXPRESSION_UNITS
from crossrig.render.camera import Camera

MIDDLE: Final = np.array([384.0, 420.0])  # of the frame, in drawing units
HALF: Final = 300.0  # drawing units from there to its edge
_EXAGGERATION: Final = 1.8  # of a person's build and brows: designers overstate
_UNITS: Final = _EXAGGERATION * HALF / Camera().half_height  # drawing units for a metre of deviation
_REACH: Final = 42.0  # drawing units: how far around a landmark the drawing moves with it


@dataclass(frozen=True, eq=False)
class Landmarks:
    """The 68 landmarks of the head model: mean (68, 3) and bases (80, 68, 3), (52, 68, 3); metres."""

    mean: Points
    shape: Points
    expression: Points


@cache
def landmarks() -> Landmarks:
    """Those of the shipped head model."""
    model = head_model()
    index = list(model.landmarks.values())
    bases = (model.mean[index], model.shape_basis[:, index], model.expression_basis[:, index])
    return Landmarks(*(np.asarray(basis, np.float64) for basis in bases))


def _down(metres: Points) -> Points:
    """(..., 3) metres -> (..., 2) with y down."""
    return metres[..., :2] * [1.0, -1.0]


#: Landmarks (first, last) -> box (left, top, right, bottom) of the drawing in which the designer has what they mark.
_BOXES: Final = (
    ((0, 17), (227.0, 405.0, 541.0, 591.0)),
    ((17, 22), (267.0, 322.0, 344.0, 348.0)),
    ((22, 27), (424.0, 322.0, 502.0, 348.0)),
    ((27, 31), (384.0, 400.0, 384.0, 455.0)),
    ((31, 36), (366.0, 464.0, 402.0, 478.0)),
    ((36, 42), (265.0, 380.0, 345.0, 432.0)),
    ((42, 48), (423.0, 380.0, 503.0, 432.0)),
    ((48, 68), (330.0, 490.0, 438.0, 535.0)),
)


@cache
def anchors() -> Points:
    """Where the landmarks of the mean head lie in the drawing, (68, 2)."""
    flat = _down(landmarks().mean)
    placed = np.empty_like(flat)
    for (first, last), (left, top, right, bottom) in _BOXES:
        group = flat[first:last]
        low, high = group.min(axis=0), group.max(axis=0)
        share = (group - low) / np.maximum(high - low, 1e-4)
        placed[first:last] = np.array([left, top]) + share * [right - left, bottom - top]
    return placed


@dataclass(frozen=True)
class Lips:
    """A mouth, in drawing units."""

    half_width: float
    gap: float  # between the lips, at least 0
    lift: float  # how much higher the corners are than at rest, against the middle
    right: float  # where the middle has moved to
    down: float


class Face:
    """What a person's landmarks say, in drawing units."""

    def __init__(self, person: Person) -> None:
        model = landmarks()
        build = np.tensordot(person.blocks["shape"].astype(np.float64), model.shape, 1)
        moved = np.tensordot(person.blocks["expression"].astype(np.float64), model.expression, 1)
        self._build = _UNITS * _down(build)  # (68, 2)
        self._moved = _UNITS * _down(moved)
        self._build[:, 0] -= self._build[27:36, 0].mean()  # nobody is lopsided enough to be drawn so
        shift = self._build.copy()
        shift[17:27] += self._moved[17:27]  # brows follow what the face does; lips and lids are drawn by what they do
        self._shift = shift
        self.units = dict(zip(EXPRESSION_UNITS, person.blocks["expression"].tolist(), strict=True))
        self._landmarks = model.mean + build + moved, model.mean + build

    def bend(self, points: Points) -> Points:
        """Points of the drawing (N, 2), moved with the landmarks around them."""
        apart = points[:, None] - anchors()[None]
        weight = np.exp(-0.5 * np.square(apart).sum(axis=2) / _REACH**2)  # (N, 68)
        return np.asarray(points + weight @ self._shift / (0.25 + weight.sum(axis=1, keepdims=True)))

    def openness(self, first: int) -> float:
        """How far the lids of the eye whose landmarks begin at `first` are open, against the face at rest."""

        def gap(landmarks: Points) -> float:
            upper, lower = landmarks[first + 1 : first + 3, 1].mean(), landmarks[first + 4 : first + 6, 1].mean()
            return float(upper - lower)

        now, rest = self._landmarks
        return gap(now) / max(gap(rest), 1e-4)

    def lips(self) -> Lips:
        """Where the lips are."""
        now = self._landmarks[0]
        scale = HALF / Camera().half_height
        gap = max(float(now[61:64, 1].mean() - now[65:68, 1].mean()), 0.0) * scale
        # Weighed so that a jaw that opens moves the middle no further down than the corners.
        middle, corners = 0.67 * self._moved[51] + 0.33 * self._moved[57], self._moved[[48, 54]].mean(axis=0)
        return Lips(
            half_width=0.5 * float(now[54, 0] - now[48, 0]) * scale, gap=gap, lift=float(middle[1] - corners[1]),
            right=float(middle[0]) / _EXAGGERATION, down=float(middle[1]) / _EXAGGERATION,
        )  # fmt: skip


def _step(values: Points, low: float, high: float) -> Points:
    t = np.clip((values - low) / (high - low), 0.0, 1.0)
    return np.asarray(t * t * (3 - 2 * t))


class Turned:
    """The drawing on a turned head: drawing units (N, 2) -> frame (N, 2), x right and y up in [-1, 1]."""

    def __init__(self, person: Person) -> None:
        rotation, translation = person.blocks["rotation"].astype(np.float64), person.blocks["translation"].astype(np.float64)
        flat = rotation * [1.0, 1.0, 0.0]
        self._turn = rotation_matrices(flat, np.ones(1, np.float32))[0].astype(np.float64)  # roll is the drawing's own
        cosine, sine = np.cos(rotation[2]), np.sin(rotation[2])
        self._roll = np.array([[cosine, -sine], [sine, cosine]])
        camera = Camera()
        nearer = camera.distance / (camera.distance - translation[2])
        self._scale, self._place = nearer / HALF, nearer * translation[:2] / camera.half_height
        self.forward = self._turn[:2, 2]  # where a step towards the camera goes in the frame

    def _framed(self, points: Points) -> Points:
        return np.asarray(points @ self._roll.T * self._scale + self._place)

    def _from_middle(self, points: Points) -> Points:
        return np.asarray((points - MIDDLE) * [1.0, -1.0])

    def _turned(self, flat: Points, depth: Points | float) -> Points:
        return np.asarray(flat @ self._turn[:2, :2].T + np.broadcast_to(depth, len(flat))[:, None] * self.forward)

    def face(self, points: Points) -> Points:
        """What lies on the front of the head."""
        flat = self._from_middle(points)
        return self._framed(self._turned(flat, _depth(flat, 160.0, 226.0, 190.0)[0]))

    def outline(self, points: Points) -> Points:
        """The edge of the head: that of a ball stays where it is, only the chin is before it."""
        flat = self._from_middle(points)
        chin = _step(-flat[:, 1], 20.0, 170.0)
        return self._framed(flat + 95.0 * chin[:, None] * self.forward)

    def hair(self, points: Points) -> Points:
        """Hair before the head: on the forehead as the face, at the edge as the outline."""
        flat = self._from_middle(points)
        depth, radius = _depth(flat, 175.0, 260.0, 200.0)
        edge = _step(radius, 0.6, 1.0)[:, None]
        return self._framed((1 - edge) * self._turned(flat, depth) + edge * flat)

    def ear(self, points: Points) -> Points:
        """Ears, at the depth of the middle of the head."""
        return self._framed(self._turned(self._from_middle(points), -20.0))

    def behind(self, points: Points) -> Points:
        """Hair behind the head."""
        return self._framed(self._from_middle(points) - 70.0 * self.forward)

    def body(self, points: Points) -> Points:
        """Shoulders stay."""
        return np.asarray(self._from_middle(points) * self._scale + self._place)


def _depth(flat: Points, across: float, up: float, deep: float) -> tuple[Points, Points]:
    """Depth of points (N, 2) on an ellipsoid around the skull, longer towards the chin, and their radius on it."""
    height = flat[:, 1] - 55.0
    radius = np.hypot(flat[:, 0] / across, height / np.where(height < 0, up + 44.0, up))
    return deep * np.sqrt(1 - np.minimum(radius, 0.98) ** 2), radius
