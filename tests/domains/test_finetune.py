from __future__ import annotations

import torch

from crossrig.domains.finetune import hold_latent_space
from crossrig.gan.generator import Generator, GeneratorConfig


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
