from __future__ import annotations

import pytest
import torch

from crossrig.features import FeatureTaps
from crossrig.gan.losses import hinge_discriminator
from crossrig.gan.projected import ProjectedDiscriminator


@pytest.fixture(scope="module")
def features() -> FeatureTaps:
    return FeatureTaps(64)


def test_logits_of_four_scales(features: FeatureTaps) -> None:
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(features=features, width=16)
    images = torch.randn(2, 3, 64, 64).clamp(-1, 1)
    scales = list(discriminator.judge(discriminator.project(images)))
    assert [tuple(logits.shape) for logits in scales] == [(2, 16), (2, 16), (2, 16), (2, 4)]
    discriminator.eval()  # spectral normalisation moves its vectors in training mode
    logits = discriminator(images)
    assert logits.shape == (2, 52)
    torch.testing.assert_close(logits, torch.cat(list(discriminator.judge(discriminator.project(images))), dim=1))


def test_only_the_judges_are_trained(features: FeatureTaps) -> None:
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(features=features, width=16)
    assert all(name.startswith("judges.") for name, _ in discriminator.named_parameters())
    assert not any(name.startswith("features.") for name in discriminator.state_dict())
    with torch.no_grad():
        real = discriminator.project(torch.zeros(2, 3, 64, 64))
    torch.cat(list(discriminator.judge(real)), dim=1).mean().backward()
    assert all(parameter.grad is not None for parameter in discriminator.parameters())


def test_gradients_reach_the_image_through_every_scale(features: FeatureTaps) -> None:
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(features=features, width=16)
    images = torch.randn(1, 3, 64, 64).clamp(-1, 1).requires_grad_()
    for logits in discriminator.judge(discriminator.project(images)):
        (gradient,) = torch.autograd.grad(logits.sum(), images, retain_graph=True)
        assert gradient.abs().sum() > 0


def test_the_mixing_is_random_and_repeatable(features: FeatureTaps) -> None:
    images = torch.randn(1, 3, 64, 64).clamp(-1, 1)
    with torch.no_grad():
        mixes = [ProjectedDiscriminator(features=features, width=16, seed=seed).project(images) for seed in (3, 3, 4)]
    for a, b, c in zip(*mixes, strict=True):
        assert torch.equal(a, b)
        assert not torch.allclose(a, c)


def test_the_mixing_runs_from_coarse_to_fine(features: FeatureTaps) -> None:
    """A change of the coarsest features alone shows at every scale; of the finest alone only at the finest."""
    discriminator = ProjectedDiscriminator(features=features, width=16)
    with torch.no_grad():
        taps = features(torch.zeros(1, 3, 64, 64))
        base = discriminator.mixing(taps)
        coarse = discriminator.mixing([*taps[:3], taps[3] + 1.0])
        fine = discriminator.mixing([taps[0] + 1.0, *taps[1:]])
    assert [not torch.equal(a, b) for a, b in zip(base, coarse, strict=True)] == [True, True, True, True]
    assert [not torch.equal(a, b) for a, b in zip(base, fine, strict=True)] == [True, False, False, False]


def test_judges_learn_to_tell_two_kinds_apart(features: FeatureTaps) -> None:
    torch.manual_seed(0)
    discriminator = ProjectedDiscriminator(features=features, width=16)
    optimiser = torch.optim.Adam(discriminator.parameters(), lr=2e-3, betas=(0.0, 0.99))
    with torch.no_grad():
        real = discriminator.project(0.3 * torch.randn(8, 3, 64, 64))
        fake = discriminator.project(torch.rand(8, 1, 1, 1) * torch.ones(8, 3, 64, 64))
    losses = []
    for _ in range(15):
        logits = [torch.cat(list(discriminator.judge(mixed)), dim=1) for mixed in (real, fake)]
        loss = hinge_discriminator(*logits)
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(loss.item())
    assert losses[-1] < 0.7 * losses[0]


def test_needs_four_taps() -> None:
    with pytest.raises(ValueError, match="4 taps"):
        ProjectedDiscriminator(features=FeatureTaps(64, taps=(2, 4)))


def test_first_convolutions_can_be_held_and_the_last_is_always_trained(features: FeatureTaps) -> None:
    discriminator = ProjectedDiscriminator(features=features, width=16)
    discriminator.hold_first(1)
    for judge in discriminator.judges:
        trained = [any(parameter.requires_grad for parameter in layer.parameters()) for layer in judge.layers if list(layer.parameters())]
        assert trained[0] is False
        assert all(trained[1:])
        assert len(trained) > 1
    discriminator.hold_first(99)
    trained = [name for name, parameter in discriminator.named_parameters() if parameter.requires_grad]
    assert len(trained) == 2 * len(discriminator.judges)
    with torch.no_grad():
        real = discriminator.project(torch.zeros(2, 3, 64, 64))
    torch.cat(list(discriminator.judge(real)), dim=1).mean().backward()  # gradients still reach what is trained
