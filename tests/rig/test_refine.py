from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.editors import FeedForward, Refined
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.refine import RefinementConfig, Refiner, _step, picture_reader, reduced_directions
from crossrig.rig.units import Units
from crossrig.train.codes import sample_styles


@pytest.fixture
def units(tiny_model: FaceModel) -> Units:
    return Units.of(tiny_model)


@pytest.fixture
def styles(tiny_generator: Generator) -> torch.Tensor:
    return sample_styles(tiny_generator, 6, torch.Generator().manual_seed(8))


def linear_rig(rig: Rig, people: FaceParams, generator: Generator) -> Rig:
    """The same rig with a T that is a matrix."""
    torch.manual_seed(2)
    predictor = AttributePredictor(AttributePredictorConfig(rig.space.size, ()))
    predictor.set_populations(sample_styles(generator, 64, torch.Generator().manual_seed(0)), people.pack())
    torch.nn.init.normal_(predictor.out.weight, std=0.2)
    made = Rig(predictor, rig.manipulators_by_name(), rig.space, "0" * 64)
    return made.eval().requires_grad_(False)


def command_of(people: FaceParams, attribute: str, count: int) -> torch.Tensor:
    values = people.attribute(attribute)[:count]
    return values.roll(1, 0) - values


def cost(refiner: Refiner, s: torch.Tensor, edited: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
    goal = refiner.read(s)
    goal = goal.with_attribute(attribute, goal.attribute(attribute) + command)
    return ((refiner.read(edited).pack() - goal.pack()) @ refiner.forms(ATTRIBUTES[attribute])).square().sum(1)


def test_one_step_solves_a_linear_problem(
    tiny_rig: Rig, units: Units, people: FaceParams, styles: torch.Tensor, tiny_generator: Generator
) -> None:
    """Reference: least squares on the stacked system, from T's matrix."""
    rig = linear_rig(tiny_rig, people, tiny_generator)
    size = 0.05
    refiner = Refiner(rig, units, units.spread(people), RefinementConfig(steps=1, damping=0.0, size=size))
    attribute, command = "expression", command_of(people, "expression", 6)
    edited = rig.move(styles, {attribute: command})
    found = refiner(styles, edited, {attribute: command})

    predictor = rig.predictor
    directions, forms = reduced_directions(rig, (attribute,)), refiner.forms(ATTRIBUTES[attribute])
    slopes = (directions / predictor.style_scale) @ predictor.out.weight.T * predictor.label_scale @ forms  # (K,R)
    goal = rig.predict(styles)
    goal = goal.with_attribute(attribute, goal.attribute(attribute) + command)
    residual = (rig.predict(edited).pack() - goal.pack()) @ forms  # (B,R)
    count = len(directions)
    system = torch.cat([slopes.T, size**0.5 * torch.eye(count)]).double()
    wanted = torch.cat([-residual.T, torch.zeros(count, 6)]).double()
    x = torch.linalg.lstsq(system, wanted).solution.T.float()
    assert float((x @ directions).abs().max()) > 1e-2
    assert torch.allclose(found, edited + x @ directions, atol=2e-3)
    again = Refiner(rig, units, units.spread(people), RefinementConfig(steps=4, damping=0.0, size=size))
    assert torch.allclose(again(styles, edited, {attribute: command}), found, atol=2e-3)


@pytest.mark.parametrize("attribute", list(ATTRIBUTES))
def test_the_residual_never_grows(tiny_rig: Rig, units: Units, people: FaceParams, styles: torch.Tensor, attribute: str) -> None:
    command = 3.0 * command_of(people, attribute, 6)
    edited = tiny_rig.move(styles, {attribute: command})
    before: torch.Tensor | None = None
    for steps in range(5):
        refiner = Refiner(tiny_rig, units, units.spread(people), RefinementConfig(steps=steps, damping=0.0, size=0.001))
        now = cost(refiner, styles, refiner(styles, edited, {attribute: command}), attribute, command)
        if before is not None:
            assert bool((now <= before * (1 + 1e-5)).all())
        else:
            start = now
        before = now
    assert float((before / start).mean()) < 0.95


def test_nothing_commanded_nothing_moved(tiny_rig: Rig, units: Units, people: FaceParams, styles: torch.Tensor) -> None:
    refiner = Refiner(tiny_rig, units, units.spread(people))
    editor = Refined(tiny_rig, refiner)
    command = command_of(people, "pose", 6)
    assert torch.equal(editor(styles, "pose", torch.zeros_like(command)), styles)
    command[2] = 0.0
    edited = editor(styles, "pose", command)
    assert torch.equal(edited[2], styles[2])
    assert not torch.equal(edited[1], styles[1])
    plain = FeedForward(tiny_rig)(styles, "pose", command)
    unrefined = Refined(tiny_rig, Refiner(tiny_rig, units, units.spread(people), RefinementConfig(steps=0)))
    assert torch.equal(unrefined(styles, "pose", command), plain)
    assert not torch.equal(edited, plain)


def test_a_step_from_anywhere_is_the_least_squares_one() -> None:
    random = torch.Generator().manual_seed(6)
    slopes, residual = torch.randn(2, 5, 9, generator=random), torch.randn(2, 5, generator=random)
    x, damping, size = torch.randn(2, 9, generator=random), torch.tensor([0.3, 2.0]), 0.4
    found = _step(slopes, residual, x, size, damping)
    for i in range(2):
        identity = torch.eye(9)
        system = torch.cat([slopes[i], size**0.5 * identity, float(damping[i]) ** 0.5 * identity])
        wanted = torch.cat([-residual[i], -(size**0.5) * x[i], torch.zeros(9)])
        torch.testing.assert_close(found[i], torch.linalg.lstsq(system, wanted[:, None]).solution[:, 0], rtol=1e-3, atol=1e-4)


def test_codes_are_corrected_one_by_one(tiny_rig: Rig, units: Units, people: FaceParams, styles: torch.Tensor) -> None:
    command = command_of(people, "pose", 6)
    edited = tiny_rig.move(styles, {"pose": command})
    # Little is kept: steps that nearly fail amplify the rounding of an untrained rig's solves.
    config = RefinementConfig(keep=0.3, size=0.01)
    together = Refiner(tiny_rig, units, units.spread(people), config)(styles, edited, {"pose": command})
    apart = Refiner(tiny_rig, units, units.spread(people), replace(config, batch=4))(styles, edited, {"pose": command})
    assert torch.allclose(together, apart, atol=1e-3)
    assert not torch.allclose(together, edited, atol=1e-2)


def test_only_the_attributes_own_layers_move(tiny_rig: Rig, units: Units, people: FaceParams, styles: torch.Tensor) -> None:
    commands = {name: command_of(people, name, 6) for name in ("shape", "albedo")}
    layers = {layer for name in commands for layer in tiny_rig.manipulator(name).config.layers}
    refined = Refiner(tiny_rig, units, units.spread(people))(styles, styles, commands)
    moved = (refined != styles).any(0)
    mask = tiny_rig.space.mask(layers)
    assert bool(moved[mask].any())
    assert not bool(moved[~mask].any())


def test_keep_holds_the_other_attributes(
    tiny_rig: Rig, units: Units, people: FaceParams, styles: torch.Tensor, tiny_generator: Generator
) -> None:
    rig = linear_rig(tiny_rig, people, tiny_generator)
    command = command_of(people, "pose", 6)
    drift = []
    for keep in (0.0, 5.0):
        refiner = Refiner(rig, units, units.spread(people), RefinementConfig(keep=keep))
        found = rig.predict(refiner(styles, styles, {"pose": command}))
        drift.append(float(units.distance("shape", rig.predict(styles), found).mean()))
    assert drift[1] < 0.7 * drift[0]


def test_pictures_can_be_read_instead(
    tiny_rig: Rig, units: Units, people: FaceParams, styles: torch.Tensor, tiny_generator: Generator
) -> None:
    torch.manual_seed(1)
    network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16))
    network.set_population(people.pack())
    torch.nn.init.normal_(network.out.weight, std=0.3)
    read = picture_reader(tiny_generator, network.eval().requires_grad_(False))
    assert torch.equal(read(styles).pack(), network(tiny_generator.synthesise(styles).clamp(-1, 1)))
    refiner = Refiner(tiny_rig, units, units.spread(people), RefinementConfig(size=1e-6), read)
    command = command_of(people, "illumination", 6)
    edited = tiny_rig.move(styles, {"illumination": command})
    after = cost(refiner, styles, refiner(styles, edited, {"illumination": command}), "illumination", command)
    assert bool((after <= cost(refiner, styles, edited, "illumination", command) * 1.0001).all())


def test_what_cannot_be_is_refused(tiny_rig: Rig, units: Units, people: FaceParams, styles: torch.Tensor) -> None:
    with pytest.raises(UserError, match="no attribute"):
        Refiner(tiny_rig, units, units.spread(people))(styles, styles, {"hair": torch.zeros(6, 3)})
    with pytest.raises(ValueError, match="negative"):
        RefinementConfig(damping=-1.0)
