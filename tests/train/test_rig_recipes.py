"""T, layer selection and M from end to end on an untrained 32 px generator: the recipes learn, resume and write what they say."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.weights import save_generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for, save_encoder
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.layers import editable
from crossrig.rig.manipulation import Rig
from crossrig.rig.reconstruction import Reconstruction, ReconstructionConfig
from crossrig.rig.selection import load_selection
from crossrig.rig.weights import load_attributes, load_rig, save_attributes, save_reconstruction
from crossrig.train import attributes, layers, manipulation
from crossrig.train.codes import load_seen, sample_styles
from crossrig.train.run import read_log

TINY = ReconstructionConfig(network="resnet", size=32, width=8, mixed=8, hidden=16)


class Sees(Reconstruction):
    """Stands in for a trained network: reads parameters linearly from four coarse colours, as an untrained one hardly would."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        colours = torch.nn.functional.adaptive_avg_pool2d(images, 2).flatten(1)  # (B,12)
        mixing = torch.randn(12, 213, generator=torch.Generator().manual_seed(6))
        return self.label_mean + self.label_scale * (colours @ mixing)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Generator, people: FaceParams) -> Path:
    """A generator, a reconstruction network that answers something varied, and a T that knows one linear truth."""
    path = tmp_path_factory.mktemp("networks")
    save_generator(path / "generator.safetensors", tiny_generator)
    torch.manual_seed(2)
    network = Reconstruction(TINY)
    network.set_population(people.pack())
    torch.nn.init.normal_(network.out.weight, std=0.3)
    save_reconstruction(path / "reconstruction.safetensors", network, {})
    predictor = AttributePredictor(AttributePredictorConfig(tiny_generator.style_space.size, (48,)))
    styles = sample_styles(tiny_generator, 64, torch.Generator().manual_seed(0))
    predictor.set_populations(styles, people.pack())
    torch.nn.init.normal_(predictor.out.weight, std=0.3)
    save_attributes(path / "attributes.safetensors", predictor, {})
    return path


def test_t_learns_what_the_network_sees(folder: Path, tmp_path: Path, tiny_model: FaceModel, people: FaceParams) -> None:
    network = Sees(TINY)
    network.set_population(people.pack())
    config = attributes.AttributesTraining(
        generator=folder / "generator.safetensors", reconstruction=folder / "reconstruction.safetensors",
        outdir=tmp_path / "t", codes=768, held_out=64, mixed=0.2, steps=150, batch=64, hidden=(64,), dropout=0.0, lr=3e-3,
    )  # fmt: skip
    path = attributes.train(config, network=network, model=tiny_model)
    last = read_log(tmp_path / "t")[-1]
    assert last["pose_r2"] > 0.3
    assert load_attributes(path).config.hidden == (64,)
    # The codes are kept: a second run reads them instead of painting again.
    made = (tmp_path / "t" / "codes.safetensors").stat().st_mtime_ns
    attributes.train(replace(config, steps=160), network=network, model=tiny_model)
    assert (tmp_path / "t" / "codes.safetensors").stat().st_mtime_ns == made


def test_people_are_seen_and_searched_for(
    folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4), pretrained=False)
    save_encoder(folder / "encoder.safetensors", encoder, {"generator": ""})
    portraits = PortraitSet(torch.randint(0, 256, (5, 3, 32, 32), dtype=torch.uint8), torch.zeros(5, 213), torch.zeros(5, 4))
    monkeypatch.setattr(attributes, "load_portraits", lambda *_: portraits)
    config = attributes.AttributesTraining(
        generator=folder / "generator.safetensors", reconstruction=folder / "reconstruction.safetensors",
        encoder=folder / "encoder.safetensors", outdir=tmp_path / "t", codes=64, held_out=32, steps=1, batch=8, hidden=(8,),
        searched=2, search_steps=2,
    )  # fmt: skip
    found = {}
    for name, searched in (("far", 2), ("near", 0)):
        with pytest.raises(UserError, match="collapsed"):  # one step teaches nothing; the people are what counts here
            attributes.train(replace(config, outdir=tmp_path / name, searched=searched, lr=3.0), model=tiny_model)
        found[name] = load_seen(tmp_path / name / "seen.safetensors", tiny_generator)
    assert found["far"] is not None
    assert found["near"] is not None
    assert found["near"].shape == (5, tiny_generator.style_space.w_count, tiny_generator.config.w_dim)
    offsets = (found["far"] - found["near"]).flatten(1)  # (5, L*W): each of the two offsets, given to one or several
    assert float(offsets.norm(dim=1).min()) > 0.01
    assert int((torch.cdist(offsets, offsets) < 1e-3).sum(1).max()) >= 3
    (tmp_path / "far" / "codes.safetensors").unlink()  # killed while it labelled: nobody is searched for again
    monkeypatch.setattr(attributes.codes, "search_offsets", lambda *_: pytest.fail("searched twice"))
    with pytest.raises(UserError, match="collapsed"):
        attributes.train(replace(config, outdir=tmp_path / "far", lr=3.0), model=tiny_model)
    with pytest.raises(ValueError, match="goes with encoder"):
        replace(config, encoder=None)


