"""rosinality's checkpoints: images and style vectors as its generator gives them, and the way back."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
import torch

from crossrig.errors import UserError
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.importers import rosinality
from crossrig.gan.importers.generators import import_networks


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "stylegan2.pt"


@pytest.mark.parametrize("archive", [True, False])
def test_images_are_the_same(path: Path, files: Any, archive: bool) -> None:
    checkpoint = files.rosinality_checkpoint()
    path.write_bytes(files.rosinality_file(checkpoint, archive=archive))
    z = torch.randn(2, 6)
    for which, state in (("G_ema", checkpoint["g_ema"]), ("G", checkpoint["g"])):
        found = import_networks(path, which)  # type: ignore[arg-type]
        assert found.notes == ()
        for psi in (1.0, 0.7):
            expected = files.rosinality_image(state, z.double(), checkpoint["latent_avg"], psi).float()
            with torch.no_grad():
                image = found.generator(z, psi)
            assert ((image - expected).abs().max() / (expected.max() - expected.min())).item() < 1e-5


def test_the_discriminator_is_the_same(path: Path, files: Any) -> None:
    """It differs from NVIDIA's in names only, so NVIDIA's written out is the reference."""
    path.write_bytes(files.rosinality_file(files.rosinality_checkpoint()))
    discriminator = import_networks(path).discriminator
    assert discriminator is not None
    image = torch.randn(2, 3, 16, 16)
    with torch.no_grad():
        logits = discriminator(image)
    torch.testing.assert_close(logits, files.nvidia_logits(files.nvidia_discriminator(), image), rtol=1e-4, atol=1e-5)


def test_styles_are_the_modulations_by_name(path: Path, files: Any) -> None:
    state = files.rosinality_checkpoint()["g_ema"]
    path.write_bytes(files.rosinality_file({"g_ema": state, "latent_avg": torch.zeros(6)}))
    generator = import_networks(path).generator
    w_plus = torch.randn(2, 6, 6)
    styles = generator.style_space.split(generator.affine(w_plus))
    # the index into the latent that rosinality's forward pass gives to each
    names = {
        "b4.conv1": ("conv1", 0), "b4.torgb": ("to_rgb1", 1), "b8.conv0": ("convs.0", 1), "b8.conv1": ("convs.1", 2),
        "b8.torgb": ("to_rgbs.0", 3), "b16.conv0": ("convs.2", 3), "b16.conv1": ("convs.3", 4), "b16.torgb": ("to_rgbs.1", 5),
    }  # fmt: skip
    assert list(styles) == list(names)
    for ours, (theirs, index) in names.items():
        weight, bias = (state[f"{theirs}.conv.modulation.{part}"] for part in ("weight", "bias"))
        torch.testing.assert_close(styles[ours], w_plus[:, index] @ weight.t() / 6**0.5 + bias)
        assert rosinality.their_name(generator.style_space.layer(ours)) == theirs


def test_what_older_files_lack_is_supplied_and_said(path: Path, files: Any) -> None:
    state = {name: tensor for name, tensor in files.rosinality_checkpoint()["g_ema"].items() if not name.startswith("noises")}
    path.write_bytes(files.rosinality_file(state))
    found = import_networks(path)
    assert [note.split(":")[0] for note in found.notes] == [
        "The file has no constant noise", "The file has no mean w for truncation"
    ]  # fmt: skip
    with torch.no_grad():
        w = found.generator.map(torch.randn(4000, 6))
    torch.testing.assert_close(found.generator.w_avg, w.mean(0), atol=0.15, rtol=0.1)
    assert torch.equal(import_networks(path).generator(torch.ones(1, 6)), found.generator(torch.ones(1, 6)))


def test_the_way_back_keeps_every_bit(path: Path, files: Any) -> None:
    state = files.rosinality_checkpoint()["g_ema"]
    path.write_bytes(files.rosinality_file({"g_ema": state, "latent_avg": torch.zeros(6)}))
    back = rosinality.state_of(import_networks(path).generator)
    assert set(back) == set(state)
    for name, tensor in state.items():
        assert torch.equal(back[name], tensor), name


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"extra.weight": torch.zeros(1)}, "tensor extra.weight, which"),
        ({"convs.4.conv.weight": torch.zeros(1, 4, 4, 3, 3)}, "do not pair up"),
        ({"conv1.activate.bias": torch.zeros(9)}, "do not make a StyleGAN2"),
        ({"noises.noise_5": torch.zeros(1, 1, 32, 32)}, "do not make a StyleGAN2"),
        ({"conv1.conv.weight": torch.zeros(6)}, "has the shape"),
        ({"style.1.weight": torch.full((6, 6), float("inf"))}, "not finite"),
        ({"to_rgbs.0.upsample.kernel": torch.rand(4, 4)}, "not separable"),
    ],
)
def test_other_tensors_are_refused(path: Path, files: Any, change: dict[str, torch.Tensor], words: str) -> None:
    path.write_bytes(files.rosinality_file({"g_ema": files.rosinality_checkpoint()["g_ema"] | change}))
    with pytest.raises(UserError, match=rf"stylegan2\.pt: .*{words}"):
        import_networks(path)


def test_a_network_that_is_not_there(path: Path, files: Any) -> None:
    path.write_bytes(files.rosinality_file({"g_ema": files.rosinality_checkpoint()["g_ema"]}))
    with pytest.raises(UserError, match="no network g"):
        import_networks(path, "G")


def test_their_layout_cannot_express_everything() -> None:
    base = {"resolution": 8, "z_dim": 6, "w_dim": 6, "channels": (4, 4), "mapping_layers": 2}
    for change, words in (({"c_dim": 2}, "no classes"), ({"z_dim": 5}, "one width"), ({"taps": (1.0, 1.0)}, "filters of 4 taps")):
        with pytest.raises(UserError, match=words):
            rosinality.state_of(Generator(GeneratorConfig(**{**base, **change})))  # type: ignore[arg-type]


def test_another_multiplier_is_scaled_into_the_weights(path: Path) -> None:
    torch.manual_seed(0)
    generator = Generator(GeneratorConfig(resolution=8, z_dim=6, w_dim=6, channels=(4, 4), mapping_layers=2, mapping_lr_mul=1.0))
    file = io.BytesIO()
    torch.save({"g_ema": rosinality.state_of(generator), "latent_avg": torch.zeros(6)}, file)
    path.write_bytes(file.getvalue())
    z = torch.randn(2, 6)
    torch.testing.assert_close(import_networks(path).generator(z), generator(z), rtol=1e-4, atol=1e-5)


def test_channel_multipliers() -> None:
    for channels, multiplier in (
        ((512, 512, 512, 512, 512, 256, 128, 64, 32), 2),
        ((512, 512, 512, 512, 256, 128, 64, 32, 16), 1),
        ((512, 512, 512, 512, 256, 128, 64, 32, 32), None),
    ):
        assert rosinality.channel_multiplier(GeneratorConfig(resolution=1024, channels=channels)) == multiplier
