from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.params import ATTRIBUTES, FaceParams, attribute_size
from crossrig.gan.generator import Generator
from crossrig.rig.baselines.latents import Space, latents_of
from crossrig.rig.baselines.stylerig import RigNetConfig, StyleRig, StyleRigEditor
from crossrig.rig.manipulation import Rig
from crossrig.rig.weights import load_stylerig, save_stylerig
from crossrig.train.codes import sample_styles


def made(generator: Generator, people: FaceParams, space: Space, control: str = "target", hidden: int = 0) -> StyleRig:
    torch.manual_seed(7)
    latents = latents_of(space, generator)
    stylerig = StyleRig.untrained(latents, space, "0" * 64, hidden, control)
    styles = sample_styles(generator, 64, torch.Generator().manual_seed(0), mixed=0.0)
    for network in stylerig.networks_by_name().values():
        network.set_populations(latents.of_styles(styles), people)
    return stylerig.eval().requires_grad_(False)



@pytest.mark.parametrize("space", ["s", "wplus"])
@pytest.mark.parametrize("attribute", list(ATTRIBUTES))
def test_shapes(tiny_generator: Generator, people: FaceParams, tiny_rig: Rig, space: Space, attribute: str) -> None:
    latents = latents_of(space, tiny_generator)
    editor = StyleRigEditor(made(tiny_generator, people, space, hidden=5), latents, tiny_rig.predictor)
    styles = sample_styles(tiny_generator, 3, torch.Generator().manual_seed(1))
    command = torch.ones(3, attribute_size(attribute))
    offsets = editor.offsets(styles, attribute, command)
    assert {name: offset.shape[1] for name, offset in offsets.items()} == dict(latents.sizes)
    edited = editor(styles, attribute, command)
    assert edited.shape == styles.shape
    assert not torch.equal(edited, styles)


def test_an_encoder_reads_its_own_layer_and_moves_no_other(tiny_generator: Generator, people: FaceParams) -> None:
    """The original repository adds the output of decoder i to another layer."""
    network = made(tiny_generator, people, "s").network("pose")
    latents = latents_of("s", tiny_generator)
    parts = latents.of_styles(sample_styles(tiny_generator, 3, torch.Generator().manual_seed(1)))
    own, command = torch.zeros(3, 6), torch.ones(3, 6)
    before = network(parts, own, command)
    changed = network({name: part + 1.0 if name == "b8.conv1" else part for name, part in parts.items()}, own, command)
    assert [name for name in before if not torch.equal(before[name], changed[name])] == ["b8.conv1"]


def test_it_is_told_the_parameters_to_have_or_the_change(tiny_generator: Generator, people: FaceParams) -> None:
    parts = latents_of("s", tiny_generator).of_styles(sample_styles(tiny_generator, 3, torch.Generator().manual_seed(1)))
    own, other, command = torch.zeros(3, 6), 0.2 * torch.ones(3, 6), 0.3 * torch.ones(3, 6)
    target = made(tiny_generator, people, "s").network("pose")
    first, same_goal, elsewhere = target(parts, own, command), target(parts, other, command - other), target(parts, other, command)
    change = made(tiny_generator, people, "s", "difference").network("pose")
    one, two = change(parts, own, command), change(parts, other, command)
    for name in first:
        torch.testing.assert_close(first[name], same_goal[name])
        assert not torch.allclose(first[name], elsewhere[name])
        assert torch.equal(one[name], two[name])


def test_as_published_it_is_linear(tiny_generator: Generator, people: FaceParams) -> None:
    network = made(tiny_generator, people, "wplus").network("expression")
    latents = latents_of("wplus", tiny_generator)
    one, two = (latents.of_styles(sample_styles(tiny_generator, 3, torch.Generator().manual_seed(seed))) for seed in (1, 2))
    halfway = {name: 0.5 * (one[name] + two[name]) for name in one}
    own, command, other = torch.zeros(3, 52), torch.rand(3, 52), torch.rand(3, 52)
    middle = network(halfway, own, 0.5 * (command + other))
    for name, offset in middle.items():
        expected = 0.5 * (network(one, own, command)[name] + network(two, own, other)[name])
        torch.testing.assert_close(offset, expected, atol=1e-5, rtol=1e-4)


