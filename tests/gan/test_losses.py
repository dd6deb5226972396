from __future__ import annotations

import math

import pytest
import torch

from crossrig.gan import losses


def test_values_written_out() -> None:
    real, fake = torch.tensor([[2.0], [0.5]]), torch.tensor([[-3.0], [0.0]])
    assert losses.hinge_discriminator(real, fake).item() == pytest.approx((0 + 0.5) / 2 + (0 + 1) / 2)
    assert losses.hinge_generator(fake).item() == pytest.approx(1.5)
    zero = torch.zeros(4, 1)
    assert losses.logistic_discriminator(zero, zero).item() == pytest.approx(2 * math.log(2))
    expected = (math.log1p(math.exp(3)) + math.log(2)) / 2
    assert losses.logistic_generator(fake).item() == pytest.approx(expected, rel=1e-6)


def test_the_two_sides_pull_apart() -> None:
    for generator_loss, discriminator_loss in (
        (losses.logistic_generator, losses.logistic_discriminator),
        (losses.hinge_generator, losses.hinge_discriminator),
    ):
        real, fake = torch.zeros(3, 2, requires_grad=True), torch.zeros(3, 2, requires_grad=True)
        (up,) = torch.autograd.grad(generator_loss(fake), fake)
        real_slope, fake_slope = torch.autograd.grad(discriminator_loss(real, fake), (real, fake))
        assert (up < 0).all()
        assert (real_slope < 0).all()
        assert (fake_slope > 0).all()


def test_r1_of_a_known_discriminator() -> None:
    """D(x) = sum of a x^2 / 2: the gradient is a x."""
    a = torch.tensor(3.0, dtype=torch.float64, requires_grad=True)
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64, requires_grad=True)
    logits = (a * x.square() / 2).sum(dim=(1, 2, 3))[:, None]
    penalty = losses.r1(logits, x)
    squares = x.detach().square().sum(dim=(1, 2, 3)).mean()
    torch.testing.assert_close(penalty.detach(), 9 * squares)
    (slope,) = torch.autograd.grad(penalty, a)
    torch.testing.assert_close(slope, 6 * squares)


def test_path_lengths_of_a_linear_generator() -> None:
    """image = A w, the same A for each of the L vectors' means: J^T y is known."""
    torch.manual_seed(0)
    matrix = torch.randn(3 * 4 * 4, 5, dtype=torch.float64, requires_grad=True)
    w_plus = torch.randn(2, 6, 5, dtype=torch.float64, requires_grad=True)
    images = (w_plus.sum(dim=1) @ matrix.t()).reshape(2, 3, 4, 4)
    noise = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    lengths = losses.path_lengths(images, w_plus, noise)
    # every one of the 6 vectors has the same gradient, so their mean square is that of one
    expected = ((noise / 4).reshape(2, -1) @ matrix).norm(dim=1)
    torch.testing.assert_close(lengths, expected)
    (slope,) = torch.autograd.grad(lengths.sum(), matrix)
    assert slope.abs().sum() > 0


def test_path_length_penalty_tracks_the_mean() -> None:
    mean = torch.zeros(())
    lengths = torch.tensor([2.0, 4.0], requires_grad=True)
    penalty, updated = losses.path_length_penalty(lengths, mean, decay=0.5)
    assert updated.item() == pytest.approx(1.5)
    assert not updated.requires_grad
    assert penalty.item() == pytest.approx(((2 - 1.5) ** 2 + (4 - 1.5) ** 2) / 2)
    for _ in range(60):
        penalty, updated = losses.path_length_penalty(lengths, updated, decay=0.5)
    assert updated.item() == pytest.approx(3.0)
    assert penalty.item() == pytest.approx(1.0)


def test_moments_of_equal_batches_are_equal_and_pull_towards_the_real_ones() -> None:
    torch.manual_seed(0)
    real = [2.0 + 3.0 * torch.randn(8, 4, 6, 6), torch.randn(8, 4, 3, 3)]
    assert float(losses.feature_moments(real, real)) == 0.0
    shuffled = [features.flip(0, 2) for features in real]  # other pictures with the same statistics
    assert float(losses.feature_moments(shuffled, real)) < 1e-9
    shifted = [features + 3.0 for features in real]
    # one standard deviation at the first scale, three at the second
    assert float(losses.feature_moments(shifted, real)) == pytest.approx((1.0 + 9.0) / 2, rel=0.15)
    wider = [features * 2.0 - features.mean(dim=(0, 2, 3), keepdim=True) for features in real]
    assert float(losses.feature_moments(wider, real)) == pytest.approx(1.0, rel=0.01)
    fake = [torch.zeros_like(features).requires_grad_() for features in real]
    loss = losses.feature_moments([features + 0.1 * torch.randn_like(features) for features in fake], real)
    gradient = torch.autograd.grad(loss, [fake[0]])[0]
    assert float(gradient.mean()) < 0.0  # upwards, to a mean of 2
