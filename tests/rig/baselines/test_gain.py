from __future__ import annotations

import pytest
import torch

from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, PACKED_SIZE, FaceParams
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.baselines.gain import amplified
from crossrig.rig.units import Units


@pytest.mark.parametrize(("strength", "gain"), [(0.5, 2.0), (1.0, 1.0), (4.0, 0.25)])
def test_a_timid_editor_is_pushed_and_a_wild_one_held(tiny_model: FaceModel, people: FaceParams, strength: float, gain: float) -> None:
    predictor = AttributePredictor(AttributePredictorConfig(PACKED_SIZE, ())).requires_grad_(False).eval()
    predictor.out.weight.copy_(torch.eye(PACKED_SIZE))  # codes are parameters

    def editor(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        params = FaceParams.unpack(styles)
        factor = strength if attribute == "shape" else 1.0
        return params.with_attribute(attribute, params.attribute(attribute) + factor * command).pack()

    made = amplified(editor, predictor, Units.of(tiny_model), people.pack(), people.pack())
    assert made.gains == {name: gain if name == "shape" else 1.0 for name in ATTRIBUTES}
    command = torch.ones(64, 80)
    torch.testing.assert_close(made(people.pack(), "shape", command), editor(people.pack(), "shape", gain * command))