def test_a_command_of_nothing_may_move_and_the_probe_leaves_that_out(tiny_generator: Generator, people: FaceParams, tiny_rig: Rig) -> None:
    stylerig = made(tiny_generator, people, "s")
    for name in stylerig.network("pose").config.layers:
        stylerig.network("pose").layer(name).decoder.bias.fill_(0.1)
    editor = StyleRigEditor(stylerig, latents_of("s", tiny_generator), tiny_rig.predictor)
    styles = sample_styles(tiny_generator, 3, torch.Generator().manual_seed(1))
    nothing = torch.zeros(3, 6)
    assert not torch.allclose(editor(styles, "pose", nothing), styles)
    assert all(not change.any() for change in editor.change(styles, "pose", nothing).values())
    command = torch.ones(3, 6)
    change, offsets, idle = editor.change(styles, "pose", command), *(editor.offsets(styles, "pose", c) for c in (command, nothing))
    for name in change:
        torch.testing.assert_close(change[name], offsets[name] - idle[name])


def test_offsets_are_in_the_layers_own_numbers(tiny_generator: Generator, people: FaceParams) -> None:
    network = made(tiny_generator, people, "s").network("albedo")
    parts = latents_of("s", tiny_generator).of_styles(sample_styles(tiny_generator, 64, torch.Generator().manual_seed(0), mixed=0.0))
    moves = network.moves(parts, people.albedo, torch.ones(64, 48))
    for name, offset in network.offsets(moves).items():
        torch.testing.assert_close(offset, moves[name] * parts[name].std(0).clamp(min=1e-4))


@pytest.mark.parametrize("space", ["s", "wplus"])
def test_it_survives_the_file(tmp_path: Path, tiny_generator: Generator, people: FaceParams, tiny_rig: Rig, space: Space) -> None:
    stylerig = made(tiny_generator, people, space, "difference", 5)
    path = tmp_path / "stylerig.safetensors"
    save_stylerig(path, stylerig, {"steps": 3})
    loaded = load_stylerig(path, "0" * 64)
    assert loaded.space == space
    assert {name: network.config for name, network in loaded.networks_by_name().items()} == {
        name: network.config for name, network in stylerig.networks_by_name().items()
    }
    latents = latents_of(space, tiny_generator)
    styles, command = sample_styles(tiny_generator, 3, torch.Generator().manual_seed(1)), torch.ones(3, 80)
    one, two = (StyleRigEditor(rig, latents, tiny_rig.predictor)(styles, "shape", command) for rig in (stylerig, loaded))
    assert torch.equal(one, two)
    assert checkpoint.load_header(path)["steps"] == 3


def test_wrong_files_are_refused(tmp_path: Path, tiny_generator: Generator, people: FaceParams, tiny_rig: Rig) -> None:
    path = tmp_path / "stylerig.safetensors"
    stylerig = made(tiny_generator, people, "s")
    save_stylerig(path, stylerig, {})
    with pytest.raises(UserError, match="codes of one generator mean nothing to another"):
        load_stylerig(path, "f" * 64)
    tensors, header = checkpoint.load(path)
    checkpoint.save(path, tensors, dict(header) | {"space": "z"})
    with pytest.raises(UserError, match="no latent space"):
        load_stylerig(path)
    checkpoint.save(path, tensors, dict(header) | {"kind": "rig"})
    with pytest.raises(UserError, match="a stylerig is needed"):
        load_stylerig(path)
    with pytest.raises(UserError, match="other layers"):
        StyleRigEditor(stylerig, latents_of("wplus", tiny_generator), tiny_rig.predictor)


def test_configurations_are_checked() -> None:
    good = RigNetConfig("pose", ("w0",), (4,))
    with pytest.raises(ValueError, match="attribute must be"):
        replace(good, attribute="hair")
    with pytest.raises(ValueError, match="one size"):
        replace(good, sizes=(4, 4))
    with pytest.raises(UserError, match="cannot edit 'pose'"):
        StyleRig({}, "s", "0" * 64).network("pose")
