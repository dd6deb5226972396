from __future__ import annotations

import json

import pytest
import torch

from crossrig import evaluate
from crossrig.data.portrait_set import PortraitSet
from crossrig.evaluate import GOALS, Sizes, as_json, edits_figures, evaluate_quick, table
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.layers import editable
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.units import Units

TINY = ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)


@pytest.fixture
def rig(tiny_generator: Generator, people: FaceParams) -> Rig:
    torch.manual_seed(4)
    space = tiny_generator.style_space
    predictor = AttributePredictor(AttributePredictorConfig(space.size, (16,)))
    predictor.set_populations(evaluate.unseen_styles(tiny_generator, 64), people.pack())
    torch.nn.init.normal_(predictor.out.weight, std=0.3)
    layers = editable(space)[:2]
    networks = {name: Manipulator(ManipulatorConfig.for_attribute(name, layers, space)) for name in ATTRIBUTES}
    return Rig(predictor, networks, space, "0" * 64).eval().requires_grad_(False)


def network(people: FaceParams, seed: int) -> Reconstruction:
    torch.manual_seed(seed)
    made = Reconstruction(TINY)
    made.set_population(people.pack())
    torch.nn.init.normal_(made.out.weight, std=0.3)
    return made.eval().requires_grad_(False)


def test_every_named_figure_is_there_and_the_report_is_flat(
    tiny_generator: Generator, rig: Rig, people: FaceParams, tiny_model: FaceModel, blobs: PortraitSet
) -> None:
    figures = evaluate_quick(tiny_generator, rig, network(people, 1), network(people, 2), tiny_model, Sizes(codes=16, edits=8), blobs)
    assert set(GOALS) - {"synth.portraits_per_second"} <= set(figures)
    assert {f"attributes.{name}_r2" for name in ATTRIBUTES} <= set(figures)
    read = json.loads(as_json(figures))
    assert set(read) == set(figures)
    assert all(isinstance(value, float) for value in read.values())
    text = table(figures | {"reconstruction.yaw_error_deg": 99.0, "edits.yaw_correlation": 0.95})
    assert "MISSED" in next(line for line in text.splitlines() if line.startswith("reconstruction.yaw_error_deg"))
    assert "ok" in next(line for line in text.splitlines() if line.startswith("edits.yaw_correlation"))


def test_labels_as_answers_reach_every_reconstruction_goal(people: FaceParams, tiny_model: FaceModel, blobs: PortraitSet) -> None:
    class Oracle(Reconstruction):
        def predict(self, images: torch.Tensor, batch: int = 64) -> FaceParams:
            return people

    figures = evaluate.reconstruction_figures(Oracle(TINY), Units.of(tiny_model), blobs, "reconstruction")
    for name, value in figures.items():
        if name in GOALS:
            bound, larger = GOALS[name]
            assert value >= bound if larger else value <= bound


def test_a_perfect_rig_moves_what_is_commanded(
    tiny_generator: Generator, rig: Rig, people: FaceParams, tiny_model: FaceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Codes that *are* parameters, a rig that adds the command, and a judge that reads them: all figures are perfect; a rig that
    answers every command with another light is found out."""

    def read(_network: Reconstruction, _generator: Generator, styles: torch.Tensor) -> FaceParams:
        return FaceParams.unpack(styles)

    def move(styles: torch.Tensor, commands: dict[str, torch.Tensor], passes: int) -> torch.Tensor:
        params = FaceParams.unpack(styles)
        for name, command in commands.items():
            params = params.with_attribute(name, params.attribute(name) + command)
        return params.pack()

    monkeypatch.setattr(evaluate, "see", read)
    monkeypatch.setattr(rig, "predict", FaceParams.unpack)
    monkeypatch.setattr(rig, "move", move)
    units = Units.of(tiny_model)
    figures = edits_figures(rig, tiny_generator, network(people, 1), units, people.pack(), 1)
    assert all(figures[f"edits.{name}_moves_most"] == 1.0 for name in ATTRIBUTES)
    assert figures["edits.yaw_correlation"] == pytest.approx(1.0)
    assert figures["edits.yaw_slope"] == pytest.approx(1.0, rel=1e-4)

    def darken(styles: torch.Tensor, commands: dict[str, torch.Tensor], passes: int) -> torch.Tensor:
        params = FaceParams.unpack(styles)
        return params.replace(illumination=params.illumination.roll(1, 0)).pack()

    monkeypatch.setattr(rig, "move", darken)
    figures = edits_figures(rig, tiny_generator, network(people, 1), units, people.pack(), 1)
    assert figures["edits.pose_moves_most"] == 0.0
    assert figures["edits.illumination_moves_most"] == 1.0
    assert figures["edits.yaw_correlation"] == 0.0


def test_unseen_codes_are_always_the_same(tiny_generator: Generator) -> None:
    assert torch.equal(evaluate.unseen_styles(tiny_generator, 3), evaluate.unseen_styles(tiny_generator, 3))
