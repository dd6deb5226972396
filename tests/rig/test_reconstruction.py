from __future__ import annotations

import pytest
import torch

from crossrig.data.portrait_set import PortraitSet
from crossrig.face3d.params import PACKED_SIZE, FaceParams
from crossrig.features import FeatureTaps
from crossrig.rig.reconstruction import JUDGE, Reconstruction, ReconstructionConfig, blank_tensors

TINY = ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)


@pytest.mark.parametrize("config", [ReconstructionConfig(size=64, mixed=16, hidden=32), TINY])
def test_pictures_of_any_size_give_parameters(config: ReconstructionConfig) -> None:
    network = Reconstruction(config).eval()
    images = torch.rand(2, 3, 50, 50) * 2 - 1
    packed = network(images)
    assert packed.shape == (2, PACKED_SIZE)
    params = network.predict(images)
    assert float(params.expression.min()) >= 0.0
    assert float(params.expression.max()) <= 1.0


def test_population_is_where_an_ignorant_network_starts(blobs: PortraitSet) -> None:
    network = Reconstruction(TINY).eval()
    network.set_population(blobs.labels)
    found = network(blobs.batch(torch.arange(4))[0])
    scale = blobs.labels.std(0).clamp(min=1e-4)
    assert float(((found - blobs.labels.mean(0)) / scale).abs().max()) < 0.5


def test_batches_do_not_change_the_answer(blobs: PortraitSet) -> None:
    network = Reconstruction(TINY).eval()
    images = blobs.batch(torch.arange(7))[0]
    torch.testing.assert_close(network.predict(images, batch=3).pack(), network.predict(images, batch=7).pack())


def test_the_pretrained_trunk_is_that_of_the_features_and_trains() -> None:
    network = Reconstruction(ReconstructionConfig(size=32, mixed=8, hidden=16), pretrained=True)
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    for own, reference in zip(network.eyes(images), FeatureTaps(32, network.config.taps)(images), strict=True):
        torch.testing.assert_close(own, reference)
    network(images).square().sum().backward()
    gradients = [parameter.grad for parameter in network.eyes.parameters()]
    assert len(gradients) > 90
    assert all(gradient is not None for gradient in gradients)


def test_blank_tensors_are_those_of_the_architecture() -> None:
    names = set(blank_tensors())
    assert FeatureTaps(32, (10, 15), blank_tensors()).channels == (112, 320)
    assert "_blocks.15._project_conv.weight" in names


def test_sizes_that_do_not_halve_are_refused() -> None:
    with pytest.raises(ValueError, match="multiple of 32"):
        ReconstructionConfig(size=100)
    assert JUDGE.network != ReconstructionConfig().network


def test_packed_answers_unpack() -> None:
    assert len(FaceParams.unpack(Reconstruction(TINY)(torch.zeros(3, 3, 32, 32)))) == 3


@pytest.mark.parametrize("taps", [(), (3, 15), (15, 4)])
def test_features_are_read_only_after_the_last_block_of_a_stride(taps: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="rising order"):
        ReconstructionConfig(taps=taps)


def test_a_network_that_knows_its_mirror_reads_both_pictures_alike() -> None:
    torch.manual_seed(0)
    network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)).eval()
    network.set_population(torch.randn(16, PACKED_SIZE) * 0.1 + 0.5)
    pictures = torch.rand(3, 3, 32, 32) * 2 - 1
    alone = network.predict(pictures).pack()
    flip = torch.eye(PACKED_SIZE)[torch.arange(PACKED_SIZE - 1, -1, -1)]  # any involution will do
    network.set_mirror(flip)
    both, mirrored = (network.predict(images).expression for images in (pictures, pictures.flip(3)))
    assert not torch.equal(network.predict(pictures).pack(), alone)
    packed = (network(pictures) + network(pictures.flip(3)) @ flip) / 2
    torch.testing.assert_close(both, FaceParams.unpack(packed).expression.clamp(0, 1))
    other = (network(pictures.flip(3)) + network(pictures) @ flip) / 2
    torch.testing.assert_close(mirrored, FaceParams.unpack(other).expression.clamp(0, 1))


def test_shifted_views_are_averaged_and_keep_the_mirror() -> None:
    torch.manual_seed(0)
    config = ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16, shift=3)
    network = Reconstruction(config).eval()
    network.set_population(torch.randn(16, PACKED_SIZE) * 0.1 + 0.5)
    pictures = torch.rand(2, 3, 32, 32) * 2 - 1
    wide = torch.nn.functional.pad(pictures, (3, 3, 3, 3), mode="replicate")
    moved = [pictures, wide[:, :, :32, :32], wide[:, :, 6:, 6:]]
    expected = torch.stack([network(view) for view in moved]).mean(0)
    torch.testing.assert_close(network.predict(pictures).rotation, FaceParams.unpack(expected).rotation)
    network.set_mirror(torch.eye(PACKED_SIZE))
    torch.testing.assert_close(network.predict(pictures).pack(), network.predict(pictures.flip(3)).pack())
    with pytest.raises(ValueError, match="shift"):
        ReconstructionConfig(shift=48)
