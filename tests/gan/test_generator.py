from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from crossrig.gan import ops
from crossrig.gan.generator import Generator, GeneratorConfig, StyledConv, ToRGB
from crossrig.gan.weights import load_generator, save_generator

TINY = GeneratorConfig(resolution=16, z_dim=8, w_dim=6, channels=(5, 4, 3), mapping_layers=2)


@pytest.fixture
def tiny() -> Generator:
    torch.manual_seed(0)
    generator = Generator(TINY).double()
    roughen(generator)
    return generator


@torch.no_grad()
def roughen(generator: Generator) -> None:
    """Give noise and biases, which begin with zero, a meaning."""
    for name, parameter in generator.named_parameters():
        if name.endswith(("noise_strength", "bias")):
            parameter.add_(0.3 * torch.randn_like(parameter))


def test_bfloat16_features_give_nearly_the_picture_of_float32() -> None:
    torch.manual_seed(0)
    generator = Generator(replace(TINY, channels=(32, 32, 16)))
    roughen(generator)
    s = generator.affine(generator.map(torch.randn(4, TINY.z_dim)))
    exact, rough = generator.synthesise(s), generator.synthesise(s, dtype=torch.bfloat16)
    assert rough.dtype == torch.float32
    assert not torch.equal(exact, rough)
    assert float((exact - rough).norm() / exact.norm()) < 2e-2


def synthesise_reference(generator: Generator, s: torch.Tensor, noise: bool) -> torch.Tensor:
    """The synthesis network as the paper draws it (Figure 2d and 7b), from the reference operators only."""
    styles = generator.style_space.split(s)
    x = generator.const.expand(s.shape[0], -1, -1, -1)
    image: torch.Tensor | None = None
    for layer in generator.style_space.layers:
        module = generator.get_submodule(f"synthesis.{layer.name}")
        weight = module.weight / module.weight[0].numel() ** 0.5
        assert isinstance(module, StyledConv | ToRGB)
        if isinstance(module, StyledConv):
            up = layer.name.endswith("conv0")
            x = ops.modulated_conv_reference(x, weight, styles[layer.name], up=up)
            if noise:
                x = x + module.noise_strength * module.noise_const
            x = ops.leaky_relu(x + module.bias[:, None, None])
        else:
            rgb = ops.modulated_conv_reference(x, weight, styles[layer.name], demodulate=False)
            rgb = rgb + module.bias[:, None, None]
            image = rgb if image is None else ops.upsample_reference(image) + rgb
    assert image is not None
    return image


@pytest.mark.parametrize("noise", [False, True])
def test_synthesis_agrees_with_the_paper_written_out(tiny: Generator, noise: bool) -> None:
    s = tiny.affine(tiny.map(torch.randn(3, 8, dtype=torch.float64)))
    fast = tiny.synthesise(s, noise="const" if noise else "none")
    slow = synthesise_reference(tiny, s, noise)
    assert fast.shape == (3, 3, 16, 16)
    torch.testing.assert_close(fast, slow, rtol=1e-9, atol=1e-10)
    pixels = torch.randn(fast.shape, dtype=torch.float64)
    (a,) = torch.autograd.grad((fast * pixels).sum(), s, retain_graph=True)
    (b,) = torch.autograd.grad((slow * pixels).sum(), s, retain_graph=True)
    torch.testing.assert_close(a, b, rtol=1e-9, atol=1e-10)
    for parameter in tiny.synthesis.parameters():
        (a,) = torch.autograd.grad((fast * pixels).sum(), parameter, retain_graph=True, materialize_grads=True)
        (b,) = torch.autograd.grad((slow * pixels).sum(), parameter, retain_graph=True, materialize_grads=True)
        torch.testing.assert_close(a, b, rtol=1e-8, atol=1e-9)


def test_second_derivatives(tiny: Generator) -> None:
    """What the path length penalty needs: derivatives of a gradient norm, against finite differences."""
    s = tiny.affine(tiny.map(torch.randn(1, 8, dtype=torch.float64))).detach()
    pixels = torch.randn(1, 3, 16, 16, dtype=torch.float64)
    direction = torch.randn_like(s)

    def norm(s: torch.Tensor) -> torch.Tensor:
        (gradient,) = torch.autograd.grad((tiny.synthesise(s) * pixels).sum(), s, create_graph=True)
        return gradient.square().sum()

    leaf = s.clone().requires_grad_()
    (slope,) = torch.autograd.grad(norm(leaf), leaf)
    step = 1e-6
    ahead, behind = ((s + sign * step * direction).requires_grad_() for sign in (1, -1))
    finite = (norm(ahead) - norm(behind)) / (2 * step)
    assert (slope * direction).sum().item() == pytest.approx(finite.item(), rel=1e-4)


