from __future__ import annotations

import pytest
import torch

from crossrig.gan.generator import Generator
from crossrig.rig.layers import editable
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig
from crossrig.rig.stacked import StackedRig


@pytest.fixture
def uneven_rig(tiny_rig: Rig) -> Rig:
    """The pose is edited in layers of different sizes, the shape by encoders of other layers; all weights mean something."""
    networks = tiny_rig.manipulators_by_name()
    space = tiny_rig.space
    layers = editable(space)
    networks["pose"] = Manipulator(ManipulatorConfig.for_attribute("pose", layers, space))
    assert len(set(networks["pose"].config.sizes)) > 1
    networks["shape"] = Manipulator(ManipulatorConfig.for_attribute("shape", layers, space, misindexed=True))
    random = torch.Generator().manual_seed(7)
    for network in networks.values():
        for parameter in network.parameters():
            parameter.data.copy_(0.1 * torch.randn(parameter.shape, generator=random))
        for name in network.config.layers:
            editor = network.editor(name)
            editor.mean.copy_(torch.randn(editor.mean.shape, generator=random))
            editor.scale.copy_(0.5 + torch.rand(editor.scale.shape, generator=random))
            editor.directions.copy_(torch.randn(editor.directions.shape, generator=random))
    return Rig(tiny_rig.predictor, networks, space, tiny_rig.generator).eval().requires_grad_(False)


@pytest.mark.parametrize("batch", [1, 3])
def test_it_moves_codes_as_the_rig_does(uneven_rig: Rig, tiny_generator: Generator, batch: int) -> None:
    s = tiny_generator.affine(tiny_generator.map(torch.randn(batch, 32)))
    commands = {
        "pose": torch.randn(batch, 6), "expression": torch.rand(batch, 52), "albedo": torch.randn(batch, 48),
        "shape": torch.randn(batch, 80),
    }  # fmt: skip
    expected = uneven_rig.move(s, commands)
    assert float((expected - s).abs().max()) > 0.05
    torch.testing.assert_close(StackedRig(uneven_rig).move(s, commands), expected, rtol=1e-4, atol=1e-4)


def test_what_is_not_commanded_is_not_touched(uneven_rig: Rig, tiny_generator: Generator) -> None:
    s = tiny_generator.affine(tiny_generator.map(torch.randn(2, 32)))
    stacked = StackedRig(uneven_rig)
    assert torch.equal(stacked.move(s, {}), s)
    assert torch.equal(stacked.move(s, {"pose": torch.zeros(2, 6)}), s)
    space, layers = uneven_rig.space, uneven_rig.manipulator("shape").config.layers
    moved = stacked.move(s, {"shape": torch.randn(2, 80)})
    untouched = ~space.mask(list(layers))
    assert torch.equal(moved[:, untouched], s[:, untouched])


def test_only_attributes_from_the_changed_one_on_are_asked_again(
    uneven_rig: Rig, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    stacked = StackedRig(uneven_rig)
    s = tiny_generator.affine(tiny_generator.map(torch.randn(1, 32)))
    commands = {"pose": torch.randn(1, 6), "expression": torch.rand(1, 52), "albedo": torch.randn(1, 48)}
    stacked.move(s, commands)
    asked: list[torch.Size] = []
    for name, moved in stacked._attributes.items():
        monkeypatch.setitem(stacked._attributes, name, lambda s, c, moved=moved: asked.append(c.shape) or moved(s, c))
    commands["expression"] = torch.rand(1, 52)
    torch.testing.assert_close(stacked.move(s, commands), uneven_rig.move(s, commands), rtol=1e-4, atol=1e-4)
    assert asked == [(1, 52), (1, 48)]
    torch.testing.assert_close(stacked.move(s + 1, commands), uneven_rig.move(s + 1, commands), rtol=1e-4, atol=1e-4)
    assert len(asked) == 5
