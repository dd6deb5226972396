"""`crossrig rig`: the stages in order, each once, and one file at the end."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import pytest

from crossrig import assets, checkpoint, models
from crossrig.errors import UserError
from crossrig.rig.weights import load_rig, save_attributes
from crossrig.train import rig as recipe
from crossrig.train.rig import RigTraining, train


@pytest.fixture
def calls(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The recipes, each replaced by one that writes what the real one would, and remembers that it was called."""
    made: list[str] = []
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    monkeypatch.setenv(models.FOLDER_VARIABLE, str(tmp_path / "models"))

    def attributes(config: Any) -> None:
        made.append("T")
        predictor = load_rig(tiny_assets / "manipulation.safetensors").predictor
        save_attributes(config.outdir / "attributes.safetensors", predictor, {"generator": checkpoint.sha256(config.generator)})

    def layers(config: Any) -> None:
        made.append("layers")
        assert config.attributes.exists()
        config.outdir.mkdir(parents=True)
        (config.outdir / "layers.json").write_text(f'{{"generator": "{checkpoint.sha256(config.generator)}"}}')

    def manipulation(config: Any) -> None:
        made.append("M")
        assert config.layers.exists()
        if len(made) == 3 and "stop" in str(config.outdir):
            raise KeyboardInterrupt
        config.outdir.mkdir(parents=True)
        shutil.copy(tiny_assets / "manipulation.safetensors", config.outdir)

    for name, stand_in in (("attributes", attributes), ("layers", layers), ("manipulation", manipulation)):
        monkeypatch.setattr(getattr(recipe, name), "train", stand_in)
    return made


def config(tiny_assets: Path, outdir: Path, **settings: Any) -> RigTraining:
    return RigTraining(tiny_assets / "generator-human.safetensors", "mine", outdir=outdir, **{"samples": 0} | settings)


def test_every_stage_runs_once_and_one_file_is_left(calls: list[str], tiny_assets: Path, tmp_path: Path) -> None:
    path = train(config(tiny_assets, tmp_path / "run"))
    assert calls == ["T", "layers", "M"]
    assert path == models.path_of("mine")
    assert models.load("mine").encoder is None


def test_an_interrupted_rigging_goes_on_where_it_was(calls: list[str], tiny_assets: Path, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt):
        train(config(tiny_assets, tmp_path / "stop"))
    assert not models.path_of("mine").exists()
    train(config(tiny_assets, tmp_path / "stop"))
    assert calls == ["T", "layers", "M", "M"]


def test_stages_of_another_generator_are_not_taken(calls: list[str], tiny_assets: Path, tmp_path: Path) -> None:
    train(config(tiny_assets, tmp_path / "run"))
    other = RigTraining(tiny_assets / "generator-toon.safetensors", "other", outdir=tmp_path / "run", samples=0)
    with pytest.raises((UserError, FileExistsError)):  # the stand-ins write for the first generator only
        train(other)
    assert calls[3:5] == ["T", "layers"]


def test_a_model_is_not_replaced_unasked(calls: list[str], tiny_assets: Path, tmp_path: Path) -> None:
    train(config(tiny_assets, tmp_path / "run"))
    before = models.path_of("mine").read_bytes()
    with pytest.raises(UserError, match="--overwrite"):
        train(config(tiny_assets, tmp_path / "run"))
    assert models.path_of("mine").read_bytes() == before
    train(config(tiny_assets, tmp_path / "run", overwrite=True, encoder=tiny_assets / "encoder.safetensors"))
    assert models.load("mine").encoder is not None


def test_the_rig_is_measured_on_unseen_codes(calls: list[str], tiny_assets: Path, tmp_path: Path) -> None:
    train(config(tiny_assets, tmp_path / "run", samples=16))
    figures = models.load("mine").facts["figures"]
    assert {"obedience.pose.ours_feedforward", "leak.albedo.ours_feedforward", "yaw_error_deg.ours_feedforward"} <= figures.keys()


def test_a_file_that_is_no_generator_is_refused(calls: list[str], tiny_assets: Path, tmp_path: Path) -> None:
    with pytest.raises(UserError):
        train(RigTraining(tiny_assets / "encoder.safetensors", "mine", outdir=tmp_path / "run", samples=0))
    assert calls == []
