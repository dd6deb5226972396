"""Between two domains."""

from __future__ import annotations

import copy
from dataclasses import replace

import pytest
import torch

from crossrig.domains.mix import Mixer
from crossrig.errors import UserError
from crossrig.gan.generator import Generator


@pytest.fixture(scope="module")
def child(tiny_generator: Generator) -> Generator:
    child = copy.deepcopy(tiny_generator)
    with torch.random.fork_rng(), torch.no_grad():
        torch.manual_seed(4)
        for parameter in child.synthesis.parameters():
            parameter.add_(0.1 * torch.randn_like(parameter))
    return child


def test_the_ends_are_the_two_generators(tiny_generator: Generator, child: Generator) -> None:
    mixer = Mixer(tiny_generator, child)
    s = tiny_generator.affine(tiny_generator.map(torch.randn(1, tiny_generator.config.z_dim, generator=torch.Generator().manual_seed(1))))
    first, middle, second, again = (mixer.at(share).synthesise(s) for share in (0.0, 0.5, 1.0, 0.0))
    assert torch.equal(first, tiny_generator.synthesise(s))
    assert torch.equal(second, child.synthesise(s))
    assert torch.equal(first, again)
    assert (middle - first).abs().mean() > 0
    assert (middle - second).abs().mean() > 0


def test_what_cannot_be_mixed_is_refused(tiny_generator: Generator, child: Generator) -> None:
    with pytest.raises(UserError, match="is between 0 and 1"):
        Mixer(tiny_generator, child).at(1.5)
    other = Generator(replace(tiny_generator.config, channels=(16, 16, 8, 4)))
    with pytest.raises(UserError, match="built differently"):
        Mixer(tiny_generator, other)
