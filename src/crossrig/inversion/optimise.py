"""Inversion by optimisation: the style code whose picture is nearest to a given one.

Starts from the encoder's code (or the mean w) and follows a perceptual distance plus squared differences at several
scales, held by a prior to codes the generator knows: W+ is measured in standard deviations of W, S in standard
deviations of S. Editing networks were trained on such codes; a picture matched by a code far outside would not edit (the
distortion-editability trade-off, Tov et al. 2021, section 3).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import Encoder, w_samples

Space = Literal["w", "w_plus", "s"]


@dataclass(frozen=True)
class Inversion:
    """A picture as a code of a generator."""

    s: Tensor
    """(1, S) style code."""
    w_plus: Tensor
    """(1, L, W); for ``space="s"`` the W+ the search started from."""
    image: Tensor
    """(1, 3, R, R): what the generator makes of ``s``, not clipped."""
    losses: tuple[float, ...]
    """Total loss at every step."""
    perceptual: float
    """Perceptual distance of ``image`` to the target."""


def invert(
    image: Tensor,
    generator: Generator,
    encoder: Encoder | None = None,
    *,
    space: Space = "w_plus",
    steps: int = 100,
    lr: float = 0.03,
    perceptual: PerceptualDistance | None = None,
    pixel_weight: float = 1.0,
    prior_weight: float = 0.02,
    start: Tensor | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Find the code of ``image`` (1, 3, R, R) in [-1, 1], R the generator's resolution.

    ``start`` (1, L, W) overrides the encoder; with neither the search starts from the mean w. ``steps=0`` returns the
    start itself. ``progress(step, steps)`` is called after every step. Raises ValueError when the picture has another
    size.
    """
    resolution = generator.config.resolution
    if tuple(image.shape) != (1, 3, resolution, resolution):
        raise ValueError(f"the image must be (1, 3, {resolution}, {resolution}), not {tuple(image.shape)}")
    distance = perceptual if perceptual is not None else PerceptualDistance()
    with torch.no_grad():
        w_start = _start(image, generator, encoder, start)
        samples = w_samples(generator)
        described = distance.describe(image)
        weight = centre_weight(resolution).to(image)
        if space == "s":
            origin = generator.affine(w_start)
            unit = generator.affine(samples).std(0).clamp(min=1e-4)  # (S,)
        else:
            origin = w_start.mean(1) if space == "w" else w_start
            unit = samples.std(0).clamp(min=1e-4)  # (W,)

    def style(offset: Tensor) -> Tensor:
        code = origin + unit * offset
        return code if space == "s" else generator.affine(code)

    offset = torch.zeros_like(origin, requires_grad=True)  # in standard deviations
    optimiser = torch.optim.Adam([offset], lr=lr, betas=(0.9, 0.99))
    losses: list[float] = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = lr * _schedule(step / steps)
        made = generator.synthesise(style(offset))
        loss = distance.compare(distance.describe(made), described).sum()
        loss = loss + pixel_weight * multiscale_l2(made, image, weight) + prior_weight * offset.square().mean()
        optimiser.zero_grad(set_to_none=True)
        (gradient,) = torch.autograd.grad(loss, [offset])
        offset.grad = gradient
        optimiser.step()
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(step + 1, steps)
    with torch.no_grad():
        s = style(offset)
        made = generator.synthesise(s)
        code = origin + unit * offset
        w_plus = w_start if space == "s" else generator.broadcast(code).clone() if space == "w" else code
        gap = float(distance.compare(distance.describe(made), described).sum())
    return Inversion(s, w_plus, made, tuple(losses), gap)


def multiscale_l2(made: Tensor, target: Tensor, weight: Tensor, levels: int = 3) -> Tensor:
    """Mean squared difference of (B, 3, R, R), weighted by (1, 1, R, R), averaged over ``levels`` octaves."""
    total = made.new_zeros(())
    for level in range(levels):
        if level:
            made, target, weight = F.avg_pool2d(made, 2), F.avg_pool2d(target, 2), F.avg_pool2d(weight, 2)
        total = total + ((made - target).square() * weight).mean() / weight.mean()
    return total / levels


def centre_weight(resolution: int, border: float = 0.25) -> Tensor:
    """(1, 1, R, R): 1 on the head, ``border`` in the corners: the face matters more than what is behind it."""
    axis = (torch.arange(resolution) * 2.0 + 1.0) / resolution - 1.0  # pixel centres in [-1, 1]
    radius = (axis[:, None].square() + axis[None, :].square()).sqrt()
    return (border + (1.0 - border) * torch.sigmoid((0.85 - radius) / 0.08))[None, None]


def _start(image: Tensor, generator: Generator, encoder: Encoder | None, start: Tensor | None) -> Tensor:
    if start is not None:
        return start
    if encoder is not None:
        return encoder(image)  # type: ignore[no-any-return]
    return generator.broadcast(generator.w_avg[None]).clone()


def _schedule(done: float) -> float:
    """Short rise, long plateau, fall over the last third (Karras et al. 2020, appendix D)."""
    return min(1.0, done / 0.05 + 0.1) * min(1.0, (1.0 - done) / 0.35)
