"""Adapting a tiny generator to a folder of reddish pictures: what is held, what is learned, when it stops, how it goes on."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig import assets, checkpoint
from crossrig.domains.style import StyleDistance
from crossrig.errors import UserError
from crossrig.gan.generator import Generator
from crossrig.gan.weights import load_generator
from crossrig.inversion.encoder import Encoder, EncoderConfig, encoder_for, load_encoder, save_encoder
from crossrig.rig.reconstruction import Reconstruction
from crossrig.rig.weights import load_reconstruction
from crossrig.train.adapt import AdaptTraining, train
from crossrig.train.run import read_log


@pytest.fixture(autouse=True)
def tiny_networks(tiny_assets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))


@pytest.fixture
def reader(tiny_assets: Path) -> Reconstruction:
    return load_reconstruction(tiny_assets / "reconstruction.safetensors")


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Twenty pictures of strong red with a dark spot: nothing that the parent makes."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    random = np.random.default_rng(0)
    for index in range(20):
        image = np.full((36, 36, 3), (220, 30, 30), np.uint8)
        x, y = random.integers(8, 24, 2)
        image[y : y + 6, x : x + 6] = 10
        Image.fromarray(image).save(folder / f"{index:02d}.png")
    return folder


@pytest.fixture
def config(tmp_path: Path, pictures: Path) -> AdaptTraining:
    return AdaptTraining(
        outdir=tmp_path / "run", images=pictures, name="red", aligned=True, kimg=0.024, batch=4, check_kimg=0.012, discriminator_size=32,
        structure_size=8, least_yaw=-1.0, least_expression=-1.0, precision="float32", augment_ramp_kimg=0.1,
    )  # fmt: skip


def _events(outdir: Path) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in (outdir / "log.jsonl").read_text().splitlines()]
    return [line for line in lines if "event" in line]


def _moved(first: Generator, second: Generator) -> set[str]:
    other = second.state_dict()
    return {name for name, tensor in first.state_dict().items() if not torch.equal(tensor, other[name])}


def test_a_child_keeps_the_latent_space_and_says_how_it_was_made(config: AdaptTraining, tiny_generator: Generator) -> None:
    path = train(config)
    assert path == config.outdir / "generator-red.safetensors"
    moved = _moved(load_generator(path), tiny_generator)
    assert "synthesis.b32.conv1.weight" in moved
    assert "const" in moved
    assert not any("mapping" in name or "affine" in name or name == "w_avg" for name in moved)
    header = checkpoint.load_header(path)
    assert header["images_seen"] == 24
    assert header["adapted"]["from"] == checkpoint.sha256(assets.require("generator-human"))
    assert header["adapted"]["faces"] == 20
    assert (config.outdir / "sheet-0000012.png").is_file()
    with Image.open(config.outdir / "sheet-0000024.png") as sheet:
        assert sheet.size == (16 * 32, 2 * 32)
        parent_row = np.asarray(sheet.convert("RGB"))[:32]
    with Image.open(config.outdir / "sheet-0000012.png") as sheet:
        assert np.array_equal(np.asarray(sheet.convert("RGB"))[:32], parent_row)  # the same codes
    assert [event["event"] for event in _events(config.outdir)] == ["faces", "saved", "saved", "finished"]
    assert {"yaw", "expression", "structure", "augment"} <= set(read_log(config.outdir)[-1])


def test_named_layers_are_held_too(config: AdaptTraining, tiny_generator: Generator) -> None:
    moved = _moved(load_generator(train(replace(config, freeze=("b4", "b8", "b32.torgb"), kimg=0.008))), tiny_generator)
    assert {".".join(name.split(".")[1:3]) for name in moved} == {"b16.conv0", "b16.conv1", "b16.torgb", "b32.conv0", "b32.conv1"}
    assert checkpoint.load_header(config.result)["adapted"]["held"] == ["mapping", "affine", "b4", "b8", "b32.torgb"]


def test_nothing_is_held_as_an_ablation(config: AdaptTraining, tiny_generator: Generator) -> None:
    moved = _moved(load_generator(train(replace(config, hold_latent=False))), tiny_generator)
    assert any("affine" in name for name in moved)
    assert any("mapping" in name for name in moved)


def test_pictures_are_painted_again_from_what_an_encoder_sees(config: AdaptTraining, tmp_path: Path, tiny_generator: Generator) -> None:
    fitting = encoder_for(tiny_generator, EncoderConfig(size=32, hidden=16, rank=4), pretrained=False)
    save_encoder(tmp_path / "encoder.safetensors", fitting, {"generator": ""})
    painter = replace(config, encoder=tmp_path / "encoder.safetensors", repaint_weight=1.0)
    train(painter)
    learned = load_encoder(painter.encoder_result)
    assert not torch.equal(learned.hidden.weight, load_encoder(tmp_path / "encoder.safetensors").hidden.weight)
    log = [line["repainted"] for line in read_log(config.outdir) if "repainted" in line]
    assert log
    before = checkpoint.load(painter.encoder_result)[0]
    max(config.outdir.glob("checkpoint-*.safetensors")).unlink()  # killed before the end
    painter.result.unlink()
    train(painter)
    for name, tensor in checkpoint.load(painter.encoder_result)[0].items():
        torch.testing.assert_close(tensor, before[name], atol=1e-3, rtol=1e-3)
    other = replace(config, repaint_weight=1.0, encoder=tmp_path / "wide.safetensors")
    save_encoder(other.encoder or tmp_path, Encoder(EncoderConfig(size=32, hidden=16, rank=4), pretrained=False), {"generator": ""})
    with pytest.raises(UserError, match="serves another generator"):
        train(replace(other, outdir=tmp_path / "other"))


def test_a_child_goes_on_and_is_seen_close_up(config: AdaptTraining, tmp_path: Path) -> None:
    first = train(config)
    before = load_generator(first)
    again = replace(config, outdir=tmp_path / "again", init=first, kimg=0.008, check_kimg=0.004, lr=1e-6, close_ups=0.5)
    after = load_generator(train(again))
    apart = max(float((before.state_dict()[name] - tensor).abs().max()) for name, tensor in after.state_dict().items())
    assert 0.0 < apart < 1e-3  # not the parent's weights, and hardly moved
    tensors, _ = checkpoint.load(max(again.outdir.glob("checkpoint-*.safetensors")))
    assert {name.split("/")[1].split(".")[0] for name in tensors if name.startswith("discriminators/")} == {"0", "1"}


def test_held_judges_stay_as_they_were(config: AdaptTraining) -> None:
    short = replace(config, freeze_discriminator=1, kimg=0.008, check_kimg=0.004)
    train(short)
    first, last = (checkpoint.load(path)[0] for path in sorted(config.outdir.glob("checkpoint-*.safetensors")))
    weights = sorted(name for name in first if name.startswith("discriminators/0.judges.0.") and name.endswith("original"))
    assert len(weights) >= 2
    assert torch.equal(first[weights[0]], last[weights[0]])
    assert not torch.equal(first[weights[-1]], last[weights[-1]])


def test_the_child_takes_on_the_look_of_the_pictures(config: AdaptTraining) -> None:
    # no structure term: the tiny parent's people are noise
    looks = replace(config, structure_weight=0.0, lr=1e-2, ema_kimg=0.05, batch=8)
    train(replace(looks, kimg=0.008))
    before = read_log(config.outdir)[-1]["moments"]
    train(replace(looks, kimg=0.24, check_kimg=0.24))
    assert read_log(config.outdir)[-1]["moments"] < 0.5 * before
    parts, _ = checkpoint.load(max(config.outdir.glob("checkpoint-*.safetensors")))
    child = load_generator(config.result).requires_grad_(False)
    child.load_state_dict({name.removeprefix("child/"): tensor for name, tensor in parts.items() if name.startswith("child/")})
    parent = load_generator(assets.require("generator-human")).requires_grad_(False)
    s = parent.affine(parent.map(torch.randn(32, 32, generator=torch.Generator().manual_seed(0))))
    red = torch.tensor([0.73, -0.76, -0.76])  # the pictures' colour
    distance = [float((generator.synthesise(s).mean(dim=(0, 2, 3)) - red).norm()) for generator in (parent, child)]
    assert distance[1] < distance[0]


def test_the_structure_term_keeps_the_child_near(config: AdaptTraining) -> None:
    structure = {}
    for weight in (0.0, 1e5):
        run = replace(config, outdir=config.outdir / str(weight), kimg=0.06, check_kimg=0.06, lr=1e-2, structure_weight=weight)
        train(run)
        structure[weight] = read_log(run.outdir)[-1]["structure"]
    assert structure[1e5] < 0.6 * structure[0.0]


def test_it_stops_when_the_child_shows_other_people(config: AdaptTraining, reader: Reconstruction) -> None:
    agreeing = replace(config, kimg=0.012)
    train(agreeing, reader)
    kept = config.result.read_bytes()
    strict = replace(config, kimg=4.0, least_yaw=1.5)  # more than there can be
    assert train(strict, reader) == config.result
    assert config.result.read_bytes() == kept  # as it last agreed
    event = _events(config.outdir)[-1]
    assert event["event"] == "stopped"
    assert "yaw correlates by" in str(event["said"])
    assert "less than 1.5" in str(event["said"])
    steps = event["step"]
    train(strict, reader)  # the same command again: it says the same and trains no further
    assert _events(config.outdir)[-1]["step"] == steps


def test_the_style_is_that_of_the_result(config: AdaptTraining) -> None:
    looks = replace(config, structure_weight=0.0, lr=1e-2, ema_kimg=0.05, batch=8, kimg=0.24, check_kimg=0.24)
    child = load_generator(train(looks)).requires_grad_(False)
    parent = load_generator(assets.require("generator-human")).requires_grad_(False)
    z = torch.randn(64, 32, generator=torch.Generator().manual_seed(config.seed))
    theirs, mine = (network.synthesise(network.affine(network.map(z))).clamp(-1, 1) for network in (parent, child))
    heads = [np.asarray(Image.open(path)) for path in sorted((config.outdir / "aligned").rglob("*.png"))]
    domain = torch.from_numpy(np.stack(heads)).permute(0, 3, 1, 2).float() / 127.5 - 1
    distance = StyleDistance(domain, theirs)
    assert abs(distance(mine) - 1) > 3e-4
    assert read_log(config.outdir)[-1]["style"] == pytest.approx(distance(mine), abs=5e-5)


def test_it_stops_when_the_style_comes_no_nearer(config: AdaptTraining, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(StyleDistance, "__call__", lambda self, child: next(distances))
    distances = iter([0.9, 0.5, 0.6, 0.4, 0.45, 0.7, 0.4, 0.3])
    train(replace(config, kimg=0.096, check_kimg=0.012, patience=3))
    stopped = _events(config.outdir)[-1]
    assert stopped["event"] == "stopped"
    assert stopped["step"] == 84  # three that are no better than the fourth
    assert [line["style"] for line in read_log(config.outdir) if "style" in line] == [0.9, 0.5, 0.6, 0.4, 0.45, 0.7, 0.4]


def test_a_child_that_never_agreed_is_no_result(config: AdaptTraining, reader: Reconstruction) -> None:
    with pytest.raises(UserError, match="before the first measurement: hold more"):
        train(replace(config, least_expression=1.5), reader)
    assert not config.result.exists()


def test_a_resumed_run_is_the_unbroken_run(config: AdaptTraining, tmp_path: Path) -> None:
    train(config)
    whole = load_generator(config.result)
    broken = replace(config, outdir=tmp_path / "broken")
    train(broken)
    # as if killed after the first checkpoint: the second, and the result, are not there yet
    max(broken.outdir.glob("checkpoint-*.safetensors")).unlink()
    broken.result.unlink()
    train(broken)
    for name, tensor in load_generator(broken.result).state_dict().items():
        torch.testing.assert_close(tensor, whole.state_dict()[name], atol=1e-6, rtol=1e-5)
    tensors, _ = checkpoint.load(max(broken.outdir.glob("checkpoint-*.safetensors")))
    assert 0.0 <= float(tensors["augment/probability"]) <= 0.8


def test_kill_and_go_on(config: AdaptTraining, tiny_assets: Path, tmp_path: Path) -> None:
    script = tmp_path / "run.py"
    script.write_text(textwrap.dedent(f"""
        from pathlib import Path
        from crossrig.train.adapt import AdaptTraining, train
        train(AdaptTraining(outdir=Path({str(config.outdir)!r}), images=Path({str(config.images)!r}), name="red", aligned=True, kimg=40.0,
            batch=4, check_kimg=0.012, discriminator_size=32, structure_size=8, least_yaw=-1.0, least_expression=-1.0, precision="float32"))
    """))
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path), assets.FOLDER_VARIABLE: str(tiny_assets)}
    with subprocess.Popen([sys.executable, str(script)], env=environment, stderr=subprocess.DEVNULL) as process:
        deadline = time.monotonic() + 120.0
        while not (config.outdir / "sheet-0000036.png").is_file() and time.monotonic() < deadline:
            time.sleep(0.05)
        process.send_signal(signal.SIGKILL)
    train(replace(config, kimg=0.06))
    resumed = [event for event in _events(config.outdir) if event["event"] == "resumed"]
    assert len(resumed) == 1
    assert int(str(resumed[0]["step"])) >= 24
    assert load_generator(config.result).config.resolution == 32


def test_too_few_and_no_pictures(config: AdaptTraining) -> None:
    for name in sorted(path.name for path in config.images.iterdir())[1:]:
        (config.images / name).unlink()
    with pytest.raises(UserError, match=r"1 of 1 pictures .* at least 16, .* --fewest 1"):
        train(config)
    train(replace(config, fewest=1, kimg=0.008))
    (event, *_) = [event for event in _events(config.outdir) if event["event"] == "faces" and "That is few" in str(event["said"])]
    assert event["step"] == 0
    with pytest.raises(UserError, match=r"nothing to learn from: 0 of 1 pictures .* no face .* add --aligned"):
        train(replace(config, aligned=False, outdir=config.outdir / "unaligned"))
    shutil.rmtree(config.images)
    with pytest.raises(UserError, match="no folder or archive"):
        train(config)
    config.images.mkdir()
    with pytest.raises(UserError, match="holds no pictures"):
        train(config)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"freeze": ("b64",)}, 'no layer "b64"'),
        ({"freeze": ("b4", "b8", "b16", "b32")}, "Nothing is left to train"),
        ({"structure_size": 24}, "--structure-size must divide"),
        ({"parent": "animal"}, "no domain"),
    ],
)
def test_settings_that_do_not_fit_the_parent(config: AdaptTraining, change: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        train(replace(config, **change))  # type: ignore[arg-type]
    assert not config.outdir.exists()


@pytest.mark.parametrize(
    "change", [{"name": "../red"}, {"name": ""}, {"name": "toon"}, {"batch": 0}, {"discriminator_size": 40}, {"patience": -1}]
)
def test_settings_that_make_no_sense(config: AdaptTraining, change: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=r"must|shipped"):
        replace(config, **change)  # type: ignore[arg-type]
