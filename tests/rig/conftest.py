"""An untrained rig for the tiny generator."""

from __future__ import annotations

import pytest
import torch

from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.layers import editable
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig
from crossrig.train.codes import sample_styles


@pytest.fixture
def tiny_rig(tiny_generator: Generator, people: FaceParams) -> Rig:
    torch.manual_seed(4)
    space = tiny_generator.style_space
    styles = sample_styles(tiny_generator, 64, torch.Generator().manual_seed(0))
    predictor = AttributePredictor(AttributePredictorConfig(space.size, (16,)))
    predictor.set_populations(styles, people.pack())
    torch.nn.init.normal_(predictor.out.weight, std=0.3)
    networks = {}
    for index, name in enumerate(ATTRIBUTES):
        layers = editable(space)[index : index + 2]
        networks[name] = Manipulator(ManipulatorConfig.for_attribute(name, layers, space))
        networks[name].set_populations(space.split(styles), people)
    return Rig(predictor, networks, space, "0" * 64).eval().requires_grad_(False)
