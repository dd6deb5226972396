"""The mapping network's recipe: people as different as those in portraits."""

from __future__ import annotations

import copy
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from crossrig import checkpoint
from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.gan.codes import code_rotation, z_from_code
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.weights import load_generator, save_generator
from crossrig.inversion.encoder import EncoderConfig, encoder_for, save_encoder
from crossrig.train import mapping
from crossrig.train.mapping import LinearAnswer, MappingTraining, Yardstick, energy_score, variety
from crossrig.train.run import read_log

CODE = 6


@pytest.fixture
def truth(tiny_generator: Generator) -> Generator:
    """What people are like: answers other than `tiny_generator`'s, and twice as far apart."""
    other = copy.deepcopy(tiny_generator)
    random = torch.Generator().manual_seed(9)
    for layer in other.mapping.layers:
        layer.weight.copy_(torch.randn(layer.weight.shape, generator=random) * layer.weight.std())
    other.mapping.layers[-1].weight.mul_(2.0)
    return other


@pytest.fixture
def config(tmp_path: Path, tiny_generator: Generator, truth: Generator, monkeypatch: pytest.MonkeyPatch) -> MappingTraining:
    """3000 codes, and for each one of many people who could have it."""
    codes = torch.randn(3000, CODE, generator=torch.Generator().manual_seed(3))
    free = torch.randn(3000, 32 - CODE, generator=torch.Generator().manual_seed(4))
    found = truth.map(z_from_code(codes, code_rotation(32), free))
    nothing = torch.zeros(3000, 3, 1, 1, dtype=torch.uint8)
    monkeypatch.setattr(mapping, "load_portraits", lambda *_: PortraitSet(nothing, torch.zeros(3000, 213), codes))
    monkeypatch.setattr(mapping, "seen_people", lambda *_: found)
    save_generator(tmp_path / "given.safetensors", tiny_generator, {"code_size": CODE, "images_seen": 7})
    save_encoder(
        tmp_path / "encoder.safetensors", encoder_for(tiny_generator, EncoderConfig(size=32, hidden=32, rank=4), pretrained=False),
        {"generator": ""},
    )  # fmt: skip
    return MappingTraining(
        generator=tmp_path / "given.safetensors", encoder=tmp_path / "encoder.safetensors", outdir=tmp_path / "run", steps=1500, batch=64,
        lr=0.3, from_linear=False,
    )  # fmt: skip


def test_people_become_as_different_as_those_who_were_seen(
    config: MappingTraining, truth: Generator, capsys: pytest.CaptureFixture[str]
) -> None:
    path = mapping.train(config)
    before, after = load_generator(config.generator), load_generator(path)
    random = torch.Generator().manual_seed(6)
    seen = truth.map(torch.randn(3000, 32, generator=random))
    assert variety(before, seen) < 0.55
    assert 0.7 < variety(after, seen) < 1.1
    assert read_log(config.outdir)[-1]["unseen"] < 0.75 * _unseen_at_first(config)
    # who answers to a code: the same people on average, and as different
    code, rotation = torch.randn(1, CODE, generator=random).expand(2000, -1), code_rotation(32)
    z = z_from_code(code, rotation, torch.randn(2000, 32 - CODE, generator=random))
    with torch.no_grad():
        wanted, made, given = (generator.map(z) for generator in (truth, after, before))
    assert (made.mean(0) - wanted.mean(0)).norm() < 0.5 * (given.mean(0) - wanted.mean(0)).norm()
    spread = [float(w.var(0).sum()) for w in (given, made, wanted)]
    assert spread[1] > 0.5 * spread[2]
    assert spread[1] > 1.3 * spread[0]
    for name, tensor in before.state_dict().items():
        if not name.startswith(("mapping", "w_avg")):
            assert torch.equal(tensor, after.state_dict()[name]), name
    header = checkpoint.load_header(path)
    assert (header["code_size"], header["images_seen"], header["mapping_people"]) == (CODE, 7, 2700)
    assert (config.outdir / "sheet.png").exists()
    assert "of what people do whom the encoder sees" in capsys.readouterr().err


