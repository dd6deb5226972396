"""Finding weights."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crossrig import assets, checkpoint
from crossrig.errors import UserError


def test_own_folder_goes_before_the_shipped_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tmp_path))
    checkpoint.save(tmp_path / "head.safetensors", {"x": torch.ones(1)}, {"kind": "head"})
    assert assets.find("head") == tmp_path / "head.safetensors"
    monkeypatch.delenv(assets.FOLDER_VARIABLE)
    assert assets.find("head") == assets.shipped_folder() / "head.safetensors"


def test_missing_and_unknown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: (tmp_path,))
    assert assets.find("judge") is None
    with pytest.raises(UserError, match=r"judge\.safetensors .* `crossrig train judge`"):
        assets.require("judge")
    with pytest.raises(KeyError, match="no asset 'nose'"):
        assets.find("nose")


def test_inventory_hashes_and_problems(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: (tmp_path,))
    checkpoint.save(tmp_path / "head.safetensors", {"x": torch.ones(1)}, {"kind": "head"})
    (tmp_path / "judge.safetensors").write_bytes(b"junk")
    found = {asset.name: asset for asset in assets.inventory()}
    assert found["head"].sha256 == checkpoint.sha256(tmp_path / "head.safetensors")
    assert found["head"].problem is None
    assert found["judge"].problem is not None
    assert "judge" in found["judge"].problem
    assert found["encoder"].path is None
    assert found["encoder"].problem is not None
    assert "crossrig train encoder" in found["encoder"].problem


def test_a_difference_without_its_parent_is_a_problem(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: (tmp_path,))
    parent = {"name": "generator-human", "sha256": "0" * 64}
    checkpoint.save(tmp_path / "generator-toon.safetensors", {"x": torch.ones(1)}, {"kind": "generator-difference", "parent": parent})
    found = {asset.name: asset for asset in assets.inventory()}["generator-toon"]
    assert found.problem is not None
    assert "that very file" in found.problem
