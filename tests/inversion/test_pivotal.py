"""Pivotal tuning: the pivot's picture comes nearer, the latent space and the original stay."""

from __future__ import annotations

import pytest
import torch

from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.pivotal import tune


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
def test_the_pivot_comes_nearer_and_the_rest_stays(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, dtype: torch.dtype | None
) -> None:
    random = torch.Generator().manual_seed(8)
    s = tiny_generator.affine(tiny_generator.map(torch.randn(1, 32, generator=random)))
    other = tiny_generator.affine(tiny_generator.map(torch.randn(6, 32, generator=random)))
    made = tiny_generator.synthesise(s)
    target = (made + 0.3 * torch.sin(torch.linspace(0, 9, 32))).clamp(-1, 1)
    before = {name: tensor.clone() for name, tensor in tiny_generator.state_dict().items()}
    tuned = tune(tiny_generator, s, target, steps=25, lr=5e-3, perceptual=small_perceptual, dtype=dtype)

    assert (tuned.synthesise(s) - target).square().mean() < 0.5 * (made - target).square().mean()
    # the latent space is untouched, and so is the generator given
    assert torch.equal(tuned.affine(tuned.map(torch.ones(1, 32))), tiny_generator.affine(tiny_generator.map(torch.ones(1, 32))))
    assert all(torch.equal(before[name], tensor) for name, tensor in tiny_generator.state_dict().items())
    assert not any(parameter.requires_grad for parameter in tuned.parameters())

    def drift(weight: float) -> float:
        moved = tune(tiny_generator, s, target, steps=15, lr=5e-3, perceptual=small_perceptual, locality_weight=weight, locality_reach=1.0)
        return float((moved.synthesise(other) - tiny_generator.synthesise(other)).square().mean())

    assert drift(20.0) < drift(0.0)


def test_no_steps_change_nothing(tiny_generator: Generator, small_perceptual: PerceptualDistance) -> None:
    s = tiny_generator.affine(tiny_generator.map(torch.ones(1, 32)))
    tuned = tune(tiny_generator, s, torch.zeros(1, 3, 32, 32), steps=0, perceptual=small_perceptual)
    assert torch.equal(tuned.synthesise(s), tiny_generator.synthesise(s))
