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
def channel_bands(bands, channel):  # type: ignore[no-untyped-def]
    """One channel of bands (9, 3) as nine numbers for `irradiance_at`, the constants of the harmonics multiplied in."""
    return (
        C0 * bands[0, channel],
        C1 * bands[1, channel],
        C1 * bands[2, channel],
        C1 * bands[3, channel],
        C2 * bands[4, channel],
        C2 * bands[5, channel],
        C20 * bands[6, channel],
        C2 * bands[7, channel],
        C22 * bands[8, channel],
    )


@njit(cache=True, nogil=True)
def irradiance_at(x, y, z, bands):  # type: ignore[no-untyped-def]
    """One channel of `irradiances_at`; bands: see `channel_bands`. A loop over many normals keeps them in registers."""
    value = bands[0] + y * bands[1] + z * bands[2] + x * bands[3] + x * y * bands[4] + y * z * bands[5]
    return max(value + (3.0 * z * z - 1.0) * bands[6] + x * z * bands[7] + (x * x - y * y) * bands[8], 0.0)


@njit(cache=True, nogil=True)
def irradiances_at(x, y, z, bands):  # type: ignore[no-untyped-def]
    """Compiled `shading.irradiance` of one unit normal: bands (9, 3) float32 -> shading (red, green, blue), >= 0."""
    return (
        irradiance_at(x, y, z, channel_bands(bands, 0)),
        irradiance_at(x, y, z, channel_bands(bands, 1)),
        irradiance_at(x, y, z, channel_bands(bands, 2)),
    )
