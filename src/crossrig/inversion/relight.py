"""What light and skin have changed, laid onto a picture quickly: for previews.

It gives what `detail.compose` adds, a guided filter in three colours, up to rounding and where pixels of a smaller picture lie; and is
tested against it. There each step is one operation on whole pictures; here the small sums of every pixel are done together, by compiled
loops that leave Python to other threads, and all windows are averaged at once.
"""

from __future__ import annotations

import cv2
import numpy as np
from numba import njit
from numpy.typing import NDArray
from torch import Tensor, from_numpy

from crossrig.inversion.detail import SAME, WINDOW
from crossrig.inversion.pushpull import place

Values = NDArray[np.float32]

_COLOURS = 3
_PAIRS = 6  # products of two of the picture's colours
_LINE = 12  # numbers of a linear function from colour to colour: 3 levels, 9 slopes


def relit(picture: Tensor, change: Tensor, share: Tensor, side: int) -> Tensor:
    """A picture (1, 3, H, W) and, as much as `share` (1, 1, H, W) says, a change of colour (1, 3, h, w) with the picture's edges.

    `side`: px at which it is found.
    """
    sigma = WINDOW * side / 2
    guide, wanted = (_averaged(_plain(image), side) for image in (picture, change))
    lines = _lines(_blur(_moments(guide, wanted), sigma), SAME)
    return from_numpy(_add(_plain(picture), _blur(lines, sigma), _plain(share)[0]))[None].to(picture)


def _plain(picture: Tensor) -> Values:
    """(1, C, H, W) -> (C, H, W), laid out as the loops are compiled for."""
    return np.ascontiguousarray(picture[0].cpu().numpy(), np.float32)


def _blur(values: Values, sigma: float) -> Values:
    """Gaussian windows over (h, w, n)."""
    return np.asarray(cv2.GaussianBlur(values, (0, 0), sigma, borderType=cv2.BORDER_REPLICATE), np.float32)


@njit(cache=True, nogil=True)
def _averaged(picture, side):  # type: ignore[no-untyped-def]
    """(C, H, W) -> (C, side, side): means of the pixels that each covers (torch's "area")."""
    channels, height, width = picture.shape
    out = np.empty((channels, side, side), np.float32)
    lines = np.empty((channels, width), np.float32)
    for row in range(side):
        top, bottom = row * height // side, -(-(row + 1) * height // side)
        lines[:] = 0.0
        for c in range(channels):
            line = lines[c]
            for y in range(top, bottom):
                values = picture[c, y]
                for x in range(width):
                    line[x] += values[x]
        for column in range(side):
            left, right = column * width // side, -(-(column + 1) * width // side)
            share = np.float32(1.0 / ((bottom - top) * (right - left)))
            for c in range(channels):
                out[c, row, column] = share * lines[c, left:right].sum()
    return out


@njit(cache=True, nogil=True)
def _moments(guide, wanted):  # type: ignore[no-untyped-def]
    """Two pictures (3, h, w) -> (h, w, 21): their colours, the products of the first's, and those of the first's with the other's."""
    _, height, width = guide.shape
    out = np.empty((height, width, 2 * _COLOURS + _PAIRS + _COLOURS * _COLOURS), np.float32)
    for row in range(height):
        for column in range(width):
            at = out[row, column]
            place = 2 * _COLOURS
            for i in range(_COLOURS):
                at[i] = guide[i, row, column]
                at[_COLOURS + i] = wanted[i, row, column]
                for j in range(i, _COLOURS):
                    at[place] = guide[i, row, column] * guide[j, row, column]
                    place += 1
            for i in range(_COLOURS):
                for j in range(_COLOURS):
                    at[place] = guide[i, row, column] * wanted[j, row, column]
                    place += 1
    return out


@njit(cache=True, nogil=True)
def _lines(means, same):  # type: ignore[no-untyped-def]
    """Means of moments (h, w, 21) -> (h, w, 12): of the change's three colours the levels, then slopes for each of the guide's colours."""
    height, width, _ = means.shape
    out = np.empty((height, width, _LINE), np.float32)
    for row in range(height):
        for column in range(width):
            at = means[row, column]
            g0, g1, g2 = np.float64(at[0]), np.float64(at[1]), np.float64(at[2])
            # the covariance of the guide's colours, symmetric, and its inverse by cofactors
            a = at[6] - g0 * g0 + same * same
            b = at[7] - g0 * g1
            c = at[8] - g0 * g2
            d = at[9] - g1 * g1 + same * same
            e = at[10] - g1 * g2
            f = at[11] - g2 * g2 + same * same
            aa, ab, ac = d * f - e * e, c * e - b * f, b * e - c * d
            bb, bc, cc = a * f - c * c, b * c - a * e, a * d - b * b
            scale = 1.0 / (a * aa + b * ab + c * ac)
            for j in range(_COLOURS):
                w = np.float64(at[_COLOURS + j])
                x, y, z = at[12 + j] - g0 * w, at[15 + j] - g1 * w, at[18 + j] - g2 * w
                s0 = (aa * x + ab * y + ac * z) * scale
                s1 = (ab * x + bb * y + bc * z) * scale
                s2 = (ac * x + bc * y + cc * z) * scale
                out[row, column, j] = w - s0 * g0 - s1 * g1 - s2 * g2
                out[row, column, 3 + j], out[row, column, 6 + j], out[row, column, 9 + j] = s0, s1, s2
    return out


@njit(cache=True, nogil=True)
def _add(picture, lines, share):  # type: ignore[no-untyped-def]
    """picture (3, H, W) + share (H, W) * the change that lines (h, w, 12), enlarged bilinearly, make of its colours."""
    _, height, width = picture.shape
    rows = len(lines)
    wide = _widened(lines, width)
    out = np.empty((_COLOURS, height, width), np.float32)
    here = np.empty((_LINE, width), np.float32)
    # loops over whole rows of few arrays, which the compiler makes wide instructions of
    for row in range(height):
        above, below, weight = place(row, height, rows)
        for n in range(_LINE):
            upper, lower, line = wide[above, n], wide[below, n], here[n]
            for x in range(width):
                line[x] = upper[x] + weight * (lower[x] - upper[x])
        for j in range(_COLOURS):
            change, base, much, line = here[j], picture[j, row], share[row], out[j, row]
            for i in range(_COLOURS):
                slope, colour = here[_COLOURS * (i + 1) + j], picture[i, row]
                for x in range(width):
                    change[x] += slope[x] * colour[x]
            for x in range(width):
                line[x] = base[x] + much[x] * change[x]
    return out


@njit(cache=True, nogil=True)
def _widened(lines, width):  # type: ignore[no-untyped-def]
    """(h, w, 12) -> (h, 12, W)."""
    rows, columns, count = lines.shape
    out = np.empty((rows, count, width), np.float32)
    first, second, weight = np.empty(width, np.int64), np.empty(width, np.int64), np.empty(width, np.float32)
    for x in range(width):
        first[x], second[x], weight[x] = place(x, width, columns)
    for row in range(rows):
        for n in range(count):
            for x in range(width):
                left = lines[row, first[x], n]
                out[row, n, x] = left + weight[x] * (lines[row, second[x], n] - left)
    return out
