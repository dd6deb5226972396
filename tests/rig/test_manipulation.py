from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.stylespace import StyleSpace
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig, shift
from crossrig.session import MOVING
from crossrig.train.codes import sample_styles


@pytest.fixture
def styles(tiny_generator: Generator) -> torch.Tensor:
    return sample_styles(tiny_generator, 6, torch.Generator().manual_seed(1))


def test_a_command_of_nothing_moves_nothing_exactly(tiny_rig: Rig, styles: torch.Tensor) -> None:
    for name in ATTRIBUTES:
        offsets = tiny_rig.manipulator(name)(tiny_rig.space.split(styles), torch.zeros(6, FaceParams.attribute_size(name)))
        assert all(float(offset.abs().max()) == 0.0 for offset in offsets.values())
    nothing = {name: torch.zeros(6, FaceParams.attribute_size(name)) for name in ATTRIBUTES}
    assert torch.equal(tiny_rig.move(styles, nothing), styles)
    assert torch.equal(tiny_rig.edit(styles, tiny_rig.predict(styles), passes=3), styles)


def test_an_attribute_moves_its_own_layers_only(tiny_rig: Rig, styles: torch.Tensor) -> None:
    for name in ATTRIBUTES:
        edited = tiny_rig.move(styles, {name: torch.ones(6, FaceParams.attribute_size(name))})
        before, after = tiny_rig.space.split(styles), tiny_rig.space.split(edited)
        moved = {layer for layer in before if not torch.equal(before[layer], after[layer])}
        assert moved == set(tiny_rig.manipulator(name).config.layers)


def test_each_decoder_moves_the_layer_its_encoder_read(tiny_rig: Rig, styles: torch.Tensor) -> None:
    """The fault of the original repository: outputs added to other layers than the inputs came from."""
    manipulator = tiny_rig.manipulator("albedo")
    first, second = manipulator.config.layers
    parts = dict(tiny_rig.space.split(styles))
    command = torch.ones(6, FaceParams.attribute_size("albedo"))
    before = manipulator(parts, command)
    parts[first] = parts[first] + 1.0
    after = manipulator(parts, command)
    assert not torch.equal(before[first], after[first])
    assert torch.equal(before[second], after[second])


def test_the_ablation_has_the_fault_of_the_original_repository(tiny_generator: Generator, styles: torch.Tensor) -> None:
    space = tiny_generator.style_space
    layers = ("b4.conv1", "b8.conv0", "b8.conv1")  # numbers 0, 2 and 3 of all layers
    config = ManipulatorConfig.for_attribute("pose", layers, space, misindexed=True)
    assert [read for read, _ in config.sources.values()] == list(space.names[:3])
    assert space.names[1] == "b4.torgb"
    manipulator = Manipulator(config)
    manipulator.set_populations(space.split(styles), FaceParams.unpack(torch.rand(6, 213)))
    parts, command = dict(space.split(styles)), torch.ones(6, FaceParams.attribute_size("pose"))
    before = manipulator(parts, command)
    assert {name: offset.shape[1] for name, offset in before.items()} == {name: space.layer(name).size for name in layers}
    parts["b4.torgb"] = parts["b4.torgb"] + 1.0
    after = manipulator(parts, command)
    assert [name for name in layers if not torch.equal(before[name], after[name])] == ["b8.conv0"]
    with pytest.raises(ValueError, match="to read"):
        replace(config, read=("b4.conv1",))
    with pytest.raises(ValueError, match="to read"):
        replace(config, read=())


def test_attributes_are_applied_one_after_another(tiny_rig: Rig, styles: torch.Tensor) -> None:
    commands = {name: torch.ones(6, FaceParams.attribute_size(name)) for name in ("expression", "pose")}
    step = tiny_rig.move(styles, {"pose": commands["pose"]})
    torch.testing.assert_close(tiny_rig.move(styles, commands), tiny_rig.move(step, {"expression": commands["expression"]}))


def test_more_passes_come_no_further_from_the_target(tiny_rig: Rig, styles: torch.Tensor) -> None:
    start = tiny_rig.predict(styles)
    command = torch.zeros(6, 6)
    command[:, ATTRIBUTE_YAW] = 0.2
    moved = tiny_rig.move(styles, {"pose": command}, passes=2)
    assert moved.shape == styles.shape
    assert not torch.equal(moved, tiny_rig.move(styles, {"pose": command}))
    assert len(start) == 6


ATTRIBUTE_YAW = 1


def test_population_directions_span_how_styles_vary(tiny_rig: Rig, tiny_generator: Generator) -> None:
    many = sample_styles(tiny_generator, 64, torch.Generator().manual_seed(0))
    manipulator = tiny_rig.manipulator("pose")
    layer = manipulator.config.layers[0]
    style = tiny_rig.space.split(many)[layer]
    directions = manipulator.editor(layer).directions
    torch.testing.assert_close(directions.T @ directions, torch.cov(style.T), rtol=1e-3, atol=1e-4)


def test_shift_refuses_nothing_but_moves_by_name(tiny_generator: Generator, styles: torch.Tensor) -> None:
    space: StyleSpace = tiny_generator.style_space
    name = space.names[3]
    moved = shift(space, styles, {name: torch.ones(6, space.layer(name).size)})
    torch.testing.assert_close(moved - styles, space.mask([name]).float().expand_as(styles))


def test_to_rgb_is_never_edited(tiny_generator: Generator) -> None:
    with pytest.raises(ValueError, match="toRGB"):
        ManipulatorConfig.for_attribute("albedo", ("b8.torgb",), tiny_generator.style_space)


def test_a_rig_of_another_generator_is_refused(tiny_rig: Rig) -> None:
    other = StyleSpace(16, {4: 16, 8: 16, 16: 8})
    with pytest.raises(UserError, match="do not belong together"):
        Rig(tiny_rig.predictor, tiny_rig.manipulators_by_name(), other, "0" * 64)


def test_a_rig_that_reads_layers_there_are_not_is_refused(tiny_rig: Rig) -> None:
    """Files come from strangers, and what is not checked here would fail at the first edit."""
    config = ManipulatorConfig.for_attribute("pose", ("b4.conv1", "b8.conv0"), tiny_rig.space, misindexed=True)
    elsewhere = replace(config, read=("b4.conv1", "b512.conv0"))
    with pytest.raises(UserError, match="b512"):
        Rig(tiny_rig.predictor, {"pose": Manipulator(elsewhere)}, tiny_rig.space, "0" * 64)


def test_unknown_attributes_are_named(tiny_rig: Rig, styles: torch.Tensor) -> None:
    with pytest.raises(UserError, match="hat"):
        tiny_rig.move(styles, {"hat": torch.ones(6, 2)})


def test_one_pass_can_be_broken_off_between_attributes_and_gone_on_with(tiny_rig: Rig, styles: torch.Tensor) -> None:
    commands = {name: torch.full((6, FaceParams.attribute_size(name)), 0.1) for name in ATTRIBUTES}
    halfway = tiny_rig.move(styles, {name: commands[name] for name in MOVING})
    rest = {name: command for name, command in commands.items() if name not in MOVING}
    assert torch.equal(tiny_rig.move(halfway, rest), tiny_rig.move(styles, commands))
    assert not torch.equal(halfway, tiny_rig.move(styles, commands))
