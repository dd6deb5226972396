from __future__ import annotations

import pytest
import torch

from crossrig.evaluation.inversions import (
    ENCODER,
    METHODS,
    OPTIMISE,
    PIVOTAL,
    Inverted,
    Inverter,
    invert_all,
    judged_figures,
    picture_figures,
)
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.features import FeatureTaps, PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction, blank_tensors
from crossrig.rig.units import Units
from crossrig.session import Effort


@pytest.fixture
def perceptual() -> PerceptualDistance:
    torch.manual_seed(3)
    return PerceptualDistance(32, FeatureTaps(32, (2,), blank_tensors())).requires_grad_(False)


@pytest.fixture
def images() -> torch.Tensor:
    return 0.5 * torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(5)) - 0.25


def test_every_way_comes_nearer_than_the_one_before(
    tiny_generator: Generator, tiny_rig: Rig, perceptual: PerceptualDistance, images: torch.Tensor
) -> None:
    encoder = encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4)).eval().requires_grad_(False)
    inverter = Inverter(tiny_generator, encoder, tiny_rig, perceptual, Effort(steps=15, tuning_steps=30))
    steps: list[tuple[int, int]] = []
    found = invert_all(inverter, images, lambda *step: steps.append(step))
    assert steps == [(1, 2), (2, 2)]
    figures = picture_figures(found, perceptual, "inversion")
    gaps = [figures[f"inversion.{method}_l2"] for method in METHODS]
    assert gaps[0] > gaps[1] > gaps[2]
    assert figures["inversion.pivotal_perceptual"] < figures["inversion.encoder_perceptual"]
    assert found.seconds[PIVOTAL][0] > found.seconds[OPTIMISE][0] > 0  # tuning starts from the search, and its time counts
    own = float(((found.made[PIVOTAL] - images) ** 2).mean())
    assert figures["inversion.pivotal_l2"] == pytest.approx(own)
    assert max(abs(asked) for asked in found.commanded) > 1
    assert set(found.edited) == {OPTIMISE, PIVOTAL}
    one = found.only(1)
    assert torch.equal(one.made[ENCODER], found.made[ENCODER][1:])
    assert one.commanded == found.commanded[1:]
    assert one.seconds[OPTIMISE] == found.seconds[OPTIMISE][1:]


def test_without_an_encoder_and_a_rig(tiny_generator: Generator, perceptual: PerceptualDistance, images: torch.Tensor) -> None:
    found = invert_all(Inverter(tiny_generator, None, None, perceptual, Effort(steps=1, tuning_steps=1)), images[:1])
    assert set(found.made) == {OPTIMISE, PIVOTAL}
    assert found.commanded == []
    assert found.edited == {}


class Seer(Reconstruction):
    """A judge who finds the packed parameters written into the picture."""

    def __init__(self) -> None:
        torch.nn.Module.__init__(self)

    def predict(self, images: torch.Tensor, batch: int = 64) -> FaceParams:
        return FaceParams.unpack(images.flatten(1).narrow(1, 0, 213))


def picture(params: FaceParams) -> torch.Tensor:
    flat = torch.zeros(len(params), 3 * 16 * 16)
    flat[:, :213] = params.pack()
    return flat.reshape(-1, 3, 16, 16)


def turned(params: FaceParams, degrees: torch.Tensor) -> FaceParams:
    rotation = params.rotation.clone()
    rotation[:, 1] += torch.deg2rad(degrees)
    return params.replace(rotation=rotation)


def test_the_judge_finds_what_went_wrong(people: FaceParams, tiny_model: FaceModel) -> None:
    units = Units.of(tiny_model)
    command = torch.linspace(-30, 30, 64)
    wrong = people.replace(albedo=people.albedo.mean(0).expand(64, -1))  # everybody gets the mean skin
    found = Inverted(picture(people), {OPTIMISE: picture(wrong), PIVOTAL: picture(people)}, {}, command.tolist())
    found.edited = {OPTIMISE: picture(turned(wrong, -0.5 * command)), PIVOTAL: picture(turned(people, command))}
    figures = judged_figures(found, people, Seer(), units)
    for attribute in ATTRIBUTES:
        assert figures[f"inversion.portrait_judged_{attribute}"] == 0.0
        assert figures[f"inversion.pivotal_judged_{attribute}"] == 0.0
        expected = 1.0 if attribute == "albedo" else 0.0  # as far as people differ
        assert figures[f"inversion.optimise_judged_{attribute}"] == pytest.approx(expected, abs=1e-3)
    assert figures["inversion.pivotal_yaw_correlation"] == pytest.approx(1.0, abs=1e-4)
    assert figures["inversion.optimise_yaw_correlation"] == pytest.approx(-1.0, abs=1e-4)
