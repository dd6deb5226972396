"""Differentiable augmentation of what a discriminator sees, reals and fakes alike.

The transformations are those of DiffAugment (Zhao et al. 2020, Section 4): colour, translation, cutout. Each is applied
to an image with probability p, which `AdaptiveProbability` steers by the discriminator's overfitting (StyleGAN2-ADA,
Karras et al. 2020, Section 3): with p below about 0.8 the transformations do not leak into the samples (Section 2.2
there), while the always-on form (p = 1) may.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F


@dataclass(frozen=True)
class Augmentation:
    """Strength of every transformation; 0 turns one off.

    brightness: added, up to +- this (images are in [-1, 1]). saturation: colours scaled by 1 +- this around their grey.
    contrast: scaled by 1 +- this around the image mean. shift: translation up to +- this share of the side, zeros
    (mid-grey) outside. cutout: side of an erased square as a share of the side.
    """

    brightness: float = 0.4
    saturation: float = 0.8
    contrast: float = 0.4
    shift: float = 0.125
    cutout: float = 0.4

    def __call__(
        self, images: torch.Tensor, probability: float = 1.0, generator: torch.Generator | None = None
    ) -> torch.Tensor:
        """(B, 3, H, W) -> same shape; differentiable. Draws are per image and per transformation, from `generator`."""
        if not 0.0 <= probability <= 1.0:
            raise ValueError(f"probability is between 0 and 1: got {probability}")
        if probability == 0.0:
            return images
        draw = _Draws(images, probability, generator)
        if self.brightness:
            images = images + self.brightness * draw.symmetric()
        if self.saturation:
            grey = images.mean(dim=1, keepdim=True)
            images = grey + (images - grey) * (1.0 + self.saturation * draw.symmetric())
        if self.contrast:
            mean = images.mean(dim=(1, 2, 3), keepdim=True)
            images = mean + (images - mean) * (1.0 + self.contrast * draw.symmetric())
        if self.shift:
            images = translate(images, self.shift * draw.symmetric().flatten(), self.shift * draw.symmetric().flatten())
        if self.cutout:
            images = images * draw.hole(self.cutout)
        return images


class _Draws:
    """Per-image random numbers of shape (B, 1, 1, 1), zero for the images that a transformation spares."""

    def __init__(self, images: torch.Tensor, probability: float, generator: torch.Generator | None) -> None:
        self.images = images
        self.probability = probability
        self.generator = generator

    def uniform(self) -> torch.Tensor:
        """Uniform in [0, 1)."""
        source = self.generator
        device = self.images.device if source is None else source.device
        draw = torch.rand(self.images.shape[0], 1, 1, 1, generator=source, device=device, dtype=self.images.dtype)
        return draw.to(self.images.device)

    def chosen(self) -> torch.Tensor:
        """1 with the probability, else 0."""
        return (self.uniform() < self.probability).to(self.images.dtype)

    def symmetric(self) -> torch.Tensor:
        """Uniform in [-1, 1) for the chosen, 0 for the others."""
        return self.chosen() * (2.0 * self.uniform() - 1.0)

    def hole(self, share: float) -> torch.Tensor:
        """(B, 1, H, W) of ones with, in the chosen images, a square of zeros, its centre anywhere in the image."""
        height, width = self.images.shape[2:]
        rows = _positions(height, self.images)[None, None, :, None]
        columns = _positions(width, self.images)[None, None, None, :]
        inside = ((rows - self.uniform()).abs() < share / 2) & ((columns - self.uniform()).abs() < share / 2)
        return 1.0 - inside.to(self.images.dtype) * self.chosen()


def translate(images: torch.Tensor, right: torch.Tensor, down: torch.Tensor) -> torch.Tensor:
    """Shifts images (B, C, H, W) by `right`, `down` (B,) shares of the side, rounded to whole pixels; zeros outside."""
    height, width = images.shape[2:]
    dx = (right.detach() * width).round().long().tolist()
    dy = (down.detach() * height).round().long().tolist()
    margin = max(max(abs(x) for x in dx), max(abs(y) for y in dy))
    padded = F.pad(images, (margin, margin, margin, margin))
    # windows, not an index tensor: scattering gradients back through one is slow on a CPU
    windows = [
        padded[i, :, margin - y : margin - y + height, margin - x : margin - x + width]
        for i, (x, y) in enumerate(zip(dx, dy, strict=True))
    ]
    return torch.stack(windows)


def _positions(side: int, like: torch.Tensor) -> torch.Tensor:
    """(side,) pixel centres as shares of the side."""
    return (torch.arange(side, device=like.device, dtype=like.dtype) + 0.5) / side


@dataclass(frozen=True)
class AdaptiveProbability:
    """The ADA rule: raise p while real logits are too often positive, lower it otherwise. Immutable: keep the result.

    target: wanted mean sign of the logits of real images (r_t, 0.6). ramp: images in which p may go from 0 to 1.
    limit: largest p, below the point where augmentations leak.
    """

    probability: float = 0.0
    target: float = 0.6
    ramp: float = 500_000.0
    limit: float = 0.8

    def updated(self, real_logits: torch.Tensor) -> AdaptiveProbability:
        """After one batch: logits (B, ...) of reals, where a positive one means "real"."""
        return self.stepped(float(real_logits.detach().sign().mean()), real_logits.shape[0])

    def stepped(self, sign: float, images: int) -> AdaptiveProbability:
        """After `images` images whose logits had the mean sign `sign`."""
        step = images / self.ramp
        moved = self.probability + (step if sign > self.target else -step)
        return AdaptiveProbability(min(max(moved, 0.0), self.limit), self.target, self.ramp, self.limit)
