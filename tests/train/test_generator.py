from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import PACKED_SIZE
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import StyleSpace
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for, load_encoder, save_encoder
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.weights import save_reconstruction
from crossrig.train import generator as recipe
from crossrig.train import views
from crossrig.train.generator import (
    GeneratorTraining,
    Reader,
    agreement,
    learning_rate_factor,
    mix_styles,
    multiscale_l1,
    swap_torgb,
    train,
)
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


def test_textures_are_compared_when_asked_for(tmp_path: Path, archive: Path) -> None:
    config = replace(_config(tmp_path, archive), texture_weight=0.5, kimg=0.012)
    train(config)
    assert read_log(config.outdir)[-1]["texture"] > 0.0


def test_resumed_run_goes_on_where_it_stopped(tmp_path: Path, archive: Path) -> None:
    config = _config(tmp_path, archive)
    half = replace(config, kimg=0.012)
    train(half)
    train(config)
    tensors, header = checkpoint.load(max((tmp_path / "run").glob("checkpoint-*.safetensors")))
    assert header["step"] == 24
    assert any(name.startswith("optimiser/") for name in tensors)


def test_an_encoder_that_trains_along_is_trained_and_saved_for_this_generator(tmp_path: Path, archive: Path) -> None:
    config = replace(_config(tmp_path, archive), encode=True)
    path = train(config)
    encoder = load_encoder(config.outdir / "encoder.safetensors")
    assert checkpoint.load_header(config.outdir / "encoder.safetensors")["generator"] == checkpoint.sha256(path)
    tensors, _ = checkpoint.load(max(config.outdir.glob("checkpoint-*.safetensors")))
    pretrained = encoder_for(load_generator(path)).eyes.stem.weight
    apart = (tensors["encoder/eyes.stem.weight"] - pretrained).abs().max()
    assert 0.0 < float(apart.detach()) < 0.1  # the trunk moved, and not far: it began with its ImageNet weights
    assert float((tensors["encoder_average/base.weight"] - tensors["encoder/base.weight"]).abs().max()) > 0.0
    assert float(encoder.offsets.abs().max()) == 0.0  # offsets of single layers are none of this recipe's business
    assert read_log(config.outdir)[-1]["agreement"] > 0.0


def test_a_childs_people_are_found_by_the_parents_encoder_which_stays_as_it_is(tmp_path: Path, archive: Path) -> None:
    config = replace(_config(tmp_path, archive), encode=True)
    parent = train(config)
    first = config.outdir / "encoder.safetensors"
    child = replace(config, outdir=tmp_path / "child", init=parent, encoder_init=first, hold_latent=True, shown=(archive,))
    train(child)
    before, after = load_encoder(first).state_dict(), load_encoder(child.outdir / "encoder.safetensors").state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before if name not in ("w_mean", "w_scale"))


def test_an_encoder_of_another_size_is_gone_on_with_whole(tmp_path: Path, archive: Path, tiny_generator: Generator) -> None:
    torch.manual_seed(2)
    given = encoder_for(tiny_generator, EncoderConfig(size=64, hidden=24, rank=4), pretrained=False)
    save_encoder(tmp_path / "given.safetensors", given, {"generator": ""})
    config = replace(_config(tmp_path, archive), encode=True, encoder_init=tmp_path / "given.safetensors")
    started = recipe._start_encoder(config, tiny_generator)
    assert started.config == given.config
    for name, tensor in load_encoder(tmp_path / "given.safetensors").state_dict().items():
        assert torch.equal(started.state_dict()[name], tensor), name


def test_other_people_cannot_be_shown_to_the_encoder(tmp_path: Path, archive: Path) -> None:
    other = tmp_path / "others.zip"
    with zipfile.ZipFile(archive) as source, zipfile.ZipFile(other, "w") as copy:
        for name in source.namelist():
            if name != "codes.npy":
                copy.writestr(name, source.read(name))
        codes = np.load(io.BytesIO(source.read("codes.npy")))
        blob = io.BytesIO()
        np.save(blob, codes[::-1])
        copy.writestr("codes.npy", blob.getvalue())
    with pytest.raises(UserError, match="same order"):
        train(replace(_config(tmp_path, archive), encode=True, shown=(other,)))


def test_agreement_is_nothing_for_equal_w_and_moves_the_mapping_more_than_the_encoder() -> None:
    w = torch.randn(16, 8)
    assert float(agreement(w, w, torch.ones(8), 0.1)) == 0.0
    mapped, encoded = torch.randn(16, 8, requires_grad=True), torch.randn(16, 8, requires_grad=True)
    agreement(mapped, encoded, torch.ones(8), 0.1).backward()
    assert mapped.grad is not None
    assert encoded.grad is not None
    torch.testing.assert_close(encoded.grad, -0.1 * mapped.grad)


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


def test_multiscale_l1_without_its_finest_octave_does_not_see_where_strands_lie() -> None:
    strands = torch.tensor([1.0, -1.0]).repeat(8).expand(1, 3, 16, 16)
    assert float(multiscale_l1(strands, -strands)) > 0.5
    assert float(multiscale_l1(strands, -strands, finest=1)) == 0.0
    brighter = multiscale_l1(strands, strands + 0.5, finest=1)
    assert float(brighter) == pytest.approx(0.5)


