"""The nine real spherical harmonics of order two and less, and light evaluated in them by compiled code.

`render.shading` holds the differentiable side and says what the coefficients mean.
"""

from __future__ import annotations

import math

from numba import njit

BANDS = ("Y00", "Y1-1 y", "Y10 z", "Y11 x", "Y2-2 xy", "Y2-1 yz", "Y20 3z2-1", "Y21 xz", "Y22 x2-y2")
SH_COUNT = len(BANDS)
ILLUMINATION_SIZE = SH_COUNT * 3

C0 = 0.5 / math.sqrt(math.pi)  # 0.282095
C1 = math.sqrt(3 / (4 * math.pi))  # 0.488603
C2 = math.sqrt(15 / (4 * math.pi))  # 1.092548
C20 = math.sqrt(5 / (16 * math.pi))  # 0.315392
C22 = math.sqrt(15 / (16 * math.pi))  # 0.546274


@njit(cache=True, nogil=True, inline="never")
def irradiance_at(x, y, z, bands, channel):  # type: ignore[no-untyped-def]
    """Compiled `shading.irradiance` of one unit normal: bands (9, 3) float32 -> shading of that colour channel, >= 0."""
    value = (
        C0 * bands[0, channel]
        + C1 * (y * bands[1, channel] + z * bands[2, channel] + x * bands[3, channel])
        + C2 * (x * y * bands[4, channel] + y * z * bands[5, channel] + x * z * bands[7, channel])
        + C20 * (3.0 * z * z - 1.0) * bands[6, channel]
        + C22 * (x * x - y * y) * bands[8, channel]
    )
    return max(value, 0.0)


@njit(cache=True, nogil=True)
def irradiances_at(x, y, z, bands):  # type: ignore[no-untyped-def]
    """`irradiance_at` of the three colour channels, the same numbers for less: (red, green, blue)."""
    xy, yz, xz, zz, xx = x * y, y * z, x * z, 3.0 * z * z - 1.0, x * x - y * y
    r = (
        C0 * bands[0, 0]
        + C1 * (y * bands[1, 0] + z * bands[2, 0] + x * bands[3, 0])
        + C2 * (xy * bands[4, 0] + yz * bands[5, 0] + xz * bands[7, 0])
        + C20 * zz * bands[6, 0]
        + C22 * xx * bands[8, 0]
    )
    g = (
        C0 * bands[0, 1]
        + C1 * (y * bands[1, 1] + z * bands[2, 1] + x * bands[3, 1])
        + C2 * (xy * bands[4, 1] + yz * bands[5, 1] + xz * bands[7, 1])
        + C20 * zz * bands[6, 1]
        + C22 * xx * bands[8, 1]
    )
    b = (
        C0 * bands[0, 2]
        + C1 * (y * bands[1, 2] + z * bands[2, 2] + x * bands[3, 2])
        + C2 * (xy * bands[4, 2] + yz * bands[5, 2] + xz * bands[7, 2])
        + C20 * zz * bands[6, 2]
        + C22 * xx * bands[8, 2]
    )
    return max(r, 0.0), max(g, 0.0), max(b, 0.0)
