"""Where things are on the mean head: semantic regions, the 68 landmarks, and how the neck follows the head.

Everything is found geometrically from the mesh, MakeHuman's own UV masks (lips, ears, eyelids, inside of the mouth)
and the way units move it, so that no vertex number is written down anywhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from crossrig.face3d import parts
from crossrig.face3d.eyes import LIMBUS, PUPIL_EDGE, fit_sphere
from crossrig.face3d.landmarks import find_landmarks
from crossrig.face3d.params import EXPRESSION_UNITS

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Layout:
    """regions: name -> sorted vertex indices; landmarks: name -> vertex; rotation_weight (V,) for `model.pose`."""

    regions: dict[str, Integers]
    landmarks: dict[str, int]
    rotation_weight: Floats


def find_layout(
    mean: Floats,
    faces: Integers,
    part: npt.NDArray[np.uint8],
    masks: Mapping[str, Flags],
    expression: Floats,
    eye_direction: Floats,
) -> Layout:
    """Lay out the mean head: `mean` (V, 3), `faces` (F, 3), `part` (F,), UV masks (V,), unit deltas (52, V, 3), eye
    directions (V, 3)."""
    of_part = {number: _members(len(mean), faces[part == number]) for number in parts.PART_NAMES}
    skin = of_part[parts.SKIN]
    lower = np.linalg.norm(expression[EXPRESSION_UNITS.index("jawOpen")], axis=1)
    seeds = _landmark_seeds(mean, skin, masks, lower, eye_direction)
    landmarks = find_landmarks(mean, seeds, np.flatnonzero(skin & ~masks["inside-mouth"]))
    regions = _regions(mean, skin, of_part, masks, eye_direction, lower, landmarks)
    regions["helpers"] = ~_members(len(mean), faces)
    return Layout({name: np.flatnonzero(flags) for name, flags in regions.items()}, landmarks, _rotation_weight(mean))


def _members(count: int, faces: Integers) -> Flags:
    flags = np.zeros(count, dtype=bool)
    flags[faces.ravel()] = True
    return flags


def _smoothstep(value: Floats) -> Floats:
    clipped = np.clip(value, 0.0, 1.0)
    return np.asarray(clipped * clipped * (3 - 2 * clipped))


def _rotation_weight(mean: Floats) -> Floats:
    """1 above a plane through the nape and under the chin, 0 below one through the root of the neck."""
    along = mean[:, 1] + 0.30 * mean[:, 2]  # the neck leans forward
    return _smoothstep((along + 0.165) / 0.105)


def _lid_margin(mean: Floats, skin: Flags, eye: Flags) -> tuple[Floats, Floats, Floats]:
    """(n, 3) points of an eye's lid margin, and its outer and inner corner (3,) for a right eye (outer = smallest x).

    The margin is where lid skin close to the eyeball comes nearest to the eye's axis: of all vertices within 9 degrees
    about it. The corners are the extremes of the skin that lies on the front of the eyeball.
    """
    centre, radius = fit_sphere(mean[eye])
    offset = mean[skin] - centre
    height = np.linalg.norm(offset, axis=1) - radius
    close = (offset[:, 2] > 0) & (height > -0.0003) & (height < 0.0025)
    points = mean[skin][close]
    flat = points[:, :2] - centre[:2]
    angle, reach = np.arctan2(flat[:, 1], flat[:, 0]), np.hypot(flat[:, 0], flat[:, 1])
    apart = np.abs(np.angle(np.exp(1j * (angle[:, None] - angle[None]))))
    nearest = np.where(apart < np.radians(9.0), reach[None], np.inf).min(axis=1)
    rim = mean[skin][(height > -0.0003) & (height < 0.0009) & (offset[:, 2] > 0.58 * radius)]
    return points[reach <= nearest], rim[rim[:, 0].argmin()], rim[rim[:, 0].argmax()]


def _landmark_seeds(
    mean: Floats, skin: Flags, masks: Mapping[str, Flags], lower: Floats, eye_direction: Floats
) -> dict[str, Floats]:
    """Approximate positions of the landmarks on the right half (x < 0) and the middle."""
    outside = skin & ~masks["inside-mouth"]
    surface = mean[outside]
    profile = surface[(np.abs(surface[:, 0]) < 0.002) & (surface[:, 2] > 0)]  # of the face: not the back of the head
    right_eye = np.any(eye_direction != 0, axis=1) & (mean[:, 0] < 0)
    margin, outer, inner = _lid_margin(mean, outside, right_eye)
    lips = outside & masks["lips"]
    return {
        **_eye_and_brow_seeds(surface, margin, outer, inner),
        **_nose_seeds(surface, profile, inner, float(mean[lips][:, 1].max())),
        **_mouth_seeds(mean[lips], lower[lips]),
        **_jaw_seeds(mean[outside & ~masks["ears"]], float(outer[1])),
    }


def _eye_and_brow_seeds(surface: Floats, margin: Floats, outer: Floats, inner: Floats) -> dict[str, Floats]:
    middle, width = (outer[1] + inner[1]) / 2, inner[0] - outer[0]
    upper, lower = margin[margin[:, 1] > middle], margin[margin[:, 1] < middle]
    seeds = {"eye_right_0": outer, "eye_right_3": inner}
    for index, lid, share in ((1, upper, 0.32), (2, upper, 0.68), (4, lower, 0.68), (5, lower, 0.32)):
        seeds[f"eye_right_{index}"] = lid[np.abs(lid[:, 0] - (outer[0] + share * width)).argmin()]
    # Brows: an arc above the eye, from the outer end to the head of the brow beside the nose; in eye widths.
    for index, (share, height) in enumerate(
        ((-0.15, 0.48), (0.114, 0.581), (0.403, 0.629), (0.719, 0.638), (1.004, 0.577))
    ):
        seeds[f"brow_right_{index}"] = _front(surface, outer[0] + share * width, middle + height * width)
    return seeds


def _nose_seeds(surface: Floats, profile: Floats, inner: Floats, lip_top: float) -> dict[str, Floats]:
    """The profile from the root between the eyes to the tip, and the base, as wide as the eyes are apart (a rule of
    proportion)."""
    root = _front(profile, 0.0, inner[1])
    nose = profile[(profile[:, 1] < root[1]) & (profile[:, 1] > lip_top)]
    tip = nose[nose[:, 2].argmax()]
    seeds = {
        f"nose_bridge_{index}": _front(profile, 0.0, root[1] + share * (tip[1] - root[1]))
        for index, share in enumerate((0, 0.34, 0.67, 1))
    }
    # The corner between nose and upper lip: the point furthest behind the line from the tip to the lip.
    below = nose[nose[:, 1] < tip[1]]
    lip = _front(profile, 0.0, lip_top)
    line = (lip - tip)[1:] / np.linalg.norm((lip - tip)[1:])
    behind = (below[:, 1] - tip[1]) * line[1] - (below[:, 2] - tip[2]) * line[0]
    base = below[np.abs(behind).argmax()]
    seeds["nose_base_2"] = base * (0.0, 1.0, 1.0)
    seeds["nose_base_1"] = _front(surface, 0.50 * inner[0], base[1] + 0.002)
    seeds["nose_base_0"] = _front(surface, 0.96 * inner[0], base[1] + 0.005)
    return seeds


def _mouth_seeds(lip: Floats, moved: Floats) -> dict[str, Floats]:
    """The outline of the lips, and the line where they meet; `moved` (n,) tells the lower lip, which goes with the
    jaw."""
    corner = lip[lip[:, 0].argmin()]
    below = moved > 0.5 * moved.max()
    seeds = {"mouth_outer_0": corner, "mouth_inner_0": _column(lip[~below], 0.84 * corner[0], highest=False)}
    for index, share in ((1, 0.60), (2, 0.22), (3, 0.0)):
        seeds[f"mouth_outer_{index}"] = _column(lip, share * corner[0], highest=True)
    for index, share in ((9, 0.0), (10, 0.27), (11, 0.62)):
        seeds[f"mouth_outer_{index}"] = _column(lip, share * corner[0], highest=False)
    front = lip[:, 2] > lip[:, 2].max() - 0.016  # not the part that curls into the mouth
    for index, share in ((1, 0.45), (2, 0.0)):
        seeds[f"mouth_inner_{index}"] = _column(lip[front & ~below], share * corner[0], highest=False)
    for index, share in ((6, 0.0), (7, 0.45)):
        seeds[f"mouth_inner_{index}"] = _column(lip[front & below], share * corner[0], highest=True)
    return seeds


def _jaw_seeds(points: Floats, top: float) -> dict[str, Floats]:
    """The outline of the face seen from the front, every 11.25 degrees about a centre between the eyes."""
    rigid = points[(_rotation_weight(points) > 0.99) & (points[:, 2] > 0.012) & (points[:, 0] <= 0.001)]
    flat = rigid[:, :2] - np.array([0.0, top])
    angle, reach = np.degrees(np.arctan2(-flat[:, 1], -flat[:, 0])), np.hypot(flat[:, 0], flat[:, 1])
    seeds: dict[str, Floats] = {}
    for index in range(9):
        near = np.flatnonzero(np.abs(angle - index * 11.25) < 4.0)
        seeds[f"jaw_{index}"] = rigid[near[reach[near].argmax()]]
    seeds["jaw_8"] = seeds["jaw_8"] * (0.0, 1.0, 1.0)
    return seeds


def _regions(
    mean: Floats,
    skin: Flags,
    of_part: Mapping[int, Flags],
    masks: Mapping[str, Flags],
    eye_direction: Floats,
    lower: Floats,
    landmarks: Mapping[str, int],
) -> dict[str, Flags]:
    """Named vertex sets. Those of the skin overlap where names do (`lips` lie in `face`); `brows` is where brow hair
    grows."""
    x, y, z = mean.T
    weight = _rotation_weight(mean)
    outside = skin & ~masks["inside-mouth"]
    ears = masks["ears"]
    # Skin that MakeHuman's face mask leaves out lies under hair, below the nape, or inside the eye sockets.
    unmasked = outside & ~masks["face"] & ~ears & (weight > 0.9)
    sockets = unmasked & (y > 0.012) & (y <= 0.05) & (z >= 0.045)
    scalp = unmasked & ~sockets & ((y > 0.012) | ((z < 0.0) & (y > -0.045)))
    face = outside & ~ears & ~scalp & ~sockets & (weight > 0.9) & (z > 0.03)
    angle = np.degrees(np.arccos(np.clip(eye_direction[:, 2], -1, 1)))
    eye = of_part[parts.EYE]

    def near_line(names: list[str], width: float) -> Flags:
        """Face vertices within `width` of a chain of landmarks, seen from the front."""
        chain = mean[[landmarks[name] for name in names]][:, :2]
        steps = np.concatenate([np.linspace(a, b, 12) for a, b in pairwise(chain)])
        distance = np.linalg.norm(mean[:, None, :2] - steps[None], axis=2).min(axis=1)
        return np.asarray(face & (distance < width))

    brow_right = near_line([f"brow_right_{i}" for i in range(5)], 0.0055)
    brow_left = near_line([f"brow_left_{i}" for i in range(5)], 0.0055)
    root, tip = mean[landmarks["nose_bridge_0"]], mean[landmarks["nose_bridge_3"]]
    wing = abs(mean[landmarks["nose_base_0"]][0]) * 1.12
    base = mean[landmarks["nose_base_2"]]
    half_width = np.interp(y, [base[1], tip[1] + 0.004, root[1]], [wing, wing, 0.45 * wing])
    nose = face & (y < root[1]) & (y > base[1] - 0.001) & (np.abs(x) < half_width) & (z > base[2] - 0.022)
    chin_top = mean[landmarks["mouth_outer_9"]][1] - 0.006
    brow_top = mean[landmarks["brow_right_2"]][1] + 0.006
    cheek_top = mean[landmarks["eye_right_5"]][1] - 0.010
    return {
        "eyes": eye,
        "eye_left": eye & (x > 0),
        "eye_right": eye & (x < 0),
        "iris": eye & (angle < LIMBUS),
        "pupils": eye & (angle < PUPIL_EDGE),
        "eyelids": face
        & (
            masks["eyelids"]
            | near_line([f"eye_right_{i}" for i in (0, 1, 2, 3, 4, 5, 0)], 0.004)
            | near_line([f"eye_left_{i}" for i in (0, 1, 2, 3, 4, 5, 0)], 0.004)
        ),
        "lips": outside & masks["lips"],
        "brows": brow_left | brow_right,
        "brow_left": brow_left,
        "brow_right": brow_right,
        "nose": nose,
        "ears": ears & skin,
        "ear_left": ears & skin & (x > 0),
        "ear_right": ears & skin & (x < 0),
        "forehead": face & (y > brow_top),
        "cheeks": face & ~nose & ~masks["lips"] & (y < cheek_top) & (y > chin_top) & (np.abs(x) > 0.022),
        "chin": face & (y < chin_top) & (np.abs(x) < 0.025),
        "face": face,
        "scalp": scalp,
        "neck": outside & (weight <= 0.9) & (weight > 0.12) & (np.abs(x) < 0.09),
        "body": outside & (weight <= 0.12) | outside & (np.abs(x) >= 0.09) & (weight < 0.9),
        "teeth": of_part[parts.TEETH],
        "teeth_upper": of_part[parts.TEETH] & (lower < 0.002),
        "teeth_lower": of_part[parts.TEETH] & (lower >= 0.002),
        "tongue": of_part[parts.TONGUE],
        "lashes": of_part[parts.LASHES],
        "mouth_inside": of_part[parts.MOUTH_INSIDE],
    }


def _front(points: Floats, x: float, y: float) -> Floats:
    """The point nearest to (x, y) as seen from the front; of several behind each other, the front one."""
    score = np.hypot(points[:, 0] - x, points[:, 1] - y) - 0.15 * points[:, 2]
    return np.asarray(points[score.argmin()])


def _column(points: Floats, x: float, highest: bool) -> Floats:
    """The highest or lowest point near a vertical line, seen from the front; a step aside must gain more height than
    it is wide."""
    height = points[:, 1] if highest else -points[:, 1]
    return np.asarray(points[(height - 1.5 * np.abs(points[:, 0] - x)).argmax()])
