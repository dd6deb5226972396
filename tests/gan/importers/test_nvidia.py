"""NVIDIA's pickles: images, style vectors and logits as their networks give them, for every layout they come in."""

from __future__ import annotations

import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch

from crossrig.errors import UserError
from crossrig.gan.generator import GeneratorConfig
from crossrig.gan.importers import nvidia
from crossrig.gan.importers.generators import Imported, import_networks
from crossrig.gan.importers.network import Foreign

CLAMPED = {
    f"synthesis.b{resolution}.{layer}": {"conv_clamp": 0.8}
    for resolution in (4, 8, 16)
    for layer in ("conv0", "conv1", "torgb")
    if (resolution, layer) != (4, "conv0")
} | {f"b{resolution}.{layer}": {"conv_clamp": 0.9} for resolution in (8, 16) for layer in ("conv0", "conv1")}
CLAMPED |= {"b16.fromrgb": {"conv_clamp": 0.9}, "b4.conv": {"conv_clamp": 0.9}, "b8.skip": {"conv_clamp": None}}


def imported(tmp_path: Path, data: bytes, which: str = "G_ema") -> Imported:
    path = tmp_path / "network.pkl"
    path.write_bytes(data)
    return import_networks(path, which)  # type: ignore[arg-type]


def one_hot(classes: int) -> torch.Tensor | None:
    return torch.eye(classes)[torch.tensor([0, classes - 1])] if classes else None


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    """To 1e-5 of the range; single precision reaches 1e-6."""
    assert found.shape == expected.shape
    assert ((found - expected).abs().max() / (expected.max() - expected.min())).item() < 1e-5


@pytest.mark.parametrize("new", [True, False])
@pytest.mark.parametrize("classes", [0, 3])
@pytest.mark.parametrize("settings", [{}, CLAMPED])
def test_networks_compute_the_same(
    tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes], new: bool, classes: int, settings: dict[str, Any]
) -> None:
    g, d = files.nvidia_generator(classes), files.nvidia_discriminator(classes)
    found = imported(tmp_path, nvidia_file(classes, new=new, settings=settings, G_ema=g, D=d))
    clamp = 0.8 if settings else None
    z, c = torch.randn(2, 8), one_hot(classes)
    as_double = None if c is None else c.double()
    with torch.no_grad():
        for psi, noise in ((1.0, "const"), (0.7, "none")):
            image = found.generator(z, psi, noise, c)
            assert_same(image, files.nvidia_image(g, z.double(), as_double, psi, noise == "const", clamp).float())
        if settings:
            assert image.abs().max() <= 0.8 * 3
        assert found.discriminator is not None
        logits = found.discriminator(image, c)
    expected = files.nvidia_logits(d, image.double(), as_double, 0.9 if settings else None).float()
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-5)
    assert found.notes == ()
    assert "PyTorch" in found.layout


def test_styles_are_the_affine_outputs_by_name(tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes]) -> None:
    g = files.nvidia_generator()
    generator = imported(tmp_path, nvidia_file(G_ema=g)).generator
    z = torch.randn(2, 8)
    with torch.no_grad():
        w = generator.map(z)
        styles = generator.style_space.split(generator.affine(w))
    assert list(styles) == ["b4.conv1", "b4.torgb", *(f"b{r}.{n}" for r in (8, 16) for n in ("conv0", "conv1", "torgb"))]
    for name, style in styles.items():
        affine = f"synthesis.{name}.affine"
        torch.testing.assert_close(style, w @ g[f"{affine}.weight"].t() / 6**0.5 + g[f"{affine}.bias"])


def test_either_generator(tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes]) -> None:
    g = files.nvidia_generator()
    other = {name: tensor + 1.0 if name.endswith("const") else tensor for name, tensor in g.items()}
    data = nvidia_file(G=g, G_ema=other)
    for which, tensors in (("G", g), ("G_ema", other)):
        assert torch.equal(imported(tmp_path, data, which).generator.const, tensors["synthesis.b4.const"])


