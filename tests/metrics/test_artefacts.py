from __future__ import annotations

import copy

import pytest
import torch

from crossrig.errors import UserError
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.metrics.artefacts import DROPLET, noise_change, peak_energies, peak_energy, sticking


def styles(generator: Generator, count: int) -> torch.Tensor:
    return generator.affine(generator.map(torch.randn(count, 32, generator=torch.Generator().manual_seed(1))))


def test_the_peak_of_a_feature_map() -> None:
    even = torch.ones(1, 2, 20, 20)
    spike = 0.1 * torch.ones(1, 2, 20, 20)
    spike[0, 1, 3, 4] = 50.0
    assert float(peak_energy(even)[0]) == pytest.approx(0.01)
    assert float(peak_energy(spike)[0]) > 0.99
    assert peak_energy(torch.cat([even, spike])).tolist() == pytest.approx([0.01, float(peak_energy(spike)[0])])


def test_a_generator_with_a_spike_has_droplets(tiny_generator: Generator) -> None:
    assert float(peak_energies(tiny_generator, styles(tiny_generator, 4)).max()) < DROPLET
    spiked = copy.deepcopy(tiny_generator)
    conv = spiked.synthesis["b16"].conv1
    conv.noise_const[5, 7] = 1e4
    conv.noise_strength.fill_(1.0)
    assert float(peak_energies(spiked, styles(spiked, 4)).min()) > DROPLET
    assert not any(module._forward_hooks for module in spiked.modules())
    with torch.random.fork_rng():
        small = Generator(GeneratorConfig(resolution=8, z_dim=32, w_dim=32, channels=(8, 8), mapping_layers=1)).requires_grad_(False)
    with pytest.raises(UserError, match="16 px"):
        peak_energies(small, styles(small, 1))


def test_dead_noise_changes_nothing(tiny_generator: Generator) -> None:
    alive = copy.deepcopy(tiny_generator)
    for name in ("b16", "b32"):
        alive.synthesis[name].conv1.noise_strength.fill_(0.2)
    code = styles(alive, 3)
    assert float(noise_change(tiny_generator, code).max()) == 0.0  # strengths begin at 0
    assert float(noise_change(alive, code).min()) > 1.0


def test_detail_that_stays_is_told_from_detail_that_moves() -> None:
    random = torch.Generator().manual_seed(2)
    moving = 0.1 * torch.randn(40, 3, 16, 16, generator=random)
    stuck = 0.1 * torch.randn(1, 3, 16, 16, generator=random)
    assert sticking(moving) == pytest.approx(0.0, abs=0.02)
    assert sticking(stuck.expand(40, -1, -1, -1)) == pytest.approx(1.0)
    assert sticking(moving + stuck) == pytest.approx(0.5, abs=0.05)
    smooth = torch.rand(40, 3, 1, 1, generator=random).expand(-1, -1, 16, 16)  # what is not detail counts for nothing
    assert sticking(moving + stuck + smooth) == pytest.approx(sticking(moving + stuck), abs=1e-3)
