"""The yardstick: an edit that is exact by construction."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest
import torch

from crossrig.data.people import Person, person, sample_code
from crossrig.data.style_names import Style
from crossrig.data.synth import draw
from crossrig.evaluation import rerendered
from crossrig.evaluation.instruments import SHOWN, Instruments
from crossrig.evaluation.rerendered import rerendered_figures, with_attribute_of
from crossrig.face3d.params import ATTRIBUTES, BLOCKS, PACKED_SIZE, FaceParams
from crossrig.rig.reconstruction import Reconstruction

SEED = 880_000_029


def written(someone: Person, _size: int, style: str = "photo") -> np.ndarray:
    """A picture whose first pixels are the bytes of its label; the last says whether it is a photograph."""
    picture = np.full(SHOWN * SHOWN * 3, 128 if style == "photo" else 255, np.uint8)
    label = someone.params().pack()[0].numpy().view(np.uint8)
    picture[: len(label)] = label
    return picture.reshape(SHOWN, SHOWN, 3)


class Reads:
    """Reads such pictures, and may take the pose for an expression."""

    def __init__(self, confusion: float = 0.0) -> None:
        self.confusion = confusion

    def predict(self, images: torch.Tensor) -> FaceParams:
        numbers = ((images + 1) * 127.5).round().to(torch.uint8).permute(0, 2, 3, 1).reshape(len(images), -1)
        params = FaceParams.unpack(numbers[:, : 4 * PACKED_SIZE].contiguous().view(torch.float32).clone())
        return params.replace(expression=params.expression + self.confusion * params.rotation[:, 1:2])


class ReadsPhotographs(Reads):
    """Sees the same person in every drawing."""

    def predict(self, images: torch.Tensor) -> FaceParams:
        photographs = (images[:, 0, -1, -1] < 0.5).float()
        return FaceParams.unpack(super().predict(images).pack() * photographs[:, None])


@pytest.fixture
def reading(tools: Instruments, monkeypatch: pytest.MonkeyPatch) -> Callable[[float], Instruments]:
    monkeypatch.setattr(rerendered, "draw", written)
    networks = cast(dict[str, Any], {"reader": cast(Reconstruction, Reads())})
    return lambda confusion: replace(tools, judge=cast(Reconstruction, Reads(confusion)), **networks)


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_only_the_attribute_is_taken_over(attribute: str) -> None:
    one, other = person(*sample_code(SEED, 0)), person(*sample_code(SEED, 1))
    mixed = with_attribute_of(one, other, attribute)
    for name in BLOCKS:
        source = other if name in ATTRIBUTES[attribute] else one
        np.testing.assert_array_equal(mixed.blocks[name], source.blocks[name])
    assert mixed.lighting is (other if attribute == "illumination" else one).lighting
    skin_of = other if attribute == "albedo" else one
    assert (mixed.traits.skin, mixed.traits.darkness) == (skin_of.traits.skin, skin_of.traits.darkness)
    assert mixed.traits.age == one.traits.age
    assert mixed.hair is one.hair
    assert mixed.detail_seed == one.detail_seed


def test_a_judge_without_error_sees_no_leak(reading: Callable[[float], Instruments]) -> None:
    told: list[tuple[int, int]] = []
    figures = rerendered_figures(reading(0.0), 8, SEED, draws=20, progress=lambda *step: told.append(step))
    for attribute in ATTRIBUTES:
        assert figures[f"obedience.{attribute}.rendered"].value == pytest.approx(1.0, abs=1e-4)
        assert figures[f"leak.{attribute}.rendered"].value == pytest.approx(0.0, abs=1e-4)
    assert figures["leak.mean.rendered"].value == pytest.approx(0.0, abs=1e-4)
    assert told[-1] == (48, 48)


def test_commands_of_drawn_people_are_read_from_photographs(reading: Callable[[float], Instruments]) -> None:
    tools = replace(reading(0.0), reader=cast(Reconstruction, ReadsPhotographs()))
    told: list[tuple[int, int]] = []
    figures = rerendered_figures(tools, 8, SEED, draws=20, progress=lambda *step: told.append(step), style="toon")
    for attribute in ATTRIBUTES:
        assert figures[f"obedience.{attribute}.rendered"].value == pytest.approx(1.0, abs=1e-4)
    assert told[-1] == (56, 56)


def test_what_a_judge_confuses_is_its_leak(reading: Callable[[float], Instruments]) -> None:
    figures = rerendered_figures(reading(0.5), 8, SEED, draws=20)
    assert figures["leak_matrix.pose.expression.rendered"].value > 0.02
    assert figures["leak_matrix.pose.shape.rendered"].value == pytest.approx(0.0, abs=1e-4)
    assert figures["leak_matrix.albedo.expression.rendered"].value == pytest.approx(0.0, abs=1e-4)


def test_real_pictures_are_drawn_and_looked_at(tools: Instruments) -> None:
    figures = rerendered_figures(tools, 8, SEED, draws=20)
    assert all(np.isfinite(statistic.value) for statistic in figures.values())
    assert figures["outside_change.pose.rendered"].value > figures["outside_change.expression.rendered"].value > 0


@pytest.mark.parametrize("style", ["toon", "statue", "avatar"])
def test_another_skin_shows_in_every_style(style: Style) -> None:
    people = [person(*sample_code(SEED, index)) for index in range(6)]
    light, dark = (pick(people, key=lambda someone: someone.traits.darkness) for pick in (min, max))
    changed = with_attribute_of(light, dark, "albedo")
    assert draw(changed, 64, style).astype(int).mean() < draw(light, 64, style).astype(int).mean() - 3
    assert np.array_equal(draw(with_attribute_of(light, light, "albedo"), 64, style), draw(light, 64, style))
