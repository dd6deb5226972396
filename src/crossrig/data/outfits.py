"""What a person code says about clothes, accessories and backdrops: from standard normals to plausible, mostly muted choices."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.accessories import Earrings, Glasses
from crossrig.data.backdrops import LAYOUT, SCENES, Backdrop
from crossrig.data.clothes import GARMENTS, Clothes
from crossrig.data.fabric import WEAVES, Pattern

RGB = tuple[float, float, float]
Codes = NDArray[np.floating]

# Head starts (standard deviations) of the kinds in the race for the largest number.
_GARMENT_BIAS: Final[dict[str, float]] = {"tee": 1.1, "turtleneck": -0.1, "shirt": 0.9, "jacket": 0.5, "hoodie": 0.25}
_SCENE_BIAS: Final[dict[str, float]] = {"studio": 1.0, "wall": 0.7, "room": 0.5, "window": 0.0, "greenery": 0.2, "open": 0.2}
_NIGHT: Final = 1.55  # "night" has no number of its own: a room or an open place far out on `side`


def _uniform(z: float) -> float:
    return 0.5 * (1.0 + math.erf(float(z) / math.sqrt(2.0)))


def _between(z: float, low: float, high: float) -> float:
    return low + (high - low) * _uniform(z)


def muted(hue: float, saturation: float, lightness: float) -> RGB:
    """Linear RGB of a hue (turns), saturation [0,1] and encoded lightness [0,1], as dyes and paints mix them."""
    # dyes of pure green and violet are rare beside those of blue, red and earth
    turn = hue % 1.0
    saturation *= 1.0 - 0.62 * math.exp(-(((turn - 0.33) / 0.16) ** 2)) - 0.65 * math.exp(-(((turn - 0.79) / 0.10) ** 2))
    wave = [math.cos(2.0 * math.pi * (hue - shift)) for shift in (0.0, 1.0 / 3.0, 2.0 / 3.0)]
    encoded = [lightness * (1.0 + saturation * (0.75 * w - 0.15)) for w in wave]
    red, green, blue = (min(max(value, 0.0), 0.97) ** 2.2 for value in encoded)
    return (red, green, blue)


def _dye(hue_z: float, saturation_z: float, lightness_z: float) -> RGB:
    """Colour of a garment: dark, grey and blue cloth is common, saturated cloth is not rare."""
    saturation = 1.0 * _uniform(saturation_z) ** 2.2
    lightness = 0.10 + 0.80 * _uniform(lightness_z) ** 1.25
    lightness = min(lightness, 0.92 - 0.45 * saturation)  # bright and saturated at once is rarely worn
    # hues crowd around blue (0.62) and red to brown (0.03) and shun green and magenta
    u = _uniform(hue_z)
    hue = u + 0.11 * math.sin(4.0 * math.pi * (u - 0.05)) / 1.3
    return muted(hue, saturation, lightness)


@dataclass(frozen=True)
class Outfit:
    """What a person wears besides hair."""

    clothes: Clothes
    glasses: Glasses | None
    earrings: Earrings | None


def dress(kind: Codes, style: Codes, femininity: float) -> Clothes:
    """Clothes from the code blocks `clothes_kind` (10) and `clothes_style` (14) and a femininity in standard deviations.

    Of `kind`, five numbers decide the garment and five the weave.
    """
    kinds = GARMENTS[:5]
    scores = [float(kind[index]) + _GARMENT_BIAS[name] for index, name in enumerate(kinds)]
    garment = kinds[int(np.argmax(scores))]
    hue, saturation, lightness, under_z, accent_z, depth, width, point, rim, cloth, opening, leaf, pattern_z, scale = (
        float(value) for value in style
    )
    if garment == "tee" and width + 0.8 * femininity > 1.5:  # the widest of necklines
        garment = "top"
    colour = _dye(hue, saturation, lightness)
    brightness = sum(colour) / 3.0
    accent = _dye(accent_z, 0.4 + 0.6 * under_z, -0.4 * lightness - 0.3)
    under = muted(0.58 + 0.1 * math.tanh(accent_z), 0.12 * _uniform(under_z), 0.93 - 0.75 * _uniform(-under_z - 1.1) ** 2)
    if garment == "jacket":  # suits are dark, grey, blue or brown
        colour = muted(0.62 if hue < 0.6 else 0.07, 0.35 * _uniform(saturation), 0.13 + 0.38 * _uniform(lightness) ** 1.4)
    elif garment == "hoodie":  # its cords are near white or black, or of its own colour
        accent = muted(0.1, 0.05, 0.1 + 0.8 * _uniform(2.0 * accent_z))
    elif garment == "shirt" and lightness + 0.6 * leaf > 0.0:  # white, pale blue and pale shirts are the most common
        colour = muted(0.62 + 0.03 * math.tanh(hue), 0.32 * _uniform(saturation - 0.6), 0.72 + 0.2 * _uniform(lightness))
        brightness = sum(colour) / 3.0
    weaves = [1.5, 0.1, -0.6, -1.2, 0.2, 0.2]
    if garment in ("turtleneck", "hoodie"):
        weaves = [1.2, -0.6, -9.0, -9.0, 0.8 if garment == "turtleneck" else -9.0, 0.6]
    elif garment == "jacket":
        weaves = [1.1, -9.0, -0.3, -9.0, -9.0, 0.6]
    elif garment == "shirt":
        weaves = [1.4, 0.3, 0.2, -0.4, -9.0, -0.3]
    numbers = [0.0, *(float(value) for value in kind[5:10])]
    weave = WEAVES[int(np.argmax([bias + number for bias, number in zip(weaves, numbers, strict=True)]))]
    partner = muted(hue * 0.21 + 0.3 * pattern_z, 0.5 * _uniform(accent_z), 0.82 if brightness < 0.18 else 0.18)
    if weave == "melange":  # fibres of one dye, lighter and darker
        partner = (0.35 * colour[0] + 0.02, 0.35 * colour[1] + 0.02, 0.35 * colour[2] + 0.02)
    repeat = {"stripes": 0.022, "plaid": 0.034, "gingham": 0.013, "rib": 0.007, "melange": 0.01, "plain": 0.02}[weave]
    contrast = {"rib": 0.6, "melange": 0.4, "jacket": 0.25}.get("jacket" if garment == "jacket" and weave == "plaid" else weave, 0.85)
    upright = garment == "shirt" and weave == "stripes"  # the stripes of shirts run down, those of tees across
    pattern = Pattern(
        weave, repeat * (0.45 if upright else 1.0) * math.exp(0.3 * math.tanh(scale)), contrast * _between(pattern_z, 0.35, 1.0),
        _between(scale, 0.3, 0.65), 0.5 * math.pi if upright else 0.0, _between(cloth, 0.05, 0.3), partner,
    )  # fmt: skip
    soft = _uniform(femininity - 0.4)
    return Clothes(
        garment=garment, colour=colour, under=under, accent=accent,
        depth=0.002 + 0.045 * _uniform(depth + 0.5 * femininity - 1.0) ** 1.5,
        width=0.040 * _uniform(width + 0.6 * femininity - 1.2) ** 1.5,
        point=_uniform(3.0 * (point - 0.7)), rim=_between(rim, 0.012, 0.026) * (1.0 - 0.35 * soft),
        thickness=_between(cloth, 0.0018, 0.0055), looseness=_between(cloth + 0.4 * rim - 0.4 * femininity, 0.25, 0.9),
        opening=_uniform(opening) ** (0.7 if garment == "jacket" else 1.2), spread=_between(leaf, 0.2, 0.9), leaf=_uniform(leaf),
        contrast_rim=_uniform(4.0 * (accent_z - 1.1)), tie=garment == "jacket" and opening - 0.9 * femininity < -0.1,
        folds=_between(scale, 0.25, 1.0), pattern=pattern, under_pattern=Pattern(grain=0.06),
        accent_pattern=Pattern("stripes", 0.014, 0.5 * _uniform(3.0 * (width - 0.3)), 0.5, 0.8, 0.1, partner)
        if garment == "jacket" else (pattern if weave == "melange" else Pattern("rib", 0.0045, 0.45, grain=0.1)),
    )  # fmt: skip


def put_on(z: Codes, femininity: float, age: float) -> tuple[Glasses | None, Earrings | None]:
    """Glasses and earrings from the code block `accessories` (8), for some people."""
    wears, shape, size, tone, dark, jewel, ring, metal = (float(value) for value in z)
    glasses = None
    if wears + 0.012 * (age - 35.0) > 0.95:
        wire = tone > 0.25
        sun = dark > 1.5
        square = _uniform(shape)
        colour: RGB = (0.5, 0.5, 0.5)
        if wire:
            colour = ((0.55, 0.42, 0.22), (0.45, 0.45, 0.46), (0.05, 0.05, 0.05))[int(3 * _uniform(metal) * 0.999)]
        else:
            hue = 0.06 + 0.04 * metal if tone > -1.2 else 0.2 * metal  # black and tortoise, sometimes any colour
            colour = muted(hue, 0.55 * _uniform(metal), 0.08 + 0.35 * _uniform(tone - 0.3) ** 2)
        glasses = Glasses(
            width=_between(size, 0.044, 0.056), height=_between(0.7 * size + 0.7 * ring, 0.029, 0.046) + (0.004 if sun else 0.0),
            squareness=square, taper=_between(-shape, 0.05, 0.38), lift=_between(0.8 * femininity + 0.5 * ring - 0.8, 0.0, 0.22),
            rim=_between(metal, 0.0005, 0.0009) if wire else _between(dark + 0.3 * size, 0.0012, 0.0026), metal=wire, colour=colour,
            tint=muted(0.07 if ring > 0.0 else 0.6, 0.3, 0.14), darkness=1.0 if sun else 0.0,
        )  # fmt: skip
    earrings = None
    if jewel + 1.1 * femininity > 1.2:
        gold = metal > -0.2
        earrings = Earrings(
            bead=_between(size, 0.0016, 0.0042), hoop=max(0.012 * (ring - 0.3), 0.0) if ring < 2.0 else 0.02,
            drop=max(0.014 * (-ring - 0.6), 0.0), colour=(0.72, 0.50, 0.20) if gold else (0.62, 0.62, 0.64),
        )  # fmt: skip
    return glasses, earrings


def surround(kind: Codes, style: Codes, defocus: float) -> Backdrop:
    """A backdrop from the code blocks `backdrop_kind` (6) and `backdrop_style` (18) and the camera's defocus in [0,1]."""
    layout: Sequence[float] = [float(value) for value in style[:LAYOUT]]
    hue, saturation, lightness, other_hue, gap, light, side, contrast, texture, vignette = (float(value) for value in style[LAYOUT:])
    scores = [float(kind[index]) + _SCENE_BIAS[name] for index, name in enumerate(SCENES[:6])]
    scene = SCENES[int(np.argmax(scores))]
    if scene in ("room", "open") and other_hue > _NIGHT - 0.5 and lightness < 0.3:
        scene = "night"
    colours = _scene_colours(scene, hue, saturation, lightness, other_hue, gap)
    return Backdrop(
        scene, *colours, tuple(layout), light=_between(light, 0.1, 0.9), side=math.tanh(side), contrast=_between(contrast, 0.25, 1.0),
        defocus=defocus, vignette=_between(vignette, 0.0, 0.8), texture=_uniform(texture),
    )  # fmt: skip