def test_default_architecture() -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig())
    assert generator.style_space.size == 2240
    assert generator.style_space.w_count == 12
    assert 4.0e6 < sum(p.numel() for p in generator.parameters()) < 5.0e6
    with torch.no_grad():
        images = generator(torch.randn(2, 512))
    assert images.shape == (2, 3, 128, 128)
    assert 0.2 < images.std() < 5.0


def test_weights_lie_as_the_convolutions_want_them(tiny: Generator, tmp_path: Path) -> None:
    save_generator(tmp_path / "tiny.safetensors", tiny)
    for generator in (tiny, copy.deepcopy(tiny), load_generator(tmp_path / "tiny.safetensors")):
        convs = [layer for layer in generator.modules() if isinstance(layer, StyledConv)]
        assert {conv.up for conv in convs} == {False, True}
        for conv in convs:
            assert ops.laid_out(conv.weight, conv.up).data_ptr() == conv.weight.data_ptr()


def test_forward_is_the_three_calls(tiny: Generator) -> None:
    z = torch.randn(2, 8, dtype=torch.float64)
    w = tiny.map(z)
    torch.testing.assert_close(tiny(z), tiny.synthesise(tiny.affine(tiny.broadcast(w))))
    torch.testing.assert_close(tiny.affine(w), tiny.affine(tiny.broadcast(w)))
    assert tiny.broadcast(w).shape == (2, tiny.style_space.w_count, 6)


def test_each_w_drives_its_own_layers(tiny: Generator) -> None:
    w_plus = torch.randn(1, tiny.style_space.w_count, 6, dtype=torch.float64)
    base = tiny.style_space.split(tiny.affine(w_plus))
    for index in range(tiny.style_space.w_count):
        moved = w_plus.clone()
        moved[:, index] += 1.0
        after = tiny.style_space.split(tiny.affine(moved))
        changed = {name for name in base if not torch.equal(base[name], after[name])}
        assert changed == {layer.name for layer in tiny.style_space.layers if layer.w_index == index}


def test_styles_begin_around_one() -> None:
    torch.manual_seed(0)
    generator = Generator(TINY)
    assert torch.equal(generator.affine(torch.zeros(1, 6)), torch.ones(1, generator.style_space.size))


def test_mapping_ignores_the_length_of_z(tiny: Generator) -> None:
    z = torch.randn(2, 8, dtype=torch.float64)
    torch.testing.assert_close(tiny.map(z), tiny.map(3.0 * z), rtol=1e-6, atol=1e-6)


def test_truncation_and_the_running_mean(tiny: Generator) -> None:
    z = torch.randn(64, 8, dtype=torch.float64)
    w = tiny.map(z)
    tiny.track_w(w, beta=0.0)
    torch.testing.assert_close(tiny.w_avg, w.mean(dim=0))
    torch.testing.assert_close(tiny.map(z, truncation=0.0), tiny.w_avg.expand(64, -1))
    torch.testing.assert_close(tiny.map(z, truncation=0.5), (w + tiny.w_avg) / 2)
    before = tiny.w_avg.clone()
    tiny.track_w(w + 1.0, beta=0.9)
    torch.testing.assert_close(tiny.w_avg, before + 0.1)
    assert not tiny.w_avg.requires_grad


def test_noise_modes(tiny: Generator) -> None:
    s = tiny.affine(tiny.map(torch.randn(1, 8, dtype=torch.float64))).expand(2, -1)
    fixed = tiny.synthesise(s)
    torch.testing.assert_close(fixed[0], fixed[1], rtol=1e-10, atol=1e-11)
    assert torch.equal(fixed, tiny.synthesise(s, noise="const"))
    fresh = tiny.synthesise(s, noise="random")
    assert not torch.allclose(fresh[0], fresh[1])
    assert not torch.allclose(fixed, tiny.synthesise(s, noise="none"))
    with pytest.raises(ValueError, match="noise must be"):
        tiny.synthesise(s, noise="some")  # type: ignore[arg-type]


def test_latent_parameters_are_mapping_and_affine(tiny: Generator) -> None:
    chosen = {id(parameter) for parameter in tiny.latent_parameters()}
    for name, parameter in tiny.named_parameters():
        assert (id(parameter) in chosen) == (name.startswith("mapping.") or ".affine." in name)


def test_config() -> None:
    assert GeneratorConfig(resolution=32).channels == (256, 256, 128, 64)
    with pytest.raises(ValueError, match="power of two"):
        GeneratorConfig(resolution=100)
    with pytest.raises(ValueError, match="7 channel counts"):
        GeneratorConfig(resolution=256)
    with pytest.raises(ValueError, match="positive"):
        GeneratorConfig(resolution=4, channels=(0,))


def test_shape_errors(tiny: Generator) -> None:
    with pytest.raises(ValueError, match=r"w must be \(B, 6\) or \(B, 6, 6\)"):
        tiny.affine(torch.zeros(1, 3, 6, dtype=torch.float64))
    with pytest.raises(ValueError, match="entries"):
        tiny.synthesise(torch.zeros(1, 3, dtype=torch.float64))


