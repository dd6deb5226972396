from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest

from crossrig.rig.layers import editable
from crossrig.rig.weights import load_rig
from crossrig.train.manipulation import ManipulationTraining


@pytest.fixture
def script(load_script: Callable[[str], ModuleType]) -> ModuleType:
    return load_script("train_ablations")


def test_every_loss_is_left_out_once(script: ModuleType) -> None:
    """But for renders, which are off unless asked for."""
    losses = {field.name for field in dataclasses.fields(ManipulationTraining) if field.name.endswith("_weight")}
    changed = {setting for variant in script.VARIANTS.values() for setting in variant}
    assert losses - {"render_weight", "image_weight"} == {name for name in changed if name.endswith("_weight")}
    assert script.VARIANTS["no_image"] == {"image_batch": 0}
    assert script.VARIANTS["full"] == {}


def test_variants_differ_in_what_they_are_called_after_and_are_trained_once(
    script: ModuleType, tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSRIG_ASSETS", str(tiny_assets))
    names = ["full", "misindexed", "full_s", "no_contour"]
    words = ["train_ablations", "--outdir", str(tmp_path), "--steps", "1", "--batch", "4", "--people", "0", "--only", *names]
    monkeypatch.setattr(sys, "argv", words)
    assert script.main() == 0
    printed = capsys.readouterr().out
    assert all(f"--rig {name}={tmp_path / name / 'manipulation.safetensors'}" in printed for name in names)
    rigs = {name: load_rig(tmp_path / name / "manipulation.safetensors") for name in names}
    shipped = load_rig(tiny_assets / "manipulation.safetensors")
    pose = {name: rig.manipulator("pose").config for name, rig in rigs.items()}
    assert pose["full"].layers == shipped.manipulator("pose").config.layers == pose["misindexed"].layers
    assert pose["full_s"].layers == editable(shipped.space)
    assert pose["misindexed"].read == shipped.space.names[: len(pose["full"].layers)]
    assert not pose["full"].read
    made = {name: (tmp_path / name / "manipulation.safetensors").stat().st_mtime_ns for name in names}
    assert script.main() == 0
    assert made == {name: (tmp_path / name / "manipulation.safetensors").stat().st_mtime_ns for name in names}
