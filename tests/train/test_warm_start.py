from __future__ import annotations

import pytest
import torch

from crossrig.data.portrait_set import PortraitSet
from crossrig.gan.codes import code_rotation
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.train.warm_start import mapping_targets, principal_components, warm_mapping


@pytest.fixture
def portraits() -> PortraitSet:
    """600 flat pictures whose colour and first label follow the first three of twenty code numbers."""
    random = torch.Generator().manual_seed(0)
    codes = torch.randn(600, 20, generator=random)
    pictures = (128 + 40 * codes[:, :3]).clamp(0, 255).to(torch.uint8)[:, :, None, None].expand(-1, -1, 16, 16)
    labels = 0.01 * torch.randn(600, 213, generator=random)
    labels[:, 0] = codes[:, 3]
    return PortraitSet(pictures.contiguous(), labels, codes)


def test_components_hold_the_variance_of_the_pictures(portraits: PortraitSet) -> None:
    components = principal_components(portraits, size=16, count=6)
    energy = components.square().sum(0)
    assert float(energy[:3].sum() / energy.sum()) > 0.95  # three colours vary, nothing else does


def test_targets_are_components_then_labels(portraits: PortraitSet) -> None:
    targets = mapping_targets(portraits, size=16, count=4)
    assert targets.shape == (600, 4 + 213)
    assert float(targets[:, :4].square().sum(1).mean()) == pytest.approx(1.0, abs=1e-4)


def test_warm_mapping_explains_unseen_portraits(portraits: PortraitSet) -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(resolution=8, z_dim=32, w_dim=256, mapping_layers=2, mapping_lr_mul=1.0))
    rotation = code_rotation(32)
    cold = warm_mapping(generator, portraits, rotation, steps=1)
    warm = warm_mapping(generator, portraits, rotation, steps=150)
    assert warm > cold + 0.1
