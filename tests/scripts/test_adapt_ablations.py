from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig.data.synth import synthesise
from crossrig.gan.weights import load_generator
from crossrig.train.adapt import AdaptTraining


@pytest.fixture
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("adapt_ablations")


def test_variants_change_settings_that_exist(script: ModuleType) -> None:
    fields = AdaptTraining.__dataclass_fields__
    assert all(setting in fields for variant in script.VARIANTS.values() for setting in variant)
    assert script.VARIANTS["held"] == {}


def test_children_are_trained_and_measured_once_and_stand_in_one_table(
    script: ModuleType, tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSRIG_ASSETS", str(tiny_assets))
    archive = synthesise(24, 32, 5, tmp_path, workers=1, style="toon", progress=False)
    names = ["held", "everything"]
    words = ["adapt_ablations", "--images", str(archive), "--pictures", str(archive), "--outdir", str(tmp_path / "runs"), "--kimg", "0.008"]
    monkeypatch.setattr(sys, "argv", [*words, "--samples", "12", "--only", *names])
    assert script.main() == 0
    printed = capsys.readouterr().out
    assert [line.split("`")[1] for line in printed.splitlines()[2:]] == [*names, "swapped"]
    with Image.open(tmp_path / "runs/sheet.png") as sheet:
        size = np.array(sheet.size)
    assert (size > (160 * script.SHOWN, 160 * (1 + len(names) + 1))).all()  # the parent, the names and the swap
    human = load_generator(tiny_assets / "generator-human.safetensors")
    swapped, everything = load_generator(tmp_path / "runs/swapped.safetensors"), load_generator(
        tmp_path / "runs/everything/generator-ablation.safetensors"
    )
    assert torch.equal(swapped.const, human.const)
    assert not torch.equal(everything.const, human.const)
    assert torch.equal(swapped.synthesis.get_parameter("b32.conv1.weight"), everything.synthesis.get_parameter("b32.conv1.weight"))
    monkeypatch.setattr(script, "evaluate_domain", lambda request: pytest.fail("measured twice"))
    assert script.main() == 0
    assert capsys.readouterr().out == printed
