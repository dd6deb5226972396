"""Adversarial losses and the two StyleGAN2 regularisers. Logits are (B, N): N judgements of every image."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F


def logistic_generator(fake: torch.Tensor) -> torch.Tensor:
    """Non-saturating loss of the generator (Goodfellow et al. 2014, Section 3): scalar, from the fakes' logits."""
    return F.softplus(-fake).mean()


def logistic_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Logistic loss of the discriminator: scalar, 2 ln 2 when it knows nothing."""
    return F.softplus(-real).mean() + F.softplus(fake).mean()


def hinge_generator(fake: torch.Tensor) -> torch.Tensor:
    """Generator's side of the hinge loss (Lim & Ye 2017): scalar."""
    return -fake.mean()


def hinge_discriminator(real: torch.Tensor, fake: torch.Tensor) -> torch.Tensor:
    """Discriminator's hinge loss: scalar, 0 once reals score above 1 and fakes below -1."""
    return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()


def r1(real: torch.Tensor, images: torch.Tensor) -> torch.Tensor:
    """Squared gradient norm of the logits of real images (Mescheder et al. 2018, Equation 9), mean over the batch.

    `images` (B, 3, H, W) must require gradients and `real` be their logits. Scalar, differentiable; multiply by
    gamma / 2 (and by the interval when it is applied lazily).
    """
    (gradient,) = torch.autograd.grad(real.sum(), images, create_graph=True)
    return gradient.square().sum(dim=(1, 2, 3)).mean()


def feature_moments(fake: Sequence[torch.Tensor], real: Sequence[torch.Tensor]) -> torch.Tensor:
    """Feature matching (Salimans et al. 2016, Section 3.1): scalar, differentiable, 0 when two batches have the same moments.

    Features (B, C, h, w) of every scale, of samples and of real images; compared are mean and standard deviation of every channel over the
    batch and all positions, in standard deviations of the real ones, squared and averaged over channels and scales.
    """
    total = fake[0].new_zeros(())
    for ours, theirs in zip(fake, real, strict=True):
        spread = theirs.std(dim=(0, 2, 3)).clamp(min=1e-6)  # (C,)
        apart = (ours.mean(dim=(0, 2, 3)) - theirs.mean(dim=(0, 2, 3))) / spread
        wider = ours.std(dim=(0, 2, 3)) / spread - 1.0
        total = total + apart.square().mean() + wider.square().mean()
    return total / len(fake)


def path_lengths(images: torch.Tensor, w_plus: torch.Tensor, noise: torch.Tensor | None = None) -> torch.Tensor:
    """|J^T y| per sample (Karras et al. 2020, Section 3.2): (B,), differentiable.

    images (B, 3, H, W) made from w_plus (B, L, w_dim), which must require gradients; y is standard normal, scaled by
    1/sqrt(H W), drawn here unless given as `noise` (B, 3, H, W). Squares are averaged over L, as in the official code.
    """
    y = torch.randn_like(images) if noise is None else noise
    y = y / math.sqrt(images.shape[2] * images.shape[3])
    (gradient,) = torch.autograd.grad((images * y).sum(), w_plus, create_graph=True)
    return gradient.square().sum(dim=2).mean(dim=1).sqrt()


def path_length_penalty(
    lengths: torch.Tensor, mean: torch.Tensor, decay: float = 0.01
) -> tuple[torch.Tensor, torch.Tensor]:
    """Penalty on the deviation of `lengths` (B,) from their running mean: (scalar penalty, new running mean).

    `mean` is a scalar tensor, zero at the start; keep the returned one (it carries no gradient) for the next step.
    """
    updated = mean.lerp(lengths.detach().mean(), decay)
    return (lengths - updated).square().mean(), updated
