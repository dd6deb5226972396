"""Lights of a portrait: soft directional lamps over a two-tone surround, and their spherical-harmonics coefficients.

The 27 coefficients are the label; the lamps behind them are kept because highlights and cast shadows need directions.
Order-2 irradiance: Ramamoorthi and Hanrahan, "An Efficient Representation for Irradiance Environment Maps", 2001, section 3.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]

#: Real spherical-harmonics constants in the order Y00, Y1-1, Y10, Y11, Y2-2, Y2-1, Y20, Y21, Y22.
SH_CONSTANTS: Final = (0.282095, 0.488603, 0.488603, 0.488603, 1.092548, 1.092548, 0.315392, 1.092548, 0.546274)

#: Cosine-lobe factor of every band (Ramamoorthi 2001, equation 13).
COSINE_LOBE: Final = np.array([math.pi] + [2 * math.pi / 3] * 3 + [math.pi / 4] * 5)

_BAND: Final = np.array([0, 1, 1, 1, 2, 2, 2, 2, 2])

_USUAL_LIGHT: Final = 1.25  # luminance of a white surface that faces the viewer

#: Rec. 709 luminance of linear RGB.
LUMINANCE: Final = np.array([0.2126, 0.7152, 0.0722])


def sh_functions(direction: NDArray[np.floating]) -> NDArray[np.float64]:
    """The nine real SH functions (..., 9) of unit directions (..., 3)."""
    directions = np.asarray(direction, dtype=np.float64)
    x, y, z = directions[..., 0], directions[..., 1], directions[..., 2]
    values = np.empty((*directions.shape[:-1], 9))
    for band, value in enumerate((1.0, y, z, x, x * y, y * z, 3 * z * z - 1, x * z, x * x - y * y)):
        values[..., band] = value
    return np.asarray(values * np.array(SH_CONSTANTS))


def direction(azimuth: float, elevation: float) -> NDArray[np.float64]:
    """Unit vector towards a light: azimuth (radians, + to picture right, 0 = from the viewer), elevation (radians, + up)."""
    level = math.cos(elevation)
    return np.array([math.sin(azimuth) * level, math.sin(elevation), math.cos(azimuth) * level])


@dataclass(frozen=True)
class Lamp:
    """A distant light. `colour` (linear RGB) is the radiance of a white surface that faces it; `softness` in [0, 1] widens it."""

    azimuth: float  # radians
    elevation: float  # radians
    colour: tuple[float, float, float]
    softness: float

    @property
    def direction(self) -> NDArray[np.float64]:
        return direction(self.azimuth, self.elevation)

    def coefficients(self) -> NDArray[np.float64]:
        """(9, 3) coefficients with the cosine lobe over pi included."""
        return np.outer(_lobe(self.azimuth, self.elevation, self.softness), np.array(self.colour))


@lru_cache(maxsize=64)
def _lobe(azimuth: float, elevation: float, softness: float) -> NDArray[np.float64]:
    """Coefficients (9,) of a lamp of colour one, read-only."""
    spread = np.array([1.0, 1.0 - 0.35 * softness, 1.0 - 0.8 * softness])[_BAND]
    functions = sh_functions(direction(azimuth, elevation))
    lobe = COSINE_LOBE * spread * functions
    # A lamp is defined by what a facing white surface returns, so the widened lobe is rescaled to one at its centre.
    result: NDArray[np.float64] = lobe / float(lobe @ functions)
    result.setflags(write=False)
    return result


@dataclass(frozen=True)
class Lighting:
    """A surround (radiance of a white surface facing up / down, linear RGB) and lamps, the strongest (key) first."""

    above: tuple[float, float, float]
    below: tuple[float, float, float]
    lamps: tuple[Lamp, ...]

    def surround(self) -> NDArray[np.float64]:
        """(9, 3) coefficients of the surround alone."""
        above, below = np.array(self.above), np.array(self.below)
        result = np.zeros((9, 3))
        result[0] = (above + below) / 2 / SH_CONSTANTS[0]
        result[1] = (above - below) / 2 / SH_CONSTANTS[1]
        return result

    def coefficients(self) -> NDArray[np.float64]:
        """(9, 3) coefficients of everything; `.reshape(27)` is the illumination block of `FaceParams`."""
        return self.surround() + sum((lamp.coefficients() for lamp in self.lamps), np.zeros((9, 3)))

    def scaled(self, factor: float) -> Lighting:
        """The same light, `factor` times as strong (exposure)."""

        def times(colour: tuple[float, float, float]) -> tuple[float, float, float]:
            return (colour[0] * factor, colour[1] * factor, colour[2] * factor)

        return Lighting(
            times(self.above), times(self.below), tuple(replace(lamp, colour=times(lamp.colour)) for lamp in self.lamps)
        )


def warmth_colour(warmth: float) -> tuple[float, float, float]:
    """Colour of a light at unit luminance: warmth -1 bluish daylight, 0 white, +1 tungsten."""
    colour = np.array([math.exp(0.36 * warmth), math.exp(0.02 * warmth), math.exp(-0.55 * warmth)])
    colour /= colour @ LUMINANCE
    return (float(colour[0]), float(colour[1]), float(colour[2]))


def drawn_light(lighting: Lighting) -> NDArray[np.float64]:
    """(3,) linear RGB by which flat colours are multiplied in a drawing: the light of what faces the viewer, differing less than real ones.

    That it differs at all is what an edit of the light can show there.
    """
    facing = np.maximum(sh_functions(np.array([0.0, 0.2, 0.98])) @ lighting.coefficients(), 1e-3)  # (3,)
    level = float(facing @ LUMINANCE)
    strength = min(max((level / _USUAL_LIGHT) ** 0.6, 0.45), 1.4)
    return np.asarray(strength * (facing / level) ** 0.8)


def facing_luminance(lighting: Lighting, albedo: NDArray[np.floating]) -> float:
    """Mean luminance that the front of a face of one albedo (linear RGB) returns: a light meter held to the face."""
    normals = np.array([[0, 0, 1.0], [0.55, 0.1, 0.83], [-0.55, 0.1, 0.83], [0, 0.45, 0.89], [0, -0.35, 0.93]])
    normals /= np.linalg.norm(normals, axis=1, keepdims=True)
    radiance = np.maximum(sh_functions(normals) @ lighting.coefficients(), 0.0) * np.asarray(albedo)
    return float((radiance @ LUMINANCE).mean())
