"""Cutting a head out of a picture as the renderer's camera frames it, and putting an edited head back.

The camera of the face model (``render/camera.py``) shows a square of 0.25 m at the depth of the head's origin, the
midpoint between the ear canals. A :class:`Framing` says where that square lies in a picture; :func:`crop` cuts it out,
reflecting the picture where the square leaves it; :func:`paste_back` blends an edited version into the original.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrig.face3d.params import FaceParams
from crossrig.render.camera import Camera

Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class Framing:
    """A square in a picture, in pixels: x to the right, y down, pixel centres at half-integers."""

    x: float
    """Centre: the projected origin of the head."""
    y: float
    half: float
    """Half the side: 0.125 m at the depth of the head."""


@dataclass(frozen=True)
class Crop:
    """A square cut out of a picture, with the way back."""

    image: Pixels
    """(size, size, 3) uint8."""
    left: int
    """Picture column of the square's first column; may be negative."""
    top: int
    side: int
    """Side of the square in picture pixels."""

    @property
    def framing(self) -> Framing:
        """The square actually cut (the wished one, rounded to whole pixels)."""
        return Framing(self.left + self.side / 2, self.top + self.side / 2, self.side / 2)

    def to_picture(self, ndc: NDArray[np.floating]) -> NDArray[np.float64]:
        """Camera coordinates (..., 2), x right and y up in [-1, 1], as picture pixels (..., 2)."""
        frame = self.framing
        points = np.asarray(ndc, dtype=np.float64)
        return np.stack([frame.x + points[..., 0] * frame.half, frame.y - points[..., 1] * frame.half], axis=-1)

    def from_picture(self, points: NDArray[np.floating]) -> NDArray[np.float64]:
        """Picture pixels (..., 2) as camera coordinates (..., 2)."""
        frame = self.framing
        points = np.asarray(points, dtype=np.float64)
        return np.stack([(points[..., 0] - frame.x) / frame.half, (frame.y - points[..., 1]) / frame.half], axis=-1)


def crop(picture: Pixels, framing: Framing, size: int) -> Crop:
    """Cut the square out of a picture (H, W, 3) and scale it to (size, size, 3)."""
    side = max(2, round(2 * framing.half))
    left, top = round(framing.x - side / 2), round(framing.y - side / 2)
    rows = _reflected(np.arange(top, top + side), picture.shape[0])
    columns = _reflected(np.arange(left, left + side), picture.shape[1])
    square = np.ascontiguousarray(picture[rows][:, columns])
    return Crop(_resize(square, size), left, top, side)


def paste_back(picture: Pixels, cut: Crop, edited: Pixels, feather: float) -> Pixels:
    """The picture with the edited square (n, n, 3) in place of the one that was cut out.

    The seam is blended over ``feather`` times the side, so that nothing changes at the square's border.
    """
    patch = _resize(edited, cut.side).astype(np.float32)
    weight = _feathered(cut.side, feather)
    height, width = picture.shape[:2]
    top, left = max(cut.top, 0), max(cut.left, 0)
    bottom, right = min(cut.top + cut.side, height), min(cut.left + cut.side, width)
    result = picture.copy()
    if top >= bottom or left >= right:
        return result
    inside = np.s_[top - cut.top : bottom - cut.top, left - cut.left : right - cut.left]
    region = np.s_[top:bottom, left:right]
    old = picture[region].astype(np.float32)
    blended = old + weight[inside][..., None] * (patch[inside] - old)
    result[region] = np.clip(np.rint(blended), 0, 255).astype(np.uint8)
    return result


def refine(
    picture: Pixels,
    start: Framing,
    reconstruct: Callable[[Tensor], FaceParams],
    size: int,
    rounds: int = 2,
    camera: Camera | None = None,
) -> Framing:
    """Recentre a framing on where a reconstruction network sees the head, ``rounds`` times.

    ``reconstruct`` takes (1, 3, size, size) in [-1, 1]. One round cannot move the square by more than half its half
    side or scale it by more than 1.35, so that a wrong reading cannot lose the face.
    """
    camera = camera or Camera()
    framing = start
    for _ in range(rounds):
        cut = crop(picture, framing, size)
        with torch.no_grad():
            translation = reconstruct(to_tensor(cut.image)).translation[0].double().cpu().numpy()  # (3,) metres
        away = camera.distance - float(translation[2])
        move = np.clip(translation[:2] * (camera.distance / camera.half_height) / away, -0.5, 0.5)
        grow = float(np.clip(camera.distance / away, 1 / 1.35, 1.35))
        x, y = cut.to_picture(move)
        framing = Framing(float(x), float(y), cut.framing.half * grow)
    return framing


def to_tensor(image: Pixels) -> Tensor:
    """(H, W, 3) uint8 -> (1, 3, H, W) float32 in [-1, 1]."""
    return torch.from_numpy(np.ascontiguousarray(image)).permute(2, 0, 1)[None].float() / 127.5 - 1.0


def to_pixels(image: Tensor) -> Pixels:
    """(1, 3, H, W) or (3, H, W) in [-1, 1] -> (H, W, 3) uint8."""
    plane = image.detach().reshape(image.shape[-3:]).permute(1, 2, 0)
    return np.asarray(((plane + 1.0) * 127.5).round().clamp(0, 255).to(torch.uint8).cpu().numpy())


def _reflected(index: NDArray[np.integer], length: int) -> NDArray[np.integer]:
    """Indices outside [0, length) mirrored back at the border pixels, as often as needed."""
    period = max(2 * (length - 1), 1)
    folded: NDArray[np.integer] = (length - 1) - np.abs(np.mod(index, period) - (length - 1))
    return folded


def _resize(image: Pixels, size: int) -> Pixels:
    if image.shape[0] == size:
        return image
    method = cv2.INTER_AREA if image.shape[0] > size else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(image, (size, size), interpolation=method), dtype=np.uint8)


def _feathered(side: int, feather: float) -> NDArray[np.float32]:
    """(side, side) weights: 0 at the border, 1 from ``feather`` times the side inwards, smooth between."""
    position = (np.arange(side) + 0.5) / side
    edge = np.minimum(position, 1.0 - position)
    ramp = np.clip(edge / max(feather, 0.5 / side), 0.0, 1.0)
    ramp = ramp * ramp * (3.0 - 2.0 * ramp)
    return np.asarray(ramp[:, None] * ramp[None, :], dtype=np.float32)
