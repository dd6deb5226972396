"""Spherical-harmonics light and the sRGB curve."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from crossrig.check import ShapeError
from crossrig.render.harmonics import irradiances_at
from crossrig.render.shading import (
    COSINE_LOBE,
    ambient_light,
    directional_light,
    irradiance,
    sh_basis,
    srgb_bytes_table,
    srgb_decode,
    srgb_encode,
)


def sphere(count: int) -> Tensor:
    """Unit vectors (count, 3) spread evenly (Fibonacci lattice), each standing for 4 pi / count steradians."""
    k = torch.arange(count, dtype=torch.float64)
    z = 1 - (2 * k + 1) / count
    angle = k * math.pi * (3 - math.sqrt(5))
    ring = (1 - z * z).sqrt()
    return torch.stack((ring * angle.cos(), ring * angle.sin(), z), dim=1)


def random_normals(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(5)
    vectors = torch.randn(*shape, 3, generator=generator, dtype=torch.float64)
    return vectors / vectors.norm(dim=-1, keepdim=True)


def test_basis_is_orthonormal() -> None:
    basis = sh_basis(sphere(20_000))
    gram = basis.T @ basis * (4 * math.pi / len(basis))
    torch.testing.assert_close(gram, torch.eye(9, dtype=torch.float64), atol=1e-4, rtol=0)


def test_uniform_light_shades_every_normal_alike() -> None:
    light = ambient_light(torch.tensor([[1.0, 0.5, 0.25]], dtype=torch.float64))
    assert light[0, 0].item() == pytest.approx(1 / 0.282095, rel=1e-6)
    assert light[0, 3:].abs().max() == 0
    shading = irradiance(random_normals(1, 30), light)
    torch.testing.assert_close(shading, torch.tensor([1.0, 0.5, 0.25], dtype=torch.float64).expand(1, 30, 3))


def test_shading_is_the_cosine_integral_of_the_incoming_light() -> None:
    # A band-limited sky is shaded exactly by nine coefficients: 1/pi * integral of sky(w) max(n.w, 0).
    sky = torch.randn(9, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    sky[0] += 12  # bright enough that no shading is clamped at 0
    directions = sphere(40_000)
    normals = random_normals(12)
    cosine = (normals @ directions.T).clamp(min=0)  # (12, D)
    expected = cosine @ (sh_basis(directions) @ sky) * (4 * math.pi / len(directions)) / math.pi
    light = (sky * torch.tensor(COSINE_LOBE, dtype=torch.float64)[:, None]).reshape(1, 27)
    torch.testing.assert_close(irradiance(normals[None], light)[0], expected, atol=2e-3, rtol=0)


def test_directional_light_is_the_projection_of_the_clamped_cosine() -> None:
    towards = random_normals(1)
    colour = torch.tensor([[1.0, 0.5, 2.0]], dtype=torch.float64)
    directions = sphere(40_000)
    lambert = (directions @ towards[0]).clamp(min=0)[:, None] * colour  # (D, 3)
    expected = sh_basis(directions).T @ lambert * (4 * math.pi / len(directions))
    light = directional_light(towards, colour)
    torch.testing.assert_close(light.reshape(9, 3), expected, atol=1e-4, rtol=0)
    facing = irradiance(towards[:, None], light)[0, 0]
    torch.testing.assert_close(facing, 1.0625 * colour[0])


def test_axes_of_the_first_band() -> None:
    axes = torch.eye(3, dtype=torch.float64)
    for axis, normal in enumerate(axes):
        light = directional_light(normal, torch.ones(3).double())
        shading = irradiance(torch.stack((normal, -normal))[None], light[None])
        assert shading[0, 0, 0] > 1, f"a light along axis {axis} must light the side that faces it"
        assert shading[0, 1, 0] < 0.07


def test_shading_is_never_negative() -> None:
    light = -ambient_light(torch.ones(1, 3, dtype=torch.float64))
    assert irradiance(random_normals(1, 4), light).max() == 0


def test_compiled_twin_agrees() -> None:
    light = torch.randn(27, generator=torch.Generator().manual_seed(2), dtype=torch.float64)
    normals = random_normals(40)
    expected = irradiance(normals[None], light[None])[0].numpy()
    bands = light.reshape(9, 3).numpy()
    actual = [irradiances_at(*normal, bands) for normal in normals.numpy()]
    np.testing.assert_allclose(actual, expected, atol=1e-12)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(ShapeError, match="illumination"):
        irradiance(torch.zeros(2, 5, 3), torch.zeros(2, 9))
    with pytest.raises(ShapeError, match="B = 2"):
        irradiance(torch.zeros(2, 5, 3), torch.zeros(1, 27))


def test_srgb_known_values_and_round_trip() -> None:
    linear = torch.tensor([0.0, 0.0031308, 0.214041, 0.5, 1.0], dtype=torch.float64)
    expected = torch.tensor([0.0, 0.04045, 0.5, 0.735357, 1.0], dtype=torch.float64)
    torch.testing.assert_close(srgb_encode(linear), expected, atol=1e-5, rtol=0)
    values = torch.linspace(0, 1, 101, dtype=torch.float64)
    torch.testing.assert_close(srgb_decode(srgb_encode(values)), values, atol=1e-6, rtol=0)


def test_srgb_table_is_the_curve() -> None:
    table = srgb_bytes_table(1001)
    assert (table[0], table[500], table[-1]) == (0, 188, 255)
    assert (np.diff(table.astype(int)) >= 0).all()


def test_gradcheck() -> None:
    normals = random_normals(2, 3).requires_grad_()
    light = (ambient_light(torch.ones(2, 3).double()) + 0.1 * torch.randn(2, 27).double()).requires_grad_()
    assert torch.autograd.gradcheck(irradiance, (normals, light))
    assert torch.autograd.gradcheck(srgb_encode, (torch.tensor([0.001, 0.2, 0.9]).double().requires_grad_(),))
    assert torch.autograd.gradcheck(srgb_decode, (torch.tensor([0.01, 0.2, 0.9]).double().requires_grad_(),))


def test_srgb_slope_at_black_is_finite() -> None:
    black = torch.zeros(1, requires_grad=True)
    srgb_encode(black).sum().backward()
    assert black.grad is not None
    assert black.grad.item() == pytest.approx(12.92)
