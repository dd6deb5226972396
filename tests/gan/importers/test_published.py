"""Against outputs of the published code, where a folder with them is named: CROSSRIG_FIXTURES=FOLDER pytest.

nvidia_stylegan2_*.npz hold a state dictionary and outputs of NVIDIA's StyleGAN2 (stylegan3 repository) on the CPU in
float32, rosinality_64.pt and rosinality_64_expected.npz a checkpoint and outputs of rosinality's.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossrig.gan.export import export_rosinality
from crossrig.gan.importers import nvidia, rosinality
from crossrig.gan.importers.generators import import_networks
from crossrig.gan.importers.network import Foreign

FOLDER = os.environ.get("CROSSRIG_FIXTURES")
pytestmark = pytest.mark.skipif(FOLDER is None, reason="CROSSRIG_FIXTURES names no folder with outputs of the published code")
TOLERANCE = 1e-4  # of the range


def arrays(name: str) -> dict[str, torch.Tensor]:
    assert FOLDER is not None
    with np.load(Path(FOLDER) / name) as archive:
        return {key: torch.from_numpy(archive[key]) for key in archive.files}


def assert_same(found: torch.Tensor, expected: torch.Tensor) -> None:
    assert found.shape == expected.shape
    assert ((found - expected).abs().max() / (expected.max() - expected.min())).item() < TOLERANCE


def part(values: dict[str, torch.Tensor], prefix: str) -> dict[str, torch.Tensor]:
    return {name.removeprefix(prefix): tensor for name, tensor in values.items() if name.startswith(prefix)}


@pytest.mark.parametrize("name", ["nvidia_stylegan2_64.npz", "nvidia_stylegan2_32_conditional.npz"])
def test_nvidia(name: str, files: Any) -> None:
    values = arrays(name)
    generator, notes = nvidia.generator_of(Foreign(part(values, "G."), {}))
    discriminator = nvidia.discriminator_of(Foreign(part(values, "D."), {}))
    assert notes == ()
    z, c = values["in.z"], values.get("in.c")
    with torch.no_grad():
        w = generator.map(z, c=c)
        s = generator.affine(w)
        assert_same(generator.broadcast(w), values["out.ws"])
        assert_same(generator.broadcast(generator.map(z, 0.7, c)), values["out.ws_trunc07"])
        assert_same(generator.synthesise(s), values["out.image_noise_const"])
        assert_same(generator.synthesise(s, "none"), values["out.image_noise_none"])
        for layer, style in generator.style_space.split(s).items():
            assert_same(style, values[f"out.style.{layer}.affine"])
        torch.testing.assert_close(discriminator(values["out.image_noise_const"], c), values["out.D"], rtol=1e-4, atol=1e-4)
        # the reference that the other tests use agrees as well
        assert_same(files.nvidia_image(part(values, "G."), z, c), values["out.image_noise_const"])
        torch.testing.assert_close(
            files.nvidia_logits(part(values, "D."), values["out.image_noise_const"], c), values["out.D"], rtol=1e-4, atol=1e-4
        )


def test_rosinality(tmp_path: Path, files: Any) -> None:
    assert FOLDER is not None
    path, values = Path(FOLDER) / "rosinality_64.pt", arrays("rosinality_64_expected.npz")
    generator = import_networks(path).generator
    z = values["in.z"]
    with torch.no_grad():
        w = generator.map(z)
        assert_same(generator.broadcast(w), values["out.latent"])
        assert_same(generator(z), values["out.image"])
        assert_same(generator(z, 0.7), values["out.image_trunc07"])
        assert_same(generator.synthesise(generator.affine(values["in.w_plus"])), values["out.image_w_plus"])
        styles = generator.style_space.split(generator.affine(w))
        for layer in generator.style_space.layers:
            assert_same(styles[layer.name], values[f"out.style.{rosinality.their_name(layer)}.conv.modulation"])
        published = torch.load(path, weights_only=True)
        assert_same(files.rosinality_image(published["g_ema"], z), values["out.image"])
    export_rosinality(tmp_path / "back.pt", generator)
    back = torch.load(tmp_path / "back.pt", weights_only=True)
    assert set(back) == set(published)
    assert set(back["g_ema"]) == set(published["g_ema"])
    assert all(torch.equal(back["g_ema"][name], tensor) for name, tensor in published["g_ema"].items())
    assert torch.equal(back["latent_avg"].flatten(), published["latent_avg"].flatten())
