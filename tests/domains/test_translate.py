from __future__ import annotations

import copy

import pytest
import torch

from crossrig.domains.blend import blend
from crossrig.domains.translate import translate
from crossrig.errors import UserError
from crossrig.gan.generator import Generator, GeneratorConfig


@pytest.fixture
def child(tiny_generator: Generator) -> Generator:
    torch.manual_seed(4)
    child = copy.deepcopy(tiny_generator)
    still = {id(parameter) for parameter in child.latent_parameters()}
    for parameter in child.parameters():
        if id(parameter) not in still:
            parameter.add_(0.2 * torch.randn_like(parameter))
    return child


def test_the_code_is_kept_and_the_generator_changed(tiny_generator: Generator, child: Generator) -> None:
    s = tiny_generator.affine(tiny_generator.map(torch.randn(2, 32)))
    assert torch.equal(translate(s, tiny_generator, child), child.synthesise(s))
    assert torch.equal(translate(s, tiny_generator, tiny_generator), tiny_generator.synthesise(s))


def test_shares_keep_the_structure_of_the_source(tiny_generator: Generator, child: Generator) -> None:
    s = tiny_generator.affine(tiny_generator.map(torch.randn(2, 32)))
    expected = blend(tiny_generator, child, {4: 0.0, 8: 0.0, 16: 0.7, 32: 0.7}).synthesise(s)
    assert torch.equal(translate(s, tiny_generator, child, {16: 0.7}), expected)


def test_a_stranger_is_refused(tiny_generator: Generator) -> None:
    other = Generator(GeneratorConfig(resolution=16, z_dim=32, w_dim=32, channels=(16, 16, 8), mapping_layers=2))
    with pytest.raises(UserError, match="not built alike"):
        translate(torch.zeros(1, tiny_generator.style_space.size), tiny_generator, other)
