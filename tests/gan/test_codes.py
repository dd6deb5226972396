from __future__ import annotations

import torch

from crossrig.gan.codes import code_from_z, code_rotation, z_from_code
from crossrig.gan.ops import pixel_norm


def test_rotation_is_orthogonal_and_fixed() -> None:
    rotation = code_rotation(64)
    torch.testing.assert_close(rotation @ rotation.T, torch.eye(64), atol=1e-5, rtol=0)
    torch.testing.assert_close(rotation, code_rotation(64))


def test_z_lies_on_the_sphere_and_gives_its_code_back() -> None:
    rotation = code_rotation(512)
    code = torch.randn(20, 384, generator=torch.Generator().manual_seed(1))
    z = z_from_code(code, rotation)
    torch.testing.assert_close(pixel_norm(z), z, atol=1e-4, rtol=0)
    torch.testing.assert_close(code_from_z(z, rotation, 384), code, atol=1e-4, rtol=0)


def test_overlong_code_is_shortened_not_rejected() -> None:
    rotation = code_rotation(64)
    z = z_from_code(torch.full((1, 40), 3.0), rotation)
    assert torch.isfinite(z).all()
    found = code_from_z(z, rotation, 40)
    assert found.std() < 1e-4
    assert 0 < found.mean() < 3.0


def test_free_samples_have_codes_like_the_population() -> None:
    rotation = code_rotation(512)
    z = torch.randn(4000, 512, generator=torch.Generator().manual_seed(2))
    code = code_from_z(z, rotation, 384)
    assert abs(float(code.mean())) < 0.01
    assert abs(float(code.std()) - 1.0) < 0.01
