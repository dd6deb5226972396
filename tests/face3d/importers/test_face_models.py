"""Imported face models: where a vertex goes that the file moves, what was made of the file, and that everything else of ours takes them."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from crossrig import checkpoint
from crossrig.cli import main
from crossrig.face3d.blocks import EXPRESSION_UNITS
from crossrig.face3d.head import load_head
from crossrig.face3d.importers.face_models import import_face_model
from crossrig.face3d.importers.flame import JAW_OPEN
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import BLOCKS, FaceParams
from crossrig.render.face import render_face
from crossrig.rig.losses import BlockLosses, ContourLoss, PointLoss, RenderLoss, average
from crossrig.rig.units import Units

FORMATS = ("basel 2009", "basel h5", "flame", "ict")


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, mask: Any, writers: Any) -> dict[str, tuple[Path, list[str]]]:
    """Format -> file and the options of the command."""
    folder = tmp_path_factory.mktemp("models")
    arrays = writers.flame_arrays(mask)
    np.savez(folder / "flame.npz", **arrays)
    embedding = writers.write_embedding(folder / "landmark_embedding.npy", mask)
    basel = writers.write_basel_2009(folder, mask)
    expressions = writers.write_expressions(folder, mask)
    return {
        "basel 2009": (basel, ["--landmarks", str(folder / "landmarks.txt"), "--expressions", str(expressions)]),
        "basel h5": (writers.write_basel_h5(folder, mask), []),
        "flame": (folder / "flame.npz", ["--landmarks", str(embedding)]),
        "ict": (writers.write_ict(folder, mask), []),
    }


@pytest.fixture(scope="module")
def models(files: dict[str, tuple[Path, list[str]]], tmp_path_factory: pytest.TempPathFactory) -> dict[str, FaceModel]:
    """Format -> the model that the command writes."""
    folder = tmp_path_factory.mktemp("imported")
    found = {}
    for name, (file, options) in files.items():
        target = folder / f"{name.replace(' ', '-')}.safetensors"
        assert main(["import", "face-model", str(file), "-o", str(target), *options]) == 0
        found[name] = FaceModel.load(target)
    return found


def moved(model: FaceModel, block: str, index: int, vertex: int) -> torch.Tensor:
    """(3,) metres that a vertex moves by a coefficient of one."""
    neutral = FaceParams.neutral()
    values = torch.zeros(1, BLOCKS[block])
    values[0, index] = 1.0
    change = model.neutral_pose(neutral.replace(**{block: values})) - model.neutral_pose(neutral)
    return change[0, vertex]


def close(found: torch.Tensor, wanted: Any) -> None:
    torch.testing.assert_close(found, torch.as_tensor(np.asarray(wanted), dtype=torch.float32), rtol=1e-4, atol=2e-8)


@pytest.mark.parametrize("name", FORMATS)
def test_the_head_lies_where_ours_does_and_has_all_its_parts(name: str, models: dict[str, FaceModel], mask: Any) -> None:
    model = models[name]
    torch.testing.assert_close(model.mean[: len(mask.points)], torch.from_numpy(mask.points).float(), rtol=0, atol=2e-3)
    places = model.landmark_points(model.mean[None])[0]
    known = torch.from_numpy(mask.points[:68]).float()
    away = (places - known).norm(dim=1)
    assert away[1:].max() < (0.012 if name == "basel h5" else 2e-3)
    assert model.shape_basis.shape == (80, len(model.mean), 3)
    assert {"face", "ears", "lips", "helpers"} <= set(model.regions)
    assert len(model.regions["face"]) > 40
    assert set(model.regions["lips"].tolist()) & set(range(48, 60))
    assert float(model.rotation_weight[:68].min()) > 0.9
    front = model.normals(model.mean[None])[0, 30, 2]
    assert float(front) > 0
    assert model.imported
    assert not model.symmetric


def test_basel_2009_moves_as_its_file_says(models: dict[str, FaceModel], mask: Any, writers: Any) -> None:
    model, told = models["basel 2009"], writers.matlab_variables(mask)
    wanted = told["shapePC"].astype(float) * told["shapeEV"].reshape(-1).astype(float) * 1e-6
    for vertex, index in ((0, 0), (30, 7), (90, 79)):
        close(moved(model, "shape", index, vertex), wanted.reshape(-1, 3, 90)[vertex, :, index])
    close(moved(model, "expression", 4, 10), [500.0 * 6.0 * 1e-6] * 3)
    close(moved(model, "expression", 4, len(mask.points) - 1), [500.0 * 6.0 * 1e-6] * 3)  # unknown: as its neighbour
    assert model.expression_kind == "components"
    close(model.albedo_mean[5], [140 / 255] * 3)
    close(model.albedo_basis[3, 5], told["texPC"].reshape(-1, 3, 60)[5, :, 3] * told["texEV"][3] / 255)


def test_basel_h5_moves_as_its_file_says(models: dict[str, FaceModel], mask: Any) -> None:
    model = models["basel h5"]
    deviation = np.linspace(4.0, 0.4, 100)[7]
    close(moved(model, "shape", 7, 30), mask.basis(100, 0, 1.0).reshape(-1, 3, 100)[30, :, 7] * deviation * 1e-3)
    close(moved(model, "expression", 0, 30), [0.5e-3] * 3)  # the mean deformation
    deviation = np.linspace(2.0, 0.2, 60)[7]
    close(moved(model, "expression", 8, 30), mask.basis(60, 1, 1.0).reshape(-1, 3, 60)[30, :, 7] * deviation * 1e-3)
    assert model.header["expression_names"][:2] == ["mean expression", "component 0"]
    close(model.albedo_mean[5], [0.6] * 3)


def test_flame_moves_as_its_file_says_and_opens_its_mouth(models: dict[str, FaceModel], mask: Any, writers: Any) -> None:
    model, told = models["flame"], writers.flame_arrays(mask)
    close(moved(model, "shape", 79, 30), told["shapedirs"][30, :, 79])
    close(moved(model, "expression", 3, 30), told["shapedirs"][30, :, 303])
    # skinning written out for one vertex of the chin
    turn = np.array([[1, 0, 0], [0, math.cos(JAW_OPEN), -math.sin(JAW_OPEN)], [0, math.sin(JAW_OPEN), math.cos(JAW_OPEN)]])
    pose = np.concatenate([np.zeros(9), (turn - np.eye(3)).ravel(), np.zeros(18)])
    corrected = told["v_template"][8] + told["posedirs"][8] @ pose
    joint = told["J_regressor"][2] @ told["v_template"]
    transform = np.zeros((4, 4))
    for bone, weight in enumerate(told["weights"][8]):
        bone_turn = turn if bone == 2 else np.eye(3)
        matrix = np.eye(4)
        matrix[:3, :3], matrix[:3, 3] = bone_turn, joint - bone_turn @ joint
        transform += weight * matrix
    close(moved(model, "expression", 51, 8), (transform @ [*corrected, 1.0])[:3] - told["v_template"][8])
    assert float(moved(model, "expression", 51, 8)[1]) < -0.008  # the chin goes down
    assert model.header["expression_names"][51] == "jawOpen"
    assert float(model.rotation_weight[len(mask.points) - 1]) == pytest.approx(0.25)
    # a landmark in the middle of a triangle is a vertex of its own, which moves as the triangle does
    triangle = mask.faces[np.flatnonzero((mask.faces == 0).any(1))[0]]
    corner = int(model.landmark_index[0])
    assert corner >= len(mask.points)
    assert corner in model.regions["helpers"]
    close(moved(model, "shape", 2, corner), told["shapedirs"][triangle, :, 2].mean(0))
    # colours, and the directions in them, are ours
    assert set(model.control_directions) == {key for key in load_head().controls if len(load_head().controls[key]) == 48}
    assert float(model.albedo_basis.abs().max()) > 0.01


def test_ict_units_go_by_name(models: dict[str, FaceModel], mask: Any) -> None:
    model = models["ict"]
    close(moved(model, "shape", 5, 30), mask.basis(83, 6)[:, 5].reshape(-1, 3)[30])
    wanted = {
        "jawOpen": (0, -0.01, 0), "mouthSmileLeft": (0.003, 0, 0), "mouthSmileRight": (0, 0, 0), "browInnerUp": (0, 0.002, 0.001),
        "jawLeft": (0.004, 0, 0), "tongueOut": (0, 0, 0),
    }  # fmt: skip
    for unit, shift in wanted.items():
        close(moved(model, "expression", EXPRESSION_UNITS.index(unit), 8), shift)
    assert model.expression_kind == "units"
    assert float(model.uv[30, 0]) == pytest.approx(0.5 + float(mask.points[30, 0] + 0.01) * 100 / 30, abs=1e-5)


@pytest.mark.parametrize("name", FORMATS)
def test_drawing_and_losses_take_it(name: str, models: dict[str, FaceModel]) -> None:
    model = models[name]
    random = torch.Generator().manual_seed(1)
    people = FaceParams.neutral(12)
    people = people.replace(
        shape=torch.randn(12, 80, generator=random), expression=0.5 * torch.randn(12, 52, generator=random),
        albedo=torch.randn(12, 48, generator=random), rotation=0.2 * torch.randn(12, 3, generator=random),
        illumination=people.illumination + 0.1 * torch.randn(12, 27, generator=random),
        translation=0.005 * torch.randn(12, 3, generator=random),
    )  # fmt: skip
    drawn = render_face(model, people[:2], 48, regions=True)
    assert float(drawn.alpha.mean()) > 0.2
    assert float(drawn.regions["face"].mean()) > 0.05
    assert torch.isfinite(drawn.image).all()
    units = Units.of(model)
    found, truth = people, people[torch.arange(12).roll(1)]
    shape = truth.shape.clone().requires_grad_(True)
    goal = truth.replace(shape=shape)
    losses = [
        average(BlockLosses(units, people)(found, goal)), PointLoss.landmarks(model)(found, goal).mean(),
        ContourLoss(model)(found, goal).mean(), RenderLoss(model, 32)(found, goal).mean(),
    ]  # fmt: skip
    torch.stack(losses).sum().backward()  # type: ignore[no-untyped-call]
    assert shape.grad is not None
    assert torch.isfinite(shape.grad).all()
    assert all(float(loss.detach()) > 0 for loss in losses)


def test_what_is_left_out_is_said(files: dict[str, tuple[Path, list[str]]], tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = {
        "basel 2009": ["Shape: 80 of 90 components; 10 are left out", "Expression: 52 of 60", "Albedo: 48 of 60", "University of Basel"],
        "basel h5": ["Shape: 80 of 100", "Expression: 51 of 60 components; 9 are left out", "15 of the 68 are in the file"],
        "flame": ["Shape: 80 of 300", "Expression: 51 of 100", "Albedo: the file has none", "opens the jaw", "not named units"],
        "ict": ["Shape: 80 of 83", "named units, 0 to 1", "tongueOut", "MIT"],
    }
    for name, (file, options) in files.items():
        target = tmp_path / f"{name}.safetensors"
        capsys.readouterr()
        assert main(["import", "face-model", str(file), "-o", str(target), *options]) == 0
        captured = capsys.readouterr()
        assert captured.out.splitlines()[0] == str(target)
        assert captured.err == ""
        assert all(word in captured.out for word in words[name]), captured.out
        header = checkpoint.load_header(target)
        assert header["imported"]["file"] == file.name
        assert len(header["imported"]["sha256"]) == 64


def test_basel_2009_without_expressions(files: dict[str, tuple[Path, list[str]]]) -> None:
    file, _ = files["basel 2009"]
    imported = import_face_model(file, file.parent / "landmarks.txt")
    assert any("has no expressions" in note for note in imported.notes)
    assert not imported.tensors["expression_basis"].any()


@pytest.mark.parametrize("python2", [True, False])
def test_flame_as_a_pickle_gives_the_same(
    python2: bool, files: dict[str, tuple[Path, list[str]]], tmp_path: Path, mask: Any, writers: Any, chumpy: Callable[..., Any]
) -> None:
    path = tmp_path / "generic_model.pkl"
    path.write_bytes(writers.flame_pickle(writers.flame_arrays(mask), chumpy, python2))
    embedding = files["flame"][0].parent / "landmark_embedding.npy"
    found, wanted = import_face_model(path, embedding), import_face_model(files["flame"][0], embedding)
    assert found.tensors.keys() == wanted.tensors.keys()
    assert all(torch.equal(found.tensors[name], tensor) for name, tensor in wanted.tensors.items())


def test_flame_as_json_and_landmarks_in_other_files(tmp_path: Path, mask: Any, writers: Any) -> None:
    arrays = writers.flame_arrays(mask)
    path = tmp_path / "flame.json"
    path.write_text(json.dumps({name: array.tolist() for name, array in arrays.items()}))
    np.save(tmp_path / "68.npy", np.arange(68))
    (tmp_path / "68.json").write_text(json.dumps(list(range(68))))
    first, second = (import_face_model(path, tmp_path / name) for name in ("68.npy", "68.json"))
    assert first.tensors["landmark_index"].tolist() == second.tensors["landmark_index"].tolist() == list(range(68))
