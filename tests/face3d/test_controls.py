from __future__ import annotations

import json
import math
from dataclasses import asdict

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d import controls
from crossrig.face3d.controls import CONTROLS, apply, dominant_direction, rotate_light
from crossrig.face3d.measures import measure_shapes
from crossrig.face3d.model import FaceModel, rotation_matrix
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, EXPRESSION_UNITS, FaceParams
from crossrig.render.shading import sh_basis


def lit(batch: int = 2, seed: int = 0) -> FaceParams:
    generator = torch.Generator().manual_seed(seed)
    params = FaceParams(**{name: 0.3 * torch.randn(batch, size, generator=generator) for name, size in BLOCKS.items()})
    light = params.illumination.reshape(batch, 9, 3).clone()
    light[:, 0] = 3.0 + 0.2 * light[:, 0]
    return params.replace(expression=params.expression.abs(), illumination=light.reshape(batch, 27))


@pytest.mark.parametrize("name", CONTROLS)
def test_every_control_changes_its_attribute_and_no_other(name: str) -> None:
    control, before = CONTROLS[name], lit()
    after = apply(before, {name: control.minimum + 0.8 * (control.maximum - control.minimum)})
    for attribute in ATTRIBUTES:
        same = torch.equal(after.attribute(attribute), before.attribute(attribute))
        assert same == (attribute != control.attribute), attribute
    assert torch.isfinite(after.pack()).all()


def test_catalogue_is_complete_and_plain_data() -> None:
    assert set(EXPRESSION_UNITS) <= set(CONTROLS)
    assert {f"shape.{i}" for i in range(80)} | {f"albedo.{i}" for i in range(48)} <= set(CONTROLS)
    assert {
        "age",
        "gender",
        "jawWidth",
        "noseLength",
        "lipFullness",
        "smile",
        "skinTone",
        "yaw",
        "light.azimuth",
    } <= set(CONTROLS)
    for name, control in CONTROLS.items():
        assert control.name == name
        assert control.minimum < control.maximum
        assert control.unit
        assert control.meaning
    json.dumps([asdict(control) for control in CONTROLS.values()])
    assert controls.attributes_of(["smile", "yaw"]) == ("expression", "pose")


def test_every_direction_of_the_model_has_a_control(model: FaceModel) -> None:
    assert set(model.control_directions) == set(controls.DIRECTIONS) == set(controls.shipped_directions())


def test_absolute_controls_set_and_relative_ones_add() -> None:
    twice = apply(apply(lit(), {"smile": 0.4}), {"smile": 0.8})
    assert torch.equal(twice.expression, apply(lit(), {"smile": 0.8}).expression)
    assert (apply(lit(), {"yaw": 30}).rotation[:, 1] - math.radians(30)).abs().max() < 1e-6
    once, again = apply(lit(), {"noseWidth": 1}), apply(apply(lit(), {"noseWidth": 1}), {"noseWidth": 1})
    assert torch.allclose(again.shape - lit().shape, 2 * (once.shape - lit().shape), atol=1e-5)


def test_gaze_goes_to_opposite_units_of_the_two_eyes() -> None:
    right = apply(FaceParams.neutral(), {"gazeYaw": 13}).expression[0]
    chosen = {EXPRESSION_UNITS[i]: float(v) for i, v in enumerate(right) if v}
    assert chosen == {"eyeLookOutLeft": 0.5, "eyeLookInRight": 0.5}
    assert apply(apply(FaceParams.neutral(), {"gazeYaw": 13}), {"gazeYaw": -26}).expression.sum() == 2


@pytest.mark.parametrize(
    "name",
    [
        "jawWidth",
        "noseLength",
        "noseWidth",
        "mouthWidth",
        "lipFullness",
        "eyeSize",
        "eyeDistance",
        "browHeight",
        "faceWidth",
        "chinHeight",
    ],
)
def test_shape_controls_move_what_they_name_by_one_sd(model: FaceModel, name: str) -> None:
    generator = torch.Generator().manual_seed(0)
    crowd = FaceParams.neutral(200).replace(shape=torch.randn(200, 80, generator=generator))
    regions = {key: value.numpy() for key, value in model.regions.items()}

    def measured(params: FaceParams) -> torch.Tensor:
        return torch.from_numpy(measure_shapes(model.neutral_pose(params).numpy(), model.landmarks, regions)[name])

    step = (measured(apply(crowd, {name: 1.0})) - measured(crowd)).mean()
    assert float(step / measured(crowd).std()) == pytest.approx(1.0, abs=0.25)


