from __future__ import annotations

import copy
import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.evaluation import generator as module
from crossrig.evaluation.generator import GOALS, Portraits, Sizes, Tools, compressed, evaluate_generator, look_at_portraits, sample_figures
from crossrig.evaluation.instruments import Instruments
from crossrig.evaluation.inversions import Inverter
from crossrig.features import PerceptualDistance
from crossrig.metrics.frechet import pooled_features
from crossrig.rig.manipulation import Rig
from crossrig.session import Effort

EFFORT = Effort(steps=1, tuning_steps=1)


@pytest.fixture
def kit(tools: Instruments, tiny_rig: Rig) -> Tools:
    perceptual = PerceptualDistance(32, tools.features).requires_grad_(False)
    inverter = Inverter(tools.generator, None, tiny_rig, perceptual, EFFORT)
    return Tools(tools.generator, tools.reader, tools.judge, tools.units, tools.features, perceptual, inverter)


@pytest.fixture
def portraits(monkeypatch: pytest.MonkeyPatch, blobs: PortraitSet) -> list[tuple[int, int, int]]:
    """Portraits without rendering any: the blobs again and again, from a place that depends on the seed. Returns what was asked for."""
    asked = []

    def some(count: int, size: int, seed: int, workers: int | None = None, first: int = 0) -> PortraitSet:
        asked.append((count, seed, first))
        index = (seed + first + torch.arange(count)) % len(blobs)
        return PortraitSet(blobs.pictures[index], blobs.labels[index], blobs.codes[index])

    monkeypatch.setattr(module, "unseen_set", some)
    return asked


def test_samples_have_noise_of_their_own_and_are_the_same_every_time(kit: Tools) -> None:
    noisy = copy.deepcopy(kit.generator)
    with torch.no_grad():
        for name, strength in noisy.named_parameters():
            if name.endswith("noise_strength"):
                strength.fill_(2.0)
    tools = replace(kit, generator=noisy)
    state = torch.random.get_rng_state()
    first, second = (module.paint(tools, 8, lambda what, step, steps: None) for _ in range(2))
    assert torch.equal(first.features, second.features)
    assert torch.equal(torch.random.get_rng_state(), state)
    with torch.no_grad():
        still = pooled_features(kit.features, noisy(first.z).clamp(-1, 1))
    assert not torch.allclose(first.features, still, rtol=1e-3)


def test_everything_is_measured(kit: Tools, portraits: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "example_crops", lambda reader, size: {"photograph": torch.zeros(1, 3, size, size)})
    outcome = evaluate_generator(kit, Sizes(32, 8, 8, EFFORT))
    assert set(GOALS) - {"inversion.encoder_l2"} <= set(outcome.figures)
    assert "examples.photograph.pivotal_l2" in outcome.figures
    assert 0.0 <= outcome.figures["samples.precision"] <= 1.0
    assert outcome.figures["latent.ppl_w"] > 0.0
    assert outcome.figures["samples.noise_change"] == 0.0  # the tiny generator's noise is at strength 0
    assert outcome.figures["samples.sticking"] == pytest.approx(outcome.figures["samples.sticking_noiseless"])
    assert all(set(row) == set("zws") for row in outcome.factors.values())
    assert set(outcome.pictures) == {"samples.png", "portraits.png", "alike.png", "walk.png", "inversions.png", "examples.png"}
    assert outcome.pictures["walk.png"].shape == (8 * 32, 8 * 32, 3)
    assert {seed for _, seed, _ in portraits} == {module.PORTRAITS_SEED, module.RULER_SEED, module.INVERSIONS_SEED}
    assert json.loads(outcome.as_json()).keys() == outcome.figures.keys()
    text = outcome.as_text()
    assert "samples.recall" in text
    assert ("MISSED" in text) or ("ok" in text)
    assert "light strength" in text


def test_the_same_again_is_the_same(kit: Tools, portraits: list[tuple[int, int, int]]) -> None:
    first, second = (evaluate_generator(kit, Sizes(32, 0, 8, EFFORT)).figures for _ in range(2))
    assert first == second
    assert not any(name.startswith(("inversion", "examples")) for name in first)


