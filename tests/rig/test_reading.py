"""What is seen in the pictures of codes, in batches that fit."""

from __future__ import annotations

import pytest
import torch

from crossrig.gan.generator import Generator
from crossrig.rig import reading
from crossrig.rig.reading import on_device, see, together
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig


@pytest.fixture
def network(people) -> Reconstruction:  # type: ignore[no-untyped-def]
    torch.manual_seed(4)
    network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16))
    network.set_population(people.pack())
    return network.eval()


def test_batches_do_not_matter(network: Reconstruction, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch) -> None:
    styles = tiny_generator.affine(tiny_generator.map(torch.randn(7, tiny_generator.config.z_dim)))
    whole = see(network, tiny_generator, styles)
    monkeypatch.setattr(reading, "together", lambda resolution: 3)
    torch.testing.assert_close(see(network, tiny_generator, styles).pack(), whole.pack(), rtol=1e-4, atol=1e-4)
    assert len(whole) == 7


def test_features_may_be_painted_in_bfloat16(network: Reconstruction, tiny_generator: Generator) -> None:
    styles = tiny_generator.affine(tiny_generator.map(torch.randn(7, tiny_generator.config.z_dim)))
    exact, rough = see(network, tiny_generator, styles).pack(), see(network, tiny_generator, styles, torch.bfloat16).pack()
    assert not torch.equal(exact, rough)
    torch.testing.assert_close(rough, exact, rtol=0.02, atol=0.02)


def test_large_pictures_are_seen_one_by_one() -> None:
    assert [together(resolution) for resolution in (32, 128, 256, 512, 1024, 2048)] == [32, 16, 4, 1, 1, 1]


def test_networks_that_are_there_already_are_not_copied(network: Reconstruction, tiny_generator: Generator) -> None:
    assert on_device(tiny_generator, network, "cpu") == (tiny_generator, network)
