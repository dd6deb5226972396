"""Where on which tooth: the head model's rows of teeth are two bands without any; the shader draws teeth on them from these coordinates.

Crown widths are the usual ones of adults (Wheeler, *Dental Anatomy, Physiology and Occlusion*, rounded to half millimetres).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.geometry import TEETH, Floats, HeadTemplate

#: Metres along the arch from its middle to where the teeth of one side end: two incisors, canine, two premolars, two molars.
UPPER_ENDS: Final = (0.0085, 0.0150, 0.0225, 0.0295, 0.0365, 0.0470, 0.0580)
LOWER_ENDS: Final = (0.0055, 0.0115, 0.0185, 0.0255, 0.0325, 0.0440, 0.0550)

_NEAR: Final = 0.14  # radians around the arch within which a vertex finds edge and root of its row


def tooth_coordinates(template: HeadTemplate) -> tuple[NDArray[np.int64], Floats]:
    """Numbers (n,) of the vertices of teeth, and of each (n, 3): metres along the arch (+ to picture right), height from biting edge (0) to
    root (1), and 1 in the upper row, 0 in the lower."""
    faces = template.face_part == TEETH
    vertices = np.unique(template.faces[faces]).astype(np.int64)
    upper = _is_upper(template.faces[faces], vertices, template.mean[vertices, 1])
    found = np.zeros((len(vertices), 3), np.float32)
    for row in (True, False):
        mine = upper == row
        points = template.mean[vertices[mine]].astype(np.float64)
        around, along = _along_the_arch(points)
        up = points[:, 1] if row else -points[:, 1]  # away from the edge
        near = np.abs(around[:, None] - around[None, :]) < _NEAR
        edge, root = np.where(near, up, np.inf).min(axis=1), np.where(near, up, -np.inf).max(axis=1)
        found[mine] = np.stack([along, (up - edge) / np.maximum(root - edge, 1e-6), np.full(len(points), float(row))], axis=1)
    return vertices, found


def _is_upper(faces: NDArray[np.integer], vertices: NDArray[np.int64], height: Floats) -> NDArray[np.bool_]:
    """Which of the vertices (n,) are of the row that hangs: the rows share no face."""
    number = np.full(int(vertices[-1]) + 1, -1)
    number[vertices] = np.arange(len(vertices))
    row = np.arange(len(vertices))
    edges = number[faces]  # (F, 3)
    while True:  # every vertex takes the smallest number of its neighbours until nothing changes
        least = row[edges].min(axis=1)
        after = row.copy()
        np.minimum.at(after, edges.ravel(), np.repeat(least, 3))
        if np.array_equal(after, row):
            break
        row = after
    means = {name: float(height[row == name].mean()) for name in np.unique(row)}
    return np.asarray(row == max(means, key=lambda name: means[name]))


def _along_the_arch(points: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Radians (n,) and metres (n,) around half an ellipse through a row's front and its two ends, from the middle."""
    back = points[:, 2].min()
    across, deep = np.abs(points[:, 0]).max(), points[:, 2].max() - back
    around = np.arctan2(points[:, 0] / across, (points[:, 2] - back) / deep)
    grid = np.linspace(0.0, np.pi, 512)
    speed = np.hypot(across * np.cos(grid), deep * np.sin(grid))
    length = np.concatenate([[0.0], np.cumsum(0.5 * (speed[1:] + speed[:-1]) * np.diff(grid))])
    return around, np.sign(around) * np.interp(np.abs(around), grid, length)
