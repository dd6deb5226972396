"""Where a person code sits in z.

The supervised start of our generator draws z so that it *contains* the code of the portrait it must paint. The code (C
iid standard normals) is padded with free normals to the z sphere and turned by a fixed random rotation, so no axis of z
is special and z stays an ordinary isotropic Gaussian: sampling needs none of this. Codes are known for every sampled z,
which gives exact pairs "same person, one attribute changed" without any labelling network.
"""

from __future__ import annotations

import torch
from torch import Tensor

_ROTATION_SEED = 20210423


def code_rotation(z_dim: int) -> Tensor:
    """The fixed orthogonal matrix (z_dim, z_dim) that turns (code, free) into z; the same on every machine."""
    gaussian = torch.randn(z_dim, z_dim, generator=torch.Generator().manual_seed(_ROTATION_SEED), dtype=torch.float64)
    q, r = torch.linalg.qr(gaussian)
    rotation: Tensor = (q * torch.sign(torch.diagonal(r))).float()
    return rotation


def z_from_code(code: Tensor, rotation: Tensor, free: Tensor | None = None) -> Tensor:
    """Codes (B,C) -> z (B,z_dim) on the sphere of radius sqrt(z_dim), which pixel normalisation leaves unchanged.

    `free` (B, z_dim - C) are the dimensions the code leaves open; drawn at random when not given. A code too long for
    the sphere (improbable: |code|^2 > 0.98 z_dim) is shortened to fit.
    """
    z_dim = rotation.shape[0]
    if free is None:
        free = torch.randn(code.shape[0], z_dim - code.shape[1], device=code.device)
    longest = (0.98 * z_dim) ** 0.5
    code = code * (longest / code.norm(dim=1, keepdim=True)).clamp(max=1.0)  # (B,C)
    remaining = (z_dim - code.square().sum(1, keepdim=True)).sqrt()  # (B,1)
    free = free * (remaining / free.norm(dim=1, keepdim=True))
    return torch.cat([code, free], dim=1) @ rotation.T


def code_from_z(z: Tensor, rotation: Tensor, size: int) -> Tensor:
    """z (B,z_dim) -> the person code (B,size) it stands for, after the pixel normalisation of the mapping network."""
    z = z * (z.square().mean(1, keepdim=True) + 1e-8).rsqrt()
    return (z @ rotation)[:, :size]
