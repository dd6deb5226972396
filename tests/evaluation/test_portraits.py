from __future__ import annotations

import torch

from crossrig.evaluation.portraits import inverted_styles, unseen_portraits
from crossrig.features import FeatureTaps, PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.rig.reconstruction import blank_tensors


def test_portraits_have_the_generators_size() -> None:
    images = unseen_portraits(2, 32, 770_000_099, workers=1)
    assert images.shape == (2, 3, 32, 32)
    assert float(images.abs().max()) <= 1.0
    assert not torch.equal(images[0], images[1])


def test_every_portrait_gets_its_own_code(tiny_generator: Generator) -> None:
    torch.manual_seed(3)
    perceptual = PerceptualDistance(32, FeatureTaps(32, (2,), blank_tensors()))
    images = torch.rand(3, 3, 32, 32) * 2 - 1
    steps: list[tuple[int, int]] = []
    styles = inverted_styles(images, tiny_generator, None, perceptual, steps=2, progress=lambda *step: steps.append(step))
    assert styles.shape == (3, tiny_generator.style_space.size)
    assert not torch.allclose(styles[0], styles[1])
    assert steps == [(1, 3), (2, 3), (3, 3)]
