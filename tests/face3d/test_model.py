from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d import parts
from crossrig.face3d.head import SHOULDER_YAW
from crossrig.face3d.model import HEAD_FILE, FaceModel, pose, rotation_matrix, srgb_to_linear
from crossrig.face3d.params import BLOCKS, EXPRESSION_UNITS, FaceParams


def people(count: int, seed: int = 0) -> FaceParams:
    generator = torch.Generator().manual_seed(seed)
    params = FaceParams.neutral(count)
    return params.replace(
        shape=torch.randn(count, BLOCKS["shape"], generator=generator),
        albedo=torch.randn(count, BLOCKS["albedo"], generator=generator),
    )


def with_unit(*names: str) -> FaceParams:
    expression = torch.zeros(1, BLOCKS["expression"])
    for name in names:
        expression[:, EXPRESSION_UNITS.index(name)] = 1.0
    return FaceParams.neutral().replace(expression=expression)


def test_buffers_have_the_documented_shapes_and_types(model: FaceModel) -> None:
    count, triangles = len(model.mean), len(model.faces)
    assert model.faces.dtype == torch.int64
    assert model.face_part.dtype == torch.uint8
    assert model.faces.shape == (triangles, 3)
    assert 0 <= int(model.faces.min()) < int(model.faces.max()) < count
    assert model.shape_basis.shape == (80, count, 3)
    assert model.expression_basis.shape == (52, count, 3)
    assert model.albedo_basis.shape == (48, count, 3)
    assert model.uv.shape == (count, 2)
    assert model.rotation_weight.shape == model.occlusion.shape == (count,)
    assert set(model.face_part.tolist()) == set(parts.PART_NAMES)
    assert all(torch.isfinite(buffer).all() for buffer in model.buffers())


def test_shipped_file_is_small_and_says_where_it_comes_from() -> None:
    assert HEAD_FILE.stat().st_size < 12e6
    header = checkpoint.load_header(HEAD_FILE)
    assert header["kind"] == "head"
    assert header["licence"] == "CC0-1.0"
    assert len(header["sources"][0]["base_mesh_sha256"]) == 64


def test_head_lies_where_the_camera_looks(model: FaceModel) -> None:
    ears = [model.mean[model.regions[name]].mean(0) for name in ("ear_left", "ear_right")]
    assert torch.allclose((ears[0] + ears[1]) / 2, torch.zeros(3), atol=0.002)
    assert ears[0][0] > 0.05
    drawn = model.mean[model.faces.unique()]
    assert 0.10 < drawn[:, 1].max() < 0.16
    assert drawn[:, 1].min() < -0.29
    assert model.mean[model.landmarks["nose_bridge_3"], 2] > 0.08


@pytest.mark.parametrize(
    ("rotation", "landmark", "axis", "sign"),
    [
        ((0.0, 0.4, 0.0), "nose_bridge_3", 0, 1),  # +yaw: the nose goes to the picture's right
        ((0.4, 0.0, 0.0), "nose_bridge_3", 1, 1),  # +pitch: the nose goes up
        ((0.0, 0.0, 0.4), "jaw_8", 0, 1),  # +roll: counter-clockwise, the chin goes right
    ],
)
def test_rotation_has_the_documented_sense(
    model: FaceModel, rotation: tuple[float, float, float], landmark: str, axis: int, sign: int
) -> None:
    params = FaceParams.neutral().replace(rotation=torch.tensor([rotation]))
    moved = model.vertices(params) - model.vertices(FaceParams.neutral())
    assert sign * moved[0, model.landmarks[landmark], axis] > 0.02


def test_head_turns_rigidly_and_shoulders_stay(model: FaceModel) -> None:
    params = FaceParams.neutral().replace(
        rotation=torch.tensor([[0.3, 0.8, -0.3]]), translation=torch.tensor([[0.01, -0.02, 0.1]])
    )
    still = model.vertices(FaceParams.neutral())[0]
    posed = model.vertices(params)[0] - params.translation
    face = model.regions["face"]
    assert (model.rotation_weight[model.regions["eyes"]] == 1).all()
    expected = still[face] @ rotation_matrix(params.rotation)[0].T
    assert (posed[face] - expected).norm(dim=1).median() < 1e-5
    nod = FaceParams.neutral().replace(rotation=torch.tensor([[0.4, 0.0, 0.3]]))
    shoulders = model.regions["body"]
    below = shoulders[still[shoulders, 1] < -0.2]
    assert (model.vertices(nod)[0][below] - still[below]).norm(dim=1).max() < 1e-5


@pytest.mark.parametrize("angles", [(0, 60, 0), (0, -60, 0), (25, 0, 0), (-25, 0, 0), (0, 0, 25), (20, 50, -20)])
def test_neck_neither_tears_nor_folds(model: FaceModel, angles: tuple[float, float, float]) -> None:
    rotation = torch.tensor([[math.radians(angle) for angle in angles]])
    still, posed = (model.vertices(FaceParams.neutral().replace(rotation=r))[0] for r in (torch.zeros(1, 3), rotation))
    skin = model.faces[model.face_part == parts.SKIN]
    edges = torch.cat([skin[:, [0, 1]], skin[:, [1, 2]], skin[:, [2, 0]]])
    before, after = ((points[edges[:, 0]] - points[edges[:, 1]]).norm(dim=1) for points in (still, posed))
    assert (after / before.clamp_min(1e-5)).max() < 3.0


