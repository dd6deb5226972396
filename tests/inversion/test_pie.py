"""PIE on an untrained 32 px generator: every term pulls where it should, and the search goes through W to W+."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.features import PerceptualDistance
from crossrig.gan.generator import Generator
from crossrig.inversion.optimise import Inversion
from crossrig.inversion.pie import PieWeights, RigView, embed
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.losses import BlockLosses
from crossrig.rig.units import Units
from crossrig.train.codes import sample_styles

NONE = PieWeights(pixel=0.0, prior=0.0, rig=0.0, idle=0.0, edit=0.0, invariance=0.0, identity=0.0)


def untouched(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
    return styles


@pytest.fixture(scope="module")
def picture(tiny_generator: Generator) -> torch.Tensor:
    return tiny_generator.synthesise(sample_styles(tiny_generator, 1, torch.Generator().manual_seed(5), mixed=0.0))


@pytest.fixture(scope="module")
def view(tiny_generator: Generator, tiny_model: FaceModel, people: FaceParams) -> RigView:
    """A linear T, and an editor that does nothing."""
    torch.manual_seed(2)
    styles = sample_styles(tiny_generator, 64, torch.Generator().manual_seed(0))
    predictor = AttributePredictor(AttributePredictorConfig(tiny_generator.style_space.size, ()))
    predictor.set_populations(styles, people.pack())
    torch.nn.init.normal_(predictor.out.weight, std=0.05)
    predictor.eval().requires_grad_(False)
    return RigView(predictor.predict, untouched, BlockLosses(Units.of(tiny_model), people), styles)


def misread(view: RigView, found: Inversion, seen: FaceParams) -> float:
    return float(torch.stack([gap.mean() for gap in view.distance(view.read(found.s), seen).values()]).mean())


@pytest.mark.usefixtures("exact")
def test_it_comes_nearer_and_goes_through_w(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, view: RigView, picture: torch.Tensor, people: FaceParams
) -> None:
    told: list[tuple[int, int]] = []

    def found(w_steps: int, steps: int) -> Inversion:
        return embed(
            picture, people[0], view, tiny_generator, w_steps=w_steps, steps=steps, lr=0.1, perceptual=small_perceptual,
            progress=lambda *step: told.append(step),
        )  # fmt: skip

    start, in_w, both = found(0, 0), found(12, 0), found(12, 6)
    apart = [float((result.image - picture).square().mean()) for result in (start, in_w, both)]
    assert apart[0] > 1.5 * apart[1]
    assert both.perceptual < in_w.perceptual < start.perceptual
    assert torch.equal(in_w.w_plus, in_w.w_plus[:, :1].expand_as(in_w.w_plus))
    assert not torch.allclose(both.w_plus, both.w_plus[:, :1].expand_as(both.w_plus))
    assert both.losses[:12] == in_w.losses
    assert len(both.losses) == 18
    assert both.s.shape == (1, tiny_generator.style_space.size)
    assert torch.equal(both.image, tiny_generator.synthesise(both.s))
    torch.testing.assert_close(both.s, tiny_generator.affine(both.w_plus))
    assert told[-18:] == [(step, 18) for step in range(1, 19)]
    assert all(parameter.grad is None for parameter in tiny_generator.parameters())


def test_the_rig_reads_in_the_code_what_the_picture_shows(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, view: RigView, picture: torch.Tensor
) -> None:
    seen = view.read(view.people[:1])
    without, with_it = (
        embed(
            picture, seen, view, tiny_generator, w_steps=20, steps=0, lr=0.3, perceptual=small_perceptual,
            weights=replace(NONE, pixel=1.0, rig=weight),
        )
        for weight in (0.0, 1.0)
    )  # fmt: skip
    assert misread(view, with_it, seen) < 0.75 * misread(view, without, seen)


def test_a_code_is_sought_that_the_editor_can_edit(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, view: RigView, picture: torch.Tensor, people: FaceParams
) -> None:
    """An editor that obeys in one half of the space only: the edit term leads there, by what T reads after the edit."""
    random = torch.Generator().manual_seed(3)
    towards = torch.randn(tiny_generator.style_space.size, generator=random)
    towards = towards / view.people.std(0).clamp(min=1e-4) / len(towards) ** 0.5
    mean = view.people.mean(0)
    slopes = torch.autograd.functional.jacobian(lambda s: view.read(s[None]).pack()[0], mean)  # (213,S)
    inverse = torch.linalg.pinv(slopes)  # (S,213)

    def gate(styles: torch.Tensor) -> torch.Tensor:
        return torch.sigmoid(4 * ((styles - mean) @ towards))

    def edit(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        nothing = FaceParams.unpack(torch.zeros(len(command), 213))
        step = nothing.with_attribute(attribute, command).pack() @ inverse.T
        return styles + gate(styles)[:, None] * step

    reached = []
    for weight in (0.0, 1.0):
        found = embed(
            picture, people[0], replace(view, edit=edit), tiny_generator, w_steps=9, steps=0, lr=0.1, perceptual=small_perceptual,
            weights=replace(NONE, edit=weight, prior=0.01),
        )  # fmt: skip
        reached.append(float(gate(found.s)))
    assert reached[1] > reached[0] + 0.1


def test_everything_else_shall_stay_the_pictures(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, view: RigView, picture: torch.Tensor
) -> None:
    """The invariance term compares with the picture's parameters, not with those of the code it has so far."""
    seen = view.read(view.people[1:2])
    without, with_it = (
        embed(
            picture, seen, view, tiny_generator, w_steps=15, steps=0, lr=0.4, perceptual=small_perceptual,
            weights=replace(NONE, invariance=weight),
        )
        for weight in (0.0, 1.0)
    )  # fmt: skip
    assert misread(view, with_it, seen) < 0.6 * misread(view, without, seen)


