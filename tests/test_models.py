"""Models of one's own: everything in one file, found by name."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from skimage import data

from crossrig import assets, checkpoint, models
from crossrig.errors import UserError
from crossrig.gan.weights import load_generator
from crossrig.rig.weights import load_rig
from crossrig.session import EditSession, Effort, Networks


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def mine(folder: Path, tiny_assets: Path) -> Path:
    """The tiny networks as a model."""
    parts = [tiny_assets / f"{name}.safetensors" for name in ("generator-human", "manipulation", "encoder")]
    path = models.path_of("mine")
    models.save(path, "mine", *parts, {"figures": {"yaw": 1.5}})
    return path


def test_what_is_saved_is_found_by_name_and_read(mine: Path, tiny_assets: Path) -> None:
    model = models.load("mine")
    assert model.name == "mine"
    assert model.facts["figures"] == {"yaw": 1.5}
    generator, rig = load_generator(tiny_assets / "generator-human.safetensors"), load_rig(tiny_assets / "manipulation.safetensors")
    s = generator.affine(generator.map(torch.randn(2, generator.config.z_dim)))
    torch.testing.assert_close(model.generator.synthesise(s), generator.synthesise(s), rtol=2e-2, atol=2e-3)
    torch.testing.assert_close(model.rig.predict(s).pack(), rig.predict(s).pack(), rtol=2e-2, atol=2e-3)
    assert model.encoder is not None


def test_an_encoder_is_not_needed(folder: Path, tiny_assets: Path) -> None:
    path = models.path_of("plain")
    models.save(path, "plain", tiny_assets / "generator-human.safetensors", tiny_assets / "manipulation.safetensors", None, {})
    assert models.load(str(path)).encoder is None


def test_a_rig_of_another_generator_is_refused(folder: Path, tiny_assets: Path) -> None:
    with pytest.raises(UserError, match="trained for another generator"):
        models.save(
            models.path_of("x"), "x", tiny_assets / "generator-toon.safetensors", tiny_assets / "manipulation.safetensors", None, {}
        )
    assert not models.path_of("x").exists()


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".hidden", "human", "auto", "x" * 65])
def test_names_that_are_no_plain_file_names_are_refused(name: str) -> None:
    with pytest.raises(UserError, match="cannot be called"):
        models.path_of(name)


def test_a_model_that_does_not_exist_is_said_with_those_that_do(mine: Path) -> None:
    with pytest.raises(UserError, match="there are mine"):
        models.load("yours")


def test_another_file_is_no_model(tiny_assets: Path) -> None:
    with pytest.raises(UserError, match="no rigged generator"):
        models.load(str(tiny_assets / "generator-human.safetensors"))


def test_a_picture_is_edited_with_a_model(mine: Path, tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    astronaut = data.astronaut()
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    session = EditSession(networks=Networks.of_model(models.load("mine")), effort=Effort(1, 1, 0, 1))
    session.set_image(astronaut)
    assert session.domain == "mine"
    session.edit({"yaw": 15})
    assert not np.array_equal(session.render(), astronaut)


def test_damaged_headers_are_refused(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "odd.safetensors"
    checkpoint.save(path, {"generator.x": torch.zeros(1)}, {"kind": models.KIND, "parts": {"generator": {}}})
    with pytest.raises(UserError):
        models.load(str(path))
