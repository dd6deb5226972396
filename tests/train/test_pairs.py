from __future__ import annotations

import numpy as np
import pytest
import torch

from crossrig.data.people import CODE_SIZE, person, sample_code
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.rig.reading import see
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.train.pairs import CODES_OF, Pairs, code_mask, exposure_index, hold_light, known_pairs


@pytest.fixture(scope="module")
def painter() -> tuple[Generator, Reconstruction]:
    torch.manual_seed(0)
    config = GeneratorConfig(resolution=16, channels=(8, 8, 8), mapping_layers=1)
    network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)).eval().requires_grad_(False)
    return Generator(config).eval().requires_grad_(False), network


@pytest.fixture(scope="module")
def pairs(painter: tuple[Generator, Reconstruction]) -> Pairs:
    return known_pairs(*painter, pool=12)


def test_pairs_differ_and_have_commands_of_the_attribute(pairs: Pairs) -> None:
    for attribute in ATTRIBUTES:
        before, after, command = pairs(attribute, 5)
        assert before.shape == after.shape
        assert command.shape == (5, FaceParams.attribute_size(attribute))
        assert bool(((before - after).abs().amax(1) > 0).all())
        assert bool((command.abs().amax(1) > 0).all())


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_the_command_is_what_is_seen_to_change(attribute: str, pairs: Pairs, painter: tuple[Generator, Reconstruction]) -> None:
    """Not what changed in the person codes: the generator shows less."""
    generator, network = painter
    before, after, command = pairs(attribute, 5)
    seen = [see(network, generator, styles).attribute(attribute) for styles in (before, after)]
    torch.testing.assert_close(command, seen[1] - seen[0], rtol=1e-3, atol=1e-4)


def test_every_attribute_has_its_own_numbers_of_the_code() -> None:
    masks = np.stack([code_mask(attribute) for attribute in ATTRIBUTES])
    assert masks.shape == (len(ATTRIBUTES), CODE_SIZE)
    assert masks.sum(0).max() == 1
    assert set(CODES_OF) == set(ATTRIBUTES)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_those_numbers_decide_the_attribute_and_leave_shape_and_pose_alone(attribute: str) -> None:
    code, _ = sample_code(1, 0)
    other, _ = sample_code(1, 1)
    mask = code_mask(attribute)
    before, after = (person(values, 0) for values in (code, np.where(mask, other, code)))
    for block in ATTRIBUTES[attribute]:
        assert not np.array_equal(after.blocks[block], before.blocks[block])
    for block in {"shape", "rotation", "translation"} - set(ATTRIBUTES[attribute]):
        np.testing.assert_array_equal(after.blocks[block], before.blocks[block])


def test_light_is_held_when_the_skin_changes() -> None:
    """As far as a likely exposure goes: for most people entirely."""
    dragged, held = [], []
    mask = code_mask("albedo")
    exposure = exposure_index(sample_code(9, 0)[0])
    for index in range(30):
        code, _ = sample_code(9, index)
        wanted = person(code, 0).blocks["illumination"]
        skin = np.where(mask, sample_code(9, index + 1)[0], code)
        kept = hold_light(skin, wanted, exposure)
        assert abs(kept[exposure]) <= max(2.5, abs(code[exposure]))
        dragged.append(np.linalg.norm(person(skin, 0).blocks["illumination"] - wanted))
        held.append(np.linalg.norm(person(kept, 0).blocks["illumination"] - wanted))
    assert np.median(held) < 0.3 * np.median(dragged)