def test_portraits_in_chunks_are_the_same_portraits(
    kit: Tools, portraits: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    def look(keep: int) -> Portraits:
        return look_at_portraits(kit, 40, 7, None, lambda step, steps: None, keep)

    whole = look(20)
    monkeypatch.setattr(module, "_CHUNK", 16)
    chunks = look(20)
    assert portraits == [(40, 7, 0), (16, 7, 0), (16, 7, 16), (8, 7, 32)]
    assert torch.allclose(whole.features, chunks.features, atol=1e-5)
    assert torch.allclose(whole.jpeg, chunks.jpeg, atol=1e-5)
    assert torch.equal(whole.pictures, chunks.pictures)
    assert len(whole.pictures) == 20


def features(count: int, seed: int) -> torch.Tensor:
    return torch.randn(count, 5, generator=torch.Generator().manual_seed(seed))


def test_samples_beside_their_rulers() -> None:
    real, other, far = features(200, 1), features(200, 2), features(200, 3) * 0.3 + 4
    empty = torch.zeros(0)
    figures = sample_figures(far, Portraits(real, real + 1, empty), Portraits(other, other, empty))
    assert figures["samples.precision_real_real"] > 0.7
    assert figures["samples.precision"] < 0.2
    assert figures["samples.recall"] < 0.1
    assert figures["samples.frechet_jpeg10"] == pytest.approx(5.0, rel=1e-3)  # moved by 1 in five dimensions
    assert figures["samples.frechet_real_real"] < 0.5 < figures["samples.frechet"]
    perfect = sample_figures(real, Portraits(real, real, empty), Portraits(other, other, empty))
    assert perfect["samples.frechet"] == pytest.approx(0.0, abs=1e-6)
    assert perfect["samples.precision"] == perfect["samples.recall"] == 1.0


def test_jpeg_keeps_colours_and_loses_detail() -> None:
    picture = torch.zeros(1, 3, 32, 32, dtype=torch.uint8)
    picture[:, 0] = 200  # red: channels must not be exchanged on the way
    noisy = torch.randint(0, 256, (1, 3, 32, 32), generator=torch.Generator().manual_seed(1)).to(torch.uint8)
    red = compressed(picture)[0].mean((1, 2))
    assert float(red[0]) > 0.4
    assert float(red[2]) < -0.8
    exact = noisy.float() / 127.5 - 1
    assert float((compressed(noisy, 100) - exact).abs().mean()) < float((compressed(noisy) - exact).abs().mean())


def test_a_generator_that_copies_is_found_out(kit: Tools, portraits: list[tuple[int, int, int]], monkeypatch: pytest.MonkeyPatch) -> None:
    """The training set is what the generator paints: every sample is nearer to it than a fresh portrait."""
    painted = module.paint(kit, 32, lambda *_: None)
    images = painted.show(kit.generator, torch.arange(32))
    known = PortraitSet(((images + 1) * 127.5).round().to(torch.uint8), torch.zeros(32, 213), torch.zeros(32, 4))
    monkeypatch.setattr(module, "load_portraits", lambda archives, size: known)
    fresh = look_at_portraits(kit, 32, 7, None, lambda step, steps: None)
    pictures: dict[str, module.Pixels] = {}
    figures = module.copy_figures(kit, painted, fresh, [Path("training.zip")], pictures, lambda *_: None)
    assert figures["samples.nearer_to_training"] > 0.95
    assert set(pictures) == {"alike.png", "training.png"}


def test_sizes() -> None:
    assert Sizes.of(10_000) == Sizes()
    assert Sizes.of(64).inversions == 8
    assert Sizes.of(64, 0).inversions == 0
    with pytest.raises(UserError, match="32 or more samples"):
        Sizes(8)
    with pytest.raises(UserError, match="inversions"):
        Sizes(64, 7)


def test_networks_of_another_generator_are_left_out(tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRIG_ASSETS", str(tiny_assets))
    owner = module.checkpoint.sha256(tiny_assets / "generator-human.safetensors")
    assert module._made_for(owner, "encoder") == tiny_assets / "encoder.safetensors"
    assert module._made_for(owner, "manipulation") == tiny_assets / "manipulation.safetensors"
    other = module.checkpoint.sha256(tiny_assets / "generator-toon.safetensors")
    assert module._made_for(other, "encoder") is None
    assert module._made_for(other, "manipulation") is None
