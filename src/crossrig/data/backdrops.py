"""What is behind a person, out of focus: studio walls, rooms, windows, greenery, skies, lights at night.

A backdrop is a handful of continuous numbers. They place every blob and edge; random numbers only add a fine texture, so that a
network that knows the numbers can know the picture. Painted small and enlarged, which is also the defocus.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import cv2
import numba
import numpy as np
from numpy.typing import NDArray

from crossrig.data.geometry import Floats

SCENES: Final = ("studio", "wall", "room", "window", "greenery", "open", "night")

#: Length of `Backdrop.layout`.
LAYOUT: Final = 8

RGB = tuple[float, float, float]
Numbers = NDArray[np.floating]


@dataclass(frozen=True)
class Backdrop:
    """Colours linear RGB, `layout` standard normals that place what the scene consists of, shares in [0,1]."""

    scene: str = "studio"  # one of SCENES
    base: RGB = (0.22, 0.23, 0.25)
    second: RGB = (0.10, 0.11, 0.13)
    accent: RGB = (0.35, 0.30, 0.22)
    layout: tuple[float, ...] = (0.0,) * LAYOUT
    light: float = 0.4  # how unevenly the scene is lit
    side: float = 0.0  # where that light comes from, -1 picture left .. 1 right
    contrast: float = 0.5  # of what the scene consists of
    defocus: float = 0.6  # 0 edges a little soft .. 1 only colours remain
    vignette: float = 0.2
    texture: float = 0.3  # of the surface, painted from random numbers

    def __post_init__(self) -> None:
        if self.scene not in SCENES:
            raise ValueError(f"unknown scene {self.scene!r}, expected one of {SCENES}")
        if len(self.layout) != LAYOUT:
            raise ValueError(f"Backdrop.layout has {len(self.layout)} numbers, expected {LAYOUT}")


def paint_backdrop(backdrop: Backdrop, size: int, rng: np.random.Generator) -> Floats:
    """The backdrop as (size, size, 3) float32 linear RGB in [0,1]. `rng` paints only texture of a pixel or two at 128."""
    small = max(24, min(size // 3, 56))
    canvas: NDArray[np.float32] = np.empty((small, small, 3), np.float32)
    colours = np.asarray([backdrop.base, backdrop.second, backdrop.accent], np.float32)
    _paint(SCENES.index(backdrop.scene), colours, np.asarray(backdrop.layout, np.float64), backdrop.contrast, backdrop.defocus, canvas)
    blur = backdrop.defocus * small * (0.012 if backdrop.scene == "night" else 0.045) + 0.3
    canvas = np.asarray(cv2.GaussianBlur(canvas, (0, 0), blur, borderType=cv2.BORDER_REFLECT), np.float32)
    _light(canvas, backdrop.light, backdrop.side, backdrop.vignette)
    if backdrop.texture > 0.0:
        grain = rng.standard_normal((64, 64), dtype=np.float32)
        coarse = cv2.resize(grain[:24, :24], (small, small), interpolation=cv2.INTER_CUBIC)
        canvas *= np.maximum(1.0 + (0.035 * backdrop.texture * (1.0 - 0.6 * backdrop.defocus)) * coarse, 0.0)[:, :, None]
    out = cv2.resize(canvas, (size, size), interpolation=cv2.INTER_CUBIC)
    return np.asarray(np.clip(out, 0.0, 1.0, out=out), np.float32)


@numba.njit(cache=True, nogil=True)
def _waves(layout: Numbers) -> Numbers:
    """Eight sets of six plane waves whose directions and phases are numbers of the layout: (8,6,3) x, y, phase."""
    waves = np.empty((LAYOUT, 6, 3))
    for start in range(LAYOUT):
        for k in range(6):
            angle = 2.399963 * (k + 1) + 0.25 * layout[(start + k) % LAYOUT]
            frequency = 1.0 + 0.45 * k
            waves[start, k, 0] = frequency * np.cos(angle)
            waves[start, k, 1] = frequency * np.sin(angle)
            waves[start, k, 2] = 1.9 * layout[(start + k + 3) % LAYOUT] + 1.7 * k
    return waves


@numba.njit(cache=True, nogil=True, fastmath=True)
def _field(x: float, y: float, waves: Numbers, start: int, scale: float) -> float:
    """A smooth field in about [-1, 1]: the sum of one set of waves."""
    total = 0.0
    for k in range(6):
        total += np.sin(scale * (x * waves[start, k, 0] + y * waves[start, k, 1]) + waves[start, k, 2]) / (1.0 + 0.35 * k)
    return total / 2.4


@numba.njit(cache=True, nogil=True)
def _step(x: float, edge: float) -> float:
    t = min(max(x / edge + 0.5, 0.0), 1.0)
    return t * t * (3.0 - 2.0 * t)


@numba.njit(cache=True, nogil=True)
def _box(x: float, y: float, left: float, right: float, bottom: float, top: float, edge: float) -> float:
    return _step(x - left, edge) * _step(right - x, edge) * _step(y - bottom, edge) * _step(top - y, edge)


@numba.njit(cache=True, nogil=True)
def _furniture(layout: Numbers) -> Numbers:
    """Soft boxes (7,6) of a room: left, right, bottom, top, share of the accent colour, brightness."""
    boxes = np.empty((7, 6))
    for k in range(7):
        middle = 1.15 * np.tanh(0.7 * layout[k] + 0.55 * (k - 3))
        wide = 0.14 + 0.10 * (1.0 + np.tanh(layout[(k + 2) % 8]))
        standing = k % 2 == 0  # on the floor; the others hang on the wall
        bottom = -1.3 + 0.25 * layout[(k + 5) % 8] if standing else -0.1 + 0.35 * np.tanh(layout[(k + 1) % 8])
        tall = 0.55 + 0.3 * np.tanh(layout[(k + 3) % 8]) + (0.4 if standing else 0.0)
        boxes[k, 0], boxes[k, 1], boxes[k, 2], boxes[k, 3] = middle - wide, middle + wide, bottom, bottom + tall
        boxes[k, 4] = 0.5 + 0.5 * np.sin(1.3 * layout[(k + 4) % 8] + 2.1 * k)
        boxes[k, 5] = 0.45 + 0.75 * (0.5 + 0.5 * np.sin(1.1 * layout[(k + 6) % 8] + 3.7 * k))
    return boxes


@numba.njit(cache=True, nogil=True)
def _lights(layout: Numbers, contrast: float, defocus: float) -> Numbers:
    """Discs (14,5) of lights at night: x, y, radius, brightness, warmth."""
    discs = np.empty((14, 5))
    for k in range(14):
        discs[k, 0] = 1.15 * np.sin(1.1 * layout[k % 8] + 2.4 * k)
        discs[k, 1] = 0.15 + 0.8 * np.sin(0.9 * layout[(k + 3) % 8] + 1.3 * k * k)
        discs[k, 2] = (0.05 + 0.10 * defocus) * (0.8 + 0.4 * np.sin(3.3 * k + layout[(k + 5) % 8]))
        discs[k, 3] = (0.10 + 0.35 * contrast) * (0.55 + 0.45 * np.sin(5.1 * k + 1.4 * layout[(k + 1) % 8]))
        discs[k, 4] = 0.5 + 0.5 * np.sin(2.7 * k + layout[(k + 6) % 8])
    return discs


@numba.njit(cache=True, nogil=True)
def _paint(scene: int, colours: Floats, layout: Numbers, contrast: float, defocus: float, out: Floats) -> None:
    """Fills `out` (n,n,3) with one scene; x grows to the right, y upwards, both in [-1,1]."""
    size = out.shape[0]
    base, second, accent = colours[0], colours[1], colours[2]
    tint = np.empty(3)
    edge = 0.06
    waves, boxes, discs = _waves(layout), _furniture(layout), _lights(layout, contrast, defocus)
    for row in range(size):
        y = 1.0 - 2.0 * (row + 0.5) / size
        for column in range(size):
            x = 2.0 * (column + 0.5) / size - 1.0
            for c in range(3):
                tint[c] = base[c]
            if scene == 0:  # studio: a spot on paper, darker to the corners
                spot = np.exp(-((x - 0.35 * layout[0]) ** 2 + (y - 0.2 - 0.25 * layout[1]) ** 2) / (1.0 + 0.25 * np.tanh(layout[2])))
                mottle = 0.35 * contrast * _field(x, y, waves, 2, 2.2)
                share = min(max(1.0 - spot - mottle, 0.0), 1.0)
                for c in range(3):
                    tint[c] += (second[c] - tint[c]) * share * (0.3 + 0.7 * contrast)
            elif scene == 1:  # wall: a corner of two planes, a rail, the shade of something off the picture
                corner = 0.75 * np.tanh(0.8 * layout[0]) + 0.05 * layout[1] * y
                plane = _step(x - corner, edge) if layout[2] > 0.0 else 0.0
                fade = min(abs(layout[2]) / 0.3, 1.0)
                for c in range(3):
                    tint[c] *= 1.0 - 0.45 * contrast * plane * fade
                rail = _box(x, y, -2.0, 2.0, -0.55 + 0.2 * layout[3] - 0.03, -0.55 + 0.2 * layout[3] + 0.03, edge)
                low = _step(-0.55 + 0.2 * layout[3] - y, edge) * _step(layout[4] - 0.4, 0.4)
                for c in range(3):
                    tint[c] += (second[c] - tint[c]) * contrast * low
                    tint[c] += (accent[c] - tint[c]) * 0.5 * contrast * rail * _step(layout[4] - 0.4, 0.4)
                frame_x, frame_y = 0.85 * np.tanh(layout[5]), 0.35 + 0.3 * np.tanh(layout[6])
                frame = _box(x, y, frame_x - 0.3, frame_x + 0.3, frame_y - 0.35, frame_y + 0.35, edge) * _step(layout[7], 0.5)
                inside = _box(x, y, frame_x - 0.24, frame_x + 0.24, frame_y - 0.29, frame_y + 0.29, edge)
                for c in range(3):
                    tint[c] += (second[c] - tint[c]) * frame * contrast
                    tint[c] += (accent[c] * (0.7 + 0.3 * _field(x, y, waves, 1, 5.0)) - tint[c]) * frame * inside * contrast
                shade = 1.0 - 0.25 * contrast * _step(_field(x, y, waves, 3, 1.3), 0.8)
                for c in range(3):
                    tint[c] *= shade
            elif scene == 2:  # room: furniture and shelves as soft boxes, a lamp
                for k in range(boxes.shape[0]):
                    box = boxes[k]
                    if box[0] - edge < x < box[1] + edge and box[2] - edge < y < box[3] + edge:
                        cover = _box(x, y, box[0], box[1], box[2], box[3], edge) * (0.45 + 0.5 * contrast)
                        for c in range(3):
                            tint[c] += ((second[c] * (1.0 - box[4]) + accent[c] * box[4]) * box[5] - tint[c]) * cover
                floor = _step(-0.75 + 0.1 * layout[2] - y, edge)
                for c in range(3):
                    tint[c] += (0.6 * second[c] - tint[c]) * 0.7 * floor
                lamp_x, lamp_y = 1.1 * np.tanh(layout[7]), 0.45 + 0.25 * np.tanh(layout[3])
                glow = np.exp(-((x - lamp_x) ** 2 + (y - lamp_y) ** 2) / 0.03) * _step(layout[4], 0.6)
                tint[0] += 0.75 * glow
                tint[1] += 0.58 * glow
                tint[2] += 0.38 * glow
            elif scene == 3:  # window: bright panes in a darker wall, trees or houses behind
                left = -0.55 + 0.6 * np.tanh(layout[0])
                wide = 0.85 + 0.35 * np.tanh(layout[1])
                sill = -0.45 + 0.25 * np.tanh(layout[2])
                pane = _box(x, y, left - 0.5 * wide, left + 0.5 * wide, sill, 1.4, edge)
                bar = _box(x, y, left - 0.03, left + 0.03, sill, 1.4, edge)
                bar = max(bar, _box(x, y, left - 0.5 * wide, left + 0.5 * wide, sill + 0.75, sill + 0.81, edge))
                view = 0.75 + 0.25 * _step(y - 0.1 - 0.4 * _field(x, 0.0, waves, 3, 2.5), 0.3)
                leaf = _step(0.2 * layout[3] - y + 0.5 * _field(x, y, waves, 4, 3.5), 0.5)
                for c in range(3):
                    outside = (0.55 + 0.5 * contrast) * view * (1.0 - 0.55 * leaf * (1.0 - accent[c]))
                    tint[c] += (outside - tint[c]) * pane * (1.0 - 0.75 * bar)
                curtain = _step(abs(x - left) - 0.5 * wide + 0.12, 0.08) * _step(0.5 * wide + 0.22 - abs(x - left), 0.08)
                folds = 0.8 + 0.2 * np.sin(38.0 * x + 2.0 * layout[5])
                for c in range(3):
                    tint[c] += (second[c] * folds * 1.3 - tint[c]) * curtain * _step(layout[6], 0.4)
            elif scene == 4:  # greenery: leaves in sun and shade
                coarse = _field(x, y, waves, 0, 2.4)
                fine = _field(x + 3.0, y, waves, 3, 6.5)
                sun = _step(coarse + 0.55 * fine - 0.1, 0.9)
                glint = _step(fine + 0.4 * coarse - 0.55, 0.35) * contrast
                for c in range(3):
                    tint[c] = second[c] + (base[c] - second[c]) * sun
                    tint[c] += (accent[c] * 1.3 - tint[c]) * 0.75 * glint
                stem = _step(0.05 + 0.03 * np.tanh(layout[6]) - abs(x - 0.9 * np.tanh(layout[5]) - 0.08 * y), 0.06) * _step(layout[7], 0.4)
                for c in range(3):
                    tint[c] += (0.35 * second[c] - tint[c]) * 0.8 * stem
            elif scene == 5:  # open: sky, a skyline of trees or houses, ground
                line = -0.15 + 0.28 * np.tanh(layout[0]) + 0.16 * _field(x, 0.0, waves, 1, 2.6)
                block = 0.12 * np.sign(np.sin(6.0 * x + 2.0 * layout[4])) * _step(layout[5], 0.3)
                ground = -0.6 + 0.15 * np.tanh(layout[3])
                cloud = 0.35 * contrast * _step(_field(0.6 * x, 1.6 * y, waves, 2, 2.0), 0.9)
                height = min(max((y - line) / 1.2, 0.0), 1.0)
                below = _step(line + block - y, edge)
                for c in range(3):
                    sky = base[c] * (1.15 - 0.4 * height)
                    tint[c] = sky + (0.85 - sky) * cloud
                    trees = second[c] * (0.75 + 0.5 * _step(_field(x, y, waves, 3, 5.0), 0.9))
                    tint[c] += (trees - tint[c]) * below
                    tint[c] += (accent[c] - tint[c]) * _step(ground - y, 0.12)
            else:  # night: lights as discs, as an open lens draws them
                for c in range(3):
                    tint[c] *= 0.8 + 0.4 * _field(x, y, waves, 2, 1.4)
                for k in range(discs.shape[0]):
                    disc = discs[k]
                    away = (x - disc[0]) ** 2 + (y - disc[1]) ** 2
                    if away < (disc[2] + 0.05) ** 2:
                        glow = _step(disc[2] - np.sqrt(away), 0.05) * disc[3]
                        for c in range(3):
                            tint[c] += glow * (accent[c] * disc[4] + second[c] * 2.0 * (1.0 - disc[4])) * 2.0
            for c in range(3):
                out[row, column, c] = max(tint[c], 0.0)


@numba.njit(cache=True, nogil=True)
def _light(canvas: Floats, strength: float, side: float, vignette: float) -> None:
    """Falloff of light across the scene and towards the corners."""
    size = canvas.shape[0]
    for row in range(size):
        y = 1.0 - 2.0 * (row + 0.5) / size
        for column in range(size):
            x = 2.0 * (column + 0.5) / size - 1.0
            gain = (1.0 + strength * (0.6 * side * x + 0.25 * y)) * (1.0 - 0.35 * vignette * (x * x + y * y))
            for c in range(3):
                canvas[row, column, c] *= max(gain, 0.0)