def _scene_colours(scene: str, hue: float, saturation: float, lightness: float, other: float, gap: float) -> tuple[RGB, RGB, RGB]:
    """Base, second and accent colours that belong together in a scene."""
    u, s, v = _uniform(hue), _uniform(saturation), _uniform(lightness)
    second_u, d = _uniform(other), _uniform(gap)
    if scene == "studio":
        tone = 0.14 + 0.72 * v**1.1
        strong = 0.36 * s**3
        return muted(u, strong, tone), muted(u + 0.05 * other, strong, tone * (0.25 + 0.5 * d)), muted(second_u, strong, tone)
    if scene == "wall":  # plaster, paint, wood
        tone = 0.28 + 0.6 * v
        wall_hue = 0.09 + 0.06 * hue if s < 0.75 else u
        panel = muted(0.07, 0.1 + 0.4 * d, tone * (0.45 + 0.45 * d))
        return muted(wall_hue, 0.08 + 0.22 * s**2, tone), panel, muted(second_u, 0.36 * s, 0.25 + 0.5 * d)
    if scene in ("room", "window"):
        tone = 0.2 + 0.5 * v
        base = muted(0.09 + 0.025 * hue, 0.06 + 0.22 * s**2, tone)
        return base, muted(0.06 + 0.04 * other, 0.25 + 0.4 * s, 0.15 + 0.35 * d), muted(second_u, 0.1 + 0.35 * s**2, 0.3 + 0.45 * v)
    if scene == "greenery":
        leaf = 0.26 + 0.05 * math.tanh(hue)
        bright = 0.32 + 0.25 * v
        return muted(leaf, 0.35 + 0.35 * s, bright), muted(leaf + 0.05, 0.35, 0.12 + 0.12 * d), muted(leaf - 0.07, 0.25 + 0.2 * s, 0.75)
    if scene == "open":
        sky = muted(0.58 + 0.02 * hue, 0.08 + 0.35 * s, 0.55 + 0.35 * v)
        land = muted(0.25 + 0.1 * math.tanh(other) * 1.2, 0.2 + 0.3 * d, 0.2 + 0.2 * second_u)
        return sky, land, muted(0.12 + 0.12 * d, 0.15 + 0.3 * s, 0.3 + 0.3 * v)
    lamp = muted(0.07 + 0.02 * other, 0.5 + 0.4 * s, 0.9)
    return muted(0.62 + 0.1 * hue, 0.3 + 0.3 * s, 0.10 + 0.14 * v), muted(0.58 + 0.06 * hue, 0.5, 0.55), lamp
