"""Instruments for the tiny generator, and a world in which codes *are* parameters."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from crossrig.evaluate import unseen_styles
from crossrig.evaluation import edits, instruments
from crossrig.evaluation.instruments import Instruments, Seen, Subjects
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.features import FeatureTaps
from crossrig.gan.generator import Generator
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.layers import editable
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig, blank_tensors


@pytest.fixture
def tiny_rig(tiny_generator: Generator, people: FaceParams) -> Rig:
    torch.manual_seed(4)
    space = tiny_generator.style_space
    styles = unseen_styles(tiny_generator, 64)
    predictor = AttributePredictor(AttributePredictorConfig(space.size, (16,)))
    predictor.set_populations(styles, people.pack())
    torch.nn.init.normal_(predictor.out.weight, std=0.3)
    networks = {name: Manipulator(ManipulatorConfig.for_attribute(name, editable(space)[:2], space)) for name in ATTRIBUTES}
    for network in networks.values():
        network.set_populations(space.split(styles), people)
    return Rig(predictor, networks, space, "0" * 64).eval().requires_grad_(False)


def _network(people: FaceParams, seed: int) -> Reconstruction:
    torch.manual_seed(seed)
    made = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16))
    made.set_population(people.pack())
    torch.nn.init.normal_(made.out.weight, std=0.3)
    return made.eval().requires_grad_(False)


@pytest.fixture
def tools(tiny_generator: Generator, tiny_model: FaceModel, people: FaceParams) -> Instruments:
    torch.manual_seed(0)
    taps = FeatureTaps(32, (2,), blank_tensors())
    return Instruments.of(tiny_generator, _network(people, 1), _network(people, 2), tiny_model, taps)


@pytest.fixture
def transparent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures show the code, and everybody who looks at one reads it without error."""

    def see(_network: Any, _generator: Any, styles: torch.Tensor, _dtype: torch.dtype | None = None) -> FaceParams:
        return FaceParams.unpack(styles)

    def look(_instruments: Any, styles: torch.Tensor, identity: bool = True, points: bool = True) -> Seen:
        return Seen(FaceParams.unpack(styles), torch.zeros(len(styles), 3, 16, 16), styles.narrow(1, 0, 4), styles if identity else None)

    monkeypatch.setattr(instruments, "see", see)
    for module in (instruments, edits):
        monkeypatch.setattr(module, "look", look)


@pytest.fixture
def subjects(transparent: None, tools: Instruments, people: FaceParams) -> Subjects:
    """The 64 people, in the transparent world."""
    return Subjects.of(tools, people.pack())


def add(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
    """The perfect editor of the transparent world."""
    params = FaceParams.unpack(styles)
    return params.with_attribute(attribute, params.attribute(attribute) + command).pack()


@pytest.fixture
def perfect() -> Any:
    return add