def _unseen_at_first(config: MappingTraining) -> float:
    mapping.train(replace(config, outdir=config.outdir.with_name("short"), steps=1, lr=0.0))
    return float(read_log(config.outdir.with_name("short"))[-1]["unseen"])


def test_a_run_goes_on_where_it_was(config: MappingTraining) -> None:
    whole = load_generator(mapping.train(replace(config, steps=6)))
    broken = replace(config, outdir=config.outdir.with_name("broken"), steps=6)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(mapping.Run, "due", lambda self, seconds, what="checkpoint": what == "checkpoint")
        patch.setattr(mapping, "energy_score", _failing_at(4))
        with pytest.raises(KeyboardInterrupt):
            mapping.train(broken)
    again = load_generator(mapping.train(broken))
    for name, tensor in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], tensor, msg=name)


def _failing_at(call: int):  # type: ignore[no-untyped-def]
    calls = 0

    def score(*arguments):  # type: ignore[no-untyped-def]
        nonlocal calls
        calls += 1
        if calls == call:
            raise KeyboardInterrupt
        return energy_score(*arguments)

    return score


@pytest.mark.parametrize("layers", [2, 3, 5])
def test_a_mapping_network_says_the_linear_answer_exactly(layers: int) -> None:
    random = torch.Generator().manual_seed(layers)
    answer = LinearAnswer(*(torch.randn(*shape, generator=random) for shape in ((32,), (CODE, 32), (32 - CODE, 32))))
    generator = Generator(GeneratorConfig(resolution=8, z_dim=32, w_dim=32, channels=(8, 8), mapping_layers=layers, mapping_lr_mul=0.1))
    rotation = code_rotation(32)
    answer.into(generator.mapping, rotation)
    code = 0.3 * torch.randn(200, CODE, generator=random)
    z = z_from_code(code, rotation, torch.randn(200, 32 - CODE, generator=random))
    numbers = z @ rotation  # the code, and the free numbers as long as they must be
    straight = numbers.abs().amax(1) < 3.0
    assert straight.sum() > 100
    torch.testing.assert_close(numbers[:, :CODE], code, atol=1e-4, rtol=1e-4)
    wanted = answer.mean + code @ answer.told + numbers[:, CODE:] @ answer.open
    with torch.no_grad():
        made = generator.map(z)
    torch.testing.assert_close(made[straight], wanted[straight], atol=2e-3, rtol=1e-3)


def test_the_linear_answer_has_mean_and_covariance_of_people() -> None:
    random = torch.Generator().manual_seed(2)
    codes, rest = torch.randn(6000, CODE, generator=random), torch.randn(6000, 8, generator=random)
    told, open_ = torch.randn(CODE, 8, generator=random), 0.5 * torch.randn(8, 8, generator=random)
    answer = LinearAnswer.of(codes, 2.0 + codes @ told + rest @ open_, 10)
    assert (answer.mean - 2.0).abs().max() < 0.1
    assert (answer.told - told).abs().max() < 0.1
    assert answer.open.shape == (10, 8)
    wanted = open_.T @ open_
    assert (answer.open.T @ answer.open - wanted).norm() < 0.1 * wanted.norm()


def test_residuals_are_as_large_as_those_of_people_whom_the_regression_has_not_seen() -> None:
    random = torch.Generator().manual_seed(2)
    codes = torch.randn(100, 60, generator=random)  # hardly more people than numbers: fitted residuals are too small
    answer = LinearAnswer.of(codes, torch.randn(100, 8, generator=random), 8)
    assert float(answer.open.square().sum() / 8) > 1.0


@pytest.mark.parametrize("people", [2, 3, 6])
def test_a_handful_of_people_has_a_linear_answer(people: int) -> None:
    random = torch.Generator().manual_seed(people)
    answer = LinearAnswer.of(torch.randn(people, CODE, generator=random), torch.randn(people, 8, generator=random), 10)
    assert all(part.isfinite().all() for part in (answer.mean, answer.told, answer.open))
    assert answer.open.shape == (10, 8)
    assert float(answer.open.square().sum()) < 9.0 * 8.0 * 3.0