def test_skin_tone_darkens_and_lips_redden(model: FaceModel) -> None:
    cheeks, lips = model.regions["cheeks"], model.regions["lips"]
    tones = [model.albedo(apply(FaceParams.neutral(), {"skinTone": v}))[0, cheeks].mean() for v in (-1, 0, 1)]
    assert tones[0] > 1.2 * tones[1] > 1.2 * 1.2 * tones[2]
    pale, red = (model.albedo(apply(FaceParams.neutral(), {"lipRedness": v}))[0, lips].mean(0) for v in (-2.0, 2.0))
    assert red[0] / red[1] > 1.1 * pale[0] / pale[1]


def test_turning_the_light_equals_turning_the_normals_back() -> None:
    params = lit(3, 5)
    generator = torch.Generator().manual_seed(1)
    normals = torch.nn.functional.normalize(torch.randn(50, 3, generator=generator), dim=1)
    matrices = rotation_matrix(torch.randn(3, 3, generator=generator))
    turned = rotate_light(params, matrices).illumination.reshape(3, 9, 3)
    expected = torch.stack(
        [sh_basis(normals @ matrices[b]) @ params.illumination.reshape(3, 9, 3)[b] for b in range(3)]
    )
    assert torch.allclose(sh_basis(normals) @ turned, expected, atol=1e-4)


@pytest.mark.parametrize("azimuth", [-120.0, -60.0, 0.0, 45.0])
@pytest.mark.parametrize("elevation", [-20.0, 0.0, 50.0])
def test_light_comes_from_where_it_is_set(azimuth: float, elevation: float) -> None:
    for start in (lit(), FaceParams.neutral(2)):
        direction = dominant_direction(apply(start, {"light.elevation": elevation, "light.azimuth": azimuth}))
        wanted = torch.tensor(
            [
                math.sin(math.radians(azimuth)) * math.cos(math.radians(elevation)),
                math.sin(math.radians(elevation)),
                math.cos(math.radians(azimuth)) * math.cos(math.radians(elevation)),
            ]
        )
        assert (direction - wanted).norm(dim=1).max() < 0.02


def test_negative_azimuth_lights_the_left_of_the_picture() -> None:
    light = apply(FaceParams.neutral(), {"light.azimuth": -60}).illumination.reshape(9, 3)
    left, right = sh_basis(torch.tensor([[-1.0, 0, 0], [1.0, 0, 0]])) @ light
    assert left.mean() > 2 * right.mean().clamp_min(0.05)


def test_strength_warmth_and_contrast_are_what_they_say() -> None:
    grey = torch.tensor([0.2126, 0.7152, 0.0722])
    strong = apply(lit(), {"light.strength": 1.5}).illumination.reshape(2, 9, 3)
    assert torch.allclose(strong[:, 0] @ grey * 0.282095, torch.full((2,), 1.5), atol=1e-4)
    warm, cold = (apply(FaceParams.neutral(), {"light.warmth": v}).illumination.reshape(9, 3)[0] for v in (1.0, -1.0))
    assert warm[0] > warm[2]
    assert cold[0] < cold[2]
    assert float(warm @ grey) == pytest.approx(float(cold @ grey), rel=1e-4)
    flat = apply(lit(), {"light.contrast": 0}).illumination.reshape(2, 9, 3)
    assert flat[:, 1:].abs().max() < 1e-5


def test_unknown_names_and_bad_values_are_refused_before_anything_happens() -> None:
    with pytest.raises(UserError, match="Did you mean smile"):
        apply(lit(), {"smlie": 0.5})
    with pytest.raises(UserError, match="crossrig controls"):
        apply(lit(), {"qqqqqqqq": 0.5})
    with pytest.raises(UserError, match="0 to 1"):
        apply(lit(), {"yaw": 10, "jawOpen": 1.5})
    with pytest.raises(UserError, match="-60 to 60"):
        apply(lit(), {"yaw": math.nan})
