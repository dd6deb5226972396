from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, BLOCKS
from crossrig.gan.generator import Generator
from crossrig.rig.layers import (
    agreement,
    combine,
    editable,
    manipulator_probe,
    mean_share,
    rig_scores,
    select,
    swap_scores,
)  # fmt: skip
from crossrig.rig.manipulation import Manipulator, ManipulatorConfig, Rig
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.units import Units
from crossrig.train.codes import sample_styles


def test_only_convolutions_can_be_edited(tiny_generator: Generator) -> None:
    names = editable(tiny_generator.style_space)
    assert names == ("b4.conv1", "b8.conv0", "b8.conv1", "b16.conv0", "b16.conv1", "b32.conv0", "b32.conv1")


def test_selection_takes_what_reaches_the_share_and_never_too_few() -> None:
    scores = {"pose": {"a": 1.0, "b": 0.5, "c": 0.2, "d": 0.4}, "shape": {"a": 0.0, "b": 9.0, "c": 0.1, "d": 0.2}}
    assert select(scores, share=0.4) == {"pose": ("a", "b", "d"), "shape": ("b", "d")}
    assert select(scores, share=0.4, least=1)["shape"] == ("b",)


def test_a_layer_must_count_in_both_tables() -> None:
    combined = combine({"pose": {"a": 2.0, "b": 1.0}}, {"pose": {"a": 0.0, "b": 5.0}})
    assert combined["pose"]["a"] == 0.0
    assert combined["pose"]["b"] == pytest.approx(0.5**0.5)


def test_repeats_count_alike_and_say_how_far_they_agree() -> None:
    mean = mean_share([{"pose": {"a": 4.0, "b": 2.0}}, {"pose": {"a": 0.1, "b": 0.2}}])
    assert mean == {"pose": {"a": pytest.approx(0.75), "b": pytest.approx(0.75)}}
    chosen = {"pose": ("a", "b"), "shape": ("a",)}
    others = [{"pose": ("a", "b"), "shape": ("a",)}, {"pose": ("b", "c"), "shape": ("a",)}]
    assert agreement(chosen, others) == {"pose": pytest.approx((1 + 1 / 3) / 2), "shape": 1.0}


def test_swapping_scores_a_layer_that_the_picture_ignores_with_nothing(tiny_generator: Generator, tiny_model: FaceModel) -> None:
    torch.manual_seed(1)
    network = Reconstruction(ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)).eval()
    torch.nn.init.normal_(network.out.weight)
    generator = Generator(tiny_generator.config).eval().requires_grad_(False)
    block = generator.synthesis.get_submodule("b32.conv1")
    block.weight.zero_()  # what it is scaled by no longer matters
    generator.synthesis.get_submodule("b32.conv1").weight[:, 0, 1, 1] = 0.0
    styles = sample_styles(generator, 8, torch.Generator().manual_seed(2))
    scores = swap_scores(generator, network, Units.of(tiny_model), styles)
    assert set(scores) == set(ATTRIBUTES)
    for row in scores.values():
        assert set(row) == set(editable(generator.style_space))
        assert row["b32.conv1"] == 0.0
        assert row["b4.conv1"] > 0.0
    with pytest.raises(UserError, match="8 or more"):
        swap_scores(generator, network, Units.of(tiny_model), styles[:3])


def test_the_rig_scores_a_layer_that_t_ignores_with_nothing(tiny_rig: Rig, tiny_generator: Generator, tiny_model: FaceModel) -> None:
    space = tiny_rig.space
    names = editable(space)
    probe = Manipulator(ManipulatorConfig(tuple(BLOCKS), names, tuple(space.layer(name).size for name in names), hidden=8))
    styles = sample_styles(tiny_generator, 8, torch.Generator().manual_seed(2))
    first = tiny_rig.predictor.layers[0]
    first.weight[:, space.mask(["b8.conv1"])] = 0.0
    scores = rig_scores(manipulator_probe(probe, space), tiny_rig.predictor, space, Units.of(tiny_model), styles)
    for row in scores.values():
        assert row["b8.conv1"] < 1e-6 * max(row.values())
        assert max(row.values()) > 0
