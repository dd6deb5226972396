"""The 68 landmarks of the iBUG 300-W scheme (Sagonas 2013), named, and where they lie on the head.

Order and direction are iBUG's: from the left of the *picture* to its right, so `jaw_0`, `brow_right_0` and
`eye_right_0` lie on the person's own right side (x < 0).
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

_GROUPS: tuple[tuple[str, int], ...] = (
    ("jaw", 17),
    ("brow_right", 5),
    ("brow_left", 5),
    ("nose_bridge", 4),
    ("nose_base", 5),
    ("eye_right", 6),
    ("eye_left", 6),
    ("mouth_outer", 12),
    ("mouth_inner", 8),
)

#: Name of every landmark, in iBUG order.
LANDMARK_NAMES: tuple[str, ...] = tuple(f"{group}_{index}" for group, count in _GROUPS for index in range(count))

#: Index of the landmark on the other side of the face, for every landmark.
MIRROR: tuple[int, ...] = (
    *range(16, -1, -1),
    *(26, 25, 24, 23, 22, 21, 20, 19, 18, 17),
    *(27, 28, 29, 30),
    *(35, 34, 33, 32, 31),
    *(45, 44, 43, 42, 47, 46),
    *(39, 38, 37, 36, 41, 40),
    *(54, 53, 52, 51, 50, 49, 48, 59, 58, 57, 56, 55),
    *(64, 63, 62, 61, 60, 67, 66, 65),
)


def nearest(points: Floats, vertices: Floats, candidates: Integers) -> Integers:
    """For each of `points` (n, 3) the index of the closest vertex among `candidates`."""
    distance = np.linalg.norm(vertices[candidates][None] - points[:, None], axis=2)
    return np.asarray(candidates[distance.argmin(axis=1)], dtype=np.int64)


def find_landmarks(vertices: Floats, seeds: Mapping[str, Floats], surface: Integers) -> dict[str, int]:
    """Landmark name -> vertex of the mean head.

    `seeds` holds, per name, an approximate position (3,) for the right half (x < 0) and the middle of the face,
    `surface` the skin vertices that are seen from outside. The left half is the mirror image, so that the landmarks
    are symmetric on the mean head.
    """
    found: dict[str, int] = {}
    for index, name in enumerate(LANDMARK_NAMES):
        other = LANDMARK_NAMES[MIRROR[index]]
        if name in seeds:
            found[name] = int(nearest(seeds[name][None], vertices, surface)[0])
        elif other in seeds:
            found[name] = int(nearest((seeds[other] * (-1.0, 1.0, 1.0))[None], vertices, surface)[0])
        else:
            raise ValueError(f"no position is known for landmark {name}")
    return found
