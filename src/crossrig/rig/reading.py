"""What a reconstruction network sees in the pictures of style codes."""

from __future__ import annotations

import copy

import torch
from torch import Tensor

from crossrig.face3d.params import FaceParams
from crossrig.gan.generator import Generator
from crossrig.rig.reconstruction import Reconstruction

#: Pixels of pictures that are painted and looked at together: 16 pictures of 128 px, 4 of 256. More leave the cache and take longer each.
_PIXELS = 16 * 128**2


def together(resolution: int) -> int:
    """How many pictures of a resolution are painted and looked at together, 1 to 32."""
    return max(1, min(32, _PIXELS // resolution**2))


def on_device(generator: Generator, network: Reconstruction, device: str) -> tuple[Generator, Reconstruction]:
    """Generator and network on a device: themselves when they are there already, copies otherwise."""
    if generator.w_avg.device == torch.device(device):
        return generator, network
    return copy.deepcopy(generator).to(device), copy.deepcopy(network).to(device)


@torch.no_grad()
def see(network: Reconstruction, generator: Generator, styles: Tensor, dtype: torch.dtype | None = None) -> FaceParams:
    """Style codes (N, S) -> what the network sees in the pictures the generator makes of them, N faces on the device of the codes.

    Generator and network may be on another device. dtype: of the generator's features (`Generator.synthesise`).
    """
    device = generator.w_avg.device
    parts = torch.split(styles, together(generator.config.resolution))
    seen = [network.predict(generator.synthesise(part.to(device), dtype=dtype).clamp(-1, 1)) for part in parts]
    return FaceParams.unpack(FaceParams.concatenate(seen).pack().to(styles.device))
