from __future__ import annotations

import json
from pathlib import Path

import pytest

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES
from crossrig.gan.generator import Generator
from crossrig.rig.manipulation import Rig
from crossrig.rig.selection import load_selection, save_selection
from crossrig.rig.weights import save_rig


def test_a_selection_survives_the_file(tmp_path: Path, tiny_generator: Generator) -> None:
    space = tiny_generator.style_space
    chosen = dict.fromkeys(ATTRIBUTES, ("b4.conv1", "b8.conv0"))
    path = tmp_path / "layers.json"
    save_selection(path, chosen, {name: {"b4.conv1": 1.0} for name in ATTRIBUTES}, {"share": 0.35})
    assert load_selection(path, space) == chosen
    assert json.loads(path.read_text())["share"] == 0.35
    assert [entry.name for entry in tmp_path.iterdir()] == ["layers.json"]


def test_a_rig_says_which_layers_it_was_made_with(tmp_path: Path, tiny_rig: Rig) -> None:
    save_rig(tmp_path / "rig.safetensors", tiny_rig, {})
    chosen = load_selection(tmp_path / "rig.safetensors", tiny_rig.space)
    assert chosen == {name: tiny_rig.manipulator(name).config.layers for name in ATTRIBUTES}


@pytest.mark.parametrize("content", ["", "[]", '{"layers": {"pose": ["b4.conv1"]}}', '{"layers": 3}'])
def test_a_file_that_is_no_selection_is_refused(content: str, tmp_path: Path, tiny_generator: Generator) -> None:
    path = tmp_path / "layers.json"
    path.write_text(content)
    with pytest.raises(UserError, match="not a layer selection"):
        load_selection(path, tiny_generator.style_space)


def test_unknown_layers_and_missing_files_are_named(tmp_path: Path, tiny_generator: Generator) -> None:
    path = tmp_path / "layers.json"
    with pytest.raises(UserError, match="no layer selection"):
        load_selection(path, tiny_generator.style_space)
    path.write_text(json.dumps({"layers": {name: ["b4.torgb"] for name in ATTRIBUTES}}))
    with pytest.raises(UserError, match=r"b4\.torgb"):
        load_selection(path, tiny_generator.style_space)
