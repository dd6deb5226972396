"""Style codes of random people, and their labels: what T and M are trained on."""

from __future__ import annotations

import torch
from torch import Tensor

from crossrig.gan.generator import Generator
from crossrig.rig.reconstruction import Reconstruction


@torch.no_grad()
def sample_styles(
    generator: Generator, count: int, random: torch.Generator, mixed: float = 0.5, most: int = 5, truncation: float = 1.0
) -> Tensor:
    """(count, S) style codes. A share `mixed` of them joins 2 to `most` people over the layers (CDDFM3D: up to five z, truncation 1)."""
    layers = generator.style_space.w_count
    z = torch.randn(count, generator.config.z_dim, generator=random)
    w_plus = generator.broadcast(generator.map(z, truncation)).clone()  # (N,L,W)
    is_mixed = torch.rand(count, generator=random) < mixed
    people = torch.randint(2, most + 1, (count, 1), generator=random)
    # Which of its people each layer belongs to: runs of neighbouring layers, cut at random.
    part = (torch.rand(count, layers, generator=random).sort(1).values * people).long()  # (N,L) in 0..people-1, rising
    offset = torch.randint(1, max(count, 2), (count, most), generator=random)
    offset[:, 0] = 0
    source = (torch.arange(count)[:, None] + offset.gather(1, part)) % count  # (N,L)
    source = torch.where(is_mixed[:, None], source, torch.arange(count)[:, None])
    return generator.affine(w_plus[source, torch.arange(layers)[None]])


@torch.no_grad()
def label_styles(generator: Generator, network: Reconstruction, styles: Tensor, batch: int = 32) -> Tensor:
    """(N, S) -> (N, 213): what the network sees in the generated pictures."""
    return torch.cat([network.predict(generator.synthesise(part).clamp(-1, 1)).pack() for part in torch.split(styles, batch)])