def test_sizes_and_multipliers_of_the_mapping(tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes]) -> None:
    g = files.nvidia_generator(width=9, lr_mul=0.5)
    gains = {f"mapping.fc{i}": {"bias_gain": 0.5, "weight_gain": 0.5 / n**0.5} for i, n in enumerate((8, 9, 9))}
    generator = imported(tmp_path, nvidia_file(G_ema=g, settings=gains)).generator
    assert generator.config == GeneratorConfig(
        resolution=16, z_dim=8, w_dim=6, channels=(6, 5, 4), mapping_layers=3, mapping_lr_mul=0.5, mapping_dim=9
    )
    z = torch.randn(2, 8)
    x = z * z.square().mean(1, keepdim=True).rsqrt()
    for index in range(3):
        weight, bias = g[f"mapping.fc{index}.weight"], g[f"mapping.fc{index}.bias"]
        x = torch.nn.functional.leaky_relu(x @ weight.t() * 0.5 / weight.shape[1] ** 0.5 + bias * 0.5, 0.2) * 2**0.5
    torch.testing.assert_close(generator.map(z), x)


@pytest.mark.parametrize("taps", [(1, 1), (1, 2, 1), (1, 5, 10, 10, 5, 1), (1,)])
def test_other_filters(tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes], taps: tuple[int, ...]) -> None:
    line = torch.tensor(taps, dtype=torch.float32) / sum(taps)
    g, d = (
        {name: torch.outer(line, line) if name.endswith("resample_filter") else tensor for name, tensor in tensors.items()}
        for tensors in (files.nvidia_generator(), files.nvidia_discriminator())
    )
    found = imported(tmp_path, nvidia_file(G_ema=g, D=d))
    assert found.generator.config.taps == pytest.approx(line.tolist())
    z = torch.randn(2, 8)
    with torch.no_grad():
        image = found.generator(z)
        assert_same(image, files.nvidia_image(g, z.double()).float())
        assert found.discriminator is not None
        torch.testing.assert_close(found.discriminator(image), files.nvidia_logits(d, image), rtol=1e-4, atol=1e-5)


def test_no_noise(tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes]) -> None:
    g = {name: tensor for name, tensor in files.nvidia_generator().items() if "noise" not in name}
    generator = imported(tmp_path, nvidia_file(G_ema=g)).generator
    with torch.no_grad():
        s = generator.affine(torch.zeros(1, 6))
        torch.testing.assert_close(generator.synthesise(s, "const"), generator.synthesise(s, "none"))


def test_a_missing_mean_w_is_measured(tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes]) -> None:
    g = {name: tensor for name, tensor in files.nvidia_generator(3).items() if name != "mapping.w_avg"}
    found = imported(tmp_path, nvidia_file(3, G_ema=g))
    assert "measured" in found.notes[0]
    with torch.no_grad():
        w = found.generator.map(torch.randn(6000, 8), c=torch.eye(3).repeat(2000, 1))
    torch.testing.assert_close(found.generator.w_avg, w.mean(0), atol=0.1, rtol=0.1)


def test_a_discriminator_that_ours_cannot_express_is_left_out(tmp_path: Path, nvidia_file: Callable[..., bytes]) -> None:
    for settings, words in (
        ({"b8": {"architecture": "orig"}}, "architecture is orig"),
        ({"b4.mbstd": {"num_channels": 2}}, "num_channels is 2"),
    ):
        found = imported(tmp_path, nvidia_file(settings=settings))
        assert found.discriminator is None
        assert words in found.notes[0]
    found = imported(tmp_path, nvidia_file(settings={"b4.mbstd": {"group_size": None, "num_channels": 1}}))
    assert found.discriminator is not None
    assert found.discriminator.config.stddev_group is None


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"synthesis.b8": {"architecture": "resnet"}}, "architecture is resnet; only skip"),
        ({"synthesis.b8.conv0": {"activation": "relu"}}, "activation is relu; only lrelu"),
        ({"mapping.fc1": {"bias_gain": 0.02}}, "differ in bias_gain"),
        ({"mapping.fc1": {"weight_gain": 1.5}}, "scale their weights by 1.5"),
        ({f"mapping.fc{i}": {"bias_gain": None} for i in range(3)}, "do not say how they scale"),
        ({f"mapping.fc{i}": {"bias_gain": float("nan")} for i in range(3)}, "differ in bias_gain|no sensible one"),
        ({"synthesis.b8.conv0": {"conv_clamp": 256}, "synthesis.b8.conv1": {"conv_clamp": None}}, "differ in conv_clamp"),
        ({"synthesis.b8.conv0": {"conv_clamp": "256"}}, "no number"),
    ],
)
def test_other_settings_are_refused(tmp_path: Path, nvidia_file: Callable[..., bytes], settings: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError, match=words):
        imported(tmp_path, nvidia_file(settings=settings))


