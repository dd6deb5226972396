from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor

from crossrig.domains.blend import blend, check_fit, parse_steps, shared_latent_space, shares_by_resolution
from crossrig.errors import UserError
from crossrig.gan.generator import Generator, GeneratorConfig

CONFIG = GeneratorConfig(resolution=32, z_dim=16, w_dim=16, channels=(8, 8, 8, 8), mapping_layers=2)


@pytest.fixture
def parent() -> Generator:
    torch.manual_seed(0)
    generator = Generator(CONFIG)
    for module in generator.synthesis.modules():  # noise that shows, so that its swap can be seen
        if hasattr(module, "noise_strength"):
            torch.nn.init.constant_(module.noise_strength, 0.3)
    return generator.eval().requires_grad_(False)


@pytest.fixture
def child(parent: Generator) -> Generator:
    torch.manual_seed(1)
    child = copy.deepcopy(parent)
    still = {id(parameter) for parameter in child.latent_parameters()}
    for tensor in (*child.parameters(), *child.synthesis.buffers()):
        if id(tensor) not in still:
            tensor.add_(0.5 * torch.randn_like(tensor))
    return child


def _differs(first: Generator, second: Generator) -> set[str]:
    other = second.state_dict()
    return {name for name, tensor in first.state_dict().items() if not torch.equal(tensor, other[name])}


def _code(generator: Generator) -> Tensor:
    return generator.affine(generator.map(torch.randn(3, 16, generator=torch.Generator().manual_seed(5))))


def test_shares_hold_from_a_resolution_to_the_next() -> None:
    space = CONFIG.style_space
    assert shares_by_resolution(space, {16: 1.0}) == {4: 0.0, 8: 0.0, 16: 1.0, 32: 1.0}
    assert shares_by_resolution(space, {8: 0.25, 32: 1.0}) == {4: 0.0, 8: 0.25, 16: 0.25, 32: 1.0}
    assert shares_by_resolution(space, {4: 1.0, 16: 0.0}) == {4: 1.0, 8: 1.0, 16: 0.0, 32: 0.0}
    for steps, message in (({64: 1.0}, "no layers at 64 px"), ({8: 1.5}, "between 0 and 1"), ({8: float("nan")}, "between"), ({}, "from")):
        with pytest.raises(UserError, match=message):
            shares_by_resolution(space, steps)


def test_a_swap_takes_whole_blocks_and_nothing_else(parent: Generator, child: Generator) -> None:
    mixed = blend(parent, child, shares_by_resolution(CONFIG.style_space, {16: 1.0}))
    moved = _differs(parent, mixed)
    assert {name.split(".")[1] for name in moved} == {"b16", "b32"}  # with the constant and the mapping left alone
    assert _differs(child, mixed) == {
        name for name in _differs(child, parent) if name == "const" or name.startswith(("synthesis.b4.", "synthesis.b8."))
    }
    for part in ("conv0.weight", "conv0.noise_const", "conv1.bias", "torgb.weight"):
        assert f"synthesis.b16.{part}" in moved


def test_both_directions_and_both_ends(parent: Generator, child: Generator) -> None:
    space = CONFIG.style_space
    s = _code(parent)
    whole = dict.fromkeys(space.block_resolutions, 1.0)
    assert torch.equal(blend(parent, child, whole).synthesise(s), child.synthesise(s))
    assert torch.equal(blend(parent, child, dict.fromkeys(whole, 0.0)).synthesise(s), parent.synthesise(s))
    forth = blend(parent, child, shares_by_resolution(space, {16: 1.0}))
    back = blend(child, parent, shares_by_resolution(space, {16: 1.0}))
    assert not torch.allclose(forth.synthesise(s), back.synthesise(s), atol=1e-3)
    # the swap at 16 px of one direction is the swap below 16 px of the other
    assert not _differs(back, blend(parent, child, shares_by_resolution(space, {4: 1.0, 16: 0.0})))


def test_a_half_share_is_the_mean_of_the_weights(parent: Generator, child: Generator) -> None:
    mixed = blend(parent, child, shares_by_resolution(CONFIG.style_space, {32: 0.5})).state_dict()
    name = "synthesis.b32.conv0.weight"
    torch.testing.assert_close(mixed[name], (parent.state_dict()[name] + child.state_dict()[name]) / 2)


def test_generators_that_do_not_fit_are_refused(parent: Generator, child: Generator) -> None:
    assert shared_latent_space(parent, child) == 1.0
    check_fit(parent, child)
    torch.manual_seed(9)
    with pytest.raises(UserError, match="resolution 32 and 16"):
        check_fit(parent, Generator(GeneratorConfig(resolution=16, z_dim=16, w_dim=16, channels=(8, 8, 8), mapping_layers=2)))
    stranger = Generator(CONFIG)
    assert shared_latent_space(parent, stranger) < 0.0
    with pytest.raises(UserError, match="no latent space in common"):
        blend(parent, stranger, dict.fromkeys(CONFIG.style_space.block_resolutions, 0.5))
    slightly = copy.deepcopy(child)  # a child that was fine-tuned with its mapping network
    for parameter in slightly.mapping.parameters():
        parameter.add_(0.02 * parameter.std() * torch.randn_like(parameter) if parameter.ndim == 2 else 0.0)
    assert 0.5 < shared_latent_space(parent, slightly) < 1.0
    check_fit(parent, slightly)


def test_networks_with_classes_are_compared_class_by_class() -> None:
    torch.manual_seed(2)
    config = GeneratorConfig(resolution=8, z_dim=8, w_dim=8, channels=(8, 8), mapping_layers=2, c_dim=3)
    generator = Generator(config).requires_grad_(False)
    assert shared_latent_space(generator, copy.deepcopy(generator)) == 1.0


def test_shares_as_words() -> None:
    assert parse_steps("16") == {16: 1.0}
    assert parse_steps("8=0.5, 16=1") == {8: 0.5, 16: 1.0}
    for text, message in (("x", "not RESOLUTION=SHARE"), ("8=", "not RESOLUTION"), ("", "not RESOLUTION"), ("8=1,8=0", "named twice")):
        with pytest.raises(UserError, match=message):
            parse_steps(text)
