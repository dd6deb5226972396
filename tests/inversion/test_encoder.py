"""The encoder: shapes, its start at the mean, files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.features import FeatureTaps
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import Encoder, EncoderConfig, encoder_for, enlarged, load_encoder, save_encoder, w_samples

SMALL = EncoderConfig(size=32, hidden=24, rank=4)


@pytest.fixture(scope="module")
def encoder(tiny_generator: Generator) -> Encoder:
    torch.manual_seed(1)
    return encoder_for(tiny_generator, SMALL)


def test_shape_and_range(encoder: Encoder, tiny_generator: Generator) -> None:
    w_plus = encoder(torch.rand(3, 3, 48, 48) * 2 - 1)
    assert w_plus.shape == (3, tiny_generator.style_space.w_count, 32)
    assert tiny_generator.synthesise(tiny_generator.affine(w_plus)).shape == (3, 3, 32, 32)


def test_starts_near_the_mean_with_no_offsets(encoder: Encoder, tiny_generator: Generator) -> None:
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    base, offsets = encoder.parts(images)
    assert float(offsets.detach().abs().max()) == 0.0
    assert float(base.detach().abs().max()) < 1.5
    assert torch.allclose(encoder.assemble(torch.zeros_like(base), offsets)[:, 0], w_samples(tiny_generator).mean(0).expand(2, -1))


def test_every_part_learns(encoder: Encoder) -> None:
    encoder.zero_grad()
    encoder(torch.rand(2, 3, 32, 32) * 2 - 1).square().sum().backward()
    silent = [name for name, parameter in encoder.named_parameters() if parameter.grad is None or not parameter.grad.any()]
    # the offsets start at zero, so what leads to them alone learns from the second step on
    assert silent == ["narrow.weight", "narrow.bias"]


def test_learns_the_w_of_a_few_pictures(tiny_generator: Generator) -> None:
    torch.manual_seed(2)
    encoder = encoder_for(tiny_generator, SMALL)
    w = tiny_generator.map(torch.randn(6, 32))
    images = tiny_generator.synthesise(tiny_generator.affine(w))
    wanted = (w - encoder.w_mean) / encoder.w_scale
    optimiser = torch.optim.Adam(encoder.parameters(), lr=2e-3)
    losses = []
    for _ in range(15):
        loss = (encoder.parts(images)[0] - wanted).square().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        losses.append(float(loss.detach()))
    assert losses[-1] < 0.5 * losses[0]


def test_trunk_starts_from_the_pretrained_features(encoder: Encoder) -> None:
    images = torch.rand(1, 3, 32, 32) * 2 - 1
    for ours, theirs in zip(encoder.eyes(images), FeatureTaps(32, (4, 10, 15))(images), strict=True):
        assert torch.equal(ours, theirs)


def test_an_enlarged_one_reads_the_same_in_more_places() -> None:
    torch.manual_seed(3)
    known = Encoder(EncoderConfig(size=96, hidden=24, rank=4, layers=3, w_dim=16), pretrained=False)
    maps = [torch.randn(2, channels, 1, 1) for channels in (40, 112, 320)]

    def reads(encoder: Encoder, sides: tuple[int, ...]) -> torch.Tensor:
        return encoder.hidden(encoder.flatten([each.expand(-1, -1, side, side) for each, side in zip(maps, sides, strict=True)]))

    even = [(8, 12), (24, 6), (96, 3)]
    with torch.no_grad():  # the same in every place of a map
        for norm in known.flatten.norms:
            norm.bias.copy_(torch.randn(()))
        parts = [torch.randn(24, kept, 1).expand(-1, -1, side**2).flatten(1) for kept, side in even]
        known.hidden.weight.copy_(torch.cat(parts, dim=1))
        larger = enlarged(known, 160)
        assert larger.config == replace(known.config, size=160)
        torch.testing.assert_close(reads(larger, (20, 10, 5)), reads(known, (12, 6, 3)), rtol=1e-4, atol=1e-3)
        pictures = torch.rand(2, 3, 96, 96)
        torch.testing.assert_close(enlarged(known, 96).common_w(pictures), known.common_w(pictures))


def test_file_round_trip(tmp_path: Path, encoder: Encoder) -> None:
    path = tmp_path / "encoder.safetensors"
    save_encoder(path, encoder, {"generator": "abc"})
    loaded = load_encoder(path)
    assert loaded.config == encoder.config
    images = torch.rand(2, 3, 32, 32) * 2 - 1
    assert torch.allclose(loaded(images), encoder(images), atol=2e-2)  # stored in half precision
    assert checkpoint.load_header(path)["generator"] == "abc"
    assert not any(parameter.requires_grad for parameter in loaded.parameters())


def test_other_files_are_refused(tmp_path: Path, encoder: Encoder) -> None:
    checkpoint.save(tmp_path / "a.safetensors", {"x": torch.ones(1)}, {"kind": "generator"})
    with pytest.raises(UserError, match="not an encoder"):
        load_encoder(tmp_path / "a.safetensors")
    tensors = dict(encoder.state_dict())
    tensors.pop("w_mean")
    checkpoint.save(tmp_path / "b.safetensors", tensors, {"kind": "encoder", "config": {"size": 32, "hidden": 24, "rank": 4}})
    with pytest.raises(UserError, match="do not fit"):
        load_encoder(tmp_path / "b.safetensors")
    with pytest.raises(ValueError, match="multiple of 32"):
        EncoderConfig(size=40)