def test_a_collapsed_t_is_refused(folder: Path, tmp_path: Path, tiny_model: FaceModel) -> None:
    config = attributes.AttributesTraining(
        generator=folder / "generator.safetensors", reconstruction=folder / "reconstruction.safetensors",
        outdir=tmp_path / "t", codes=64, held_out=32, steps=1, batch=8, hidden=(8,), lr=3.0,
    )  # fmt: skip
    with pytest.raises(UserError, match="collapsed"):
        attributes.train(config, model=tiny_model)
    assert not (tmp_path / "t" / "attributes.safetensors").exists()


@pytest.mark.parametrize("method", ["rig", "swap", "both"])
def test_layers_are_selected_for_every_attribute(
    method: str, folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator
) -> None:
    config = layers.LayersTraining(
        generator=folder / "generator.safetensors", attributes=folder / "attributes.safetensors",
        reconstruction=folder / "reconstruction.safetensors", outdir=tmp_path / "layers", method=method,
        steps=4, batch=8, codes=8, repeats=2,
    )  # fmt: skip
    path = layers.train(config, model=tiny_model)
    chosen = load_selection(path, tiny_generator.style_space)
    content = json.loads(path.read_text())
    assert all(0 <= content["agreement"][name] <= 1 for name in ATTRIBUTES)
    assert all(0 < max(row.values()) <= 1 for row in content["scores"].values())
    assert (tmp_path / "layers" / "layers.png").stat().st_size > 1000
    table = layers.score_table(content["scores"], chosen)
    assert table.count("*") == sum(len(names) for names in chosen.values())
    assert all(2 <= len(names) <= len(editable(tiny_generator.style_space)) for names in chosen.values())


def manipulation_settings(folder: Path, outdir: Path, steps: int) -> manipulation.ManipulationTraining:
    return manipulation.ManipulationTraining(
        generator=folder / "generator.safetensors", attributes=folder / "attributes.safetensors",
        layers=folder / "layers.json", reconstruction=folder / "reconstruction.safetensors", outdir=outdir,
        steps=steps, batch=32, image_batch=2, contour_batch=2,
    )  # fmt: skip


def test_m_learns_to_move_what_is_commanded(folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator) -> None:
    everywhere = {name: editable(tiny_generator.style_space) for name in ATTRIBUTES}
    config = replace(manipulation_settings(folder, tmp_path / "m", 60), image_batch=0, lr=4e-3)
    manipulation.train(config, model=tiny_model, layers=everywhere)
    log = read_log(tmp_path / "m")
    rig = load_rig(tmp_path / "m" / "manipulation.safetensors")
    styles = sample_styles(tiny_generator, 32, torch.Generator().manual_seed(77))
    own = rig.predict(styles)
    command = own.attribute("pose").roll(1, 0) - own.attribute("pose")
    with torch.no_grad():
        moved = rig.predict(rig.move(styles, {"pose": command})).attribute("pose") - own.attribute("pose")
    missing = float((moved - command).square().sum() / command.square().sum())
    assert missing < 0.7
    assert {"pose_edit", "pose_consistency", "shape_contour", "pose_size"} <= set(log[-1])


def test_some_attributes_are_trained_and_the_others_stay(
    folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator
) -> None:
    config = replace(manipulation_settings(folder, tmp_path / "m", 2), batch=4, image_batch=0)
    layers_of = dict.fromkeys(ATTRIBUTES, editable(tiny_generator.style_space)[:2])
    first = manipulation.train(config, model=tiny_model, layers=layers_of)
    more = replace(config, outdir=tmp_path / "more", init=first, only=("pose", "shape"))
    second = manipulation.train(more, model=tiny_model, layers=layers_of)
    before, after = (load_rig(path).manipulators_by_name() for path in (first, second))
    same = {
        name: all(torch.equal(a, b) for a, b in zip(before[name].parameters(), after[name].parameters(), strict=True)) for name in before
    }
    assert same == {"shape": False, "expression": True, "albedo": True, "illumination": True, "pose": False}
    with pytest.raises(ValueError, match="init"):
        replace(config, only=("pose",))
    with pytest.raises(ValueError, match="posture"):
        replace(more, only=("posture",))


