"""Rendered people as a painter's or a draughtsman's pictures: OpenCV's non-photorealistic filters (after Gastal & Oliveira 2011, *Domain
transform for edge-aware image and video processing*) with settings that differ from picture to picture.

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
    """(H, W, 3) uint8 sRGB -> the same in pencil, grey on paper of some tint."""
    reach = float(random.uniform(20.0, 50.0)) * image.shape[0] / 256  # px
    grey, _ = cv2.pencilSketch(
        image, sigma_s=reach, sigma_r=float(random.uniform(0.06, 0.12)), shade_factor=float(random.uniform(0.03, 0.06))
    )
    paper = np.array([255.0, 255.0, 255.0]) - random.uniform(0.0, 1.0) * np.array([4.0, 10.0, 28.0])  # white to cream
    return np.asarray(np.rint(grey[..., None] / 255.0 * paper), np.uint8)


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
