from __future__ import annotations

import torch

from crossrig.evaluation.instruments import Instruments
from crossrig.evaluation.portraits import embedded, inverted_styles, optimised, unseen_portraits
from crossrig.features import FeatureTaps, PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.rig.manipulation import Rig
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
    styles = inverted_styles(images, optimised(tiny_generator, None, perceptual, steps=2), lambda *step: steps.append(step))
    assert styles.shape == (3, tiny_generator.style_space.size)
    assert not torch.allclose(styles[0], styles[1])
    assert steps == [(1, 3), (2, 3), (3, 3)]


def test_pie_is_a_way_too_and_knows_the_rig(tiny_generator: Generator, tools: Instruments, tiny_rig: Rig) -> None:
    torch.manual_seed(3)
    perceptual = PerceptualDistance(32, FeatureTaps(32, (2,), blank_tensors()))
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    pie = embedded(tiny_generator, None, perceptual, tiny_rig, tools.reader, tools.units, steps=3)
    found = pie(images[:1])
    assert len(found.losses) == 6
    plain = optimised(tiny_generator, None, perceptual, steps=6)(images[:1])
    assert not torch.allclose(found.s, plain.s)
    assert inverted_styles(images, pie).shape == (2, tiny_generator.style_space.size)