def test_a_rig_that_drifts_is_met_where_it_stands_still(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, view: RigView, picture: torch.Tensor, people: FaceParams
) -> None:
    home = view.people[2:3]

    def drifting(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        return styles + 0.5 * (home - styles)

    found = [
        embed(
            picture, people[0], replace(view, edit=drifting), tiny_generator, w_steps=15, steps=0, lr=0.4, perceptual=small_perceptual,
            weights=replace(NONE, idle=weight),
        )
        for weight in (0.0, 1.0)
    ]  # fmt: skip
    assert float((found[1].s - home).norm()) < 0.9 * float((found[0].s - home).norm())


def test_the_edited_picture_is_compared_with_the_person(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, view: RigView, picture: torch.Tensor, people: FaceParams
) -> None:
    """With the identity term alone, and an editor that takes every code half of the way to another person, the edit comes nearer."""
    stranger = view.people[3:4]

    def blend(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        return 0.5 * (styles + stranger)

    gaps = []
    for weight in (0.0, 1.0):
        found = embed(
            picture, people[0], replace(view, edit=blend), tiny_generator, w_steps=15, steps=0, lr=0.4, perceptual=small_perceptual,
            weights=replace(NONE, identity=weight),
        )  # fmt: skip
        edited = tiny_generator.synthesise(blend(found.s, "pose", torch.zeros(1, 6)))
        pooled = [[feature.mean((2, 3)) for feature in small_perceptual.describe(image)] for image in (edited, picture)]
        gaps.append(sum(float((1 - torch.cosine_similarity(a, b)).sum()) for a, b in zip(*pooled, strict=True)))
    assert gaps[1] < 0.9 * gaps[0]


@pytest.mark.usefixtures("exact")
def test_it_is_repeatable_and_every_attribute_is_edited_in_turn(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, view: RigView, picture: torch.Tensor, people: FaceParams
) -> None:
    asked: list[str] = []

    def noted(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        asked.append(attribute)
        assert command.shape == (1, FaceParams.attribute_size(attribute))
        return styles

    one, two = (
        embed(picture, people[0], replace(view, edit=noted), tiny_generator, w_steps=2, steps=1, perceptual=small_perceptual) for _ in "ab"
    )
    assert torch.equal(one.s, two.s)
    assert set(asked) == {"pose", "expression", "illumination"} <= set(ATTRIBUTES)


def test_wrong_input_is_refused(
    tiny_generator: Generator, small_perceptual: PerceptualDistance, view: RigView, picture: torch.Tensor, people: FaceParams
) -> None:
    with pytest.raises(ValueError, match=r"must be \(1, 3, 32, 32\)"):
        embed(torch.zeros(1, 3, 64, 64), people[0], view, tiny_generator, perceptual=small_perceptual)
    with pytest.raises(UserError, match="64 faces"):
        embed(picture, people, view, tiny_generator, perceptual=small_perceptual)
    with pytest.raises(UserError, match="0 codes"):
        embed(picture, people[0], replace(view, people=view.people[:0]), tiny_generator, perceptual=small_perceptual)
