"""Inversion by optimisation: it comes nearer, it stays put where it starts right, it knows its spaces."""

from __future__ import annotations

import pytest
import torch

from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.optimise import Space, centre_weight, invert, multiscale_l2


def make(generator: Generator, seed: int) -> tuple[torch.Tensor, torch.Tensor]:
    z = torch.randn(1, generator.config.z_dim, generator=torch.Generator().manual_seed(seed))
    w = generator.map(z)
    return generator.synthesise(generator.affine(w)), generator.broadcast(w).clone()


@pytest.mark.parametrize(("space", "dtype"), [("w", None), ("w_plus", None), ("s", None), ("w_plus", torch.bfloat16)])
def test_comes_nearer_in_every_space(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, space: Space, dtype: torch.dtype | None
) -> None:
    target, _ = make(tiny_generator, 1)
    start = invert(target, tiny_generator, space=space, steps=0, perceptual=small_perceptual)
    found = invert(target, tiny_generator, space=space, steps=40, lr=0.1, perceptual=small_perceptual, dtype=dtype)
    assert (start.image - target).square().mean() > 3 * (found.image - target).square().mean()
    assert found.perceptual < start.perceptual
    assert len(found.losses) == 40
    assert found.losses[-1] < found.losses[0]
    assert found.s.shape == (1, tiny_generator.style_space.size)
    assert found.w_plus.shape == (1, tiny_generator.style_space.w_count, 32)
    assert torch.equal(found.image, tiny_generator.synthesise(found.s))


def test_the_right_start_is_kept(tiny_generator: Generator, small_perceptual: PerceptualDistance) -> None:
    target, w_plus = make(tiny_generator, 2)
    found = invert(target, tiny_generator, steps=5, start=w_plus, perceptual=small_perceptual)
    assert torch.allclose(found.image, target, atol=0.02)
    assert found.losses[0] == pytest.approx(0.0, abs=1e-6)


def test_w_has_one_vector_for_all_layers(tiny_generator: Generator, small_perceptual: PerceptualDistance) -> None:
    target, _ = make(tiny_generator, 3)
    found = invert(target, tiny_generator, space="w", steps=3, perceptual=small_perceptual)
    assert torch.equal(found.w_plus, found.w_plus[:, :1].expand_as(found.w_plus))


def test_a_strong_prior_stays_nearer_to_the_start(tiny_generator: Generator, small_perceptual: PerceptualDistance) -> None:
    target, _ = make(tiny_generator, 4)
    start = tiny_generator.broadcast(tiny_generator.w_avg[None])

    def reach(prior: float) -> float:
        found = invert(target, tiny_generator, steps=15, lr=0.1, prior_weight=prior, perceptual=small_perceptual)
        return float((found.w_plus - start).norm())

    assert reach(50.0) < 0.5 * reach(0.0)


@pytest.mark.usefixtures("exact")
def test_it_is_repeatable_and_leaves_the_generator_alone(tiny_generator: Generator, small_perceptual: PerceptualDistance) -> None:
    target, _ = make(tiny_generator, 5)
    one, two = (invert(target, tiny_generator, steps=3, perceptual=small_perceptual) for _ in range(2))
    assert torch.equal(one.s, two.s)
    assert all(parameter.grad is None for parameter in tiny_generator.parameters())


def test_wrong_sizes_are_refused(tiny_generator: Generator, small_perceptual: PerceptualDistance) -> None:
    with pytest.raises(ValueError, match=r"must be \(1, 3, 32, 32\)"):
        invert(torch.zeros(1, 3, 64, 64), tiny_generator, perceptual=small_perceptual)


def test_progress_is_told(tiny_generator: Generator, small_perceptual: PerceptualDistance) -> None:
    told: list[tuple[int, int]] = []
    invert(make(tiny_generator, 1)[0], tiny_generator, steps=3, perceptual=small_perceptual, progress=lambda *step: told.append(step))
    assert told == [(1, 3), (2, 3), (3, 3)]


def test_multiscale_l2_against_reference() -> None:
    one, two = torch.rand(2, 1, 3, 8, 8)
    weight = torch.ones(1, 1, 8, 8)
    pool = torch.nn.functional.avg_pool2d
    expected = sum(float((pool(one, k) - pool(two, k)).square().mean()) for k in (1, 2, 4)) / 3
    assert float(multiscale_l2(one, two, weight)) == pytest.approx(expected, rel=1e-5)


def test_multiscale_l2_gradient() -> None:
    torch.manual_seed(0)
    target, weight = torch.rand(1, 3, 4, 4, dtype=torch.float64), torch.rand(1, 1, 4, 4, dtype=torch.float64)
    made = torch.rand(1, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(lambda x: multiscale_l2(x, target, weight, 2), (made,))


def test_centre_weight_falls_outwards() -> None:
    weight = centre_weight(32)[0, 0]
    assert float(weight[16, 16]) == pytest.approx(1.0, abs=1e-3)
    assert float(weight[0, 0]) == pytest.approx(0.25, abs=1e-2)
    assert torch.allclose(weight, weight.flip(0))
    assert torch.allclose(weight, weight.T)