def test_all_terms_of_a_step_are_there_and_a_run_resumes(
    folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator
) -> None:
    layer = editable(tiny_generator.style_space)
    some = dict.fromkeys(ATTRIBUTES, layer[:2])
    asked: list[str] = []

    def pairs(attribute: str, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        asked.append(attribute)
        styles = sample_styles(tiny_generator, count, torch.Generator().manual_seed(len(asked)), mixed=0.0)
        return styles, styles.roll(1, 0), torch.ones(count, FaceParams.attribute_size(attribute))

    config = replace(manipulation_settings(folder, tmp_path / "m", 1), batch=4, paired_batch=3, render_size=16)
    manipulation.train(config, pairs, model=tiny_model, layers=some)
    first = read_log(tmp_path / "m")[-1]
    expected = {"edit", "consistency", "landmarks", "size", "paired", "render"}
    assert {f"{name}_{term}" for name in ATTRIBUTES for term in expected} <= set(first)
    assert [name for name in first if name.endswith("_image")] == ["shape_image"]  # one attribute a step, in turn
    assert asked == list(ATTRIBUTES)
    manipulation.train(replace(config, steps=2), pairs, model=tiny_model, layers=some)
    assert len(asked) == 2 * len(ATTRIBUTES)


def test_a_painter_may_stop_early(tiny_generator: Generator, people: FaceParams) -> None:
    network = Sees(TINY)
    network.set_population(people.pack())
    styles = sample_styles(tiny_generator, 3, torch.Generator().manual_seed(2), mixed=0.0)
    view = manipulation._View.random(0.0, torch.Generator())
    whole, early = (manipulation._Painter(tiny_generator, network, torch.float32, size).see(styles, view).pack() for size in (None, 16))
    torch.testing.assert_close(whole, network(tiny_generator.synthesise(styles)))
    torch.testing.assert_close(early, network(tiny_generator.synthesise(styles, resolution=16)))
    assert not torch.equal(whole, early)


def test_a_size_that_the_generator_does_not_know_is_refused(folder: Path, tmp_path: Path, tiny_model: FaceModel) -> None:
    config = replace(manipulation_settings(folder, tmp_path / "m", 1), image_size=24)
    with pytest.raises(UserError, match="no picture of 24 px"):
        manipulation.train(config, model=tiny_model)


def test_commands_are_typical_and_partly_single_sliders(people: FaceParams) -> None:
    command = manipulation.sample_commands("expression", people, torch.Generator().manual_seed(1))
    used = (command != 0).sum(1)
    full = (people.expression != 0).any(0).sum()
    assert command.shape == (64, 52)
    assert 8 < int((used < 0.35 * full).sum()) < 40
    ratio = command.square().sum(1).sqrt().mean() / (people.expression.roll(1, 0) - people.expression).norm(dim=1).mean()
    assert 0.3 < float(ratio) < 1.2


def test_pairs_pull_the_selected_layers(folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator) -> None:
    """A known edit along one direction of one layer is learned by the paired term alone."""
    space = tiny_generator.style_space
    layer = editable(space)[2]
    many = sample_styles(tiny_generator, 256, torch.Generator().manual_seed(3), mixed=0.0)
    direction = many[:1] - many.mean(0)
    only = space.mask([layer]).float()

    def pairs(attribute: str, count: int) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        styles = many[torch.randint(256, (count,))]
        command = torch.randn(count, FaceParams.attribute_size(attribute)) * 0.3
        return styles, styles + command[:, 1:2] * direction * only, command

    config = replace(
        manipulation_settings(folder, tmp_path / "m", 60), image_batch=0, batch=4, edit_weight=0.0, consistency_weight=0.0,
        landmark_weight=0.0, contour_weight=0.0, size_weight=0.0, lr=5e-3,
    )  # fmt: skip
    path = manipulation.train(config, pairs, model=tiny_model, layers=dict.fromkeys(ATTRIBUTES, (layer,)))
    rig: Rig = load_rig(path)
    command = torch.zeros(256, 6)
    command[:, 1] = 0.3
    with torch.no_grad():
        moved = space.split(rig.move(many, {"pose": command}) - many)[layer]
    wanted = space.split(0.3 * direction * only)[layer]
    assert float(torch.cosine_similarity(moved.mean(0, keepdim=True), wanted)) > 0.8


def test_a_view_is_the_same_for_all_pictures_and_another_every_time() -> None:
    images = torch.rand(1, 3, 16, 16).expand(2, -1, -1, -1)
    random = torch.Generator().manual_seed(1)
    views = [manipulation._View.random(0.1, random) for _ in range(20)]
    seen = [view(images) for view in views]
    assert all(torch.equal(picture[0], picture[1]) for picture in seen)
    assert all(torch.equal(view(images), picture) for view, picture in zip(views, seen, strict=True))
    assert len({picture.sum().item() for picture in seen}) == 20
    assert {view.blurred for view in views} == {False, True}
    plain = manipulation._View.random(0.0, random)
    assert torch.equal(plain(images), images)


def test_gradients_pass_through_a_view() -> None:
    images = torch.rand(1, 3, 8, 8, dtype=torch.float64, requires_grad=True)
    for blurred in (False, True):
        view = manipulation._View((2, -3), blurred, 0.1, 4)
        assert torch.autograd.gradcheck(view, (images,))
