from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.data.portrait_set import load_portraits
from crossrig.data.synth import synthesise
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.weights import save_generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for, load_encoder, save_encoder
from crossrig.train.codes import search_offsets, seen_people
from crossrig.train.search import SearchTraining, load_searched, train


@pytest.fixture
def config(tmp_path: Path, tiny_generator: Generator) -> SearchTraining:
    save_generator(tmp_path / "generator.safetensors", tiny_generator)
    torch.manual_seed(0)
    encoder = encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4), pretrained=False)
    save_encoder(tmp_path / "encoder.safetensors", encoder, {})
    archive = synthesise(6, 32, 4, tmp_path, workers=1, progress=False)
    networks = (tmp_path / "generator.safetensors", tmp_path / "encoder.safetensors")
    return SearchTraining(*networks, tmp_path / "run", (archive,), count=5, steps=2, precision="float32")


def test_codes_are_what_the_encoder_finds_and_what_a_search_adds(config: SearchTraining, tiny_generator: Generator) -> None:
    found = load_searched(train(config), tiny_generator)
    encoder, portraits = load_encoder(config.encoder), load_portraits(config.data, 32, 5)
    seen = seen_people(encoder, portraits)
    assert found.shape == seen.shape == (5, tiny_generator.style_space.w_count, tiny_generator.config.w_dim)
    torch.testing.assert_close(found - seen, search_offsets(tiny_generator, encoder, portraits, 5, 2))
    assert ((found - seen).flatten(1).norm(dim=1) > 0.1).all()


def test_more_than_there_are_cannot_be_searched_for(config: SearchTraining) -> None:
    with pytest.raises(UserError, match=r"6 portraits.*--count"):
        train(replace(config, count=7))


def test_codes_of_another_generator_or_kind_are_refused(tmp_path: Path, tiny_generator: Generator) -> None:
    w_plus = torch.randn(3, tiny_generator.style_space.w_count, tiny_generator.config.w_dim)
    path = tmp_path / "searched.safetensors"
    for tensors, kind in (({"w_plus": w_plus[:, 1:].contiguous()}, "searched"), ({"w_plus": w_plus}, "seen"), ({"w": w_plus}, "searched")):
        checkpoint.save(path, tensors, {"kind": kind})
        with pytest.raises(UserError, match="train search"):
            load_searched(path, tiny_generator)
