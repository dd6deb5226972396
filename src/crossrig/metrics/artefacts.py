"""Known faults of style-based generators, as numbers.

droplets   StyleGAN 1's blobs: a spike in the feature maps so strong that it dominates the statistics of its layer (Karras et al. 2020,
           *Analyzing and improving the image quality of StyleGAN*, section 2)
noise      the noise inputs should move fine detail and nothing else; noise that moves nothing is dead
sticking   fine texture that stays at the same pixels while what is in the picture changes (Karras et al. 2021, *Alias-free generative
           adversarial networks*, figure 1)
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.errors import UserError
from crossrig.gan.generator import Generator, StyledConv

#: Layers from this side on are looked at, px: below, a hundredth of the positions is none.
_FINEST_SKIPPED = 8
#: Share of a feature map's positions that count as its peak.
PEAK = 0.01
#: A sample whose peak holds more than this share of a layer's energy has a droplet: it outweighs everything else there.
DROPLET = 0.5


def peak_energy(features: Tensor) -> Tensor:
    """Feature maps (B, C, H, W) -> (B,): share of the energy (squares over channels) that the strongest PEAK of the positions hold."""
    energy = features.square().sum(1).flatten(1)  # (B, HW)
    count = max(1, round(PEAK * energy.shape[1]))
    return energy.topk(count, dim=1).values.sum(1) / energy.sum(1).clamp(min=1e-20)


@torch.no_grad()
def peak_energies(generator: Generator, styles: Tensor) -> Tensor:
    """Codes (B, S) -> (B,): the largest `peak_energy` over the convolutions from 16 px on. UserError for a generator without any."""
    seen: list[Tensor] = []

    def watch(_module: torch.nn.Module, _inputs: object, output: Tensor) -> None:
        if output.shape[-1] > _FINEST_SKIPPED:
            seen.append(peak_energy(output))

    hooks = [module.register_forward_hook(watch) for module in generator.modules() if isinstance(module, StyledConv)]
    try:
        generator.synthesise(styles)
    finally:
        for hook in hooks:
            hook.remove()
    if not seen:
        raise UserError(f"Droplets show in layers of 16 px and more; this generator ends at {generator.config.resolution} px.")
    return torch.stack(seen).amax(0)


@torch.no_grad()
def noise_change(generator: Generator, styles: Tensor) -> Tensor:
    """Codes (B, S) -> (B,): mean change of a pixel between two draws of the noise, levels of 255. 0: the noise is dead."""
    first, second = (generator.synthesise(styles, "random").clamp(-1, 1) for _ in range(2))
    return (first - second).abs().mean(dim=(1, 2, 3)) * 127.5


def sticking(images: Tensor) -> float:
    """Pictures of N >= 2 different people (N, 3, H, W) -> share of the energy of their fine detail that is the same in all of them.

    Fine detail is the picture minus its 3 x 3 mean. Faces in one frame share some (the line of the shoulders), so read it against
    real pictures. The estimate is unbiased: 0 on average for detail of independent pictures, however few.
    """
    detail = images - F.avg_pool2d(F.pad(images, (1, 1, 1, 1), mode="replicate"), 3, 1)
    count = len(detail)
    energy = float(detail.double().square().mean())
    common = float(detail.double().mean(0).square().mean())
    # A mean of N independent pictures still holds energy / N.
    return (count * common - energy) / ((count - 1) * max(energy, 1e-20))