def test_training_from_the_linear_answer_begins_better_and_ends_better(config: MappingTraining) -> None:
    def unseen(name: str, **changes: object) -> float:
        mapping.train(replace(config, outdir=config.outdir.with_name(name), **changes))
        return float(read_log(config.outdir.with_name(name))[-1]["unseen"])

    assert unseen("linear", from_linear=True, steps=1, lr=0.0) < 0.75 * unseen("as-it-is", steps=1, lr=0.0)
    ended = unseen("linear-400", from_linear=True, steps=400, lr=0.02)
    assert all(ended < unseen(f"as-it-is-{lr}", steps=400, lr=lr) for lr in (0.02, 0.3))


def test_a_mapping_network_without_a_linear_answer_is_refused(config: MappingTraining) -> None:
    narrow = Generator(GeneratorConfig(resolution=8, z_dim=32, w_dim=32, channels=(8, 8), mapping_layers=3, mapping_dim=16))
    save_generator(config.generator, narrow, {"code_size": CODE})
    with pytest.raises(UserError, match="layers of 16, 16, 32 numbers has no linear answer: use --no-from-linear"):
        mapping.train(replace(config, from_linear=True))


def test_the_score_is_least_for_the_true_distribution() -> None:
    random = torch.Generator().manual_seed(0)
    seen = torch.randn(20_000, 3, generator=random)
    distance = Yardstick(seen)
    scores = {
        spread: float(energy_score(*(spread * torch.randn(2, 20_000, 3, generator=random)).unbind(0), seen, distance))
        for spread in (0.3, 0.7, 1.0, 1.4)
    }
    assert min(scores, key=scores.__getitem__) == 1.0


def test_differences_are_of_unit_size_and_small_axes_count() -> None:
    w = torch.randn(4000, 4, generator=torch.Generator().manual_seed(1)) * torch.tensor([10.0, 1.0, 1.0, 0.1])
    distance = Yardstick(w)
    assert float(distance(w, w.mean(0).expand_as(w)).square().mean()) == pytest.approx(1.0, abs=0.02)
    steps = [distance(torch.eye(4)[axis : axis + 1], torch.zeros(1, 4)) for axis in (0, 1)]
    assert float(steps[1] / steps[0]) == pytest.approx(10**0.5, rel=0.05)


def test_nobody_is_made_up_where_nobody_is() -> None:
    w = torch.randn(4000, 4, generator=torch.Generator().manual_seed(1)) * torch.tensor([10.0, 1.0, 0.0, 0.0])
    distance = Yardstick(w)
    steps = [distance(torch.eye(4)[axis : axis + 1], torch.zeros(1, 4)) for axis in range(4)]
    assert float(steps[2]) == pytest.approx(float(steps[3]), rel=0.01)
    assert float(steps[2] / steps[0]) == pytest.approx(10.0, rel=0.05)


def test_variety_is_a_ratio_of_spreads(tiny_generator: Generator) -> None:
    made = tiny_generator.map(torch.randn(4000, 32, generator=torch.Generator().manual_seed(8)))
    assert variety(tiny_generator, made) == pytest.approx(1.0, abs=0.1)
    assert variety(tiny_generator, 2 * made) == pytest.approx(0.5, abs=0.05)


def test_what_does_not_belong_together_is_said(
    config: MappingTraining, tiny_generator: Generator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save_generator(tmp_path / "plain.safetensors", tiny_generator)
    with pytest.raises(UserError, match="did not learn from person codes"):
        mapping.train(replace(config, generator=tmp_path / "plain.safetensors"))
    monkeypatch.setattr(mapping, "load_portraits", lambda *_: PortraitSet(*(torch.zeros(1, size) for size in (3, 213, CODE))))
    with pytest.raises(UserError, match="too few"):
        mapping.train(config)
    with pytest.raises(ValueError, match="held_out"):
        replace(config, held_out=1.0)
