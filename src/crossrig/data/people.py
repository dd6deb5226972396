"""The person code: standard normals that decide everything large about a portrait, and what they decide.

A generator is trained to turn the code into the picture, so every factor is a smooth function of its own named block of the code wherever
nature allows; only kinds (hair cut, garment, backdrop) are decided by the largest of a few numbers.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.accessories import Earrings, Glasses
from crossrig.data.backdrops import Backdrop
from crossrig.data.beard import BeardStyle, beard_style
from crossrig.data.brows import BrowStyle, brow_style
from crossrig.data.clothes import Clothes
from crossrig.data.hair import VARIATIONS, HairStyle, vary
from crossrig.data.lights import LUMINANCE, Lamp, Lighting, facing_luminance, warmth_colour
from crossrig.data.outfits import dress, put_on, surround
from crossrig.face3d.blocks import EXPRESSION_UNITS
from crossrig.face3d.head import HeadArrays, load_head

if TYPE_CHECKING:  # processes that only draw people start without torch
    from crossrig.face3d.params import FaceParams

Floats = NDArray[np.float32]
Colour = tuple[float, float, float]

#: Block name -> number of standard normals, in order. The meaning of a block never changes; spare numbers stay for later factors.
CODE_BLOCKS: Final[Mapping[str, int]] = MappingProxyType(
    {
        "shape": 80,
        "albedo": 48,
        "drivers": 24,  # correlated expressions: smile, jaw, brows, gaze ...
        "units": 52,  # single face units on their own
        "light": 24,
        "pose": 6,
        "eyes": 8,
        "skin": 12,
        "hair_cut": 20,  # the largest decides
        "hair_style": 20,
        "hair_colour": 6,
        "brows": 6,
        "beard_kind": 6,  # the largest decides
        "beard_style": 8,
        "makeup": 6,
        "clothes_kind": 10,  # the largest decides
        "clothes_style": 14,
        "accessories": 8,
        "backdrop_kind": 6,  # the largest decides
        "backdrop_style": 18,
        "camera": 6,
    }
)

#: Length of a person code.
CODE_SIZE: Final = sum(CODE_BLOCKS.values())

_UNIT_INDEX: Final[Mapping[str, int]] = MappingProxyType({name: index for index, name in enumerate(EXPRESSION_UNITS)})
_RARE_UNITS: Final = tuple(name.startswith(("eyeBlink", "eyeLook", "tongue")) for name in EXPRESSION_UNITS)


def split_code(code: NDArray[np.floating]) -> dict[str, NDArray[np.float64]]:
    """A code (CODE_SIZE,) as named blocks. Raises ValueError for another shape."""
    values = np.asarray(code, dtype=np.float64)
    if values.shape != (CODE_SIZE,):
        raise ValueError(f"a person code has shape ({CODE_SIZE},), not {values.shape}")
    result, start = {}, 0
    for name, size in CODE_BLOCKS.items():
        result[name] = values[start : start + size]
        start += size
    return result


def sample_code(seed: int, index: int) -> tuple[Floats, int]:
    """Code (CODE_SIZE,) float32 and detail seed of person `index` of stream `seed`; independent of any other index."""
    rng = np.random.default_rng([seed, index])
    return rng.standard_normal(CODE_SIZE).astype(np.float32), int(rng.integers(2**31))


def uniform(z: float) -> float:
    """Standard normal -> uniform on [0, 1], smoothly."""
    return 0.5 * (1.0 + math.erf(z / math.sqrt(2.0)))


def between(z: float, low: float, high: float) -> float:
    """Standard normal -> uniform on [low, high]."""
    return low + (high - low) * uniform(z)


def above(z: float, threshold: float, width: float = 0.15) -> float:
    """Smooth max(z - threshold, 0): rare factors that are off for most people."""
    x = (z - threshold) / width
    return width * (x if x > 30 else math.log1p(math.exp(x)))


def squash(z: float, limit: float) -> float:
    """Bell shape with ends: z near zero, +-limit far out."""
    return limit * math.tanh(z / limit)


def switch(z: float, threshold: float, width: float = 0.12) -> float:
    """Smooth step from 0 to 1 where z passes the threshold."""
    return 0.5 * (1.0 + math.tanh((z - threshold) / width))


# ------------------------------------------------------------------------------------------------------------------ what a person is


@dataclass(frozen=True)
class Eyes:
    """Iris colours (linear RGB) of the ring and around the pupil, sizes as angles seen from the centre of the ball (radians)."""

    outer: Colour
    inner: Colour
    iris: float
    pupil: float
    fibres: float  # contrast of the radial fibres
    redness: float  # of the white
    offset: float  # of the pattern


@dataclass(frozen=True)
class SkinDetail:
    """Amounts in [0, 1] (0 = none) of what lies on the skin beyond the albedo basis."""

    mottling: float
    freckles: float
    blemishes: float
    moles: float
    roughness: float  # relief: pores and fine lines
    sheen: float
    flush: float
    wrinkles: float
    under_eye: float
    lipstick: float
    lip_colour: Colour
    gloss: float
    liner: float
    shadow: float
    shadow_colour: Colour
    blush: float


@dataclass(frozen=True)
class CameraLook:
    """What the camera does to the picture."""

    noise: float  # standard deviation, 8-bit steps
    blur: float  # pixels at 128
    vignette: float
    contrast: float
    saturation: float
    defocus: float  # of the backdrop


@dataclass(frozen=True)
class Traits:
    """Facts that several makers agree on."""

    femininity: float  # standard deviations along the gender direction
    age: float  # years, roughly
    skin: Colour  # mean skin albedo, linear RGB
    darkness: float  # of the skin, 0 very light .. 1 very dark


@dataclass(frozen=True)
class Person:
    """Everything about a portrait but its pixels. `blocks` are the FaceParams blocks as float32 vectors (the exact label)."""

    code: Floats
    detail_seed: int
    blocks: Mapping[str, Floats]
    traits: Traits
    lighting: Lighting
    eyes: Eyes
    skin: SkinDetail
    hair: HairStyle
    brows: BrowStyle
    beard: BeardStyle | None
    clothes: Clothes
    glasses: Glasses | None
    earrings: Earrings | None
    backdrop: Backdrop
    camera: CameraLook

    def params(self) -> FaceParams:
        """The label as FaceParams with batch size one."""
        import torch

        from crossrig.face3d.params import FaceParams

        return FaceParams(**{name: torch.from_numpy(values.copy())[None] for name, values in self.blocks.items()})

    def rng(self, purpose: int) -> np.random.Generator:
        """Random numbers for details too small for the code, an independent stream for each purpose."""
        return np.random.default_rng(np.array([self.detail_seed, purpose], np.uint32))


# ---------------------------------------------------------------------------------------------------------------------- from the code


def _expression(drivers: NDArray[np.float64], units: NDArray[np.float64], rotation: Floats) -> Floats:
    """Face units (52,) in [0, 1]. Most faces are mild; every unit also occurs on its own."""
    weight = [0.0] * len(EXPRESSION_UNITS)

    def add(name: str, value: float) -> None:
        weight[_UNIT_INDEX[name]] += value

    def both(name: str, value: float, tilt: float = 0.0) -> None:
        add(name + "Left", value * (1.0 + tilt))
        add(name + "Right", value * (1.0 - tilt))

    (smile_z, frown_z, jaw_z, brow_z, brow_tilt, sad_z, lid_z, wink_z, look_x, look_y, pucker_z, funnel_z, jaw_side, mouth_side, sneer_z,
     puff_z, press_z, roll_z, shrug_z, stretch_z, lower_z, upper_z, contact_z, tilt_z) = drivers.tolist()  # fmt: skip
    tilt = squash(0.12 * tilt_z, 0.4)

    smile = 0.55 * above(smile_z, -0.1)
    both("mouthSmile", smile, tilt)
    both("cheekSquint", 0.5 * smile)
    both("eyeSquint", 0.22 * smile)
    both("mouthDimple", 0.15 * smile)
    both("mouthUpperUp", 0.3 * above(smile, 0.35, 0.08))
    both("mouthLowerDown", 0.25 * above(smile, 0.45, 0.08))
    add("jawOpen", 0.2 * above(smile, 0.4, 0.08))

    frown = 0.55 * above(frown_z, 0.7)
    both("mouthFrown", frown, -tilt)
    both("browDown", 0.35 * frown)
    add("mouthShrugLower", 0.25 * frown)

    jaw = 0.36 * above(jaw_z, 0.35)
    add("jawOpen", jaw)
    both("mouthLowerDown", 0.15 * jaw)
    raise_ = 0.5 * above(brow_z, 0.35)
    add("browInnerUp", raise_)
    both("browOuterUp", 0.9 * raise_, squash(0.5 * brow_tilt, 0.9))
    lower = 0.5 * above(-brow_z, 0.5)
    both("browDown", lower, squash(0.2 * brow_tilt, 0.5))
    both("noseSneer", 0.15 * lower)
    add("browInnerUp", 0.45 * above(sad_z, 0.9))

    both("eyeBlink", 0.9 * above(lid_z, 1.45))
    both("eyeWide", 0.5 * above(-lid_z, 0.9))
    add("eyeBlinkLeft", 1.2 * above(wink_z, 2.0))
    add("eyeBlinkRight", 1.2 * above(-wink_z, 2.0))

    # Most people look into the camera, whatever way the head is turned, as far as the eyes reach.
    contact = uniform(contact_z + 0.6)
    pitch, yaw = float(rotation[0]), float(rotation[1])
    across = 0.42 * look_x - 1.3 * contact * squash(yaw, 0.6)  # towards the own left
    upward = 0.26 * look_y - 1.0 * contact * squash(pitch, 0.4)
    add("eyeLookOutLeft", above(across, 0.0, 0.03))
    add("eyeLookInRight", above(across, 0.0, 0.03))
    add("eyeLookInLeft", above(-across, 0.0, 0.03))
    add("eyeLookOutRight", above(-across, 0.0, 0.03))
    both("eyeLookUp", above(upward, 0.0, 0.03))
    both("eyeLookDown", above(-upward, 0.0, 0.03))

    add("mouthPucker", 0.6 * above(pucker_z, 1.0))
    add("mouthFunnel", 0.5 * above(funnel_z, 1.1))
    add("jawLeft", 0.4 * above(jaw_side, 1.1))
    add("jawRight", 0.4 * above(-jaw_side, 1.1))
    add("mouthLeft", 0.4 * above(mouth_side, 1.0))
    add("mouthRight", 0.4 * above(-mouth_side, 1.0))
    both("noseSneer", 0.5 * above(sneer_z, 1.0), tilt)
    add("cheekPuff", 0.6 * above(puff_z, 1.3))
    both("mouthPress", 0.5 * above(press_z, 0.8), tilt)
    add("mouthRollLower", 0.4 * above(roll_z, 0.9))
    add("mouthRollUpper", 0.35 * above(-roll_z, 0.9))
    add("mouthShrugLower", 0.4 * above(shrug_z, 0.9))
    add("mouthShrugUpper", 0.3 * above(shrug_z, 1.1))
    both("mouthStretch", 0.45 * above(stretch_z, 1.0), tilt)
    both("mouthLowerDown", 0.45 * above(lower_z, 0.9), tilt)
    both("mouthUpperUp", 0.4 * above(upper_z, 0.9), -tilt)

    # Lids and gaze move on their own rarely: one closed or squinting eye is not what most pictures show.
    for index, (rare, unit) in enumerate(zip(_RARE_UNITS, units.tolist(), strict=True)):
        weight[index] += (0.25 if rare else 0.4) * above(unit, 1.9 if rare else 1.35)
    add("tongueOut", 0.4 * above(jaw_z, 2.3))

    return np.tanh(weight).astype(np.float32)


def _pose(z: NDArray[np.float64]) -> tuple[Floats, Floats]:
    """Rotation (pitch, yaw, roll) in radians and translation in metres."""
    yaw = squash(math.radians(22.5) * z[1], math.radians(64)) * 1.02
    rotation = np.array([squash(math.radians(9) * z[0], math.radians(26)), yaw, squash(math.radians(7) * z[2], math.radians(24))])
    limit = math.radians(60)
    rotation = np.clip(rotation, -limit, limit)
    translation = np.array([squash(0.008 * z[3], 0.025), squash(0.008 * z[4], 0.025), squash(0.08 * z[5], 0.2)])
    return rotation.astype(np.float32), translation.astype(np.float32)


def _lighting(z: NDArray[np.float64], skin: Colour) -> Lighting:
    """Surround, key, fill and sometimes a rim light; exposure set as by a light meter held to the face."""
    (level, slope, warm_above, warm_below, azimuth, elevation, warmth, ratio, softness, fill, fill_azimuth, fill_warmth, rim, rim_side,
     rim_elevation, rim_hue, exposure, gel, gel_hue, *_) = z.tolist()  # fmt: skip
    surround = 0.5 * math.exp(squash(0.4 * level, 1.0))
    tilt = squash(0.22 + 0.3 * slope, 0.75)
    mood = 0.45 * warmth
    above_colour = np.array(warmth_colour(squash(0.45 * warm_above + 0.4 * mood, 1.2))) * surround * (1 + tilt)
    below_colour = np.array(warmth_colour(squash(0.45 * warm_below + 0.25, 1.2))) * surround * (1 - tilt)

    strength = 1.0 * math.exp(squash(0.6 * ratio, 1.5))
    key_azimuth = squash(math.radians(48) * azimuth, math.radians(105))
    colour = np.array(warmth_colour(squash(mood, 1.3)))
    # Coloured gels are rare; they tint the key towards one hue.
    tint = 0.5 + 0.5 * np.cos(2.2 * gel_hue + np.array([0.0, 2.1, 4.2]))
    amount = min(0.6 * above(gel, 1.5), 0.7)
    colour = colour * (1 - amount) + amount * tint / max(float(tint @ LUMINANCE), 0.25)
    key_elevation = math.radians(22) + squash(math.radians(20) * elevation, math.radians(42))
    key = Lamp(key_azimuth, key_elevation, _rgb(colour * strength), uniform(softness))

    fill_strength = 0.3 * strength * uniform(fill)
    fill_tone = np.array(warmth_colour(squash(0.5 * fill_warmth - 0.2 * mood, 1.2)))
    side = -squash(key_azimuth * 1.2, 1.2) + math.radians(25) * fill_azimuth
    second = Lamp(float(side), math.radians(8), _rgb(fill_tone * fill_strength), 0.8)

    rim_strength = 0.7 * above(rim, 0.5)
    rim_tone = np.array(warmth_colour(squash(0.7 * rim_hue, 1.5)))
    rim_azimuth = math.radians(150) * math.tanh(3 * rim_side)
    third = Lamp(rim_azimuth, math.radians(25 + squash(12 * rim_elevation, 25)), _rgb(rim_tone * rim_strength), 0.3)

    light = Lighting(_rgb(above_colour), _rgb(below_colour), (key, second, third))
    brightness = float(np.array(skin) @ LUMINANCE)
    target = 0.31 * math.exp(squash(0.2 * exposure, 0.5)) * (brightness / 0.34) ** 0.52
    return light.scaled(target / max(facing_luminance(light, np.array(skin)), 1e-4))


def _rgb(values: NDArray[np.floating] | Sequence[float]) -> Colour:
    return (float(values[0]), float(values[1]), float(values[2]))


def palette(position: float, stops: Sequence[Colour]) -> NDArray[np.float64]:
    """Colour at `position` in [0, 1] along stops of linear RGB, interpolated as encoded values."""
    table = np.sqrt(np.array(stops))
    place = min(max(position, 0.0), 1.0) * (len(stops) - 1)
    left = min(int(place), len(stops) - 2)
    mixed = table[left] + (place - left) * (table[left + 1] - table[left])
    return np.asarray(mixed**2)


_HAIR: Final[Sequence[Colour]] = (
    (0.010, 0.008, 0.007), (0.018, 0.012, 0.009), (0.040, 0.023, 0.014), (0.075, 0.042, 0.024), (0.13, 0.077, 0.042), (0.22, 0.14, 0.075),
    (0.36, 0.25, 0.135), (0.52, 0.40, 0.24),
)  # fmt: skip


def _hair_colour(z: NDArray[np.float64], traits: Traits) -> tuple[Colour, float]:
    """Natural hair (linear RGB) and its share of white: darker on darker skin, greyer with age; dyes are rare."""
    shade, red, grey, dye, dye_hue, light = z
    position = uniform(shade) ** (1.05 + 3.5 * traits.darkness**1.5)
    colour = palette(position, _HAIR)
    ginger = switch(red, 1.45, 0.25) * (1 - traits.darkness)
    colour = colour * (1 - ginger) + ginger * np.array([0.23, 0.068, 0.022]) * math.exp(0.35 * light)
    dyed = 0.8 * switch(dye, 2.25, 0.1)
    tint = 0.5 + 0.5 * np.cos(3 * dye_hue + np.array([0.0, 2.1, 4.2]))
    return _rgb(colour * (1 - dyed) + dyed * (0.02 + 0.3 * tint**2)), switch(traits.age + 9 * grey, 64, 8) * (1 - dyed)


#: Cut -> how common it is, how much more so per sd of femininity, on dark skin, and per 20 years beyond 40 (all in sd of the code).
_CUT_HABITS: Final[Mapping[str, tuple[float, float, float, float]]] = MappingProxyType(
    {
        "bald": (-1.5, -0.5, 0.0, 0.2),
        "buzz": (-0.5, -0.8, 0.6, 0.0),
        "crop": (0.3, -0.5, 0.0, 0.1),
        "crew": (0.0, -0.8, 0.0, 0.0),
        "side part": (0.3, -0.7, -0.6, 0.2),
        "quiff": (0.0, -0.6, -0.5, -0.2),
        "slick back": (-0.3, -0.2, -0.4, 0.1),
        "bowl": (-1.2, 0.0, -0.6, -0.3),
        "curly": (0.0, 0.0, 0.2, 0.0),
        "afro": (-1.3, 0.0, 1.9, 0.0),
        "bob": (0.0, 0.7, -0.3, 0.2),
        "long straight": (0.0, 0.8, -0.3, -0.2),
        "long wavy": (0.2, 0.8, -0.3, -0.1),
        "long curly": (0.0, 0.7, 0.5, -0.1),
        "long fringe": (-0.1, 0.8, -0.3, -0.2),
        "ponytail": (0.0, 0.7, 0.1, -0.1),
        "bun": (-0.1, 0.6, 0.2, 0.1),
        "updo": (-0.2, 0.8, 0.0, 0.2),
        "horseshoe": (-1.2, -0.6, 0.0, 0.8),
    }
)


def _hair(cut: NDArray[np.float64], style: NDArray[np.float64], colour: NDArray[np.float64], traits: Traits) -> HairStyle:
    later = (traits.age - 40) / 20
    votes = [
        cut[number] + common + woman * traits.femininity + dark * traits.darkness + old * later
        for number, (common, woman, dark, old) in enumerate(_CUT_HABITS.values())
    ]
    name = list(_CUT_HABITS)[int(np.argmax(votes))]
    tone, white = _hair_colour(colour, traits)
    masculine = uniform(-1.6 * traits.femininity) * min(max((traits.age - 22) / 30, 0.0), 1.0)
    return vary(name, style[: len(VARIATIONS)], tone, white, masculine)


def _brows(z: NDArray[np.float64], hair: HairStyle, lashes: float, traits: Traits) -> BrowStyle:
    """Brows are hair a little darker than on the head, and keep their colour longer."""
    tone = np.minimum(0.62 * np.array(hair.colour), [0.085, 0.055, 0.034])
    return brow_style(z, _rgb(tone), 0.5 * hair.greyness, uniform(-1.4 * traits.femininity), lashes)


#: How common each kind of beard is, in sd of the code.
_BEARD_HABITS: Final[Mapping[str, float]] = MappingProxyType(
    {"shaved": 1.1, "stubble": 0.5, "moustache": -0.7, "goatee": -0.1, "full": 0.1, "long": -1.0}
)


def _beard(kind: NDArray[np.float64], style: NDArray[np.float64], hair: HairStyle, traits: Traits) -> BeardStyle | None:
    if traits.femininity > 0.1 - 0.01 * (traits.age - 40):
        return None
    votes = [number + common for number, common in zip(kind, _BEARD_HABITS.values(), strict=True)]
    name = list(_BEARD_HABITS)[int(np.argmax(votes))]
    return beard_style(name, style, _rgb(np.array(hair.colour) * [0.95, 0.85, 0.8]), hair.greyness)


_IRIS: Final[Sequence[tuple[Colour, Colour]]] = (
    ((0.018, 0.008, 0.004), (0.030, 0.013, 0.006)),  # very dark brown
    ((0.040, 0.018, 0.008), (0.075, 0.032, 0.012)),  # brown
    ((0.080, 0.045, 0.017), (0.15, 0.075, 0.022)),  # light brown
    ((0.085, 0.085, 0.035), (0.17, 0.11, 0.035)),  # hazel
    ((0.070, 0.115, 0.070), (0.15, 0.15, 0.07)),  # green
    ((0.085, 0.12, 0.13), (0.15, 0.17, 0.15)),  # grey
    ((0.055, 0.115, 0.21), (0.14, 0.21, 0.26)),  # blue
    ((0.11, 0.19, 0.30), (0.22, 0.30, 0.36)),  # light blue
)


def _eyes(z: NDArray[np.float64], albedo: Floats, traits: Traits) -> Eyes:
    # The albedo block knows dark from light irises; hue is the code's own.
    pale = 0.75 * -float(albedo @ population().complexion["irisDarkness"]) + 0.66 * z[0]
    position = uniform(pale) ** (1.0 + 7.0 * traits.darkness**1.3)
    brightness = math.exp(squash(0.2 * z[1], 0.6))
    outer = palette(position, [pair[0] for pair in _IRIS]) * brightness
    inner = palette(position, [pair[1] for pair in _IRIS]) * brightness
    return Eyes(
        outer=_rgb(outer), inner=_rgb(inner), iris=math.radians(23.5 + squash(0.8 * z[2], 1.8)),
        pupil=math.radians(8.8 + squash(1.6 * z[3], 3.4)), fibres=between(z[4], 0.2, 0.9), redness=between(z[5], 0.0, 1.0) ** 2,
        offset=between(z[6], 0.0, 1.0),
    )  # fmt: skip


def _skin_detail(z: NDArray[np.float64], makeup: NDArray[np.float64], traits: Traits) -> SkinDetail:
    light = 1.0 - traits.darkness
    age = min(max((traits.age - 25) / 50, 0.0), 1.2)
    worn = switch(traits.femininity + 0.8 * makeup[0], 0.6, 0.7)
    red = uniform(makeup[1])
    lip = palette(red, [(0.42, 0.20, 0.17), (0.45, 0.13, 0.12), (0.38, 0.05, 0.06), (0.20, 0.02, 0.05)])
    eye = 0.5 + 0.5 * np.cos(1.8 * makeup[3] + np.array([0.3, 2.1, 3.6]))
    tone = np.array(traits.skin)
    return SkinDetail(
        mottling=between(z[0], 0.35, 1.0),
        freckles=min(0.8 * above(z[1], 0.7), 1.0) * light,
        blemishes=min(0.6 * above(z[2], 0.4), 1.0),
        moles=min(0.7 * above(z[3], 0.5), 1.0),
        roughness=between(z[4], 0.2, 0.7) + 0.5 * age,
        sheen=between(z[5], 0.25, 1.0),
        flush=between(z[6], 0.0, 1.0) * light,
        wrinkles=min(max(age + 0.12 * z[7], 0.0), 1.2),
        under_eye=between(z[8], 0.0, 0.7) + 0.2 * age,
        lipstick=worn * between(makeup[2], 0.0, 0.85),
        lip_colour=_rgb(lip * (0.5 + 0.5 * light)),
        gloss=between(z[9], 0.2, 0.7) + 0.4 * worn,
        liner=worn * uniform(makeup[4]),
        shadow=worn * 0.5 * uniform(makeup[5]) ** 1.5,
        shadow_colour=_rgb(tone * (0.35 + 0.45 * eye)),
        blush=worn * 0.6 * uniform(z[10]),
    )


def _camera(z: NDArray[np.float64]) -> CameraLook:
    return CameraLook(
        noise=0.6 + 1.0 * above(z[0], 0.4), blur=0.25 * above(z[1], 0.9), vignette=0.12 * above(z[2], 0.3),
        contrast=squash(0.08 * z[3], 0.2), saturation=squash(0.1 * z[4], 0.25), defocus=between(z[5], 0.3, 1.0),
    )  # fmt: skip


# ------------------------------------------------------------------------------------------------------------------------ population


@cache
def head_model() -> HeadArrays:
    """The shipped head model, loaded once per process."""
    return load_head()


@dataclass(frozen=True, eq=False)
class Population:
    """Directions and means of the head model that people are described by."""

    female: Floats  # (80,) unit
    older: Floats  # (80,) unit
    skin_mean: Floats  # (3,) sRGB-encoded, over the face
    skin_basis: Floats  # (48, 3)
    lightness: Floats  # (48,) unit; the direction in which skin grows lighter fastest
    complexion: Mapping[str, Floats]  # name -> (48,) unit: stubble, lipstick, irisDarkness ...


@cache
def population() -> Population:
    """Facts about the shipped head model."""
    model = head_model()
    face = model.regions["face"]
    basis = model.albedo_basis[:, face].mean(axis=1, dtype=np.float64).astype(np.float32)
    mean = model.albedo_mean[face].mean(axis=0, dtype=np.float64).astype(np.float32)
    lighter = basis @ np.array([0.3, 0.5, 0.2], np.float32)

    def unit(values: NDArray[np.floating]) -> Floats:
        return np.asarray(values / np.linalg.norm(values), dtype=np.float32)

    directions = {name: unit(values) for name, values in model.controls.items()}
    return Population(
        female=-directions["male"], older=directions["age"], skin_mean=mean, skin_basis=basis, lightness=unit(lighter),
        complexion=MappingProxyType({k: v for k, v in directions.items() if len(v) == len(basis)}),
    )  # fmt: skip


def _albedo(z: NDArray[np.float64], femininity: float, seniority: float) -> tuple[Floats, Colour]:
    """Albedo block and mean skin colour (linear RGB).

    Skin tones are spread evenly: the lightness direction gets a uniform distribution of the same variance. Stubble, make-up
    and age spots lean towards the people who have them.
    """
    facts = population()
    along = float(z @ facts.lightness)
    even = math.sqrt(3.0) * (2.0 * uniform(along) - 1.0)
    block = z + (even - along) * facts.lightness
    woman = math.tanh(1.2 * femininity)
    for name, lean in (
        ("stubble", -0.9 * woman), ("lipstick", 0.6 * woman), ("eyeShadow", 0.5 * woman), ("eyeLiner", 0.5 * woman),
        ("ageSpots", 0.6 * seniority), ("underEyeDarkness", 0.15 * seniority), ("teethYellowness", 0.4 * seniority),
    ):  # fmt: skip
        block = block + lean * facts.complexion[name]
    values = block.astype(np.float32)
    encoded = np.clip(facts.skin_mean + values @ facts.skin_basis, 0.02, 1.0)
    return values, _rgb(encoded.astype(np.float64) ** 2.2)


def _traits(shape: Floats, skin: Colour) -> Traits:
    facts = population()
    brightness = float(np.array(skin) @ LUMINANCE)
    return Traits(
        femininity=float(shape @ facts.female),
        age=40.0 + squash(13.0 * float(shape @ facts.older), 38.0),
        skin=skin,
        darkness=1.0 - min(max((brightness - 0.05) / 0.40, 0.0), 1.0),
    )


def person(code: NDArray[np.floating], detail_seed: int) -> Person:
    """The person that a code (CODE_SIZE,) describes; `detail_seed` decides what is too small for the code (pores, strands).

    Raises ValueError for a code of another shape.
    """
    blocks = split_code(code)
    shape = blocks["shape"].astype(np.float32)
    facts = population()
    albedo, skin = _albedo(blocks["albedo"], float(shape @ facts.female), float(shape @ facts.older))
    traits = _traits(shape, skin)
    rotation, translation = _pose(blocks["pose"])
    lighting = _lighting(blocks["light"], skin)
    camera = _camera(blocks["camera"])
    hair = _hair(blocks["hair_cut"], blocks["hair_style"], blocks["hair_colour"], traits)
    glasses, earrings = put_on(blocks["accessories"], traits.femininity, traits.age)
    return Person(
        code=np.asarray(code, dtype=np.float32),
        detail_seed=detail_seed,
        blocks=MappingProxyType(
            {
                "shape": shape,
                "expression": _expression(blocks["drivers"], blocks["units"], rotation),
                "albedo": albedo,
                "illumination": lighting.coefficients().reshape(27).astype(np.float32),
                "rotation": rotation,
                "translation": translation,
            }
        ),
        traits=traits,
        lighting=lighting,
        eyes=_eyes(blocks["eyes"], albedo, traits),
        skin=_skin_detail(blocks["skin"], blocks["makeup"], traits),
        hair=hair,
        brows=_brows(blocks["brows"], hair, float(blocks["eyes"][7]), traits),
        beard=_beard(blocks["beard_kind"], blocks["beard_style"], hair, traits),
        clothes=dress(blocks["clothes_kind"], blocks["clothes_style"], traits.femininity),
        glasses=glasses,
        earrings=earrings,
        backdrop=replace(
            surround(blocks["backdrop_kind"], blocks["backdrop_style"], camera.defocus), side=math.sin(lighting.lamps[0].azimuth)
        ),
        camera=camera,
    )


def in_light_of(someone: Person, other: Person) -> Person:
    """The same person in the light that was set for another: too bright or too dark, and the rest as it was."""
    return replace(someone, lighting=other.lighting, blocks={**someone.blocks, "illumination": other.blocks["illumination"]})


def sample_person(seed: int, index: int) -> Person:
    """Person `index` of stream `seed`."""
    return person(*sample_code(seed, index))
