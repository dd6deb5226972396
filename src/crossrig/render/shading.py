"""Second-order spherical-harmonics light on diffuse surfaces, and the sRGB transfer curve.

The coefficients L already include the cosine lobe over pi (Ramamoorthi & Hanrahan 2001, eq. 13), so
radiance = linear albedo * sum_k L[k] Y_k(normal). Order and constants of the real harmonics Y_k: `harmonics.BANDS`.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrig.check import check
from crossrig.render.harmonics import C0, C1, C2, C20, C22, ILLUMINATION_SIZE, SH_COUNT

COSINE_LOBE = (1.0,) + (2 / 3,) * 3 + (1 / 4,) * 5
"""Per band: the clamped cosine's zonal coefficient over pi (Ramamoorthi & Hanrahan 2001, eq. 8)."""


def sh_basis(normals: Tensor) -> Tensor:
    """Unit vectors (..., 3) -> the nine real harmonics (..., 9), in the order of `harmonics.BANDS`."""
    x, y, z = normals.unbind(dim=-1)
    return torch.stack(
        (
            torch.full_like(x, C0),
            C1 * y,
            C1 * z,
            C1 * x,
            C2 * x * y,
            C2 * y * z,
            C20 * (3 * z * z - 1),
            C2 * x * z,
            C22 * (x * x - y * y),
        ),
        dim=-1,
    )


def irradiance(normals: Tensor, illumination: Tensor) -> Tensor:
    """Shading of a white surface, >= 0: world normals (B, ..., 3) and illumination (B, 27), band-major -> (B, ..., 3).

    Raises ShapeError for other shapes or unequal batches.
    """
    sizes = check(normals, "B ... 3", name="normals")
    check(illumination, f"B {ILLUMINATION_SIZE}", name="illumination", sizes=sizes)
    bands = illumination.reshape(-1, SH_COUNT, 3)
    basis = sh_basis(normals).reshape(normals.shape[0], -1, SH_COUNT)
    return torch.bmm(basis, bands).reshape(normals.shape).clamp(min=0)


def ambient_light(colour: Tensor) -> Tensor:
    """Illumination (..., 27) of an even sky under which a white surface has radiance `colour` (..., 3)."""
    return directional_coefficients(torch.zeros_like(colour), colour, lobe=(1.0,) + (0.0,) * 8) / (C0 * C0)


def directional_light(direction: Tensor, colour: Tensor) -> Tensor:
    """Illumination (..., 27) of a distant point light, projected on the nine harmonics.

    direction (..., 3): unit vector *towards* the light. colour (..., 3): radiance of a white surface that faces it. The
    second-order projection is exact on average and overshoots by 6% at the brightest point.
    """
    return math.pi * directional_coefficients(direction, colour, COSINE_LOBE)


def directional_coefficients(direction: Tensor, colour: Tensor, lobe: tuple[float, ...]) -> Tensor:
    """colour * lobe[k] * Y_k(direction), flattened band-major: (..., 27)."""
    bands = sh_basis(direction) * torch.tensor(lobe, dtype=direction.dtype, device=direction.device)  # (..., 9)
    return (bands[..., :, None] * colour[..., None, :]).flatten(start_dim=-2)


def srgb_encode(linear: Tensor) -> Tensor:
    """Linear light in [0, 1] -> sRGB-encoded values in [0, 1] (IEC 61966-2-1)."""
    # The power has an infinite slope at 0, which `where` alone would turn into NaN gradients.
    curve = 1.055 * linear.clamp(min=0.0031308).pow(1 / 2.4) - 0.055
    return torch.where(linear <= 0.0031308, 12.92 * linear, curve)


def srgb_decode(encoded: Tensor) -> Tensor:
    """sRGB-encoded values in [0, 1] -> linear light in [0, 1]."""
    curve = ((encoded.clamp(min=0.04045) + 0.055) / 1.055).pow(2.4)
    return torch.where(encoded <= 0.04045, encoded / 12.92, curve)


def srgb_bytes_table(entries: int = 4096) -> NDArray[np.uint8]:
    """Look-up table from linear light to 8-bit sRGB: index round(linear * (entries - 1))."""
    linear = torch.linspace(0, 1, entries, dtype=torch.float64)
    table: NDArray[np.uint8] = (srgb_encode(linear) * 255).round().to(torch.uint8).numpy()
    return table
