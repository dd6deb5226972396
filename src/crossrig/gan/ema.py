"""Running average of a network's weights (Karras et al. 2018, Section 4; half-life in images as in StyleGAN2-ADA)."""

from __future__ import annotations

import copy
from typing import Generic, TypeVar

import torch
from torch import nn

Network = TypeVar("Network", bound=nn.Module)


class WeightAverage(Generic[Network]):
    """Holds `module`, a frozen copy of a network whose parameters follow the live one exponentially.

    half_life: images after which an old weight counts half. rampup: while fewer than half_life / rampup images have
    been seen, the half-life is rampup * images seen, so that the average leaves its random start quickly (None: never).
    Buffers (mean w, fixed noise) are copied, not averaged. Save and restore `module.state_dict()`.
    """

    def __init__(self, network: Network, half_life: float = 10_000.0, rampup: float | None = 0.05) -> None:
        if half_life <= 0:
            raise ValueError(f"half_life is in images and positive: got {half_life}")
        self.half_life = half_life
        self.rampup = rampup
        self.module = copy.deepcopy(network).eval().requires_grad_(False)

    def beta(self, images: int, seen: int) -> float:
        """Weight of the old average in a step of `images` images, after `seen` images in all."""
        half_life = self.half_life if self.rampup is None else min(self.half_life, self.rampup * seen)
        return float(0.5 ** (images / max(half_life, 1e-8)))

    @torch.no_grad()
    def update(self, network: Network, images: int, seen: int) -> None:
        """One step: `images` is the batch just trained on, `seen` all images so far, this batch included."""
        beta = self.beta(images, seen)
        for average, live in zip(self.module.parameters(), network.parameters(), strict=True):
            average.lerp_(live, 1.0 - beta)
        for copied, current in zip(self.module.buffers(), network.buffers(), strict=True):
            copied.copy_(current)
