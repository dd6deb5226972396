"""Flat drawings: closed outlines of cubic Béziers, filled and inked, as a vector program shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.float64]
Colour = tuple[float, float, float]

_STEPS: Final = 16  # straight pieces of a curve
_BITS: Final = 4  # of a pixel's fraction that OpenCV is told


def _bernstein() -> Points:
    t = np.arange(_STEPS)[:, None] / _STEPS
    return np.concatenate([(1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t**2 * (1 - t), t**3], axis=1)


_WEIGHTS: Final = _bernstein()  # (steps, 4)


def flatten(outline: Points) -> Points:
    """A start and three points for each of n curves, (1 + 3n, 2), as a polygon (16n, 2)."""
    start = np.concatenate([outline[:1], outline[3:-1:3]])
    curves = np.concatenate([start[:, None], outline[1:].reshape(-1, 3, 2)], axis=1)  # (n, 4, 2)
    return np.asarray(_WEIGHTS @ curves).reshape(-1, 2)


def _bytes(colour: Colour) -> tuple[int, int, int]:
    red, green, blue = (min(max(round(255 * channel), 0), 255) for channel in colour)
    return red, green, blue


class Canvas:
    """A square picture that polygons are painted on, in coordinates from -1 to 1, x right and y up.

    `pixels` (side, side, 3) uint8 sRGB has a few samples for every pixel of the picture that `picture` returns; colours are sRGB in [0, 1].
    """

    def __init__(self, size: int, supersample: int, backdrop: Colour) -> None:
        self._supersample, side = supersample, size * supersample
        self.pixels = np.tile(np.array(_bytes(backdrop), np.uint8), (side, side, 1))

    def mask(self, polygons: Sequence[Points]) -> NDArray[np.bool_]:
        """(side, side): what lies in an odd number of the polygons, (N, 2) each."""
        covered = np.zeros(self.pixels.shape[:2], np.uint8)
        cv2.fillPoly(covered, [self._fixed(polygon) for polygon in polygons], 1, lineType=cv2.LINE_8, shift=_BITS)
        return covered.astype(bool)

    def fill(self, polygons: Sequence[Points], colour: Colour, opacity: float = 1.0, cut: NDArray[np.bool_] | None = None) -> None:
        """Paint the inside of the polygons, where `cut` holds if it is given."""
        if cut is None and opacity == 1.0:
            cv2.fillPoly(self.pixels, [self._fixed(polygon) for polygon in polygons], _bytes(colour), lineType=cv2.LINE_8, shift=_BITS)
        else:
            self.paint(self.mask(polygons) if cut is None else self.mask(polygons) & cut, colour, opacity)

    def paint(self, where: NDArray[np.bool_], colour: Colour, opacity: float = 1.0) -> None:
        """Lay a colour over part of the picture."""
        left, top, width, height = cv2.boundingRect(where.view(np.uint8))
        box = np.s_[top : top + height, left : left + width]
        region, inside = self.pixels[box], where[box]
        mixed = (1 - opacity) * region[inside] + opacity * 255 * np.asarray(colour, np.float32) + 0.5
        region[inside] = mixed.astype(np.uint8)

    def ink(self, polygons: Sequence[Points], colour: Colour, width: float) -> None:
        """Draw the closed edges of the polygons, `width` in coordinates."""
        thickness = max(round(width * len(self.pixels) / 2), 1)
        points = [self._fixed(polygon) for polygon in polygons]
        cv2.polylines(self.pixels, points, True, _bytes(colour), thickness, lineType=cv2.LINE_8, shift=_BITS)

    def picture(self) -> NDArray[np.uint8]:
        """(size, size, 3) uint8 sRGB."""
        size = len(self.pixels) // self._supersample
        return np.asarray(cv2.resize(self.pixels, (size, size), interpolation=cv2.INTER_AREA), dtype=np.uint8)

    def _fixed(self, polygon: Points) -> NDArray[np.int32]:
        """Coordinates as OpenCV's fixed-point pixels, whose centres are whole numbers."""
        side = len(self.pixels)
        pixels = (polygon * [1, -1] + 1) * (side / 2) - 0.5
        return np.asarray(np.clip(pixels, -4 * side, 4 * side) * 2**_BITS + 0.5, dtype=np.int32)
