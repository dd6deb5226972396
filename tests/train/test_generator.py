from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import PACKED_SIZE
from crossrig.gan.stylespace import StyleSpace
from crossrig.gan.weights import load_generator
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.weights import save_reconstruction
from crossrig.train.generator import GeneratorTraining, Reader, learning_rate_factor, mix_styles, multiscale_l1, swap_torgb, train
from crossrig.train.run import read_log


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Twelve 32 px pictures whose colour is their code: enough for a generator to learn something from."""
    random = np.random.default_rng(0)
    codes = random.standard_normal((12, 20)).astype(np.float32)
    path = tmp_path / "people.zip"
    with zipfile.ZipFile(path, "w") as file:
        labels = []
        for index, code in enumerate(codes):
            colour = np.clip(128 + 50 * code[:3], 0, 255).astype(np.uint8)
            blob = io.BytesIO()
            Image.fromarray(np.broadcast_to(colour, (32, 32, 3)).copy()).save(blob, "PNG")
            name = f"00000/img{index:08d}.png"
            file.writestr(name, blob.getvalue())
            labels.append([name, [0.0] * 213])
        file.writestr("dataset.json", json.dumps({"labels": labels}))
        blob = io.BytesIO()
        np.save(blob, codes)
        file.writestr("codes.npy", blob.getvalue())
    return path


def _config(tmp_path: Path, archive: Path) -> GeneratorTraining:
    return GeneratorTraining(
        outdir=tmp_path / "run",
        data=(archive,),
        resolution=32,
        channels=(16, 16, 8, 8),
        batch=4,
        kimg=0.024,
        supervised_kimg=0.012,
        perceptual_size=32,
        discriminator_size=32,
        warm_steps=20,
        sheet_kimg=0.012,
    )


def test_both_stages_run_and_leave_a_generator_and_a_sheet(tmp_path: Path, archive: Path) -> None:
    path = train(_config(tmp_path, archive))
    generator = load_generator(path)
    assert generator.config.resolution == 32
    assert checkpoint.load(path)[1]["code_size"] == 20
    assert (tmp_path / "run" / "sheet-0000024.png").is_file()


def test_resumed_run_goes_on_where_it_stopped(tmp_path: Path, archive: Path) -> None:
    config = _config(tmp_path, archive)
    half = replace(config, kimg=0.012)
    train(half)
    train(config)
    tensors, header = checkpoint.load(max((tmp_path / "run").glob("checkpoint-*.safetensors")))
    assert header["step"] == 24
    assert any(name.startswith("optimiser/") for name in tensors)


def test_held_latent_space_stays_still(tmp_path: Path, archive: Path) -> None:
    config = _config(tmp_path, archive)
    parent_path = train(config)
    parent = load_generator(parent_path)
    child_path = train(replace(config, outdir=tmp_path / "child", init=parent_path, hold_latent=True))
    child = load_generator(child_path)
    for before, after in zip(parent.latent_parameters(), child.latent_parameters(), strict=True):
        torch.testing.assert_close(before, after, atol=0, rtol=0)
    torch.testing.assert_close(parent.w_avg, child.w_avg, atol=0, rtol=0)
    changed = [
        not torch.equal(parent.state_dict()[name], tensor)
        for name, tensor in child.state_dict().items()
        if name.endswith("conv1.weight")
    ]
    assert all(changed)


def test_supervised_start_learns_the_colour_of_the_code(tmp_path: Path, archive: Path) -> None:
    config = replace(_config(tmp_path, archive), resolution=16, kimg=0.4, supervised_kimg=9.0, lr=3e-2, sheet_kimg=9.0)
    train(replace(config, kimg=0.004))
    first = read_log(config.outdir)[-1]
    train(config)
    last = read_log(config.outdir)[-1]
    assert last["l1"] < 0.75 * first["l1"]
    tensors, _ = checkpoint.load(max(config.outdir.glob("checkpoint-*.safetensors")))
    assert tensors["generator/const"].isfinite().all()


def test_missing_archive_is_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="There is no portrait archive"):
        train(_config(tmp_path, tmp_path / "none.zip"))


def test_multiscale_l1_of_equal_pictures_is_zero_and_of_opposites_two() -> None:
    ones = torch.ones(2, 3, 16, 16)
    assert float(multiscale_l1(ones, ones)) == 0.0
    assert float(multiscale_l1(ones, -ones)) == pytest.approx(2.0)


def test_mixed_styles_take_fine_layers_from_another_sample() -> None:
    torch.manual_seed(0)
    w = torch.arange(8.0)[:, None].expand(8, 4)
    mixed = mix_styles(w, layers=6, probability=1.0)
    torch.testing.assert_close(mixed[:, 0], w)
    assert not torch.equal(mixed[:, -1], w)
    torch.testing.assert_close(mix_styles(w, layers=6, probability=0.0), w[:, None].expand(8, 6, 4))


def test_swapped_torgb_styles_come_from_the_next_code_and_nothing_else_does() -> None:
    space = StyleSpace(8, {4: 6, 8: 4})
    s = torch.randn(3, space.size)
    own, swapped, untouched = space.split(s), space.split(swap_torgb(space, s, 1.0)), swap_torgb(space, s, 0.0)
    assert torch.equal(untouched, s)
    for layer in space.layers:
        expected = own[layer.name].roll(1, 0) if layer.kind == "torgb" else own[layer.name]
        assert torch.equal(swapped[layer.name], expected)


def test_reader_finds_nothing_between_equal_pictures_and_pulls_on_the_painted_one_only() -> None:
    torch.manual_seed(0)
    network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16))
    torch.nn.init.normal_(network.out.weight, std=0.3)
    reader = Reader(network, FaceModel.load(), torch.randn(8, PACKED_SIZE))
    real = torch.rand(2, 3, 32, 32) * 2 - 1
    fake = (real + 0.3 * torch.randn(2, 3, 32, 32)).requires_grad_()
    assert float(reader(real, real)) == 0.0
    found = reader(fake, real)
    found.backward()
    assert float(found.detach()) > 0.0
    assert fake.grad is not None
    assert float(fake.grad.abs().max()) > 0.0
    assert all(parameter.grad is None for parameter in network.parameters())


def test_a_reader_takes_part_in_training(tmp_path: Path, archive: Path) -> None:
    network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16))
    save_reconstruction(tmp_path / "reader.safetensors", network, {"role": "reconstruction"})
    train(replace(_config(tmp_path, archive), reader=tmp_path / "reader.safetensors", reader_every=1))
    logged = [entry for entry in read_log(tmp_path / "run") if "read" in entry]
    assert logged
    assert all(np.isfinite(entry["read"]) for entry in logged)


def test_learning_rate_rises_then_falls() -> None:
    factors = [learning_rate_factor(images, 100_000) for images in (0, 2000, 50_000, 100_000)]
    assert factors[0] < 0.01
    assert factors[1] > 0.99
    assert 0.5 < factors[2] < 0.55
    assert factors[3] == pytest.approx(0.05)
