from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.params import PACKED_SIZE, attribute_size, packed_slice
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.baselines.channels import LONGEST, channels

SIZE = 40


@pytest.fixture
def world() -> tuple[AttributePredictor, torch.Tensor, torch.Tensor]:
    """T is a matrix; the pose values are three channels of s, the first shape value hardly depends on its own; nothing else varies."""
    random = torch.Generator().manual_seed(1)
    styles = torch.randn(1500, SIZE, generator=random) * (0.5 + torch.rand(SIZE, generator=random))
    predictor = AttributePredictor(AttributePredictorConfig(SIZE, ())).requires_grad_(False).eval()
    predictor.out.weight.zero_()
    for value, channel in enumerate((7, 11, 13)):
        predictor.out.weight[packed_slice("pose")][value, channel] = 2.0
    predictor.out.weight[0] = 0.3
    predictor.out.weight[0, 3] = 0.31
    return predictor, styles, predictor(styles)


def test_the_channel_that_shows_a_value_is_taken(world: tuple[AttributePredictor, torch.Tensor, torch.Tensor]) -> None:
    predictor, styles, labels = world
    editor = channels(predictor, styles, labels)
    assert editor.channels[packed_slice("pose")].tolist()[:3] == [7, 11, 13]
    command = torch.zeros(4, attribute_size("pose"))
    command[:, :3] = torch.randn(4, 3, generator=torch.Generator().manual_seed(2))
    edited = editor(styles[:4], "pose", command)
    moved = (predictor(edited) - predictor(styles[:4]))[:, packed_slice("pose")]
    assert torch.allclose(moved[:, :3], command[:, :3], atol=1e-3)
    assert set((edited != styles[:4]).any(0).nonzero()[:, 0].tolist()) == {7, 11, 13}
    assert torch.equal(editor(styles, "pose", torch.zeros(len(styles), 6)), styles)


def test_steps_are_bounded_and_constants_stay(world: tuple[AttributePredictor, torch.Tensor, torch.Tensor]) -> None:
    predictor, styles, labels = world
    editor = channels(predictor, styles, labels)
    longest = LONGEST * styles.std(0)[editor.channels[0]] / labels.std(0)[0]
    assert float(editor.steps[0]) == pytest.approx(float(longest), rel=1e-4)  # one of forty channels cannot do it alone
    assert editor.steps.shape == (PACKED_SIZE,)
    assert float(editor.steps[packed_slice("albedo")].abs().max()) == 0.0


def test_few_codes_are_refused(world: tuple[AttributePredictor, torch.Tensor, torch.Tensor]) -> None:
    predictor, styles, labels = world
    with pytest.raises(UserError, match="30 labelled"):
        channels(predictor, styles[:29], labels[:29])
