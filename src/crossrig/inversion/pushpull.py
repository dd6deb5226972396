"""Push and pull: values that are known here and there, continued smoothly to everywhere; compiled loops that leave Python to other threads.

Coarser and coarser averages of what is known fill what is empty (Gortler et al. 1996, "The Lumigraph", sec. 3.4).
"""

from __future__ import annotations

import numpy as np
from numba import njit
from torch import Tensor, from_numpy

_NOTHING = 1e-6  # a weight that means nothing is known


def extend(values: Tensor, mask: Tensor) -> Tensor:
    """Values (1, C, H, W), zero outside a mask (1, 1, H, W), continued outwards. No gradients."""
    value, weight = (np.ascontiguousarray(part[0].cpu().numpy(), np.float32) for part in (values, mask))
    levels = [(value, weight[0])]
    while min(levels[-1][1].shape) > 1:
        levels.append(_halve(*levels[-1]))
    filled = levels[-1][0] / np.maximum(levels[-1][1], np.float32(_NOTHING))
    for value, known in reversed(levels[:-1]):
        filled = _fill(value, known, filled)
    return from_numpy(filled)[None].to(values)


@njit(cache=True, nogil=True, inline="always")
def place(index, large, small):  # type: ignore[no-untyped-def]
    """Between which two of `small` pixels one of `large` lies, and how near to the second (bilinear, corners not aligned)."""
    where = min(max((index + 0.5) * small / large - 0.5, 0.0), small - 1.0)
    first = int(where)
    return first, min(first + 1, small - 1), np.float32(where - first)


@njit(cache=True, nogil=True)
def _halve(values, weights):  # type: ignore[no-untyped-def]
    """Means of two by two pixels of values (C, H, W) and weights (H, W); at odd borders of those there are."""
    channels, height, width = values.shape
    rows, columns = (height + 1) // 2, (width + 1) // 2
    value, weight = np.zeros((channels, rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    for y in range(rows):
        for x in range(columns):
            bottom, right = min(2 * y + 2, height), min(2 * x + 2, width)
            share = np.float32(1.0 / ((bottom - 2 * y) * (right - 2 * x)))
            for row in range(2 * y, bottom):
                for column in range(2 * x, right):
                    weight[y, x] += share * weights[row, column]
                    for c in range(channels):
                        value[c, y, x] += share * values[c, row, column]
    return value, weight


@njit(cache=True, nogil=True)
def _widened(values, width):  # type: ignore[no-untyped-def]
    """Pictures (C, h, w) -> (C, h, width), bilinear."""
    channels, rows, columns = values.shape
    out = np.empty((channels, rows, width), np.float32)
    for x in range(width):
        left, right, across = place(x, width, columns)
        for c in range(channels):
            for y in range(rows):
                out[c, y, x] = values[c, y, left] + across * (values[c, y, right] - values[c, y, left])
    return out


@njit(cache=True, nogil=True)
def _fill(values, weights, coarse):  # type: ignore[no-untyped-def]
    """values (C, H, W) over weights (H, W), and where these are small, instead, the coarse (C, h, w) enlarged bilinearly."""
    channels, height, width = values.shape
    wide = _widened(coarse, width)
    out = np.empty((channels, height, width), np.float32)
    # loops over whole rows, which the compiler makes wide instructions of
    for y in range(height):
        above, below, down = place(y, height, coarse.shape[1])
        known = np.minimum(np.float32(4.0) * weights[y], np.float32(1.0))
        share = known / np.maximum(weights[y], np.float32(_NOTHING))
        for c in range(channels):
            upper, lower, value, line = wide[c, above], wide[c, below], values[c, y], out[c, y]
            for x in range(width):
                line[x] = share[x] * value[x] + (1 - known[x]) * (upper[x] + down * (lower[x] - upper[x]))
    return out
