"""Fine skin: noise that sticks to the surface, and where on the face each kind of detail lies.

Everything is laid out on the mean head once per face model, so that a detail stays on its vertex whatever the person's shape.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.geometry import HeadTemplate

Floats = NDArray[np.float32]

#: Pixels of the noise tile and metres that it covers before repeating.
TILE: Final = 256
TILE_METRES: Final = 0.16


def _band(rng: np.random.Generator, low: float, high: float) -> NDArray[np.float64]:
    """Seamless noise (TILE, TILE) of unit variance whose wavelengths lie between `low` and `high` pixels."""
    spectrum = np.fft.fft2(rng.standard_normal((TILE, TILE)))
    frequency = np.hypot(*np.meshgrid(np.fft.fftfreq(TILE), np.fft.fftfreq(TILE)))
    wavelength = 1 / np.maximum(frequency, 1e-6)
    window = np.exp(-np.maximum(np.log(low / wavelength), 0) ** 2 * 8 - np.maximum(np.log(wavelength / high), 0) ** 2 * 8)
    window[0, 0] = 0
    noise = np.real(np.fft.ifft2(spectrum * window))
    return np.asarray(noise / noise.std())


@cache
def noise_tile() -> Floats:
    """Seamless tile (TILE, TILE, 4): mottling, broad blotches, spots (freckles; [0, 1]), relief (height, unit variance)."""
    rng = np.random.default_rng(20210423)
    mottling = 0.7 * _band(rng, 5, 12) + 0.7 * _band(rng, 12, 30)
    blotches = _band(rng, 30, 110)
    spots = np.clip(_band(rng, 4, 7) * 0.6 - 0.62, 0, 1)
    relief = 0.8 * _band(rng, 2, 5) + 0.6 * _band(rng, 5, 10)
    return np.ascontiguousarray(np.stack([mottling, blotches, spots, relief], axis=-1), dtype=np.float32)


@dataclass(frozen=True, eq=False)
class SkinMaps:
    """Per vertex of one face model: coordinates of the noise (V, 2) metres, and masks (V,) in [0, 1]."""

    coordinates: Floats
    lips: Floats
    cheeks: Floats  # where flush, freckles and blush lie
    oil: Floats  # forehead, nose, chin
    lids: Floats  # eye shadow
    under_eye: Floats
    forehead: Floats
    depth: Floats  # metres behind the lips (teeth, tongue, inside of the mouth)


def _near(points: Floats, centre: NDArray[np.floating], radius: tuple[float, float, float]) -> Floats:
    distance = ((points - centre) / np.array(radius)) ** 2
    return np.asarray(np.exp(-distance.sum(axis=1)), dtype=np.float32)


@lru_cache(maxsize=4)
def skin_maps(template: HeadTemplate) -> SkinMaps:
    """Maps of one face model, made once per process from its mean head."""
    points = template.mean

    def mark(*numbers: int) -> NDArray[np.float64]:
        """Mean of iBUG landmarks, counted from 0."""
        names = list(template.landmarks)
        return np.asarray(np.mean([points[template.landmarks[names[number]]] for number in numbers], axis=0), dtype=np.float64)

    lips = np.zeros(len(points), np.float32)
    lips[template.regions["lips"]] = 1.0
    lips = _smooth(lips, template.faces)
    eyes = [mark(*range(36, 42)), mark(*range(42, 48))]
    mouth, nose, chin, between = mark(*range(48, 68)), mark(30), mark(8), mark(27)
    cheeks = np.zeros(len(points), np.float32)
    under = np.zeros_like(cheeks)
    lids = np.zeros_like(cheeks)
    for eye in eyes:
        side = np.sign(eye[0])
        cheeks += _near(points, eye + np.array([side * 0.014, -0.036, -0.005]), (0.022, 0.018, 0.04))
        under += _near(points, eye + np.array([-side * 0.004, -0.0155, 0.0]), (0.016, 0.0065, 0.03))
        lids += _near(points, eye + np.array([side * 0.002, 0.0095, 0.0]), (0.019, 0.0075, 0.03))
    cheeks += 0.8 * _near(points, nose, (0.016, 0.016, 0.03))
    forehead = _near(points, between + np.array([0.0, 0.042, -0.005]), (0.05, 0.024, 0.06))
    oil = np.clip(
        _near(points, nose + np.array([0, 0.008, 0]), (0.014, 0.03, 0.03))
        + 0.8 * _near(points, between + np.array([0.0, 0.04, -0.005]), (0.04, 0.024, 0.06))
        + 0.5 * _near(points, chin, (0.02, 0.016, 0.03)) + 0.5 * np.clip(cheeks, 0, 1),
        0, 1,
    )  # fmt: skip
    angle = np.arctan2(points[:, 0], points[:, 2] + 0.02)
    coordinates = np.stack([angle * 0.09, points[:, 1]], axis=1)
    front = mouth[2]
    return SkinMaps(
        coordinates=np.ascontiguousarray(coordinates, dtype=np.float32), lips=lips, cheeks=np.clip(cheeks, 0, 1),
        oil=np.asarray(oil, dtype=np.float32), lids=np.clip(lids, 0, 1), under_eye=np.clip(under, 0, 1), forehead=forehead,
        depth=np.asarray(np.maximum(front - points[:, 2], 0), dtype=np.float32),
    )  # fmt: skip


def _smooth(values: Floats, faces: NDArray[np.int32]) -> Floats:
    """One step of averaging over the triangles around each vertex."""
    total = np.zeros(len(values))
    count = np.zeros(len(values))
    mean = values[faces].mean(axis=1)
    for corner in range(3):
        np.add.at(total, faces[:, corner], mean)
        np.add.at(count, faces[:, corner], 1)
    return np.asarray(0.5 * values + 0.5 * total / np.maximum(count, 1), dtype=np.float32)