def test_rotation_matrices_are_rotations() -> None:
    matrices = rotation_matrix(torch.randn(20, 3, dtype=torch.float64))
    assert torch.allclose(matrices @ matrices.mT, torch.eye(3, dtype=torch.float64).expand(20, 3, 3))
    assert torch.allclose(torch.linalg.det(matrices), torch.ones(20, dtype=torch.float64))


def test_every_vertex_turns_by_the_matrix_of_its_own_angles() -> None:
    generator = torch.Generator().manual_seed(1)
    points, rotation, translation = (torch.randn(*shape, dtype=torch.float64, generator=generator) for shape in ((2, 5, 3), (2, 3), (2, 3)))
    weight = torch.tensor([0.0, 0.2, 0.6, 0.9, 1.0], dtype=torch.float64)
    shares = torch.stack([weight, SHOULDER_YAW + (1 - SHOULDER_YAW) * weight, weight], dim=-1)
    matrices = rotation_matrix(rotation[:, None] * shares)
    expected = (matrices @ points[..., None])[..., 0] + translation[:, None]
    assert torch.allclose(pose(points, rotation, translation, weight), expected)


def test_pose_gradcheck() -> None:
    generator = torch.Generator().manual_seed(0)
    points, rotation, translation = (
        torch.randn(*shape, dtype=torch.float64, generator=generator, requires_grad=True)
        for shape in ((2, 4, 3), (2, 3), (2, 3))
    )
    weight = torch.tensor([0.0, 0.3, 0.7, 1.0], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda v, r, t: pose(v, r, t, weight), (points, rotation, translation))


def test_all_blocks_of_the_mesh_receive_gradients(model: FaceModel) -> None:
    params = people(2, 4)
    leaves = {name: getattr(params, name).clone().requires_grad_() for name in BLOCKS}
    vertices = model.vertices(params.replace(**leaves))
    (
        vertices.square().sum() + model.normals(vertices)[..., 0].sum() + model.albedo(params.replace(**leaves)).sum()
    ).backward()
    for name in ("shape", "expression", "albedo", "rotation", "translation"):
        gradient = leaves[name].grad
        assert gradient is not None
        assert gradient.abs().sum() > 0, name


def test_normals_are_unit_length_and_point_outwards(model: FaceModel) -> None:
    vertices = model.vertices(FaceParams.neutral())
    normals = model.normals(vertices)[0]
    drawn = model.faces.unique()
    assert torch.allclose(normals[drawn].norm(dim=1), torch.ones(len(drawn)), atol=1e-3)
    assert (normals[model.regions["helpers"]] == 0).all()
    for name in ("scalp", "forehead", "cheeks", "chin"):
        region = model.regions[name]
        assert ((normals[region] * vertices[0, region]).sum(1) > 0).float().mean() > 0.97, name
    eye = model.regions["eye_left"]
    assert (normals[eye] * model.eye_direction[eye]).sum(1).min() > 0.9


def test_random_people_stay_people(model: FaceModel) -> None:
    params = people(64)
    vertices = model.vertices(params)
    height = vertices[:, model.regions["scalp"], 1].amax(1) - vertices[:, model.landmarks["jaw_8"], 1]
    assert 0.17 < float(height.min()) < float(height.max()) < 0.31
    corners = vertices[:, [model.landmarks["eye_right_0"], model.landmarks["eye_left_0"]]]
    assert (corners[:, 0, 1] - corners[:, 1, 1]).abs().max() < 0.012  # eyes level
    albedo = model.albedo(params)
    assert 0 <= float(albedo.min()) < float(albedo.max()) <= 1
    cheek = albedo[:, model.regions["cheeks"]].mean(1)
    assert (cheek[:, 0] >= cheek[:, 1]).all()  # skin is never green or blue
    assert (cheek[:, 1] >= cheek[:, 2] - 0.01).all()
    assert float(cheek[:, 1].max() / cheek[:, 1].min()) > 4  # from light to dark


def test_shape_coefficients_are_standard_deviations(model: FaceModel) -> None:
    spread = model.shape_basis[:, model.regions["face"]].norm(dim=2).mean(1)
    assert float(spread[0]) > 0.4 * float(spread.max())
    assert 0.001 < float(spread[0]) < 0.01
    assert float(spread[-1]) < float(spread[0]) / 4


