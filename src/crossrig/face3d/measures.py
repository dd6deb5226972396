"""Measurements of heads, from which the semantic shape controls are regressed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]


#: Measures of where the nose stands in the face. In the population they go with the size of the head: a control that is to change the
#: nose, and not the head with it, must hold that still.
PLACED_BY_NOSE: tuple[str, ...] = ("noseLength", "noseProminence", "noseTipHeight", "mouthHeight")
HELD_SIZES: tuple[str, ...] = ("faceWidth", "faceHeight", "foreheadHeight", "headDepth", "eyeSize", "eyeDistance")


def measure_shapes(shapes: Floats, landmarks: Mapping[str, int], regions: Mapping[str, Integers]) -> dict[str, Floats]:
    """Lengths in metres, per head of `shapes` (N, V, 3), in neutral pose: name -> (N,)."""

    def at(name: str) -> Floats:
        return shapes[:, landmarks[name]]

    def distance(a: str, b: str) -> Floats:
        return np.asarray(np.linalg.norm(at(a) - at(b), axis=1))

    def height(a: str, b: str) -> Floats:
        return np.asarray(at(a)[:, 1] - at(b)[:, 1])

    eye_middle = (at("eye_right_0") + at("eye_right_3") + at("eye_left_0") + at("eye_left_3")) / 4
    brow_middle = (at("brow_right_2") + at("brow_left_2")) / 2
    ears = shapes[:, regions["ear_left"], 0].max(axis=1) - shapes[:, regions["ear_right"], 0].min(axis=1)
    cheeks = shapes[:, regions["cheeks"]]
    scalp = shapes[:, regions["scalp"]]
    mouth_corner = (at("mouth_outer_0") + at("mouth_outer_6")) / 2
    return {
        "faceWidth": distance("jaw_2", "jaw_14"),
        "faceHeight": eye_middle[:, 1] - at("jaw_8")[:, 1],
        "jawWidth": distance("jaw_4", "jaw_12"),
        "chinWidth": distance("jaw_7", "jaw_9"),
        "chinHeight": height("mouth_outer_9", "jaw_8"),
        "chinProminence": at("jaw_8")[:, 2] - mouth_corner[:, 2],
        "noseLength": height("nose_bridge_0", "nose_base_2"),
        "noseWidth": distance("nose_base_0", "nose_base_4"),
        "noseProminence": at("nose_bridge_3")[:, 2] - at("nose_base_2")[:, 2],
        "noseTipHeight": height("nose_bridge_3", "nose_base_2"),
        "mouthWidth": distance("mouth_outer_0", "mouth_outer_6"),
        "lipFullness": height("mouth_outer_3", "mouth_inner_2") + height("mouth_inner_6", "mouth_outer_9"),
        "mouthHeight": at("mouth_inner_2")[:, 1] - at("nose_base_2")[:, 1],
        "eyeSize": (height("eye_right_1", "eye_right_5") + height("eye_left_1", "eye_left_5")) / 2
        + 0.4 * (distance("eye_right_0", "eye_right_3")),
        "eyeDistance": distance("eye_right_3", "eye_left_3"),
        "eyeTilt": (height("eye_right_0", "eye_right_3") + height("eye_left_3", "eye_left_0")) / 2,
        "browHeight": brow_middle[:, 1] - eye_middle[:, 1],
        "cheekFullness": np.abs(cheeks[..., 0]).mean(axis=1),
        "foreheadHeight": scalp[..., 1].max(axis=1) - brow_middle[:, 1],
        "headDepth": at("nose_bridge_0")[:, 2] - scalp[..., 2].min(axis=1),
        "earSize": ears,
    }
