"""StyleRig from end to end on an untrained 32 px generator and a random T."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from crossrig import checkpoint
from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.weights import save_generator
from crossrig.rig.attributes import AttributePredictor, AttributePredictorConfig
from crossrig.rig.baselines.latents import Space, latents_of
from crossrig.rig.baselines.stylerig import RigNet, StyleRigEditor
from crossrig.rig.losses import BlockLosses
from crossrig.rig.selection import load_selection
from crossrig.rig.units import Units
from crossrig.rig.weights import load_attributes, load_stylerig, save_attributes
from crossrig.train import layers, stylerig
from crossrig.train.codes import sample_styles
from crossrig.train.run import Run, read_log


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory, tiny_generator: Generator, people: FaceParams) -> Path:
    path = tmp_path_factory.mktemp("networks")
    save_generator(path / "generator.safetensors", tiny_generator)
    torch.manual_seed(2)
    predictor = AttributePredictor(AttributePredictorConfig(tiny_generator.style_space.size, ()))
    predictor.set_populations(sample_styles(tiny_generator, 64, torch.Generator().manual_seed(0)), people.pack())
    torch.nn.init.normal_(predictor.out.weight, std=0.05)
    save_attributes(path / "attributes.safetensors", predictor, {})
    return path


def settings(folder: Path, outdir: Path, space: Space, steps: int) -> stylerig.StyleRigTraining:
    return stylerig.StyleRigTraining(
        generator=folder / "generator.safetensors", attributes=folder / "attributes.safetensors", outdir=outdir, space=space,
        steps=steps, batch=16, lr=3e-2,
    )  # fmt: skip


def editor_of(path: Path, generator: Generator, predictor: AttributePredictor) -> StyleRigEditor:
    loaded = load_stylerig(path)
    return StyleRigEditor(loaded, latents_of(loaded.space, generator), predictor)


@pytest.mark.parametrize("space", ["s", "wplus"])
def test_it_learns_to_move_what_is_commanded_and_nothing_else(
    space: Space, folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator
) -> None:
    path = stylerig.train(settings(folder, tmp_path / "run", space, 40), model=tiny_model)
    predictor = load_attributes(folder / "attributes.safetensors")
    editor = editor_of(path, tiny_generator, predictor)
    styles = sample_styles(tiny_generator, 32, torch.Generator().manual_seed(77), mixed=0.0)
    own = predictor.predict(styles)
    blocks = BlockLosses(Units.of(tiny_model), own)
    goal = own.with_attribute("pose", own.attribute("pose").roll(1, 0))
    with torch.no_grad():
        found = predictor.predict(editor(styles, "pose", goal.attribute("pose") - own.attribute("pose")))
        still = editor(styles, "pose", torch.zeros(32, 6))
    assert float(blocks.edited("pose", found, goal, 0.0, 1.0)) < 0.5 * float(blocks.edited("pose", own, goal, 0.0, 1.0))
    assert float(blocks.edited("pose", found, goal, 1.0, 0.0)) < 0.5
    # A command of nothing is not exact, but learned: it moves codes by less than they differ.
    idle = float((still - styles).square().mean() / (styles - styles.mean(0)).square().mean())
    assert 0.0 < idle < 0.15


def test_the_reconstruction_loss_teaches_stillness(folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator) -> None:
    predictor = load_attributes(folder / "attributes.safetensors")
    styles = sample_styles(tiny_generator, 32, torch.Generator().manual_seed(77), mixed=0.0)
    moved = []
    for name, weight in (("with", 1.0), ("without", 0.0)):
        config = replace(settings(folder, tmp_path / name, "s", 50), reconstruction_weight=weight)
        editor = editor_of(stylerig.train(config, model=tiny_model), tiny_generator, predictor)
        with torch.no_grad():
            moved.append(float((editor(styles, "albedo", torch.zeros(32, 48)) - styles).norm()))
    assert moved[0] < 0.7 * moved[1]


@pytest.mark.parametrize("attribute", ["pose", "albedo"])
def test_every_code_is_commanded_its_own_values_and_its_partners(
    attribute: str, folder: Path, tmp_path: Path, tiny_model: FaceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands: list[tuple[torch.Tensor, torch.Tensor]] = []
    moves = RigNet.moves

    def noted(network: RigNet, parts: Any, own: torch.Tensor, command: torch.Tensor) -> Any:
        if network.config.attribute == attribute:
            commands.append((own, command))
        return moves(network, parts, own, command)

    monkeypatch.setattr(RigNet, "moves", noted)
    stylerig.train(replace(settings(folder, tmp_path / "run", "s", 1), batch=6), model=tiny_model)
    (own, idle), (again, command) = commands
    assert torch.equal(own, again)
    assert not idle.any()
    # Both ways: the first three take over the last three's, and these theirs.
    torch.testing.assert_close(own + command, torch.cat([own[3:], own[:3]]), atol=1e-5, rtol=1e-5)


def test_all_terms_are_there(folder: Path, tmp_path: Path, tiny_model: FaceModel) -> None:
    config = replace(settings(folder, tmp_path / "run", "wplus", 2), batch=4, render_size=16, render_batch=2)
    path = stylerig.train(config, model=tiny_model)
    expected = {"reconstruction", "edit", "consistency", "landmarks", "render"}
    last = read_log(tmp_path / "run")[-1]
    assert all(last[f"{name}_{term}"] > 0 for name in ATTRIBUTES for term in expected)
    assert checkpoint.load_header(path)["generator"] == checkpoint.sha256(folder / "generator.safetensors")


def test_an_interrupted_run_ends_as_an_unbroken_one(
    folder: Path, tmp_path: Path, tiny_model: FaceModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = replace(settings(folder, tmp_path / "unbroken", "s", 4), batch=4)
    unbroken, _ = checkpoint.load(stylerig.train(config, model=tiny_model))
    broken = replace(config, outdir=tmp_path / "broken")

    def stop(_run: Run, step: int, _total: int, **_figures: float) -> None:
        if step == 3:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(Run, "progress", stop)
        patched.setattr(Run, "due", lambda *_: True)
        with pytest.raises(KeyboardInterrupt):
            stylerig.train(broken, model=tiny_model)
    resumed, header = checkpoint.load(stylerig.train(broken, model=tiny_model))
    assert header["steps"] == 4
    assert all(torch.equal(resumed[name], tensor) for name, tensor in unbroken.items())


def test_minutes_end_a_run(folder: Path, tmp_path: Path, tiny_model: FaceModel) -> None:
    config = replace(settings(folder, tmp_path / "run", "s", 100_000), batch=4, minutes=0.005)
    path = stylerig.train(config, model=tiny_model)
    assert 0 < checkpoint.load_header(path)["steps"] < 1000


def test_odd_batches_are_refused(folder: Path, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="even number"):
        replace(settings(folder, tmp_path, "s", 1), batch=5)


def test_it_probes_the_layers(folder: Path, tmp_path: Path, tiny_model: FaceModel, tiny_generator: Generator) -> None:
    """A rig that only moves one layer when commanded finds this layer, however another drifts without any command."""
    probes = {}
    for space in ("s", "wplus"):
        probes[space] = stylerig.train(replace(settings(folder, tmp_path / space, space, 1), batch=4), model=tiny_model)
    tensors, header = checkpoint.load(probes["s"])
    tensors = {
        name: tensor if ".decoder." not in name or "b8_conv0" in name else torch.zeros_like(tensor) for name, tensor in tensors.items()
    }
    tensors |= {name: torch.ones_like(tensor) for name, tensor in tensors.items() if name.endswith("b16_conv0.decoder.bias")}
    checkpoint.save(probes["s"], tensors, header)
    config = layers.LayersTraining(
        generator=folder / "generator.safetensors", attributes=folder / "attributes.safetensors",
        reconstruction=folder / "none.safetensors", outdir=tmp_path / "layers", method="rig", codes=8, least=1, probe=probes["s"],
    )  # fmt: skip
    chosen = load_selection(layers.train(config, model=tiny_model), tiny_generator.style_space)
    assert chosen == dict.fromkeys(ATTRIBUTES, ("b8.conv0",))
    with pytest.raises(UserError, match="rigs W"):
        layers.train(replace(config, probe=probes["wplus"]), model=tiny_model)
    with pytest.raises(ValueError, match="no probe"):
        replace(config, method="swap")
