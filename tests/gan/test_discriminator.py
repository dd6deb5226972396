from __future__ import annotations

import pytest
import torch

from crossrig.gan.discriminator import Discriminator, DiscriminatorConfig, minibatch_stddev
from crossrig.gan.losses import r1

TINY = DiscriminatorConfig(resolution=16, channels=(6, 5, 4))


def test_logits() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(TINY)
    images = torch.randn(8, 3, 16, 16)
    logits = discriminator(images)
    assert logits.shape == (8, 1)
    assert logits.std() > 0
    assert discriminator(images[:1]).shape == (1, 1)  # a batch smaller than the group


def test_default_runs_at_128() -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(DiscriminatorConfig())
    with torch.no_grad():
        assert discriminator(torch.randn(2, 3, 128, 128)).shape == (2, 1)


def test_r1_reaches_every_weight() -> None:
    """Double backward through all operators; only what does not touch the input's gradient may stay without one."""
    torch.manual_seed(0)
    discriminator = Discriminator(TINY).double()
    images = torch.randn(4, 3, 16, 16, dtype=torch.float64, requires_grad=True)
    r1(discriminator(images), images).backward()
    for name, parameter in discriminator.named_parameters():
        if not name.endswith("bias"):
            assert parameter.grad is not None, name
            assert parameter.grad.abs().sum() > 0, name


def test_minibatch_stddev_written_out() -> None:
    x = torch.randn(4, 3, 2, 2, dtype=torch.float64)
    y = minibatch_stddev(x, group=2)
    assert y.shape == (4, 4, 2, 2)
    assert torch.equal(y[:, :3], x)
    for first, second in ((0, 2), (1, 3)):  # groups take every (B / group)-th image
        pair = torch.stack([x[first], x[second]])
        expected = pair.std(dim=0, correction=0).mean()
        torch.testing.assert_close(y[first, 3], expected.expand(2, 2), rtol=1e-6, atol=1e-6)
        torch.testing.assert_close(y[second, 3], expected.expand(2, 2), rtol=1e-6, atol=1e-6)


def test_identical_images_have_no_deviation() -> None:
    assert minibatch_stddev(torch.ones(4, 3, 2, 2), group=4)[:, 3].abs().max() < 1e-3


def test_errors() -> None:
    with pytest.raises(ValueError, match="does not divide"):
        minibatch_stddev(torch.zeros(6, 1, 2, 2), group=4)
    with pytest.raises(ValueError, match="B, 3, 16, 16"):
        Discriminator(TINY)(torch.zeros(1, 3, 8, 8))
    with pytest.raises(ValueError, match="power of two"):
        DiscriminatorConfig(resolution=24)
    with pytest.raises(ValueError, match="channel counts"):
        DiscriminatorConfig(resolution=64, channels=(8, 8))
    with pytest.raises(ValueError, match="positive"):
        DiscriminatorConfig(resolution=4, channels=(8,), stddev_group=0)


def test_classes() -> None:
    torch.manual_seed(0)
    config = DiscriminatorConfig(resolution=8, channels=(6, 5), c_dim=3, cmap_dim=4, mapping_layers=2, embed_dim=5, mapping_dim=7)
    discriminator = Discriminator(config)
    images = torch.randn(1, 3, 8, 8).expand(3, -1, -1, -1)
    logits = discriminator(images, torch.eye(3))
    assert logits.shape == (3, 1)
    assert logits.std() > 1e-4  # the same image, other classes
    with pytest.raises(ValueError, match=r"c must be \(B, 3\)"):
        discriminator(images)
    with pytest.raises(ValueError, match="as many class vectors"):
        discriminator(images, torch.eye(3)[:1])
    with pytest.raises(ValueError, match="no classes"):
        Discriminator(TINY)(torch.zeros(1, 3, 16, 16), torch.zeros(1, 3))


def test_the_group_can_be_the_batch() -> None:
    x = torch.randn(6, 3, 2, 2)
    assert torch.equal(minibatch_stddev(x, None), minibatch_stddev(x, 6))
