from __future__ import annotations

from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.weights import (
    load_attributes,
    load_reconstruction,
    load_rig,
    save_attributes,
    save_reconstruction,
    save_rig,
)
from crossrig.train.codes import sample_styles

TINY = ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)


def test_a_rig_survives_the_file(tmp_path: Path, tiny_rig: Rig, tiny_generator: Generator) -> None:
    path = tmp_path / "manipulation.safetensors"
    save_rig(path, tiny_rig, {"note": "test"})
    loaded = load_rig(path, "0" * 64)
    styles = sample_styles(tiny_generator, 5, torch.Generator().manual_seed(1))
    commands = {name: torch.ones(5, FaceParams.attribute_size(name)) for name in ATTRIBUTES}
    assert torch.equal(loaded.move(styles, commands, passes=2), tiny_rig.move(styles, commands, passes=2))
    assert torch.equal(loaded.predict(styles).pack(), tiny_rig.predict(styles).pack())
    header = checkpoint.load_header(path)
    assert header["manipulators"]["pose"]["layers"] == list(tiny_rig.manipulator("pose").config.layers)


def test_a_rig_for_another_generator_is_refused(tmp_path: Path, tiny_rig: Rig) -> None:
    path = tmp_path / "manipulation.safetensors"
    save_rig(path, tiny_rig, {})
    with pytest.raises(UserError, match="codes of one generator mean nothing to another"):
        load_rig(path, "f" * 64)


def test_networks_survive_the_file(tmp_path: Path, tiny_rig: Rig) -> None:
    network = Reconstruction(TINY).eval()
    save_reconstruction(tmp_path / "a.safetensors", network, {})
    images = torch.rand(2, 3, 32, 32)
    assert torch.equal(load_reconstruction(tmp_path / "a.safetensors")(images), network(images))
    save_attributes(tmp_path / "b.safetensors", tiny_rig.predictor, {"generator": "0" * 64})
    styles = torch.randn(2, tiny_rig.space.size)
    assert torch.equal(load_attributes(tmp_path / "b.safetensors")(styles), tiny_rig.predictor(styles))


def test_a_rig_is_a_file_of_t_too(tmp_path: Path, tiny_rig: Rig) -> None:
    save_rig(tmp_path / "rig.safetensors", tiny_rig, {})
    styles = torch.randn(2, tiny_rig.space.size)
    assert torch.equal(load_attributes(tmp_path / "rig.safetensors")(styles), tiny_rig.predictor(styles))


def test_files_of_another_kind_or_damaged_are_refused(tmp_path: Path, tiny_rig: Rig) -> None:
    path = tmp_path / "a.safetensors"
    save_attributes(path, tiny_rig.predictor, {})
    with pytest.raises(UserError, match="a reconstruction is needed"):
        load_reconstruction(path)
    tensors, header = checkpoint.load(path)
    checkpoint.save(path, {name: tensor for name, tensor in tensors.items() if name != "out.weight"}, header)
    with pytest.raises(UserError, match="do not fit"):
        load_attributes(path)
    checkpoint.save(path, tensors, {"kind": "attributes"})
    with pytest.raises(UserError, match="lacks the architecture"):
        load_attributes(path)
