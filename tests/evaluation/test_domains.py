"""Children beside their parents (tiny untrained networks)."""

from __future__ import annotations

import math
import shutil
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig import assets, checkpoint
from crossrig.data.synth import synthesise
from crossrig.errors import UserError
from crossrig.evaluate import unseen_styles
from crossrig.evaluation import domains
from crossrig.evaluation.domains import DomainRequest, agreement_figures, difference, domain_pictures, evaluate_domain, moved_figures
from crossrig.evaluation.edits import RENDERED
from crossrig.evaluation.instruments import Instruments
from crossrig.face3d.params import ATTRIBUTES, FaceParams
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator
from crossrig.metrics.bootstrap import Statistic
from crossrig.rig.weights import load_reconstruction, load_rig, save_rig


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesise(24, 32, 5, tmp_path_factory.mktemp("toons"), workers=1, style="toon", progress=False)


def test_the_parent_itself_is_consistent_and_as_obedient(tiny_assets: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    figures, notes = evaluate_domain(DomainRequest("human", "human", (archive,), samples=12))
    for name in ("yaw", "pitch", "roll", "expression", "illumination"):
        assert figures[f"human.consistency.{name}"] == pytest.approx(1.0, abs=1e-4)
    for attribute in ATTRIBUTES:
        assert figures[f"human.obedience_share_of_human.{attribute}"] == pytest.approx(1.0, abs=1e-3) or (
            figures[f"human.obedience.{attribute}"] <= 0  # an untrained rig may not be obeyed at all
        )
    assert figures["human.style_frechet"] == pytest.approx(figures["human.style_frechet_parent"], rel=1e-3)
    assert "photographic people only" in notes[0]


def test_a_child_is_measured_beside_its_parent(tiny_assets: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    figures, _ = evaluate_domain(DomainRequest("toon", "human", (archive,), samples=12))
    assert {"toon.style_frechet", "toon.diversity_share", "toon.leak.pose", "toon.obedience.albedo"} <= figures.keys()
    assert figures["toon.consistency.expression"] < 0.999


def test_t_is_held_against_what_the_judge_sees_in_the_child(tiny_assets: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    child, rig = load_generator(tiny_assets / "generator-toon.safetensors"), load_rig(tiny_assets / "manipulation.safetensors")
    styles = unseen_styles(child, 12, domains.DOMAIN_CODES_SEED).detach()
    seen = load_reconstruction(tiny_assets / "judge.safetensors").predict(child.synthesise(styles).detach().clamp(-1, 1))
    wanted = agreement_figures("reading", rig.predictor.predict(styles), seen)
    figures, _ = evaluate_domain(DomainRequest("toon", "human", (archive,), samples=12))
    for name, value in wanted.items():
        assert figures[f"toon.{name}"] == pytest.approx(value, abs=1e-3)


def test_a_domain_that_cannot_be_rendered_needs_pictures(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "own"
    shutil.copytree(tiny_assets, folder)
    shutil.copy(folder / "generator-toon.safetensors", folder / "generator-clay.safetensors")
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(folder))
    with pytest.raises(UserError, match="--pictures"):
        evaluate_domain(DomainRequest("clay", samples=12))


def test_too_few_pictures_are_refused(tmp_path: Path) -> None:
    few = synthesise(4, 32, 5, tmp_path, workers=1, style="toon", progress=False)
    with pytest.raises(UserError, match="16 or more"):
        domain_pictures(DomainRequest("toon", pictures=(few,)), 32)


def test_pictures_come_from_folders_and_archives_without_labels(tmp_path: Path) -> None:
    archive = synthesise(10, 32, 5, tmp_path, workers=1, style="toon", progress=False)
    folder = tmp_path / "drawn"
    folder.mkdir()
    for number in range(10):
        Image.fromarray(np.full((48, 40, 3), 20 * number, np.uint8)).save(folder / f"{number}.png")
    pictures = domain_pictures(DomainRequest("clay", pictures=(folder, archive), samples=9), 32)
    assert pictures.shape == (18, 3, 32, 32)
    assert pictures[3].mean() == pytest.approx(60 / 127.5 - 1, abs=1e-5)
    assert pictures[10:].std() > 0.1


def test_consistency_is_about_what_varies(people: FaceParams) -> None:
    shifted = people.replace(rotation=2 * people.rotation + 0.3, expression=people.expression.roll(1, 0))
    figures = agreement_figures("consistency", people, shifted)
    assert figures["consistency.yaw"] == pytest.approx(1.0, abs=1e-6)
    assert abs(figures["consistency.expression"]) < 0.5


def test_how_far_the_weights_moved(tiny_generator: Generator) -> None:
    child = Generator(tiny_generator.config)
    child.load_state_dict(tiny_generator.state_dict())
    with torch.no_grad():
        child.synthesis.get_submodule("b8.conv1").weight *= 1.5  # type: ignore[operator]
        child.synthesis.get_submodule("b16").conv0.affine.weight *= 3.0  # type: ignore[operator, union-attr]
        child.synthesis.get_submodule("b32.conv1").bias += 1.0  # type: ignore[operator]
    figures = moved_figures(tiny_generator, child)
    assert 0.1 < figures["moved.b8"] < 0.5  # of its layers one moved by a half
    assert 0.1 < figures["moved.affine"] < 2.0
    assert all(value == 0.0 for name, value in figures.items() if name not in ("moved.b8", "moved.affine"))
    assert {"moved.b4", "moved.b32", "moved.mapping"} <= figures.keys()


def test_equal_pictures_have_no_difference() -> None:
    assert difference(torch.ones(5, 3)) == 0.0
    assert difference(torch.eye(4)) == pytest.approx(2**0.5)


def test_people_drawn_anew_and_inverted_pictures(tiny_assets: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    monkeypatch.setattr(domains, "rerendered_figures", fast_redrawing)
    figures, _ = evaluate_domain(DomainRequest("toon", "human", (archive,), samples=12, exact=8, inverted=8))
    for attribute in ATTRIBUTES:
        assert np.isfinite(figures[f"toon.exact.obedience.{attribute}"])
        assert figures[f"toon.inverted.leak.{attribute}"] >= 0
    assert figures["toon.inverted.l2"] > 0
    assert figures["toon.exact.leak.pose"] == 7.0


def fast_redrawing(instruments: Instruments, count: int, seed: int, progress: object, style: str) -> dict[str, Statistic]:
    assert (count, seed, style) == (8, domains.DOMAIN_PICTURES_SEED, "toon")
    names = [f"{figure}.{attribute}.{RENDERED}" for figure in ("obedience", "leak") for attribute in ATTRIBUTES]
    return dict.fromkeys(names, Statistic.single(7.0))


def test_people_cannot_be_drawn_anew_in_a_style_of_ones_own(tiny_assets: Path, archive: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    with pytest.raises(UserError, match="leave out --exact"):
        evaluate_domain(DomainRequest("human", "human", (archive,), samples=12, exact=8))


def test_an_inversion_that_is_the_picture_itself_has_no_distance(
    tiny_assets: Path, tiny_generator: Generator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    monkeypatch.setattr(domains, "obedience_figures", lambda *all: {"leak.pose": 0.5})
    styles = unseen_styles(tiny_generator, 8, 5)
    monkeypatch.setattr(domains, "inverted_styles", lambda *all: styles)
    tools = SimpleNamespace(generator=tiny_generator)
    pictures = tiny_generator.synthesise(styles)
    figures = domains.inverted_figures({"parent": tools, "child": tools}, None, pictures, lambda *all: None)  # type: ignore[dict-item, arg-type]
    assert figures == {"inverted.l2": pytest.approx(0.0, abs=1e-6), "inverted.leak.pose": 0.5}


def test_a_rig_of_its_own_moves_the_child_and_not_the_parent(
    tiny_assets: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    shipped = load_rig(tiny_assets / "manipulation.safetensors")
    still = {name: value if "mean" in name or "scale" in name else torch.zeros_like(value) for name, value in shipped.state_dict().items()}
    shipped.load_state_dict(still)
    shipped.generator = checkpoint.sha256(tiny_assets / "generator-toon.safetensors")
    save_rig(tmp_path / "own.safetensors", shipped, {})
    figures, notes = evaluate_domain(DomainRequest("toon", "human", (archive,), rig=tmp_path / "own.safetensors", samples=12))
    assert all(figures[f"toon.leak.{attribute}"] == pytest.approx(0.0, abs=1e-5) for attribute in ATTRIBUTES)
    assert "own.safetensors" in notes[1]
    assert any(math.isfinite(value) for name, value in figures.items() if "share_of_human" in name)  # the parent's own M still moves it


def test_a_rig_of_another_generator_is_refused(tiny_assets: Path, archive: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    other = load_rig(tiny_assets / "manipulation.safetensors")
    other.generator = "0" * 64
    save_rig(tmp_path / "other.safetensors", other, {})
    with pytest.raises(UserError, match="trained for another generator than toon and human"):
        evaluate_domain(DomainRequest("toon", "human", (archive,), rig=tmp_path / "other.safetensors", samples=12))
