"""Rendered people as a painter's or a draughtsman's pictures, with settings that differ from picture to picture. OpenCV's filters paint
(after Gastal & Oliveira 2011, *Domain transform for edge-aware image and video processing*), a pencil of our own draws.

They are given a rendering of twice the size, so that lines come out finer than a pixel. Nothing moves: where people look, how they smile
and stand stays as it was rendered, so the labels of the portraits hold.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float32]


def painting(image: Pixels, random: np.random.Generator) -> Pixels:
    """(H, W, 3) uint8 sRGB -> the same, painted: in water colours, with thin outlines, or in oil, with broad flat strokes."""
    reach = float(random.uniform(15.0, 45.0)) * image.shape[0] / 256  # px
    if random.random() < 0.5:
        painted = cv2.stylization(image, sigma_s=reach, sigma_r=float(random.uniform(0.25, 0.5)))
    else:
        flat = cv2.edgePreservingFilter(image, flags=cv2.NORMCONV_FILTER, sigma_s=reach, sigma_r=float(random.uniform(0.3, 0.5)))
        painted = cv2.detailEnhance(flat, sigma_s=reach / 3, sigma_r=0.15)
    return _saturated(np.asarray(painted, np.uint8), float(random.uniform(1.0, 1.4)))


def sketch(image: Pixels, random: np.random.Generator) -> Pixels:
    """(H, W, 3) uint8 sRGB -> the same in pencil, grey on paper of some tint.

    Lines stand where the picture is darker than around it, hatching as dark as it is: OpenCV's `pencilSketch` draws edges alone, and
    neither skin nor light shows in edges.
    """
    pixel = image.shape[0] / 512  # of a picture of 512 px
    exact = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY).astype(np.float32) / 255.0
    grey = np.asarray(cv2.bilateralFilter(exact, 5, 0.08, 3.0 * pixel), np.float32)
    force = float(random.uniform(1.2, 2.0))
    lines = _dodged(grey, float(random.uniform(5.0, 10.0)) * pixel) ** force * _dodged(grey, 2.2 * pixel) ** (1.5 * force)
    light = cv2.GaussianBlur(grey, (0, 0), 2.0 * pixel) ** float(random.uniform(0.5, 0.7))
    strokes = _strokes(grey.shape, float(random.uniform(25.0, 65.0)), 31.0 * pixel, 0.9 * pixel, random)
    grain = random.standard_normal(grey.shape).astype(np.float32)
    pressure = float(random.uniform(0.75, 0.95))
    hatching = pressure * np.clip(1.3 * (1.0 - light) - 0.1, 0.0, 1.0) * (1.0 + 0.24 * strokes + 0.08 * grain)
    drawn = (1.0 - np.clip(hatching, 0.0, 1.0)) * (0.05 + 0.95 * lines)
    paper = np.array([255.0, 255.0, 255.0]) - random.uniform(0.0, 1.0) * np.array([4.0, 10.0, 28.0])  # white to cream
    drawn = 0.12 + 0.88 * drawn  # graphite is never black
    return np.asarray(np.clip(np.rint(drawn[..., None] * paper), 0, 255), np.uint8)


def _dodged(grey: Floats, reach: float) -> Floats:
    """(H, W) in 0..1 -> how dark it is beside what lies within `reach` px: 1 where it is as light, less on lines."""
    return np.asarray(np.clip((grey + 0.02) / (cv2.GaussianBlur(grey, (0, 0), reach) + 0.02), 0.0, 1.0), np.float32)


def _strokes(shape: tuple[int, ...], angle: float, length: float, width: float, random: np.random.Generator) -> Floats:
    """(H, W), mean 0 and variance 1: noise drawn out along `angle` degrees, strokes of `length` by `width` px."""
    half = max(1, round(length / 2))
    along = np.array([np.cos(np.radians(angle)), -np.sin(np.radians(angle))]) * half
    stroke = np.zeros((2 * half + 1, 2 * half + 1), np.float32)
    ends = [tuple(int(x) for x in np.rint(half + sign * along)) for sign in (-1, 1)]
    cv2.line(stroke, ends[0], ends[1], 1.0, 1, cv2.LINE_AA)
    noise = cv2.filter2D(random.standard_normal(shape).astype(np.float32), -1, stroke, borderType=cv2.BORDER_REFLECT)
    noise = cv2.GaussianBlur(noise, (0, 0), max(width, 0.3))
    return np.asarray((noise - noise.mean()) / noise.std(), np.float32)


FILTERS: Final[Mapping[str, Callable[[Pixels, np.random.Generator], Pixels]]] = MappingProxyType(
    {"painting": painting, "sketch": sketch}
)


def filtered(image: Pixels, style: str, seed: int, size: int) -> Pixels:
    """A portrait (H, H, 3), H at least `size`, through the filter called `style`, at size x size; decided by `seed` alone."""
    made = FILTERS[style](np.ascontiguousarray(image), np.random.default_rng(seed))
    if made.shape[0] == size:
        return made
    return np.asarray(cv2.resize(made, (size, size), interpolation=cv2.INTER_AREA), np.uint8)


def _saturated(image: Pixels, factor: float) -> Pixels:
    values = image.astype(np.float32)
    grey = values.mean(axis=2, keepdims=True)
    return np.asarray(np.clip(np.rint(grey + factor * (values - grey)), 0, 255), np.uint8)
