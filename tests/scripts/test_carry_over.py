from __future__ import annotations

import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import pytest
import torch

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.weights import grow, load_generator, save_difference, save_generator
from crossrig.inversion.encoder import load_encoder
from crossrig.rig.weights import load_rig


@pytest.fixture
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("carry_over")


def _save_grown(generator: Generator, path: Path, held: bool) -> Path:
    settings = replace(generator.config, resolution=64, channels=(16, 16, 8, 8, 8))
    state = grow(generator.state_dict(), generator.config, settings)
    if not held:
        state["synthesis.b8.conv0.affine.bias"] += 1.0
    larger = Generator(settings)
    larger.load_state_dict(state)
    save_generator(path, larger)
    return path


def test_rig_and_encoder_are_written_for_the_larger_generator(
    script: ModuleType, tiny_assets: Path, tiny_generator: Generator, tmp_path: Path
) -> None:
    old, new = tiny_assets / "generator-human.safetensors", _save_grown(tiny_generator, tmp_path / "new.safetensors", held=True)
    rig, encoder = script.carry_over(
        old, new, tiny_assets / "manipulation.safetensors", tiny_assets / "encoder.safetensors", tmp_path / "out"
    )
    assert load_rig(rig, checkpoint.sha256(new)).space.resolution == 64
    assert load_encoder(encoder)(torch.zeros(1, 3, 32, 32)).shape[1] == load_rig(rig).space.w_count
    assert checkpoint.load_header(encoder)["generator"] == checkpoint.sha256(new)
    assert script.carry_over(old, new, tiny_assets / "manipulation.safetensors", None, tmp_path / "alone") == [
        tmp_path / "alone" / "manipulation.safetensors"
    ]


def test_an_encoder_stored_in_few_bits_is_carried_over_in_full(
    script: ModuleType, tiny_assets: Path, tiny_generator: Generator, tmp_path: Path
) -> None:
    old, new = tiny_assets / "generator-human.safetensors", _save_grown(tiny_generator, tmp_path / "new.safetensors", held=True)
    tensors, header = checkpoint.load(tiny_assets / "encoder.safetensors")
    checkpoint.save(tmp_path / "encoder.safetensors", tensors, header, 8)
    _, encoder = script.carry_over(old, new, tiny_assets / "manipulation.safetensors", tmp_path / "encoder.safetensors", tmp_path / "out")
    assert "quantised" not in checkpoint.load_header(encoder)
    assert load_encoder(encoder)(torch.zeros(1, 3, 32, 32)).isfinite().all()


def test_what_a_child_added_to_its_parent_is_added_to_the_larger_one(
    script: ModuleType, tiny_assets: Path, tiny_generator: Generator, tmp_path: Path
) -> None:
    old, new = tiny_assets / "generator-human.safetensors", _save_grown(tiny_generator, tmp_path / "generator-human.safetensors", held=True)
    child = load_generator(tiny_assets / "generator-toon.safetensors")
    save_difference(tmp_path / "generator-toon.safetensors", child, old)
    carried = script.carry_child(tmp_path / "generator-toon.safetensors", old, new, tmp_path / "out")
    shutil.copy(new, tmp_path / "out")  # a difference is read beside its parent
    larger = load_generator(carried)
    before, parent, after = child.state_dict(), tiny_generator.state_dict(), larger.state_dict()
    for name in before:
        torch.testing.assert_close(after[name], before[name], atol=2e-2 * float((before[name] - parent[name]).abs().max()) + 1e-6, rtol=0)
    grown = load_generator(new).state_dict()
    assert all(torch.equal(after[name], grown[name]) for name in grown if ".b64." in name)
    with pytest.raises(UserError, match="not stored as a difference"):
        script.carry_child(tiny_assets / "generator-toon.safetensors", old, new, tmp_path / "out")


def test_what_does_not_belong_together_is_a_sentence(
    script: ModuleType, tiny_assets: Path, tiny_generator: Generator, tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    new = _save_grown(tiny_generator, tmp_path / "new.safetensors", held=False)
    arguments = [str(tiny_assets / "generator-human.safetensors"), str(new), "--outdir", str(tmp_path / "out")]
    networks = ["--rig", str(tiny_assets / "manipulation.safetensors"), "--encoder", str(tiny_assets / "encoder.safetensors")]
    monkeypatch.setattr(sys, "argv", ["carry_over.py", *arguments, *networks])
    assert script.main() == 2
    assert "affine layers were not held" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
