"""The encoder's recipe."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
import torch

from crossrig import checkpoint
from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.weights import save_generator
from crossrig.inversion.encoder import Encoder, EncoderConfig, encoder_for, load_encoder, save_encoder
from crossrig.train import encoder
from crossrig.train.encoder import Domain, EncoderTraining
from crossrig.train.run import read_log


def test_train_resumes_and_saves(tmp_path: Path, tiny_generator: Generator, blobs: PortraitSet) -> None:
    domains = [Domain(tiny_generator, blobs.pictures, blobs.codes), Domain(copy.deepcopy(tiny_generator), blobs.pictures)]
    config = EncoderTraining(
        outdir=tmp_path, network=EncoderConfig(size=32, hidden=32, rank=4), kimg=0.032, batch=8, perceptual_size=32, sheet_kimg=0.016,
    )  # fmt: skip
    path = encoder.train(config, domains)
    found = load_encoder(path)
    assert found(torch.zeros(1, 3, 32, 32)).shape == (1, tiny_generator.style_space.w_count, 32)
    assert len(list(tmp_path.glob("sheet-*.png"))) == 2
    assert encoder.train(config, domains) == path  # nothing left to do
    encoder.train(replace(config, kimg=0.04), domains)
    assert checkpoint.load_header(path)["images_seen"] == 40
    assert set(read_log(tmp_path)[0]) == {"step", "seconds", "w", "offsets", "pixel", "perceptual"}


def test_it_begins_with_the_encoder_that_was_given(tmp_path: Path, tiny_generator: Generator, blobs: PortraitSet) -> None:
    network = EncoderConfig(size=32, hidden=32, rank=4)
    torch.manual_seed(1)
    given = encoder_for(tiny_generator, network, pretrained=False)
    save_encoder(tmp_path / "given.safetensors", given, {"generator": ""})
    config = EncoderTraining(
        outdir=tmp_path / "run", init=tmp_path / "given.safetensors", network=network, kimg=0.008, batch=8, lr=0.0, trunk_lr=0.0,
        perceptual_size=32,
    )  # fmt: skip
    found = load_encoder(encoder.train(config, [Domain(tiny_generator, blobs.pictures)]))
    pictures = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(found(pictures), load_encoder(tmp_path / "given.safetensors")(pictures), rtol=1e-2, atol=1e-2)
    config = replace(config, outdir=tmp_path / "other", network=replace(network, rank=5))
    with pytest.raises(UserError, match="does not fit"):
        encoder.train(config, [Domain(tiny_generator, blobs.pictures)])


def test_it_learns_from_small_pictures(
    tmp_path: Path, tiny_generator: Generator, blobs: PortraitSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides = []
    monkeypatch.setattr(encoder, "load_portraits", lambda data, size, limit: sides.append(size) or blobs)
    painted = []
    synthesise = Generator.synthesise
    monkeypatch.setattr(Generator, "synthesise", lambda self, *args, **more: painted.append(synthesise(self, *args, **more)) or painted[-1])
    config = EncoderTraining(
        generator=_saved(tmp_path, tiny_generator), outdir=tmp_path / "run", network=EncoderConfig(size=32, hidden=32, rank=4), kimg=0.008,
        batch=8, made_share=0.25, perceptual_size=32, paint_size=16,
    )  # fmt: skip
    small = replace(blobs, pictures=blobs.pictures[:, :, ::2, ::2])
    assert encoder._read_domains(config)[0].pictures is blobs.pictures
    assert sides == [16]
    encoder.train(config, [Domain(tiny_generator, small.pictures)])
    assert [tuple(picture.shape) for picture in painted] == [(2, 3, 16, 16), (8, 3, 16, 16), (16, 3, 16, 16)]  # made, found, the sheet
    with pytest.raises(UserError, match="blocks end at 4, 8, 16, 32 px: --paint-size 20 is not there"):
        encoder.train(replace(config, paint_size=20, outdir=tmp_path / "other"))
    with pytest.raises(ValueError, match="made_share must lie between 0 and 1, not 1"):
        replace(config, made_share=1.0)


def test_portraits_are_mirrored_or_not_and_painted_with_offsets_or_without(
    tmp_path: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    left_is_dark = torch.cat([torch.zeros(4, 3, 32, 16), torch.full((4, 3, 32, 16), 255.0)], dim=3).byte()
    bright_left, offset = [], []
    damage, assemble = encoder.damage, Encoder.assemble

    def seen(target: torch.Tensor, *rest: Any) -> torch.Tensor:
        bright_left.append(bool(target[-1, 0, 0, 0] > 0))  # the last ones are portraits
        return damage(target, *rest)

    def assembled(self: Encoder, base: torch.Tensor, offsets: torch.Tensor) -> torch.Tensor:
        offset.append(bool(offsets.detach().any()))
        return assemble(self, base, offsets)

    monkeypatch.setattr(encoder, "damage", seen)
    monkeypatch.setattr(Encoder, "assemble", assembled)
    config = EncoderTraining(
        outdir=tmp_path, network=EncoderConfig(size=32, hidden=32, rank=4), kimg=0.08, batch=4, perceptual_size=32, image_every=1,
    )  # fmt: skip
    encoder.train(config, [Domain(tiny_generator, left_is_dark)])
    assert len(bright_left) == 20
    assert 3 < sum(bright_left) < 17
    assert 3 < sum(offset[1:20]) < 17  # all offsets are zero at first; the last call is the sheet's


def test_it_goes_on_at_more_pixels(tmp_path: Path, tiny_generator: Generator, blobs: PortraitSet) -> None:
    network = EncoderConfig(size=32, hidden=32, rank=4)
    save_encoder(tmp_path / "given.safetensors", encoder_for(tiny_generator, network, pretrained=False), {"generator": ""})
    config = EncoderTraining(
        outdir=tmp_path / "run", init=tmp_path / "given.safetensors", network=replace(network, size=64), kimg=0.008, batch=8,
        perceptual_size=32,
    )  # fmt: skip
    assert load_encoder(encoder.train(config, [Domain(tiny_generator, blobs.pictures)])).config.size == 64


def test_missing_archives_are_named(tmp_path: Path, tiny_generator: Generator) -> None:
    with pytest.raises(UserError, match="no portrait archive"):
        encoder.train(EncoderTraining(generator=_saved(tmp_path, tiny_generator), data=(Path("none.zip"),), outdir=tmp_path / "run"))


def test_the_parent_has_every_second_turn_and_the_children_share_the_rest(tiny_generator: Generator, blobs: PortraitSet) -> None:
    domains = [Domain(tiny_generator, blobs.pictures[:size]) for size in (5, 6, 7, 8)]
    assert [len(encoder._turn(domains, number)) for number in range(8)] == [5, 6, 5, 7, 5, 8, 5, 6]
    assert [len(encoder._turn(domains[:1], number)) for number in range(3)] == [5, 5, 5]


def test_children_bring_pictures_without_labels(
    tmp_path: Path, tiny_generator: Generator, blobs: PortraitSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    child = copy.deepcopy(tiny_generator)
    torch.nn.init.normal_(child.synthesis.b4.conv1.weight)
    (tmp_path / "child").mkdir()
    heads = tmp_path / "heads"
    heads.mkdir()
    for number in range(3):
        cv2.imwrite(str(heads / f"{number}.png"), np.full((40, 32, 3), (0, 0, 80 * number), np.uint8))
    monkeypatch.setattr(encoder, "load_portraits", lambda data, size, limit: blobs)
    config = EncoderTraining(
        generator=_saved(tmp_path, tiny_generator), children=(_saved(tmp_path / "child", child),), child_data=(heads,),
        outdir=tmp_path / "run", network=EncoderConfig(size=32, hidden=32, rank=4), kimg=0.032, batch=8, perceptual_size=32, limit=2,
    )  # fmt: skip
    parent, second = encoder._read_domains(config)
    assert parent.codes is None  # this generator was trained on no codes
    assert second.pictures.shape == (2, 3, 32, 32)
    assert second.batch(torch.tensor([1]))[0, :, 5, 5].tolist() == pytest.approx([80 / 127.5 - 1, -1.0, -1.0])
    assert encoder.train(config).is_file()


def test_children_must_be_children_and_have_pictures(
    tmp_path: Path, tiny_generator: Generator, blobs: PortraitSet, monkeypatch: pytest.MonkeyPatch
) -> None:
    stranger = copy.deepcopy(tiny_generator)
    for layer in stranger.mapping.parameters():
        torch.nn.init.normal_(layer)
    (tmp_path / "child").mkdir()
    monkeypatch.setattr(encoder, "load_portraits", lambda data, size, limit: blobs)
    config = EncoderTraining(
        generator=_saved(tmp_path, tiny_generator), children=(_saved(tmp_path / "child", stranger),), child_data=(tmp_path,),
        outdir=tmp_path / "run",
    )  # fmt: skip
    with pytest.raises(UserError, match=r"generator\.safetensors is no child of the generator"):
        encoder.train(config)
    with pytest.raises(UserError, match="1 children and 0 sets of pictures"):
        encoder.train(replace(config, child_data=()))


def _saved(folder: Path, generator: Generator) -> Path:
    path = folder / "generator.safetensors"
    save_generator(path, generator)
    return path
