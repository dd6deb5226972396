"""The encoder's recipe."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.weights import save_generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for, load_encoder, save_encoder
from crossrig.train import encoder
from crossrig.train.encoder import Domain, EncoderTraining
from crossrig.train.run import read_log


def test_train_resumes_and_saves(tmp_path: Path, tiny_generator: Generator, blobs: PortraitSet) -> None:
    domains = [Domain(tiny_generator, blobs, coded=True), Domain(copy.deepcopy(tiny_generator), blobs)]
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
    found = load_encoder(encoder.train(config, [Domain(tiny_generator, blobs)]))
    pictures = torch.rand(2, 3, 32, 32)
    torch.testing.assert_close(found(pictures), load_encoder(tmp_path / "given.safetensors")(pictures), rtol=1e-2, atol=1e-2)
    with pytest.raises(UserError, match="does not fit"):
        encoder.train(replace(config, outdir=tmp_path / "other", network=replace(network, rank=5)), [Domain(tiny_generator, blobs)])


def test_missing_archives_are_named(tmp_path: Path, tiny_generator: Generator) -> None:
    with pytest.raises(UserError, match="no portrait archive"):
        encoder.train(EncoderTraining(generator=_saved(tmp_path, tiny_generator), data=(Path("none.zip"),), outdir=tmp_path / "run"))


def _saved(folder: Path, generator: Generator) -> Path:
    path = folder / "generator.safetensors"
    save_generator(path, generator)
    return path
