"""An imported face model as the one in use: bounds and controls follow it, networks of another are refused, and T, layers and M train."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossrig import checkpoint
from crossrig.cli import main
from crossrig.errors import UserError
from crossrig.face3d import controls
from crossrig.face3d.blocks import FaceSpace
from crossrig.face3d.importers.face_models import import_face_model
from crossrig.face3d.mirror import asymmetry, mirror_matrix
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.weights import save_generator
from crossrig.metrics.r2 import all_r2
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.solve import LandmarkSolver, expression_variables
from crossrig.rig.units import Units
from crossrig.rig.weights import load_attributes, load_reconstruction, load_rig, save_reconstruction
from crossrig.session import EditSession, Networks
from crossrig.train import attributes, layers, manipulation

TINY = ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, mask: Any, writers: Any) -> Path:
    """A FLAME in the place of the shipped head, and an ICT beside it."""
    path = tmp_path_factory.mktemp("assets")
    np.savez(path / "flame.npz", **writers.flame_arrays(mask))
    writers.write_embedding(path / "landmark_embedding.npy", mask)
    flame = import_face_model(path / "flame.npz", path / "landmark_embedding.npy")
    ict = import_face_model(writers.write_ict(path, mask))
    checkpoint.save(path / "head.safetensors", flame.tensors, flame.header)
    checkpoint.save(path / "ict.safetensors", ict.tensors, ict.header)
    return path


@pytest.fixture(scope="module")
def flame(folder: Path) -> FaceModel:
    return FaceModel.load(folder / "head.safetensors")


class Sees(Reconstruction):
    """Stands in for a trained network: reads parameters linearly from four coarse colours."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        colours = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)  # (B,12)
        mixing = torch.randn(12, 213, generator=torch.Generator().manual_seed(6))
        return self.label_mean + self.label_scale * (colours @ mixing)


def test_the_bound_of_expressions_is_the_networks(tmp_path: Path, flame: FaceModel, people: FaceParams) -> None:
    pictures = torch.rand(16, 3, 32, 32, generator=torch.Generator().manual_seed(1)) * 2 - 1
    for space, least in ((FaceSpace(), 0.0), (flame.space, -0.1)):
        network = Sees(TINY, space=space)
        network.set_population(people.pack())
        network.label_scale.mul_(20)
        expression = network.predict(pictures).expression
        assert (float(expression.min()) < least) == (space.expression == "components")
        save_reconstruction(tmp_path / "network.safetensors", network, {})
        header = checkpoint.load_header(tmp_path / "network.safetensors")
        assert ("face_space" in header) == (space != FaceSpace())  # files of our own model stay as they were
        assert load_reconstruction(tmp_path / "network.safetensors").space == space


def test_controls_are_those_of_the_model(folder: Path, flame: FaceModel) -> None:
    ours, ict = FaceModel.load(), FaceModel.load(folder / "ict.safetensors")
    assert dict(controls.offered(ours)) == dict(controls.CONTROLS)
    offered = controls.offered(flame)
    assert not {"smile", "jawOpen", "gazeYaw", "jawWidth"} & set(offered)
    assert {"expression.0", "expression.51", "shape.0", "yaw", "light.azimuth", "skinTone"} <= set(offered)
    assert {"smile", "jawOpen", "skinTone"} <= set(controls.offered(ict))
    assert "jawWidth" not in controls.offered(ict)
    for name, words in (("smile", "components, not named face units"), ("jawWidth", "no named directions of its shape")):
        with pytest.raises(UserError, match=words):
            controls.check_offered(name, flame)
    controls.check_value("expression.3", -2.0)
    with pytest.raises(UserError, match="named units"):
        controls.check_offered("expression.3", ours)
    face = controls.apply(FaceParams.neutral(), {"expression.51": -1.5, "expression.3": 2.0})
    assert (face.expression[0, 51], face.expression[0, 3]) == (-1.5, 2.0)