def test_closing_the_eyes_closes_them(model: FaceModel) -> None:
    def opening(params: FaceParams) -> torch.Tensor:
        points = model.vertices(params)[0]
        pairs = [(f"eye_{side}_{a}", f"eye_{side}_{b}") for side in ("left", "right") for a, b in ((1, 5), (2, 4))]
        return torch.stack([points[model.landmarks[a], 1] - points[model.landmarks[b], 1] for a, b in pairs])

    wide, shut = opening(FaceParams.neutral()), opening(with_unit("eyeBlinkLeft", "eyeBlinkRight"))
    assert (wide > 0.004).all()
    assert (shut < 0.3 * wide).all()


def test_opening_the_jaw_parts_the_lips_and_takes_lower_teeth_along(model: FaceModel) -> None:
    still, opened = (model.vertices(params)[0] for params in (FaceParams.neutral(), with_unit("jawOpen")))
    upper, lower = model.landmarks["mouth_inner_2"], model.landmarks["mouth_inner_6"]
    assert (still[upper] - still[lower]).norm() < 0.003
    assert opened[upper, 1] - opened[lower, 1] > 0.015
    moved = opened - still
    assert moved[model.regions["teeth_lower"], 1].max() < -0.008
    assert moved[model.regions["teeth_upper"]].abs().max() < 1e-4
    assert moved[model.regions["tongue"], 1].mean() < -0.005


@pytest.mark.parametrize(
    ("unit", "region", "axis", "sign"),
    [
        ("eyeLookOutLeft", "eye_left", 0, 1),
        ("eyeLookInLeft", "eye_left", 0, -1),
        ("eyeLookOutRight", "eye_right", 0, -1),
        ("eyeLookUpRight", "eye_right", 1, 1),
        ("eyeLookDownLeft", "eye_left", 1, -1),
    ],
)
def test_eyes_turn_without_changing_size(model: FaceModel, unit: str, region: str, axis: int, sign: int) -> None:
    rows = model.regions[region]
    pupil = int(rows[model.eye_direction[rows, 2].argmax()])
    still, turned = (model.vertices(params)[0] for params in (FaceParams.neutral(), with_unit(unit)))
    assert sign * (turned[pupil, axis] - still[pupil, axis]) > 0.003
    spread = [points[rows].std(0).norm() for points in (still, turned)]
    assert spread[1] == pytest.approx(float(spread[0]), rel=0.02)


def test_lips_touch_and_hide_the_teeth_whatever_the_shape(model: FaceModel) -> None:
    points = model.vertices(people(32, 3))
    gap = points[:, model.landmarks["mouth_inner_2"]] - points[:, model.landmarks["mouth_inner_6"]]
    assert gap.norm(dim=1).max() < 0.004
    teeth = points[:, model.regions["teeth"], 2].amax(1)
    assert (points[:, model.landmarks["mouth_inner_2"], 2] - teeth).min() > 0.0


def test_occlusion_darkens_nostrils_and_the_mouth_and_not_the_forehead(model: FaceModel) -> None:
    occlusion = model.occlusion
    assert 0 <= float(occlusion.min()) <= float(occlusion.max()) <= 1
    assert occlusion[model.regions["forehead"]].mean() > 0.9
    assert occlusion[model.regions["mouth_inside"]].mean() < 0.5 < occlusion[model.regions["cheeks"]].mean()


def test_regions_are_symmetric_and_nested_as_named(model: FaceModel) -> None:
    sets = {name: set(indices.tolist()) for name, indices in model.regions.items()}
    assert all(sets.values())
    assert sets["eye_left"] | sets["eye_right"] == sets["eyes"]
    assert sets["brow_left"] | sets["brow_right"] == sets["brows"] <= sets["face"]
    assert sets["pupils"] < sets["iris"] < sets["eyes"]
    for a, b in (
        ("scalp", "face"),
        ("face", "ears"),
        ("face", "neck"),
        ("neck", "body"),
        ("scalp", "ears"),
        ("lips", "nose"),
    ):
        assert not sets[a] & sets[b], (a, b)
    assert sets["helpers"] == set(range(len(model.mean))) - set(model.faces.unique().tolist())


def test_srgb_to_linear_matches_the_standard_and_its_derivative_is_finite_at_black() -> None:
    encoded = torch.tensor([0.0, 0.04045, 0.5, 1.0], dtype=torch.float64, requires_grad=True)
    linear = srgb_to_linear(encoded)
    assert linear.tolist() == pytest.approx([0.0, 0.0031308, 0.2140411, 1.0], abs=1e-6)
    linear.sum().backward()
    assert encoded.grad is not None
    assert torch.isfinite(encoded.grad).all()


def test_a_file_that_lacks_a_tensor_or_has_another_size_is_refused(tmp_path: Path) -> None:
    tensors, header = checkpoint.load(HEAD_FILE)
    checkpoint.save(tmp_path / "no-uv.safetensors", {k: v for k, v in tensors.items() if k != "uv"}, header)
    with pytest.raises(UserError, match="'uv'"):
        FaceModel.load(tmp_path / "no-uv.safetensors")
    with pytest.raises(UserError, match="79 shape"):
        FaceModel(tensors | {"shape_basis": tensors["shape_basis"][:79]})
