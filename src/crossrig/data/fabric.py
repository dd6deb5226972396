"""Weaves and prints of cloth, evaluated per pixel from texture coordinates in metres."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numba
import numpy as np

from crossrig.data.geometry import Floats

PIECE_STRIDE: Final = 8.0  # metres: u of piece k lies in [k, k+1) * PIECE_STRIDE, so a pixel knows which pattern is its own

WEAVES: Final = ("plain", "stripes", "plaid", "gingham", "rib", "melange")


@dataclass(frozen=True)
class Pattern:
    """A weave or print. `scale` is the repeat in metres, `colour` the second colour (linear RGB), shares in [0,1]."""

    weave: str = "plain"  # one of WEAVES
    scale: float = 0.02  # 0.003 .. 0.06
    contrast: float = 0.5  # share of the second colour where the pattern is on
    balance: float = 0.5  # share of the repeat that is on
    angle: float = 0.0  # radians, of the pattern against the thread
    grain: float = 0.15  # strength of the irregularities of thread and dye
    colour: tuple[float, float, float] = (0.7, 0.7, 0.7)

    def __post_init__(self) -> None:
        if self.weave not in WEAVES:
            raise ValueError(f"unknown weave {self.weave!r}, expected one of {WEAVES}")


def pattern_table(patterns: Sequence[Pattern]) -> Floats:
    """(n, 10) rows for `cloth_colour`: weave, scale, contrast, balance, cos and sin of the angle, grain, second colour."""
    return np.asarray(
        [
            (WEAVES.index(p.weave), p.scale, p.contrast, p.balance, np.cos(p.angle), np.sin(p.angle), p.grain, *p.colour)
            for p in patterns
        ],
        np.float32,
    )


@numba.njit(cache=True, nogil=True)
def _lattice(i: int, j: int) -> float:
    """Pseudo-random number in [0,1) of an integer lattice point."""
    h = np.uint32(i * 374761393 + j * 668265263)
    h = np.uint32((h ^ (h >> np.uint32(13))) * np.uint32(1274126177))
    return float(np.uint32(h ^ (h >> np.uint32(16)))) / 4294967296.0


@numba.njit(cache=True, nogil=True)
def _noise(x: float, y: float) -> float:
    """Value noise in [-1,1], period-free, cells of one unit."""
    i, j = int(np.floor(x)), int(np.floor(y))
    fx, fy = x - i, y - j
    fx, fy = fx * fx * (3.0 - 2.0 * fx), fy * fy * (3.0 - 2.0 * fy)
    low = _lattice(i, j) * (1.0 - fx) + _lattice(i + 1, j) * fx
    high = _lattice(i, j + 1) * (1.0 - fx) + _lattice(i + 1, j + 1) * fx
    return 2.0 * (low * (1.0 - fy) + high * fy) - 1.0


@numba.njit(cache=True, nogil=True)
def _bar(x: float, share: float, edge: float) -> float:
    """1 within the first `share` of each unit, 0 elsewhere, with edges `edge` wide; its mean `share` when edges exceed the repeat."""
    phase = abs((x - 0.5 * share) - np.floor(x - 0.5 * share + 0.5))  # distance from the middle of the bar, 0 .. 0.5
    sharp = min(max((0.5 * share - phase) / edge + 0.5, 0.0), 1.0)
    fade = min(max((edge - 0.3) / 0.5, 0.0), 1.0)
    return float(sharp + (share - sharp) * fade)


@numba.njit(cache=True, nogil=True)
def cloth_colour(u: float, v: float, footprint: float, table: Floats, colour: Floats) -> None:
    """Replaces the plain linear RGB `colour` (3,) of one pixel of cloth by its patterned one.

    u, v are interpolated texture coordinates of a clothes patch, `footprint` the width of a pixel in metres on the cloth (patterns
    finer than that fade to their mean), `table` what `Clothes.patterns()` returned.
    """
    piece = int(np.floor(u / PIECE_STRIDE))
    u -= (piece + 0.5) * PIECE_STRIDE
    row = table[min(max(piece, 0), table.shape[0] - 1)]
    weave, scale, contrast, balance = int(row[0]), row[1], row[2], row[3]
    x = (u * row[4] + v * row[5]) / scale
    y = (v * row[4] - u * row[5]) / scale
    edge = max(footprint / scale, 0.06)
    share = 0.0
    shade = 1.0
    if weave == 1:  # stripes
        share = _bar(y, balance, edge)
    elif weave == 2:  # plaid: two broad bands and thin lines crossing
        wide_x, wide_y = _bar(x, balance, edge), _bar(y, balance, edge)
        share = 0.5 * (wide_x + wide_y)
        line_x, line_y = _bar(x + 0.5, 0.1, edge), _bar(y + 0.5, 0.1, edge)
        shade = 1.0 - 0.3 * (line_x + line_y - line_x * line_y)
    elif weave == 3:  # gingham: equal checks
        share = 0.5 * (_bar(x, 0.5, edge) + _bar(y, 0.5, edge))
    elif weave == 4:  # ribs of knitting, darker in the valleys
        fade = min(max(1.0 - 1.5 * footprint / scale, 0.0), 1.0)
        shade = 1.0 + contrast * fade * 0.45 * (np.cos(2.0 * np.pi * x) - 0.3)
    elif weave == 5:  # fibres of two colours, drawn out along the thread
        fine = min(max(1.6 - footprint / 0.0012, 0.0), 1.0)
        share = min(max(0.5 * balance + 0.22 * fine * _noise(u / 0.0022, v / 0.0014) + 0.10 * _noise(u / 0.009, v / 0.004), 0.0), 1.0)
    grain = row[6]
    if grain > 0.0:
        fine = min(max(1.5 - footprint / 0.002, 0.0), 1.0)
        shade *= 1.0 + grain * (0.35 * fine * _noise(u / 0.0016, v / 0.0016) + 0.25 * _noise(u / 0.02, v / 0.02))
    share *= contrast
    for c in range(3):
        colour[c] = (colour[c] + (row[7 + c] - colour[c]) * share) * shade
