from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.gan.discriminator import Discriminator, DiscriminatorConfig
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.ops import upsample
from crossrig.gan.weights import grow, load_discriminator, load_generator, save_discriminator, save_generator

SMALL = GeneratorConfig(resolution=8, z_dim=8, w_dim=6, channels=(5, 4), mapping_layers=2)
LARGE = GeneratorConfig(resolution=32, z_dim=8, w_dim=6, channels=(5, 4, 3, 2), mapping_layers=2)


@pytest.fixture
def small() -> Generator:
    torch.manual_seed(0)
    generator = Generator(SMALL)
    generator.track_w(generator.map(torch.randn(16, 8)), beta=0.5)
    return generator


def test_round_trip(tmp_path: Path, small: Generator) -> None:
    path = tmp_path / "generator.safetensors"
    save_generator(path, small, {"data": "synthetic people", "kind": "ignored"})
    loaded = load_generator(path)
    assert loaded.config == SMALL
    assert not loaded.training
    z = torch.randn(2, 8)
    assert torch.equal(loaded(z, truncation=0.7), small(z, truncation=0.7))
    header = checkpoint.load_header(path)
    assert header["kind"] == "generator"
    assert header["data"] == "synthetic people"


def test_wrong_files(tmp_path: Path, small: Generator) -> None:
    path = tmp_path / "x.safetensors"
    good = {"resolution": 8, "z_dim": 8, "w_dim": 6, "channels": [5, 4], "mapping_layers": 2, "mapping_lr_mul": 0.01}
    for header, words in (
        ({"kind": "encoder"}, "not a generator"),
        ({"kind": "generator"}, "no 'config'"),
        ({"kind": "generator", "config": {**good, "colour": 1}}, "not a generator's"),
        ({"kind": "generator", "config": {**good, "resolution": 9}}, "power of two"),
        ({"kind": "generator", "config": {**good, "channels": "ab"}}, "not a generator's"),
        ({"kind": "generator", "config": {**good, "channels": [-1, 4]}}, "positive"),
        ({"kind": "generator", "config": {**good, "channels": [5, 7]}}, "do not fit"),
    ):
        checkpoint.save(path, small.state_dict(), header)
        with pytest.raises(UserError, match=words):
            load_generator(path)
    checkpoint.save(path, {"w_avg": torch.zeros(6)}, {"kind": "generator", "config": good})
    with pytest.raises(UserError, match="do not fit"):
        load_generator(path)


def test_growth_begins_as_the_upsampled_image(small: Generator) -> None:
    grown = Generator(LARGE)
    grown.load_state_dict(grow(small.state_dict(), SMALL, LARGE))
    z = torch.randn(2, 8)
    torch.testing.assert_close(grown(z), upsample(upsample(small(z))), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(grown.map(z, 0.5), small.map(z, 0.5))
    # and the new blocks can learn: their toRGB weights receive gradients
    grown(z).square().mean().backward()
    weight = grown.get_parameter("synthesis.b32.torgb.weight")
    assert weight.grad is not None
    assert weight.grad.abs().sum() > 0


def test_a_generator_that_gets_more_channels_paints_as_before_and_learns_to_use_them(small: Generator) -> None:
    wide = replace(SMALL, channels=(8, 7))
    grown = Generator(wide)
    grown.load_state_dict(grow(small.state_dict(), SMALL, wide))
    z = torch.randn(2, 8)
    torch.testing.assert_close(grown(z), small(z), rtol=1e-5, atol=1e-5)
    grown(z).square().mean().backward()
    unread = {"synthesis.b8.conv0.weight": (slice(4), slice(5, None)), "synthesis.b8.torgb.weight": (slice(None), slice(4, None))}
    for name, new in unread.items():
        weight = grown.get_parameter(name)
        assert weight.grad is not None
        assert not weight[new].any()
        assert weight.grad[new].abs().amax(dim=(0, 2, 3)).all()


def test_growth_is_repeatable_and_leaves_the_global_generator_alone(small: Generator) -> None:
    torch.manual_seed(5)
    first = grow(small.state_dict(), SMALL, LARGE, seed=1)
    after = torch.rand(1)
    second = grow(small.state_dict(), SMALL, LARGE, seed=1)
    torch.manual_seed(5)
    assert torch.equal(torch.rand(1), after)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(
        first["synthesis.b16.conv0.weight"],
        grow(small.state_dict(), SMALL, LARGE, seed=2)["synthesis.b16.conv0.weight"],
    )


def test_growth_refuses_other_architectures(small: Generator) -> None:
    state = small.state_dict()
    with pytest.raises(ValueError, match="does not extend"):
        grow(state, SMALL, replace(LARGE, channels=(5, 3, 3, 2)))
    with pytest.raises(ValueError, match="does not extend"):
        grow(state, SMALL, replace(LARGE, mapping_layers=3))
    with pytest.raises(ValueError, match="does not extend"):
        grow(state, LARGE, SMALL)
    with pytest.raises(ValueError, match="not those of the old network"):
        grow({}, SMALL, LARGE)


def test_discriminators(tmp_path: Path, small: Generator) -> None:
    torch.manual_seed(0)
    discriminator = Discriminator(DiscriminatorConfig(resolution=8, channels=(5, 4), stddev_group=None, c_dim=2, clamp=256.0))
    path = tmp_path / "d.safetensors"
    save_discriminator(path, discriminator, {"data": "faces"})
    loaded = load_discriminator(path)
    assert loaded.config == discriminator.config
    images, c = torch.randn(2, 3, 8, 8), torch.eye(2)
    assert torch.equal(loaded(images, c), discriminator(images, c))
    assert checkpoint.load_header(path)["data"] == "faces"
    with pytest.raises(UserError, match="not a generator"):
        load_generator(path)
    save_generator(path, small)
    with pytest.raises(UserError, match="not a discriminator"):
        load_discriminator(path)


def test_headers_from_before_the_settings_for_networks_of_others(tmp_path: Path, small: Generator) -> None:
    old = {"resolution": 8, "z_dim": 8, "w_dim": 6, "channels": [5, 4], "mapping_layers": 2, "mapping_lr_mul": 0.01}
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, small.state_dict(), {"kind": "generator", "config": old})
    assert load_generator(path).config == SMALL
