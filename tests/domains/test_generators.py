from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from crossrig import assets
from crossrig.domains.generators import domain_names, generator_file
from crossrig.errors import UserError


def test_names_of_domains_and_files(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tmp_path))
    shutil.copy(tiny_assets / "generator-human.safetensors", tmp_path / "generator-clay.safetensors")
    assert set(domain_names()) == {"human", "toon", "painting", "sketch", "statue", "avatar", "clay"}
    assert generator_file("clay") == tmp_path / "generator-clay.safetensors"
    assert generator_file("human") == assets.require("generator-human")
    assert generator_file(tmp_path / "generator-clay.safetensors") == tmp_path / "generator-clay.safetensors"
    with pytest.raises(UserError, match='Did you mean "toon"'):
        generator_file("toom")
    with pytest.raises(UserError, match=r"no generator checkpoint none\.safetensors"):
        generator_file("none.safetensors")
    with pytest.raises(UserError, match="no generator checkpoint"):
        generator_file("../toon")