def test_the_command_lists_them(folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setenv("CROSSRIG_ASSETS", str(folder))
    assert main(["controls"]) == 0
    captured = capsys.readouterr()
    assert "expression.51" in captured.out
    assert "smile" not in captured.out
    (line,) = captured.err.splitlines()
    assert "no controls of named face units" in line


def test_landmarks_are_dragged_with_components(flame: FaceModel) -> None:
    solver, face = LandmarkSolver(flame), FaceParams.neutral()
    place = solver.points(face)[8].tolist()
    variables = expression_variables(face, flame.expression_kind)
    found = solver.solve(face, variables, {"jaw_8": (place[0], place[1] - 0.1)}, ("jaw_8", "nose_bridge_3"))
    moved = face.replace(expression=found[None].float())
    assert float(solver.points(moved)[8, 1]) < place[1] - 0.05
    assert float(found.min()) < 0  # of either sign


def test_mirroring(flame: FaceModel) -> None:
    assert asymmetry(FaceModel.load()) < 0.02
    assert asymmetry(flame) > 0.1
    with pytest.raises(UserError, match="set mirror to false"):
        mirror_matrix(flame)


def test_networks_of_another_face_model_are_refused(folder: Path, tmp_path: Path, tiny_generator: Generator, flame: FaceModel) -> None:
    save_generator(tmp_path / "generator.safetensors", tiny_generator)
    config = attributes.AttributesTraining(
        generator=tmp_path / "generator.safetensors", reconstruction=tmp_path / "none.safetensors", outdir=tmp_path / "t"
    )
    with pytest.raises(UserError, match=r"made for the face model crossrig, and FLAME \w+ is in use"):
        attributes.train(config, tiny_generator, Reconstruction(TINY), flame)


def test_a_session_offers_what_the_model_has(
    folder: Path, tmp_path: Path, tiny_assets: Path, tiny_generator: Generator, flame: FaceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    nothing: Any = None  # no picture is taken in
    session = EditSession("human", networks=Networks({"human": tiny_generator}, nothing, nothing, nothing, None, flame, nothing))
    session.edit({"expression.0": 2.0, "yaw": 10.0})
    assert "smile" not in session.controls()
    with pytest.raises(UserError, match="has no control 'smile'"):
        session.edit({"smile": 0.5})
    own = tmp_path / "assets"
    shutil.copytree(tiny_assets, own)
    shutil.copy(folder / "head.safetensors", own)
    monkeypatch.setenv("CROSSRIG_ASSETS", str(own))
    with pytest.raises(UserError, match="reconstruction network was made for the face model crossrig"):
        Networks.shipped("human")


def test_blocks_that_move_nothing_have_no_r2(flame: FaceModel, people: FaceParams) -> None:
    units = Units.of(flame)
    grams = {block: units.gram(block) for block in BLOCKS}
    assert set(all_r2(units, people, people)) == set(ATTRIBUTES)
    silent = Units(grams | {"expression": torch.zeros(52, 52)})
    assert set(all_r2(silent, people, people)) == set(ATTRIBUTES) - {"expression"}


def test_t_layers_and_m_train_with_it(
    folder: Path, tmp_path: Path, tiny_generator: Generator, people: FaceParams, flame: FaceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The recipes find the model through CROSSRIG_ASSETS; labels come from a network that reads it."""
    own = tmp_path / "assets"
    own.mkdir()
    shutil.copy(folder / "head.safetensors", own)
    monkeypatch.setenv("CROSSRIG_ASSETS", str(own))
    generator = tmp_path / "generator.safetensors"
    save_generator(generator, tiny_generator)
    network = Sees(TINY, space=flame.space)
    labels = people.replace(expression=torch.randn(64, BLOCKS["expression"], generator=torch.Generator().manual_seed(2)))
    network.set_population(labels.pack())
    save_reconstruction(tmp_path / "reconstruction.safetensors", network, {})
    common: dict[str, Any] = {"generator": generator, "reconstruction": tmp_path / "reconstruction.safetensors"}
    t = attributes.train(
        attributes.AttributesTraining(
            **common, outdir=tmp_path / "t", codes=256, held_out=32, mixed=0.2, steps=120, batch=64, hidden=(32,), dropout=0.0, lr=3e-3
        ),
        network=network,
    )
    predictor = load_attributes(t)
    assert predictor.space == flame.space
    chosen = layers.train(
        layers.LayersTraining(**common, attributes=t, outdir=tmp_path / "layers", codes=16, steps=10, batch=16), network=network
    )
    rig = manipulation.train(
        manipulation.ManipulationTraining(
            **common, attributes=t, layers=chosen, outdir=tmp_path / "m", steps=4, batch=8, image_batch=0, paired_people=0
        )
    )
    assert load_rig(rig).predictor.space == flame.space
    assert set(load_rig(rig).manipulators_by_name()) == set(ATTRIBUTES)
