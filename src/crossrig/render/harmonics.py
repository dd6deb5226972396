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


@njit(cache=True, nogil=True)
def _light(x, y, z, xy, yz, xz, zz, xx, bands, channel):  # type: ignore[no-untyped-def]
    value = (
        C0 * bands[0, channel]
        + C1 * (y * bands[1, channel] + z * bands[2, channel] + x * bands[3, channel])
        + C2 * (xy * bands[4, channel] + yz * bands[5, channel] + xz * bands[7, channel])
        + C20 * zz * bands[6, channel]
        + C22 * xx * bands[8, channel]
    )
    return max(value, 0.0)


@njit(cache=True, nogil=True)
def irradiances_at(x, y, z, bands):  # type: ignore[no-untyped-def]
    """Compiled `shading.irradiance` of one unit normal: bands (9, 3) float32 -> shading (red, green, blue), >= 0."""
    xy, yz, xz, zz, xx = x * y, y * z, x * z, 3.0 * z * z - 1.0, x * x - y * y
    return (
        _light(x, y, z, xy, yz, xz, zz, xx, bands, 0),
        _light(x, y, z, xy, yz, xz, zz, xx, bands, 1),
        _light(x, y, z, xy, yz, xz, zz, xx, bands, 2),
    )
