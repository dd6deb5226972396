"""The person code: reproducible, smooth, well distributed, and honest about its labels."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from crossrig.data.lights import Lamp, Lighting, facing_luminance, sh_functions, warmth_colour
from crossrig.data.people import CODE_BLOCKS, CODE_SIZE, Person, person, sample_code, sample_person, split_code
from crossrig.face3d.params import BLOCKS, EXPRESSION_UNITS


@pytest.fixture(scope="module")
def crowd() -> list[Person]:
    return [sample_person(11, index) for index in range(400)]


def test_codes_depend_on_seed_and_index_alone() -> None:
    code, detail = sample_code(3, 17)
    again, same = sample_code(3, 17)
    assert np.array_equal(code, again)
    assert detail == same
    assert not np.array_equal(code, sample_code(3, 18)[0])
    assert not np.array_equal(code, sample_code(4, 17)[0])
    assert code.shape == (CODE_SIZE,)
    assert CODE_SIZE <= 448


def test_split_code_gives_every_number_one_block() -> None:
    blocks = split_code(np.arange(CODE_SIZE))
    assert list(blocks) == list(CODE_BLOCKS)
    assert np.array_equal(np.concatenate(list(blocks.values())), np.arange(CODE_SIZE))
    with pytest.raises(ValueError, match="shape"):
        split_code(np.zeros(CODE_SIZE + 1))


def test_labels_are_face_params(crowd: list[Person]) -> None:
    someone = crowd[0]
    params = someone.params()
    assert params.pack().shape == (1, sum(BLOCKS.values()))
    for name, size in BLOCKS.items():
        block = getattr(params, name)
        assert block.shape == (1, size)
        assert block.dtype == torch.float32
        assert np.array_equal(block[0].numpy(), someone.blocks[name])


def test_poses_fill_the_promised_range(crowd: list[Person]) -> None:
    pitch, yaw, roll = np.degrees(np.array([someone.blocks["rotation"] for someone in crowd])).T
    assert 18 < yaw.std() < 26
    assert np.abs(yaw).max() <= 60.01
    assert 7 < pitch.std() < 11
    assert 5.5 < roll.std() < 9
    assert np.abs(pitch).max() <= 26
    assert np.abs(roll).max() <= 25
    depth = np.array([someone.blocks["translation"] for someone in crowd])[:, 2]
    assert 0.06 < depth.std() < 0.1


def test_expressions_are_mild_but_every_unit_occurs(crowd: list[Person]) -> None:
    units = np.array([someone.blocks["expression"] for someone in crowd])
    assert units.min() >= 0
    assert units.max() <= 1
    strongest = dict(zip(EXPRESSION_UNITS, units.max(axis=0), strict=True))
    assert min(strongest.values()) > 0.1, strongest
    assert np.median(units) < 0.05
    assert units[:, EXPRESSION_UNITS.index("mouthSmileLeft")].std() > 0.15


def test_nobody_looks_both_ways_at_once(crowd: list[Person]) -> None:
    units = np.array([someone.blocks["expression"] for someone in crowd])
    out = units[:, EXPRESSION_UNITS.index("eyeLookOutLeft")]
    inward = units[:, EXPRESSION_UNITS.index("eyeLookInLeft")]
    assert np.minimum(out, inward).max() < 0.35


def test_most_people_look_into_the_camera(crowd: list[Person]) -> None:
    yaw = np.array([someone.blocks["rotation"][1] for someone in crowd])
    units = np.array([someone.blocks["expression"] for someone in crowd])
    leftward = units[:, EXPRESSION_UNITS.index("eyeLookOutLeft")] - units[:, EXPRESSION_UNITS.index("eyeLookInLeft")]
    assert np.corrcoef(yaw, leftward)[0, 1] < -0.4


def test_exposure_follows_a_light_meter(crowd: list[Person]) -> None:
    """Faces are neither black nor burnt, whatever their skin and their light."""
    returned = np.array([facing_luminance(someone.lighting, np.array(someone.traits.skin)) for someone in crowd])
    assert returned.min() > 0.03
    assert returned.max() < 0.6


def test_skin_tones_are_spread_evenly(crowd: list[Person]) -> None:
    darkness = np.array([someone.traits.darkness for someone in crowd])
    low, high = np.quantile(darkness, [0.2, 0.8])
    assert high - low > 0.35


def test_codes_act_smoothly() -> None:
    """A tiny step of the code makes a tiny step of everything continuous."""
    code, detail = sample_code(5, 2)
    rng = np.random.default_rng(0)
    step = rng.standard_normal(CODE_SIZE) * 1e-4
    here, there = person(code.astype(np.float64), detail), person(code + step, detail)
    for name in BLOCKS:
        assert np.abs(here.blocks[name] - there.blocks[name]).max() < 5e-3, name
    assert here.hair.colour == pytest.approx(there.hair.colour, abs=1e-3)
    assert here.eyes.outer == pytest.approx(there.eyes.outer, abs=1e-3)


def test_beards_and_cuts_lean_with_gender_but_overlap(crowd: list[Person]) -> None:
    femininity = np.array([someone.traits.femininity for someone in crowd])
    length = np.array([someone.hair.length_top for someone in crowd])
    long, short = femininity[length > 0.15], femininity[length < 0.1]
    assert long.mean() > short.mean() + 0.3
    assert long.min() < short.max()


def test_lamp_coefficients_peak_at_the_lamp() -> None:
    lamp = Lamp(0.7, 0.3, (1.0, 0.8, 0.6), 0.5)
    facing = sh_functions(lamp.direction) @ lamp.coefficients()
    assert facing == pytest.approx(np.array(lamp.colour))
    away = sh_functions(-lamp.direction) @ lamp.coefficients()
    assert (away < 0.2 * facing).all()


def test_surround_is_the_two_tones() -> None:
    light = Lighting((0.9, 0.8, 0.7), (0.1, 0.2, 0.3), ())
    up, down = (sh_functions(np.array([0.0, sign, 0.0])) @ light.coefficients() for sign in (1.0, -1.0))
    assert up == pytest.approx([0.9, 0.8, 0.7], rel=1e-4)
    assert down == pytest.approx([0.1, 0.2, 0.3], rel=1e-4)


def test_uniform_white_light_is_the_contract() -> None:
    light = Lighting((1.0, 1.0, 1.0), (1.0, 1.0, 1.0), ()).coefficients()
    assert light[0] == pytest.approx([1 / 0.282095] * 3)
    assert np.abs(light[1:]).max() == 0


def test_scaled_light_scales_everything() -> None:
    light = sample_person(1, 1).lighting
    assert light.scaled(1.7).coefficients() == pytest.approx(1.7 * light.coefficients())


@pytest.mark.parametrize("warmth", [-1.0, 0.0, 1.0])
def test_warmth_keeps_luminance(warmth: float) -> None:
    red, green, blue = warmth_colour(warmth)
    assert 0.2126 * red + 0.7152 * green + 0.0722 * blue == pytest.approx(1.0)
    assert math.copysign(1, red - blue) == math.copysign(1, warmth) or warmth == 0