def test_classes() -> None:
    torch.manual_seed(0)
    config = GeneratorConfig(resolution=8, z_dim=8, w_dim=6, channels=(5, 4), mapping_layers=2, c_dim=3, embed_dim=4, mapping_dim=7)
    generator = Generator(config)
    assert [tuple(layer.weight.shape) for layer in generator.mapping.layers] == [(7, 12), (6, 7)]
    z = torch.randn(1, 8).expand(3, -1)
    w = generator.map(z, c=torch.eye(3))
    assert (w[0] - w[1]).abs().max() > 1e-3
    torch.testing.assert_close(generator(z, c=torch.eye(3)), generator.synthesise(generator.affine(w)))
    assert {id(parameter) for parameter in generator.mapping.embed.parameters()} <= {id(p) for p in generator.latent_parameters()}  # type: ignore[union-attr]
    for c in (None, torch.eye(4)):
        with pytest.raises(ValueError, match=r"c must be \(B, 3\)"):
            generator.map(torch.randn(4, 8), c=c)


def test_a_network_without_classes_takes_none(tiny: Generator) -> None:
    z = torch.randn(2, 8, dtype=torch.float64)
    with pytest.raises(ValueError, match="c must be left out"):
        tiny.map(z, c=torch.ones(2, 1, dtype=torch.float64))
    with pytest.raises(ValueError, match=r"z must be \(B, 8\)"):
        tiny.map(z[:, :3])


def test_clamp_bounds_features_and_rgb() -> None:
    torch.manual_seed(0)
    free = Generator(TINY)
    held = Generator(replace(TINY, clamp=0.5))
    held.load_state_dict(free.state_dict())
    far = Generator(replace(TINY, clamp=1e4))
    far.load_state_dict(free.state_dict())
    s = free.affine(free.map(torch.randn(2, 8)))
    x = torch.randn(2, 5, 4, 4)
    layer = held.get_submodule("synthesis.b4.conv1")
    assert isinstance(layer, StyledConv)
    assert layer(x, s[:, :5], layer.prepare(x.dtype, "none", len(x))).abs().max() == 0.5
    assert held.synthesise(s).abs().max() <= 0.5 * 3  # one image of each resolution
    assert torch.equal(far.synthesise(s), free.synthesise(s))


@pytest.mark.parametrize(
    "change", [{"clamp": 0.0}, {"c_dim": -1}, {"embed_dim": -2}, {"mapping_dim": -2}, {"taps": (1.0, 2.0)}, {"taps": ()}, {"taps": (0.0,)}]
)
def test_settings_that_make_no_network(change: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must be"):
        replace(TINY, **change)


def test_synthesis_that_stops_early_shows_what_the_network_has_so_far() -> None:
    generator = Generator(GeneratorConfig(resolution=32, z_dim=16, w_dim=16, channels=(8, 8, 8, 8))).requires_grad_(False)
    s = generator.affine(generator.map(torch.randn(2, 16)))
    early = generator.synthesise(s, resolution=16)
    assert early.shape == (2, 3, 16, 16)
    generator.state_dict()["synthesis.b32.torgb.weight"].zero_()
    whole = generator.synthesise(s)
    torch.testing.assert_close(whole, ops.upsample(early, generator.config.taps))
    torch.testing.assert_close(generator.synthesise(s, resolution=32), whole, atol=0, rtol=0)
    with pytest.raises(ValueError, match="no block ends at 64 px; there are b4, b8"):
        generator.synthesise(s, resolution=64)


@pytest.mark.parametrize(("dtype", "apart"), [(torch.float32, 1e-5), (torch.bfloat16, 1e-2)])
def test_a_frozen_generator_paints_the_same_picture(dtype: torch.dtype, apart: float) -> None:
    torch.manual_seed(0)
    generator = Generator(replace(TINY, channels=(32, 32, 16)))
    roughen(generator)
    s = generator.affine(generator.map(torch.randn(2, TINY.z_dim))).detach()
    for resolution in (8, 16):
        expected = generator.synthesise(s, dtype=dtype, resolution=resolution)
        frozen = generator.frozen(dtype, resolution)
        with torch.no_grad():
            painted, again = frozen(s)
        assert torch.equal(painted, again)
        assert not painted.requires_grad
        torch.testing.assert_close(painted, expected, rtol=apart, atol=apart)


def test_a_frozen_generator_goes_on_with_the_first_code_alone() -> None:
    torch.manual_seed(0)
    generator = Generator(TINY).requires_grad_(False)
    roughen(generator)
    s = generator.affine(generator.map(torch.randn(3, TINY.z_dim)))
    fine, coarse = generator.frozen(torch.float32, 16, coarse=8)(s)
    torch.testing.assert_close(fine, generator.synthesise(s[:1]), rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(coarse, generator.synthesise(s, resolution=8), rtol=1e-5, atol=1e-5)