def test_l1_size_holds_once_the_discriminator_has_joined(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    octaves: list[int] = []

    def counted(fake: torch.Tensor, real: torch.Tensor, levels: int = 3, finest: int = 0) -> torch.Tensor:
        octaves.append(finest)
        return (fake - real).abs().mean()

    monkeypatch.setattr(recipe, "multiscale_l1", counted)
    train(replace(_config(tmp_path, archive), kimg=0.016, supervised_kimg=0.008, batch=8, warm_steps=0, l1_size=8))
    assert octaves == [0, 2]


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


def test_a_generator_grows_under_a_latent_space_that_is_held_and_is_seen_close_up(tmp_path: Path, archive: Path) -> None:
    small = replace(_config(tmp_path, archive), resolution=16, encode=True)
    parent_path = train(small)
    parent = load_generator(parent_path)
    config = replace(
        small, outdir=tmp_path / "grown", resolution=64, channels=(16, 20, 8, 8, 8), init=parent_path,
        encoder_init=small.outdir / "encoder.safetensors", hold_latent=True, freeze=("b4",), close_ups=0.5, kimg=0.048,
    )  # fmt: skip
    grown = load_generator(train(config))
    before, after = parent.state_dict(), grown.state_dict()
    held = {name for name in before if "affine" in name or name.startswith("mapping")}
    assert all(torch.equal(before[name], after[name][: len(before[name])]) for name in held)
    assert all(torch.equal(before[name], after[name]) for name in before if ".b4." in name)
    assert float(after["synthesis.b64.torgb.weight"].abs().max()) > 0.0
    tensors, _ = checkpoint.load(max(config.outdir.glob("checkpoint-*.safetensors")))
    assert any(name.startswith("discriminators/1.judges") for name in tensors)  # those of the close-ups


def test_close_ups_are_laid_on_eyes_and_mouth_of_known_portraits_alone(
    tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[tuple[int, torch.Tensor | None]] = []

    def close_up(pictures: tuple[torch.Tensor, ...], side: int, at: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        asked.append((len(pictures[0]), at))
        return views.close_up(pictures, side, at)

    monkeypatch.setattr(recipe, "close_up", close_up)
    config = replace(
        _config(tmp_path, archive), resolution=64, channels=(16, 16, 8, 8, 8), close_ups=1.0, on_eyes_and_mouth=1.0, supervised_kimg=0.0,
        kimg=0.016,
    )  # fmt: skip
    train(config)
    batch = config.batch
    known, all_of_them = asked[0][1], asked[1][1]  # for the perceptual distance, and for the discriminator
    assert known is not None
    assert all_of_them is not None
    assert ((known > 0) & (known < 1)).all()
    torch.testing.assert_close(all_of_them[: batch // 2], known[: batch // 2])
    assert all_of_them[batch // 2 :].isnan().all()


def test_half_of_l1_looks_at_the_close_up(tmp_path: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing_to_see(pictures: tuple[torch.Tensor, ...], side: int, at: torch.Tensor | None = None) -> tuple[torch.Tensor, ...]:
        return pictures[1], pictures[1]

    monkeypatch.setattr(recipe, "close_up", nothing_to_see)
    far = replace(_config(tmp_path, archive), kimg=0.004, supervised_kimg=9.0, warm_steps=0)
    near = replace(far, outdir=tmp_path / "near", close_ups=1.0)
    train(far)
    train(near)
    assert read_log(near.outdir)[0]["l1"] == pytest.approx(0.5 * read_log(far.outdir)[0]["l1"], rel=1e-4)


def test_known_portraits_may_be_painted_small_and_affine_layers_held_while_encoder_and_mapping_learn(tmp_path: Path, archive: Path) -> None:
    config = replace(_config(tmp_path, archive), encode=True)
    parent_path = train(config)
    again = replace(
        config, outdir=tmp_path / "more", init=parent_path, encoder_init=config.outdir / "encoder.safetensors", hold_affine=True,
        paint_size=8, supervised_kimg=1.0,
    )  # fmt: skip
    before, after = load_generator(parent_path).state_dict(), load_generator(train(again)).state_dict()
    still = {name for name in before if torch.equal(before[name], after[name])}
    trained = {name for name, _ in load_generator(parent_path).named_parameters()}
    assert {name for name in trained if "affine" in name} <= still  # what w means stays
    assert not any(name.startswith("mapping") for name in still)
    assert {name for name in trained if ".b8." in name and "affine" not in name and "noise" not in name}.isdisjoint(still)
    assert {name for name in trained if ".b16." in name or ".b32." in name} <= still  # nothing was painted so large
    first, last = (load_encoder(run.outdir / "encoder.safetensors").state_dict() for run in (config, again))
    assert not torch.equal(first["base.weight"], last["base.weight"])


@pytest.mark.parametrize(
    ("change", "message"),
    [({"paint_size": 48}, "one of 4, 8, 16, 32"), ({"l1_size": 64}, "l1_size must be one of"), ({"paint_size": 64}, "one of"),
     ({"close_ups": 1.5}, "between 0 and 1"),
     ({"on_eyes_and_mouth": -0.1}, "on_eyes_and_mouth must be between"), ({"hold_affine": True}, "need a generator"),
     ({"freeze": ("b4",)}, "need a generator")],
)  # fmt: skip
def test_settings_that_make_no_sense(tmp_path: Path, archive: Path, change: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(_config(tmp_path, archive), **change)