@pytest.mark.parametrize(
    ("name", "tensor", "words"),
    [
        ("synthesis.b8.skip.weight", torch.zeros(1), "tensor synthesis.b8.skip.weight, which"),
        ("synthesis.b8.conv1.weight", torch.zeros(5, 5), "has the shape"),
        ("synthesis.b8.conv1.bias", torch.zeros(7), "do not make a StyleGAN2"),
        ("synthesis.b8.conv1.bias", torch.full((5,), float("nan")), "not finite"),
        ("synthesis.b64.conv1.weight", torch.zeros(1, 1, 3, 3), r"\[4, 8, 16, 64\] px"),
        ("synthesis.b8.resample_filter", torch.ones(4, 4) / 16, "differ in their resampling"),
        ("synthesis.b8.resample_filter", torch.eye(4), "not separable"),
        ("synthesis.b8.resample_filter", -torch.ones(4, 4), "no low-pass"),
        ("mapping.fc0.weight", torch.zeros(6, 2, 2), "has the shape"),
    ],
)
def test_other_tensors_are_refused(
    tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes], name: str, tensor: torch.Tensor, words: str
) -> None:
    with pytest.raises(UserError, match=words):
        imported(tmp_path, nvidia_file(G_ema=files.nvidia_generator() | {name: tensor}))


def test_other_networks_are_refused(tmp_path: Path, files: Any, nvidia_file: Callable[..., bytes]) -> None:
    with pytest.raises(UserError, match="is a StyleGAN3"):
        imported(tmp_path, nvidia_file(G_ema={"synthesis.L0_36_512.weight": torch.zeros(1), "mapping.w_avg": torch.zeros(1)}))
    with pytest.raises(UserError, match="is another network"):
        imported(tmp_path, nvidia_file(G_ema=files.nvidia_discriminator()))
    with pytest.raises(UserError, match="no generator under G_ema"):
        imported(tmp_path, pickle.dumps({"model": 1}))
    with pytest.raises(UserError, match="holds no networks"):
        imported(tmp_path, pickle.dumps([1, 2, 3]))


def test_modules_shared_without_end_are_refused() -> None:
    """2^40 ways to the innermost module, all with names that look alike."""
    from crossrig.pickles.restricted import Record

    module = Record("Layer", {"_modules": {}})
    for _ in range(40):
        module = Record("Layer", {"_modules": {"x": module, "x.x": module}})
    with pytest.raises(UserError, match="too many"):
        nvidia.network_of(module)


def test_the_26_layers_and_9088_entries_of_1024_px() -> None:
    """From the channel table alone: base 32768, maximum 512, as the published 1024 px networks have it."""
    shapes = {"synthesis.b4.const": (512, 4, 4), "mapping.fc0.weight": (512, 512)}
    tensors = {}
    for level in range(9):
        resolution = 4 << level
        channels = min(32768 // resolution, 512)
        shapes[f"synthesis.b{resolution}.conv1.weight"] = (channels, channels, 3, 3)
    shapes["synthesis.b4.conv1.affine.weight"] = (512, 512)
    tensors = {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}
    network = Foreign(tensors, {})
    space = nvidia.generator_config(network).style_space
    assert (len(space.layers), space.size, space.w_count) == (26, 9088, 18)
