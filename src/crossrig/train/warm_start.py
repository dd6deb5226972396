"""Give the mapping network a first idea of what matters in a code, before any picture is painted.

A person code spends as many numbers on the 52 face units as on everything else that fills a picture, so a random mapping network
hands the synthesis network a w in which the background, the skin and the pose are drowned. Here the mapping is first regressed, alone
and in about a minute, onto the principal components of the pictures and the labels; w then varies most with what changes a picture most.
Everything stays trainable afterwards.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.data.portrait_set import PortraitSet
from crossrig.face3d.params import BLOCKS, FaceParams
from crossrig.gan.codes import z_from_code
from crossrig.gan.generator import Generator
from crossrig.gan.ops import leaky_relu, pixel_norm

#: How loudly every block of the labels speaks in w, beside the picture's components (root mean square 1 in all).
LABEL_WEIGHTS = {"shape": 0.6, "expression": 0.8, "albedo": 0.6, "illumination": 0.7, "rotation": 1.0, "translation": 0.5}


def principal_components(portraits: PortraitSet, size: int, count: int) -> Tensor:
    """Pictures -> (N, count) components of their `size` px versions, each scaled to the root of its standard deviation."""
    small = torch.cat([F.adaptive_avg_pool2d(part.float() / 127.5 - 1.0, size).flatten(1) for part in torch.split(portraits.pictures, 512)])
    small = small - small.mean(0)
    rank = min(count, *small.shape)
    vectors, scale, _ = torch.svd_lowrank(small, q=rank, niter=4)  # (N, rank), (rank,)
    return F.pad(vectors * scale.clamp(min=0.0).sqrt(), (0, count - rank))


def mapping_targets(portraits: PortraitSet, size: int = 32, count: int = 256) -> Tensor:
    """What w is to tell: (N, count + 213), components of the picture and weighted, standardised labels, each group of unit energy."""
    parts = [_unit_energy(principal_components(portraits, size, count))]
    labels = FaceParams.unpack(portraits.labels)
    for block in BLOCKS:
        values = getattr(labels, block)
        values = (values - values.mean(0)) / values.std(0).clamp(min=1e-4)
        parts.append(LABEL_WEIGHTS[block] * _unit_energy(values))
    return torch.cat(parts, dim=1)


def _unit_energy(values: Tensor) -> Tensor:
    scaled: Tensor = values / values.square().sum(1).mean().sqrt().clamp(min=1e-6)  # a block that never varies stays zero
    return scaled


def warm_mapping(
    generator: Generator, portraits: PortraitSet, rotation: Tensor, steps: int = 1500, batch: int = 128, lr: float = 2e-2
) -> float:
    """Train `generator.mapping` in place; returns the share of the targets' variance explained on the last tenth of the portraits."""
    targets = mapping_targets(portraits)  # (N, T)
    width = generator.config.w_dim
    spread = torch.linalg.qr(torch.randn(max(width, targets.shape[1]), max(width, targets.shape[1])))[0][: targets.shape[1], :width]
    targets = targets @ spread  # (N, W)
    targets = targets / targets.std()
    known = len(portraits) - len(portraits) // 10
    optimiser = torch.optim.AdamW(generator.mapping.parameters(), lr=lr, betas=(0.9, 0.99), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, lr, total_steps=steps)
    for _ in range(steps):
        index = torch.randint(known, (batch,))
        loss = F.mse_loss(_before_activation(generator, z_from_code(portraits.codes[index], rotation)), targets[index])
        optimiser.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        optimiser.step()
        schedule.step()
    with torch.no_grad():
        held = slice(known, len(portraits))
        error = _before_activation(generator, z_from_code(portraits.codes[held], rotation)) - targets[held]
        return 1.0 - float(error.square().sum() / (targets[held] - targets[:known].mean(0)).square().sum())


def _before_activation(generator: Generator, z: Tensor) -> Tensor:
    """The mapping network's last layer before its leaky ReLU: (B, w_dim)."""
    x = pixel_norm(z)
    *first, last = generator.mapping.layers
    for layer in first:
        x = leaky_relu(layer(x))
    result: Tensor = last(x)
    return result
