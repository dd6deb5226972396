"""Where a head is, from five points that a person placed by hand: eyes, tip of the nose, corners of the mouth.

A face that no detector finds is often turned, tilted or drawn. So the points are compared with those of the mean head in many poses: in
each, the similarity (scale, tilt, place) that brings the head's points nearest to the given ones is found in closed form (Umeyama 1991,
in the plane), and the pose that leaves least, turned no further than it must be, says where the middle of the head lies.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from crossrig.data.align import Framing
from crossrig.errors import UserError
from crossrig.face3d.landmarks import LANDMARK_NAMES
from crossrig.face3d.model import FaceModel, rotation_matrix
from crossrig.face3d.params import FaceParams
from crossrig.render.camera import Camera

POINT_NAMES: tuple[str, ...] = (
    "eye on the left", "eye on the right", "tip of the nose", "corner of the mouth on the left", "corner of the mouth on the right",
)  # fmt: skip
"""What the five points are, as one looks at the picture."""

_YAWS = np.arange(-60.0, 61.0, 4.0)
_PITCHES = np.arange(-28.0, 29.0, 4.0)
_UPRIGHT = 0.003
"""Share of the points' spread (squared) that a pose at the end of these ranges must explain to be believed."""
_NEAREST = 4.0
"""Pixels between eyes below which nothing can be told."""


def five_points(model: FaceModel) -> NDArray[np.float64]:
    """(5, 3) metres: the points of the mean head, in the order of ``POINT_NAMES``."""
    places = model.landmark_points(model.neutral_pose(FaceParams.neutral(1).to(model.mean.device)))[0].double().cpu().numpy()
    groups = ("eye_right_", "eye_left_", "nose_bridge_3", "mouth_outer_0", "mouth_outer_6")
    return np.stack([places[[_belongs(name, group) for name in LANDMARK_NAMES]].mean(axis=0) for group in groups])


def _belongs(name: str, group: str) -> bool:
    return name.startswith(group) if group.endswith("_") else name == group


def framing_of_points(points: Sequence[Sequence[float]] | NDArray[np.floating], model: FaceModel, camera: Camera | None = None) -> Framing:
    """The framing of a head whose five points (5, 2) lie there in the picture: pixels, x right, y down; order of ``POINT_NAMES``.

    The two eyes, and the two corners of the mouth, may be exchanged. Raises :class:`UserError` for points that cannot be a face's.
    """
    given = np.asarray(points, dtype=np.float64)
    if given.shape != (5, 2) or not np.isfinite(given).all():
        raise UserError("A face is placed with five points: two eyes, the tip of the nose, the two corners of the mouth.")
    given = given.copy()
    for left, right in ((0, 1), (3, 4)):
        if given[left, 0] > given[right, 0]:
            given[[left, right]] = given[[right, left]]
    eyes, mouth = given[:2].mean(axis=0), given[3:].mean(axis=0)
    if np.hypot(*(given[1] - given[0])) < _NEAREST or np.hypot(*(mouth - eyes)) < _NEAREST:
        raise UserError("The five points lie too close together; place them on the eyes, the nose and the mouth of a larger face.")
    if mouth[1] <= eyes[1]:
        raise UserError("The eyes must lie above the mouth; turn the picture upright first.")
    camera = camera or Camera()
    head = five_points(model)
    wanted = given[:, 0] - 1j * given[:, 1]  # y up, as the camera has it
    pitches, yaws = (angles.ravel() for angles in np.meshgrid(_PITCHES, _YAWS))  # (P,) each
    angles = torch.deg2rad(torch.from_numpy(np.stack([pitches, yaws, np.zeros_like(yaws)], axis=1)))
    seen = camera.project_array(np.einsum("pij,vj->pvi", rotation_matrix(angles).numpy(), head))  # (P, 5, 3)
    scale, shift, left_over = _similarities(seen[..., 0] + 1j * seen[..., 1].astype(np.float64), wanted)
    cost = left_over + _UPRIGHT * ((yaws / 60.0) ** 2 + (pitches / 28.0) ** 2)
    best = int(cost.argmin())
    # the head's origin lies in the middle of the camera's picture, whatever the pose
    return Framing(float(shift[best].real), float(-shift[best].imag), float(abs(scale[best])))


def _similarities(
    sources: NDArray[np.complexfloating], goal: NDArray[np.complexfloating]
) -> tuple[NDArray[np.complexfloating], NDArray[np.complexfloating], NDArray[np.floating]]:
    """For each of ``sources`` (P, n): a, b of the nearest ``a * source + b`` to ``goal`` (n,), and what is left of its spread, squared."""
    middles, middle = sources.mean(axis=1), goal.mean()
    x, y = sources - middles[:, None], goal - middle
    scale = (x.conj() * y).sum(axis=1) / (np.abs(x) ** 2).sum(axis=1)
    left_over = (np.abs(y - scale[:, None] * x) ** 2).sum(axis=1) / (np.abs(y) ** 2).sum()
    return scale, middle - scale * middles, left_over


def read_points(text: str) -> NDArray[np.float64]:
    """Ten numbers with commas between them, x,y,x,y,... in pixels of the picture, as (5, 2). Raises :class:`UserError`."""
    words = text.split(",")
    try:
        numbers = [float(word) for word in words]
    except ValueError as error:
        raise UserError(f'Points are numbers with commas between them, x,y,x,y,...; "{text}" is not.') from error
    if len(numbers) != 10:
        raise UserError(f"A face is placed with five points, which are ten numbers, not {len(numbers)}.")
    return np.array(numbers).reshape(5, 2)
