"""Pivotal tuning (Roich et al. 2022): bend the generator a little so that one code shows one picture exactly.

The code (the pivot) stays, the synthesis weights move. A locality term keeps the rest of the latent space where it was,
so that edits learned on the untouched generator still hold around the pivot.
"""

from __future__ import annotations

import copy
from collections.abc import Callable

import torch
from torch import Tensor

from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.optimise import centre_weight, multiscale_l2


def tune(
    generator: Generator,
    s: Tensor,
    image: Tensor,
    *,
    steps: int = 40,
    lr: float = 1e-3,
    perceptual: PerceptualDistance | None = None,
    locality_weight: float = 0.5,
    locality_reach: float = 0.5,
    locality_every: int = 4,
    seed: int = 0,
    dtype: torch.dtype | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Generator:
    """A copy of ``generator`` whose picture of the pivot ``s`` (1, S) is close to ``image`` (1, 3, R, R).

    Mapping and affine layers are not touched. ``locality_reach`` in (0, 1]: how far from the pivot towards random codes
    the copy must still agree with the original (Roich et al. 2022, equation 3, use a fixed distance), every ``locality_every`` steps and
    weighed accordingly: it would be a good part of every step, and changes slowly (lazy regularisation, Karras 2020). ``dtype``: of the
    features meanwhile (`gan/precision.py`); the weights keep theirs.
    """
    distance = perceptual if perceptual is not None else PerceptualDistance()
    tuned = copy.deepcopy(generator)
    still = {id(parameter) for parameter in tuned.latent_parameters()}
    moving = [parameter for parameter in tuned.parameters() if id(parameter) not in still]
    for parameter in tuned.parameters():
        parameter.requires_grad_(id(parameter) not in still)
    random = torch.Generator().manual_seed(seed)
    optimiser = torch.optim.Adam(moving, lr=lr, betas=(0.9, 0.99))
    weight = centre_weight(generator.config.resolution).to(image)
    with torch.no_grad():
        described = distance.describe(image)
    pivot = s.detach()
    for step in range(steps):
        codes, wanted = pivot, None
        if step % locality_every == 0:
            with torch.no_grad():
                z = torch.randn(1, generator.config.z_dim, generator=random).to(pivot)
                reach = locality_reach * float(torch.rand((), generator=random))
                near = pivot.lerp(generator.affine(generator.map(z)), reach)
                wanted = generator.synthesise(near, dtype=dtype)
            codes = torch.cat([pivot, near])
        made = tuned.synthesise(codes, dtype=dtype)  # (1 or 2, 3, R, R)
        loss = distance.compare(distance.describe(made[:1]), described).sum() + multiscale_l2(made[:1], image, weight)
        if wanted is not None:
            loss = loss + locality_every * locality_weight * multiscale_l2(made[1:], wanted, torch.ones_like(weight))
        optimiser.zero_grad(set_to_none=True)
        for parameter, gradient in zip(moving, torch.autograd.grad(loss, moving, allow_unused=True), strict=True):
            parameter.grad = gradient
        optimiser.step()
        if progress is not None:
            progress(step + 1, steps)
    return tuned.eval().requires_grad_(False)
