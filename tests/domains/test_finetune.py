from __future__ import annotations

import pytest
import torch

from crossrig.domains.finetune import hold_latent_space, hold_layers
from crossrig.errors import UserError
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.stylespace import StyleSpace


def test_only_what_does_not_carry_the_latent_space_is_trained() -> None:
    generator = Generator(GeneratorConfig(resolution=8, z_dim=16, w_dim=16, channels=(8, 8)))
    trained = hold_latent_space(generator)
    held = {name for name, parameter in generator.named_parameters() if not parameter.requires_grad}
    assert held == {name for name, _ in generator.named_parameters() if "affine" in name or name.startswith("mapping")}
    before = generator.affine(generator.map(torch.ones(2, 16))).clone()
    optimiser = torch.optim.SGD(trained, lr=0.1)
    generator(torch.ones(2, 16)).square().mean().backward()
    optimiser.step()
    torch.testing.assert_close(generator.affine(generator.map(torch.ones(2, 16))), before, atol=0, rtol=0)


@pytest.mark.parametrize(
    ("names", "held"),
    [
        (("b4",), {"const", "b4.conv1", "b4.torgb"}),
        (("b4", "b8"), {"const", "b4.conv1", "b4.torgb", "b8.conv0", "b8.conv1", "b8.torgb"}),
        (("b8.torgb",), {"b8.torgb"}),
        ((), set()),
    ],
)
def test_layers_are_held_by_name(names: tuple[str, ...], held: set[str]) -> None:
    generator = Generator(GeneratorConfig(resolution=8, z_dim=16, w_dim=16, channels=(8, 8)))
    hold_layers(generator, names)
    frozen = [name for name, parameter in generator.named_parameters() if not parameter.requires_grad]
    assert {".".join(name.removeprefix("synthesis.").split(".")[:2]) for name in frozen} == held
    still = [name for name, parameter in generator.named_parameters() if parameter.requires_grad]
    assert {".".join(name.removeprefix("synthesis.").split(".")[:2]) for name in still}.isdisjoint(held)


def test_unknown_layers_are_named() -> None:
    generator = Generator(GeneratorConfig(resolution=8, z_dim=16, w_dim=16, channels=(8, 8)))
    with pytest.raises(UserError, match=r'no layer "b16" to hold; there are the blocks b4, b8 and the layers b4\.conv1'):
        hold_layers(generator, ("b16",))
    assert all(parameter.requires_grad for parameter in generator.parameters())


def test_affine_layers_of_new_blocks_are_trained() -> None:
    generator = Generator(GeneratorConfig(resolution=16, z_dim=16, w_dim=16, channels=(8, 8, 8)))
    hold_latent_space(generator, StyleSpace(8, {4: 8, 8: 8}))
    for name, parameter in generator.named_parameters():
        carries = name.startswith("mapping") or ("affine" in name and ".b16." not in name)
        assert parameter.requires_grad != carries, name


def test_styles_of_new_channels_are_trained_and_those_of_old_ones_stay() -> None:
    generator = Generator(GeneratorConfig(resolution=8, z_dim=16, w_dim=16, channels=(8, 12)))
    w = torch.randn(2, 16)
    before = generator.affine(w).detach()
    trained = hold_latent_space(generator, StyleSpace(8, {4: 8, 8: 8}))
    optimiser = torch.optim.Adam(trained, lr=0.1)
    for _ in range(3):
        optimiser.zero_grad()
        generator.synthesise(generator.affine(w)).square().mean().backward()
        optimiser.step()
    after = generator.affine(w)
    old = torch.cat([torch.arange(layer.size) < 8 for layer in generator.style_space.layers])
    torch.testing.assert_close(after[:, old], before[:, old], atol=0, rtol=0)
    assert (after != before)[:, ~old].any(dim=0).all()
