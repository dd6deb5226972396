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
    dtype: torch.dtype | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Inversion:
    """Find the code of ``image`` (1, 3, R, R) in [-1, 1], R the generator's resolution.

    ``start`` (1, L, W) overrides the encoder; with neither the search starts from the mean w. ``steps=0`` returns the
    start itself. ``dtype``: of the generator's features during the search (`gan/precision.py`); the picture returned is painted in the
    format of the weights. ``progress(step, steps)`` is called after every step. Raises ValueError when the picture has another size.
    """
    target = Target.of(image, generator, perceptual)
    with torch.no_grad():
        w_start = start_w_plus(image, generator, encoder, start)
        samples = w_samples(generator)
        if space == "s":
            origin = generator.affine(w_start)
            unit = generator.affine(samples).std(0).clamp(min=1e-4)  # (S,)
        else:
            origin = w_start.mean(1) if space == "w" else w_start
            unit = samples.std(0).clamp(min=1e-4)  # (W,)

    def style(offset: Tensor) -> Tensor:
        code = origin + unit * offset
        return code if space == "s" else generator.affine(code)

    def energy(offset: Tensor, step: int) -> Tensor:
        return target.miss(generator.synthesise(style(offset), dtype=dtype), pixel_weight) + prior_weight * offset.square().mean()

    offset, losses = descend(energy, torch.zeros_like(origin), steps, lr, progress)
    with torch.no_grad():
        s = style(offset)
        made = generator.synthesise(s)
        code = origin + unit * offset
        w_plus = w_start if space == "s" else generator.broadcast(code).clone() if space == "w" else code
    return Inversion(s, w_plus, made, losses, target.gap(made))


@dataclass(frozen=True)
class Target:
    """The picture that is looked for, with everything about it that does not change during a search."""

    image: Tensor
    """(1, 3, R, R) in [-1, 1]."""
    distance: PerceptualDistance
    described: list[Tensor]
    """What the distance sees in it."""
    weight: Tensor
    """(1, 1, R, R): how much each pixel counts."""

    @classmethod
    @torch.no_grad()
    def of(cls, image: Tensor, generator: Generator, perceptual: PerceptualDistance | None = None) -> Target:
        """Raises ValueError when the picture has not the generator's size."""
        resolution = generator.config.resolution
        if tuple(image.shape) != (1, 3, resolution, resolution):
            raise ValueError(f"the image must be (1, 3, {resolution}, {resolution}), not {tuple(image.shape)}")
        distance = perceptual if perceptual is not None else PerceptualDistance()
        return cls(image, distance, distance.describe(image), centre_weight(resolution).to(image))

    def miss(self, made: Tensor, pixel_weight: float) -> Tensor:
        """Scalar: perceptual distance of a picture (1, 3, R, R) plus weighted squared differences; gradients pass."""
        gap = self.distance.compare(self.distance.describe(made), self.described).sum()
        return gap + pixel_weight * multiscale_l2(made, self.image, self.weight)

    @torch.no_grad()
    def gap(self, made: Tensor) -> float:
        """Perceptual distance of a picture."""
        return float(self.distance.compare(self.distance.describe(made), self.described).sum())


def descend(
    energy: Callable[[Tensor, int], Tensor],
    offset: Tensor,
    steps: int,
    lr: float,
    progress: Callable[[int, int], None] | None = None,
) -> tuple[Tensor, tuple[float, ...]]:
    """Follow `energy(offset, step)` -> scalar downwards by Adam; returns the last offset and the energy at every step.

    Only the offset gets a gradient: networks the energy looks through stay as they are.
    """
    offset = offset.detach().requires_grad_(True)
    optimiser = torch.optim.Adam([offset], lr=lr, betas=(0.9, 0.99))
    losses: list[float] = []
    for step in range(steps):
        for group in optimiser.param_groups:
            group["lr"] = lr * _schedule(step / steps)
        loss = energy(offset, step)
        optimiser.zero_grad(set_to_none=True)
        (gradient,) = torch.autograd.grad(loss, [offset])
        offset.grad = gradient
        optimiser.step()
        losses.append(float(loss.detach()))
        if progress is not None:
            progress(step + 1, steps)
    return offset.detach(), tuple(losses)


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


def start_w_plus(image: Tensor, generator: Generator, encoder: Encoder | None, start: Tensor | None = None) -> Tensor:
    """(1, L, W): the given start, or what the encoder finds, or the mean w in every layer."""
    if start is not None:
        return start
    if encoder is not None:
        return encoder(image)  # type: ignore[no-any-return]
    return generator.broadcast(generator.w_avg[None]).clone()


def _schedule(done: float) -> float:
    """Short rise, long plateau, fall over the last third (Karras et al. 2020, appendix D)."""
    return min(1.0, done / 0.05 + 0.1) * min(1.0, (1.0 - done) / 0.35)
