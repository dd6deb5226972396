"""A procedural skin model: what a face's colours can be, before principal components make a linear basis of it.

Skin tone follows melanin along anchors from very light to very dark; blood (haemoglobin) darkens green and blue; the
rest (lips, cheeks, brows, stubble, freckles, age spots, rings under the eyes, make-up, irises, teeth) are smooth
fields on the mean head, each with an amount per person. Colours are sRGB-encoded in [0, 1] throughout, except where
blood absorbs light.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from crossrig.face3d import parts
from crossrig.face3d.eyes import LIMBUS, PUPIL_EDGE
from crossrig.face3d.layout import Layout

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

#: Skin under melanin 0 (very light) .. 1 (very dark), 8-bit sRGB, spaced evenly.
SKIN_TONES = (
    np.array(
        [
            (246, 214, 190),
            (231, 196, 170),
            (211, 172, 144),
            (188, 147, 119),
            (164, 123, 97),
            (138, 100, 77),
            (112, 78, 59),
            (87, 58, 43),
            (63, 41, 30),
        ]
    )
    / 255.0
)
#: Irises from no pigment to much.
IRIS_TONES = (
    np.array(
        [(122, 150, 172), (128, 146, 150), (122, 132, 100), (126, 100, 58), (98, 64, 36), (70, 43, 25), (46, 29, 20)]
    )
    / 255.0
)
#: Absorption of blood per channel, relative; and of the brown of freckles and spots.
BLOOD = np.array([0.10, 0.62, 0.48])
BROWN = np.array([0.28, 0.48, 0.66])
LASH = np.array([26, 19, 17]) / 255.0
#: Where paint round the eyes and the nose is anchored on the mean head (right side, metres). Fixed, unlike the
#: landmarks of the same names, because moving paint even slightly reorders and flips albedo components, and networks
#: trained on their coefficients would be lost.
ANCHORS = {
    "eye_right_0": (-0.0399, 0.0214, 0.0849),
    "eye_right_1": (-0.0328, 0.0279, 0.0910),
    "eye_right_3": (-0.0194, 0.0193, 0.0840),
    "eye_right_4": (-0.0261, 0.0164, 0.0847),
    "eye_right_5": (-0.0332, 0.0148, 0.0884),
    "nose_base_0": (-0.0187, -0.0173, 0.0926),
}
SMOOTH_FIELDS = 40  # random smooth fields for the mottling of each pigment


@dataclass(frozen=True)
class SkinFields:
    """Smooth weights on the mean head, each (V,) in [0, 1], and what every vertex is made of."""

    kind: npt.NDArray[np.uint8]  # part number of each vertex, 255 = in no triangle
    eye_angle: Floats  # degrees from the eye's axis
    weights: dict[str, Floats]


@dataclass(frozen=True)
class Complexions:
    """N people. amounts: name -> (N,); colours: name -> (N, 3); mottle_melanin, mottle_blood (N, S) over the fields
    mottle (S, V)."""

    amounts: dict[str, Floats]
    colours: dict[str, Floats]
    mottle_melanin: Floats
    mottle_blood: Floats
    mottle: Floats


def srgb_decode(encoded: Floats) -> Floats:
    """sRGB-encoded [0, 1] -> linear light."""
    return np.asarray(np.where(encoded <= 0.04045, encoded / 12.92, ((np.maximum(encoded, 0) + 0.055) / 1.055) ** 2.4))


def srgb_encode(linear: Floats) -> Floats:
    """Linear light [0, 1] -> sRGB-encoded."""
    return np.asarray(
        np.where(linear <= 0.0031308, linear * 12.92, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    )


def tone(anchors: Floats, amount: Floats) -> Floats:
    """(n,) in [0, 1] -> (n, 3): piecewise linear through evenly spaced anchors."""
    stops = np.linspace(0, 1, len(anchors))
    return np.stack([np.interp(amount, stops, anchors[:, channel]) for channel in range(3)], axis=-1)


def _between(chain: Floats, count: int) -> Floats:
    """Points along a polyline (n, 3)."""
    return np.concatenate([np.linspace(a, b, count) for a, b in pairwise(chain)])


def skin_fields(
    mean: Floats, layout: Layout, part: npt.NDArray[np.uint8], faces: Integers, eye_direction: Floats
) -> SkinFields:
    """Define the fields on the mean head (V, 3)."""
    kind = np.full(len(mean), 255, dtype=np.uint8)
    for number in (parts.MOUTH_INSIDE, parts.SKIN, parts.EYE, parts.TEETH, parts.TONGUE, parts.LASHES):
        kind[faces[part == number].ravel()] = number
    point = {name: mean[index] for name, index in layout.landmarks.items()}
    for name, place in ANCHORS.items():
        point[name] = mean[np.linalg.norm(mean - place, axis=1).argmin()]
    x, y, z = mean.T

    def blob(centre: Floats, reach: float, mirrored: bool = True) -> Floats:
        """A soft spot around a point and its mirror image."""
        distance = np.linalg.norm(mean - centre, axis=1)
        if mirrored:
            distance = np.minimum(distance, np.linalg.norm(mean - centre * (-1, 1, 1), axis=1))
        return np.asarray(np.exp(-0.5 * (distance / reach) ** 2))

    def near(names: list[str], reach: float, closed: bool = False) -> Floats:
        """A soft band along a chain of landmarks of the right half, and its mirror image."""
        chain = np.array([point[name] for name in (names + names[:1] if closed else names)])
        steps = _between(chain, 10)
        steps = np.concatenate([steps, steps * (-1, 1, 1)])
        distance = np.linalg.norm(mean[:, None] - steps[None], axis=2).min(axis=1)
        return np.asarray(np.exp(-0.5 * (distance / reach) ** 2))

    def ramp(value: Floats, low: float, high: float) -> Floats:
        t = np.clip((value - low) / (high - low), 0, 1)
        return t * t * (3 - 2 * t)

    def member(name: str) -> Floats:
        flags = np.zeros(len(mean))
        flags[layout.regions[name]] = 1.0
        return flags

    neighbours = np.concatenate([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    degree = np.maximum(np.bincount(neighbours.ravel(), minlength=len(mean)), 1)

    def smoothed(field: Floats, times: int) -> Floats:
        """Average each vertex with its neighbours: the edge of a region becomes soft."""
        for _ in range(times):
            total = np.bincount(neighbours[:, 0], field[neighbours[:, 1]], len(mean))
            total += np.bincount(neighbours[:, 1], field[neighbours[:, 0]], len(mean))
            field = 0.5 * field + 0.5 * total / degree
        return field

    eye = (point["eye_right_0"] + point["eye_right_3"]) / 2
    lid_low = (point["eye_right_4"] + point["eye_right_5"]) / 2
    lid_top = (point["eye_right_1"] + point["eye_right_2"]) / 2
    corner, chin, wing = point["mouth_outer_0"], point["jaw_8"], point["nose_base_0"]
    cheek = np.array([1.25 * eye[0], (eye[1] + corner[1]) / 2 + 0.004, eye[2] - 0.004])
    tip = point["nose_bridge_3"]
    front = ramp(z, 0.0, 0.05)
    lips = smoothed(member("lips"), 2)
    jaw_low = ramp(-y, -(corner[1] + 0.012), -(corner[1] - 0.006))
    moustache = (
        np.exp(-0.5 * ((y - (corner[1] + tip[1]) / 2 + 0.004) / 0.008) ** 2) * ramp(-np.abs(x), -0.032, -0.018) * front
    )
    side = ramp(np.abs(x), 0.040, 0.055) * ramp(z, 0.005, 0.03) * ramp(-z, -0.075, -0.055) * ramp(-y, -0.01, 0.03)
    lower_face = jaw_low * ramp(y, -0.135, -0.100) * ramp(z, 0.0, 0.035)
    beard = np.clip(np.maximum(np.maximum(moustache, lower_face), side) * (1 - lips) * (1 - member("ears")), 0, 1)
    brow = near([f"brow_right_{i}" for i in range(5)], 0.0042)
    return SkinFields(
        kind=kind,
        eye_angle=np.degrees(np.arccos(np.clip(eye_direction[:, 2], -1, 1))),
        weights={
            "lips": lips,
            "cheeks": blob(cheek, 0.016) * front,
            "nose": np.maximum(blob(tip, 0.011, mirrored=False), 0.8 * blob(wing + np.array([0, 0.006, 0]), 0.007)),
            "ears": member("ears"),
            "brows": brow * (1 - lips),
            "beard": beard,
            "under_eye": blob(lid_low + np.array([0.002, -0.0065, 0]), 0.0065),
            "upper_lid": blob(lid_top + np.array([0, 0.0035, 0]), 0.0058) * ramp(y, lid_low[1], lid_top[1]),
            "lash_line": near([f"eye_right_{i}" for i in range(6)], 0.0013, closed=True),
            "upper_face": ramp(y, -0.02, 0.06) * front,
            "freckle_zone": np.maximum(
                blob(cheek + np.array([0.008, 0.006, 0]), 0.020), blob(point["nose_bridge_2"], 0.018, mirrored=False)
            )
            * front,
            "old_zone": np.maximum(ramp(np.abs(x), 0.03, 0.06), ramp(y, 0.05, 0.08)) * ramp(z, -0.05, 0.03),
            "chin": blob(chin + np.array([0, 0.018, 0.004]), 0.014, mirrored=False),
            "smile_fold": near(["nose_base_0", "mouth_outer_0"], 0.005),
            "torso": ramp(-y, 0.09, 0.16),
            "socket": blob(eye, 0.019),
        },
    )


def sample_complexions(count: int, vertices: int, mean: Floats, rng: np.random.Generator) -> Complexions:
    """Sample `count` people. Skin tones cover very light to very dark evenly; make-up, stubble and spots are on some
    people only."""

    def some(share: float, low: float, high: float) -> Floats:
        return np.where(rng.random(count) < share, rng.uniform(low, high, count), 0.0)

    melanin = rng.beta(1.5, 1.5, count)
    iris = np.clip(0.30 + 0.75 * melanin + rng.normal(0, 0.26, count), 0, 1)
    amounts = {
        "melanin": melanin,
        "blood": rng.normal(0, 0.07, count),
        "yellow": rng.normal(0, 0.045, count),
        "cheek_blood": rng.normal(0.16, 0.11, count),
        "nose_blood": rng.normal(0.14, 0.10, count),
        "ear_blood": rng.normal(0.20, 0.12, count),
        "lip_blood": rng.normal(0.66, 0.11, count),
        "lip_brown": rng.normal(0.10, 0.07, count) + 0.12 * melanin,
        "brows": rng.uniform(0.1, 0.7, count),
        "stubble": some(0.5, 0.05, 0.45),
        "under_eye": rng.normal(0.16, 0.11, count),
        "socket": rng.normal(0.10, 0.10, count),
        "freckles": some(0.35, 0.05, 0.45) * (1 - melanin),
        "age_spots": some(0.35, 0.05, 0.35),
        "sun": rng.normal(0.05, 0.08, count),
        "torso": rng.normal(0.0, 0.06, count),
        "chin": rng.normal(0.0, 0.10, count),
        "folds": np.abs(rng.normal(0.0, 0.10, count)),
        "lipstick": some(0.35, 0.1, 0.5),
        "eye_shadow": some(0.3, 0.1, 0.45),
        "eye_liner": some(0.35, 0.1, 0.5) + 0.1,
        "blush": some(0.3, 0.05, 0.22),
        "iris": iris,
        "iris_ring": rng.uniform(0.25, 0.8, count),
        "sclera": rng.uniform(0.0, 1.0, count),
        "teeth": rng.uniform(0.0, 1.0, count),
        "tongue": rng.normal(0.0, 0.5, count),
    }
    lipstick = (
        np.array([(176, 40, 48), (190, 70, 84), (150, 44, 62), (196, 104, 98), (124, 50, 50), (200, 86, 70)]) / 255
    )
    shadow = np.array([(92, 70, 62), (66, 56, 62), (140, 96, 84), (88, 92, 112), (116, 86, 112), (76, 84, 76)]) / 255
    colours = {
        "lipstick": rng.dirichlet(np.full(len(lipstick), 0.5), count) @ lipstick,
        "eye_shadow": rng.dirichlet(np.full(len(shadow), 0.5), count) @ shadow,
        "iris": np.clip(
            tone(IRIS_TONES, iris) * (1 + rng.normal(0, 0.06, (count, 3))) * rng.uniform(0.85, 1.2, (count, 1)), 0, 1
        ),
    }
    # Mottling: cosines of 3 to 12 cm wavelength, half of them symmetric.
    wave = rng.normal(0, 1, (SMOOTH_FIELDS, 3))
    wave *= (2 * np.pi / rng.uniform(0.03, 0.12, (SMOOTH_FIELDS, 1))) / np.linalg.norm(wave, axis=1, keepdims=True)
    phase = rng.uniform(0, 2 * np.pi, (SMOOTH_FIELDS, 1))
    place = mean.T.copy()
    mirrored = np.stack([np.abs(place[0]), place[1], place[2]])
    symmetric = np.arange(SMOOTH_FIELDS)[:, None] % 2 == 0
    mottle = np.where(symmetric, np.cos(wave @ mirrored + phase), np.cos(wave @ place + phase))
    return Complexions(
        amounts=amounts,
        colours=colours,
        mottle_melanin=rng.normal(0, 0.0045, (count, SMOOTH_FIELDS)),
        mottle_blood=rng.normal(0, 0.011, (count, SMOOTH_FIELDS)),
        mottle=mottle,
    )


def paint(fields: SkinFields, people: Complexions, row: int) -> Floats:
    """(V, 3) sRGB-encoded colours of person number `row`."""
    w = fields.weights
    a = {name: float(values[row]) for name, values in people.amounts.items()}
    light = 1 - a["melanin"]
    melanin = (
        a["melanin"]
        + people.mottle_melanin[row] @ people.mottle
        + a["sun"] * w["upper_face"] * light
        + a["torso"] * w["torso"]
    )
    melanin = melanin + 0.22 * a["socket"] * w["socket"] + 0.10 * a["under_eye"] * w["under_eye"]
    blood = a["blood"] + people.mottle_blood[row] @ people.mottle
    blood = (
        blood
        + a["cheek_blood"] * w["cheeks"]
        + a["nose_blood"] * w["nose"]
        + a["ear_blood"] * w["ears"]
        + a["chin"] * w["chin"]
    )
    blood = (
        blood
        + 0.5 * a["under_eye"] * w["under_eye"]
        + a["lip_blood"] * w["lips"]
        + a["blush"] * w["cheeks"]
        + a["folds"] * w["smile_fold"]
    )
    brown = a["freckles"] * w["freckle_zone"] + 0.5 * a["age_spots"] * w["old_zone"] + a["lip_brown"] * w["lips"]
    skin = srgb_decode(tone(SKIN_TONES, np.clip(melanin, 0, 1)))
    # blood shows less through dark skin
    skin = skin * np.exp(-(0.35 + 0.65 * light) * blood[:, None] * BLOOD - brown[:, None] * BROWN)
    skin[:, 2] *= np.exp(-a["yellow"])
    skin = srgb_encode(np.clip(skin, 0, 1))
    hair = (LASH + 0.10 * np.array([1.0, 0.75, 0.6]) * light) * 1.2
    skin = _mix(skin, hair, a["brows"] * 0.62 * w["brows"])
    skin = _mix(skin, skin * (0.55, 0.57, 0.62), a["stubble"] * 0.8 * w["beard"])
    skin = _mix(skin, people.colours["lipstick"][row], a["lipstick"] * w["lips"])
    skin = _mix(skin, people.colours["eye_shadow"][row] * (0.5 + 0.5 * light), a["eye_shadow"] * 0.8 * w["upper_lid"])
    skin = _mix(skin, LASH, np.minimum(a["eye_liner"], 1.0) * 0.75 * w["lash_line"])
    colour = np.zeros_like(skin)
    kind = fields.kind
    colour[kind == parts.SKIN] = skin[kind == parts.SKIN]
    colour[kind == parts.EYE] = _eye(fields.eye_angle[kind == parts.EYE], people.colours["iris"][row], a)
    colour[kind == parts.TEETH] = (
        np.array([0.93, 0.90, 0.84]) * (1 - 0.10 * a["teeth"]) - np.array([0, 0.02, 0.08]) * a["teeth"]
    )
    colour[kind == parts.TONGUE] = np.array([0.70, 0.36, 0.37]) * (1 + 0.06 * a["tongue"]) * (1 - 0.15 * a["melanin"])
    colour[kind == parts.MOUTH_INSIDE] = np.array([0.36, 0.14, 0.14]) * (1 - 0.25 * a["melanin"])
    colour[kind == parts.LASHES] = LASH
    return np.asarray(np.clip(colour, 0, 1), dtype=np.float64)


def _mix(base: Floats, over: Floats, amount: Floats) -> Floats:
    share = np.clip(amount, 0, 1)[:, None]
    return base * (1 - share) + over * share


def _eye(angle: Floats, iris: Floats, a: dict[str, float]) -> Floats:
    """Pupil, iris with a darker ring at its edge, white with a warmer rim."""
    white = np.array([0.91, 0.88, 0.86]) - a["sclera"] * np.array([0.02, 0.05, 0.08])
    rim = white * (0.93, 0.82, 0.80)
    colour = white + np.clip((angle - 40) / 35, 0, 1)[:, None] * (rim - white)
    colour[angle < LIMBUS] = iris
    colour[(angle > 19) & (angle < 21.5)] = iris * (1 - 0.35 * a["iris_ring"])
    colour[(angle >= 21.5) & (angle < LIMBUS)] = iris * (1 - 0.75 * a["iris_ring"])
    colour[angle < PUPIL_EDGE] = 0.03
    return colour


def measure_complexions(people: Complexions, painted: Floats, layout: Layout) -> dict[str, Floats]:
    """Properties (N,) that become albedo controls: amounts of paint, and redness where it is what one sees (N, V,
    3)."""
    a = people.amounts

    def redness(region: str) -> Floats:
        colours = painted[:, layout.regions[region]].mean(axis=1)
        return np.asarray(colours[:, 0] - colours[:, 1])

    return {
        "skinTone": a["melanin"],
        "blood": a["blood"],
        "yellowness": a["yellow"],
        "cheekRedness": redness("cheeks") - redness("forehead"),
        "noseRedness": redness("nose") - redness("forehead"),
        "lipRedness": redness("lips") - redness("chin"),
        "lipstick": a["lipstick"],
        "browDarkness": a["brows"],
        "stubble": a["stubble"],
        "underEyeDarkness": a["under_eye"],
        "freckles": a["freckles"],
        "ageSpots": a["age_spots"],
        "eyeShadow": a["eye_shadow"],
        "eyeLiner": a["eye_liner"],
        "irisDarkness": a["iris"],
        "teethYellowness": a["teeth"],
    }
