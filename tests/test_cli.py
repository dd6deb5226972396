"""The command line, end to end with tiny untrained networks; every bad input ends with one sentence and status 2."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig import assets, checkpoint
from crossrig.cli import domains as domains_cli
from crossrig.cli import main, training
from crossrig.cli.parser import parse_settings
from crossrig.cli.people import parse_seeds
from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.evaluation.controls import ControlFigure, ControlTable, load_table, save_table
from crossrig.evaluation.generator import FILES
from crossrig.evaluation.portraits import embedded
from crossrig.face3d.controls import CONTROLS
from crossrig.gan.generator import Generator, GeneratorConfig
from crossrig.gan.weights import load_generator, save_generator
from crossrig.rig.baselines.latents import latents_of
from crossrig.rig.baselines.stylerig import StyleRig
from crossrig.rig.weights import save_stylerig

FAST = ("--steps", "1", "--tuning-steps", "0", "--domain", "human")


@pytest.fixture(autouse=True)
def tiny_networks(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def photo(tmp_path: Path) -> Path:
    from skimage import data

    path = tmp_path / "photo.png"
    Image.fromarray(data.astronaut()).save(path)
    return path


def refused(capsys: pytest.CaptureFixture[str], *words: str) -> str:
    """Run a command that must fail with status 2 and one sentence; returns the sentence."""
    before = {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()}
    assert main(words) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("crossrig: ")
    assert {path: path.read_bytes() for path in Path().rglob("*") if path.is_file()} == before
    return line


def test_edit_writes_the_picture_the_sheet_and_the_judgement(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("edit", str(photo), "-o", "out.png", "--yaw", "25", "--set", "smile=0.8", "--set", "age=+1", "--sheet", "--json", *FAST)
    assert main(words) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["controls"] == {"smile": 0.8, "age": 1.0, "yaw": 25.0}
    assert printed["domain"] == "human"
    assert set(printed["attributes"]) == {"shape", "expression", "albedo", "illumination", "pose"}
    assert set(printed["attributes"]["pose"]) == {"commanded", "judged", "followed", "unit"}
    assert set(printed["angles"]) == {"pitch", "yaw", "roll"}
    with Image.open("out.png") as image:
        assert image.size == (512, 512)
        assert "compositeWithTrainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    with Image.open("out-sheet.png") as sheet:
        assert sheet.width > 4 * 192
    assert sorted(path.name for path in Path().iterdir()) == ["out-sheet.png", "out.png", "photo.png"]


def test_edit_without_json_names_the_files(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("edit", str(photo), "-o", "out.jpg", *FAST)) == 0
    captured = capsys.readouterr()
    assert captured.out == "out.jpg\n"
    assert "human domain" in captured.err


def test_edit_takes_the_face_that_is_meant(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("edit", str(photo), "-o", "out.png", "--points", "205,100,240,100,222,120,208,140,236,140", *FAST)) == 0
    assert main(("edit", str(photo), "-o", "first.png", "--face", "1", *FAST)) == 0
    capsys.readouterr()
    assert "at most 1, the number of faces" in refused(capsys, "edit", str(photo), "-o", "new.png", "--face", "2")
    for points, sentence in (
        ("1,2,3", "ten numbers"),
        ("205,100,240,100,222,120,208,140,9999,140", "outside the picture, which is 512 x 512"),
        ("205,140,240,140,222,120,208,100,236,100", "above the mouth"),
    ):
        assert sentence in refused(capsys, "edit", str(photo), "-o", "new.png", "--points", points)
    both = ("--face", "1", "--points", "205,100,240,100,222,120,208,140,236,140")
    assert "leave one of them out" in refused(capsys, "edit", str(photo), "-o", "new.png", *both)


def test_edit_keeps_what_is_there_unless_told(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("out.png").write_text("precious")
    assert "exists already" in refused(capsys, "edit", str(photo), "-o", "out.png")
    Path("new-sheet.png").write_text("precious")
    assert "new-sheet.png" in refused(capsys, "edit", str(photo), "-o", "new.png", "--sheet")
    assert main(("edit", str(photo), "-o", "out.png", "--overwrite", *FAST)) == 0
    assert Image.open("out.png").size == (512, 512)


def _write_bad_pictures(folder: Path) -> None:
    noise = np.random.default_rng(0).integers(0, 255, (200, 200, 3), dtype=np.uint8)
    Image.fromarray(noise).save(folder / "noface.png")
    Image.fromarray(noise).save(folder / "whole.jpg")
    (folder / "truncated.jpg").write_bytes((folder / "whole.jpg").read_bytes()[:2000])
    (folder / "text.png").write_text("not a picture")
    (folder / "empty.png").write_bytes(b"")
    Image.fromarray(noise[:20, :20]).save(folder / "tiny.png")
    (folder / "folder").mkdir()


@pytest.mark.parametrize(
    ("picture", "message"),
    [
        ("missing.png", "no such file"),
        ("folder", "is a folder"),
        ("text.png", "is not a picture"),
        ("empty.png", "is empty"),
        ("truncated.jpg", "damaged or incomplete"),
        ("tiny.png", "at least 32"),
        ("noface.png", "no face was found"),
    ],
)
def test_bad_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str], picture: str, message: str) -> None:
    _write_bad_pictures(tmp_path)
    assert message in refused(capsys, "edit", picture, "-o", "out.png", *FAST)


@pytest.mark.parametrize("kind", ["greyscale", "16-bit", "CMYK", "transparent", "EXIF", "animated", "palette"])
def test_unusual_pictures_are_edited(photo: Path, capsys: pytest.CaptureFixture[str], kind: str) -> None:
    image = Image.open(photo)
    path = Path("unusual.png")
    if kind == "greyscale":
        image.convert("L").save(path)
    elif kind == "16-bit":
        Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257).save(path)
    elif kind == "CMYK":
        path = Path("unusual.jpg")
        image.convert("CMYK").save(path)
    elif kind == "transparent":
        image.putalpha(200)
        image.save(path)
    elif kind == "EXIF":
        exif = Image.Exif()
        exif[0x0112] = 3
        image.rotate(180).save(path, exif=exif)
    elif kind == "palette":
        image.quantize(64).save(path)
    else:
        path = Path("unusual.gif")
        image.convert("P").save(path, save_all=True, append_images=[image.convert("P").rotate(90)])
    assert main(("edit", str(path), "-o", "out.png", *FAST)) == 0
    assert Image.open("out.png").size == (512, 512)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--set", "smlie=1"), "Did you mean smile"),
        (("--set", "smile=7"), "smile"),
        (("--set", "smile"), "write NAME=VALUE"),
        (("--set", "smile=much"), "is not a number"),
        (("--set", "smile=nan"), "not a finite number"),
        (("--yaw", "100"), "yaw"),
        (("--yaw", "left"), "invalid float value"),
        (("--domain", "humna"), 'Did you mean "human"'),
        (("--yav", "10"), 'no option "--yav" in `crossrig edit`. Did you mean "--yaw"?'),
        (("extra",), 'no argument "extra"'),
        (("--device", "tpu"), "must be cpu or cuda"),
        (("--steps", "0"), "--steps must be at least 1"),
        (("--tuning-steps", "-1"), "--tuning-steps must be at least 0"),
    ],
)
def test_bad_options(photo: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert message in refused(capsys, "edit", str(photo), "-o", "out.png", *words)


@pytest.mark.parametrize(
    ("output", "message"),
    [("out.xyz", "choose a name that ends so"), ("nowhere/out.png", "does not exist"), ("sub.png", "is a folder")],
)
def test_bad_outputs(photo: Path, capsys: pytest.CaptureFixture[str], output: str, message: str) -> None:
    Path("sub.png").mkdir()
    assert message in refused(capsys, "edit", str(photo), "-o", output)


def test_missing_weights(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(assets, "folders", lambda: (tmp_path,))
    assert "`crossrig train generator`" in refused(capsys, "edit", str(photo), "-o", "out.png")
    assert "`crossrig train child`" in refused(capsys, "sample", "--domain", "toon")


def test_damaged_weights(photo: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "generator-human.safetensors").write_bytes(b"\0" * 100)
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tmp_path))
    assert "is not a readable" in refused(capsys, "sample")


def test_controls(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("controls",)) == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if line.startswith("jawOpen")]
    assert "not measured" in line
    assert main(("controls", "--json", "light.azimuth")) == 0
    (control,) = json.loads(capsys.readouterr().out)
    assert control["unit"] == "degrees"
    assert control["measured"] is None
    assert "no control" in refused(capsys, "controls", "zzzz").lower()


def test_controls_show_what_was_measured(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "own"
    folder.mkdir()
    rig = folder / "manipulation.safetensors"
    rig.write_bytes((tiny_assets / rig.name).read_bytes())
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(folder))
    figure = ControlFigure(0.41, 0.3, 0.5, 0.6, 0.1, 0.2, True, 64)
    save_table(folder / "controls.json", ControlTable("g", checkpoint.sha256(rig), "ours", {"jawOpen": figure}))
    assert main(("controls", "jawOpen")) == 0
    assert "obedience 0.41 weak" in capsys.readouterr().out
    assert main(("controls", "jawOpen", "--json")) == 0
    (control,) = json.loads(capsys.readouterr().out)
    assert control["measured"] == {"obedience": 0.41, "leak": 0.1, "weak": True}


def test_eval_edits(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    few = [CONTROLS[name] for name in ("yaw", "smile")]
    monkeypatch.setattr("crossrig.evaluation.controls.named_controls", lambda: few)
    monkeypatch.setattr("crossrig.metrics.identity.model_folder", lambda: None)
    monkeypatch.setattr("crossrig.evaluation.shipped.unseen_portraits", lambda count, size, *_: torch.rand(count, 3, size, size) * 2 - 1)
    rig = Path(os.environ[assets.FOLDER_VARIABLE]) / "manipulation.safetensors"
    words = ("eval", "edits", "--samples", "8", "--portraits", "8", "--controls", "8", "--triples", "128", "--outdir", "report")
    assert main((*words, "--rig", f"again={rig}", "--json")) == 0
    captured = capsys.readouterr()
    flat = json.loads(captured.out)
    assert captured.err == ""
    assert all(isinstance(value, float) for value in flat.values())
    for method in ("ours", "ours_feedforward", "linear_w", "linear_s", "channels", "again"):
        assert f"obedience.pose.{method}" in flat
        assert f"inverted.leak.shape.{method}" in flat
        assert f"milliseconds.{method}" in flat
        assert Path("report", f"scatter-{method}.png").is_file()
    assert flat["obedience.pose.again"] == flat["obedience.pose.ours_feedforward"]
    assert "control.smile.obedience" in flat
    assert json.loads(Path("report", "edits.json").read_text()) == flat
    assert "not installed" in Path("report", "edits.md").read_text()
    table = load_table(Path("report", "controls.json"))
    assert table.manipulation == checkpoint.sha256(rig)
    assert set(table.figures) == {"yaw", "smile"}
    assert "edits.json: exists already" in refused(capsys, *words)


def test_eval_domains_asks_for_what_was_said(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    from crossrig.evaluation import domains

    asked = []
    monkeypatch.setattr(domains, "evaluate_domain", lambda request, progress: (asked.append(request), ({"clay.leak.pose": 0.5}, []))[1])
    words = ("--domain", "clay", "--parent", "toon", "--pictures", "a.zip", "b", "--judge", "judge.safetensors", "--rig", "rig.safetensors")
    assert main(["eval", "domains", *words, "--samples", "9", "--exact", "10", "--inverted", "11", "--workers", "2", "--json"]) == 0
    assert asked == [
        domains.DomainRequest(
            "clay", "toon", (Path("a.zip"), Path("b")), Path("judge.safetensors"), Path("rig.safetensors"), 9, 10, 11, workers=2
        )
    ]
    assert json.loads(capsys.readouterr().out) == {"clay.leak.pose": 0.5}


def test_eval_edits_takes_trained_stylerigs_and_pie(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("crossrig.evaluation.shipped.embedded", partial(embedded, steps=1))
    monkeypatch.setattr("crossrig.evaluation.shipped.unseen_portraits", lambda count, size, *_: torch.rand(count, 3, size, size) * 2 - 1)
    human = Path(os.environ[assets.FOLDER_VARIABLE]) / "generator-human.safetensors"
    latents = latents_of("wplus", load_generator(human))
    save_stylerig(Path("w.safetensors"), StyleRig.untrained(latents, "wplus", checkpoint.sha256(human)), {})
    words = ("eval", "edits", "--samples", "8", "--portraits", "8", "--controls", "0", "--methods", "ours_feedforward")
    assert main((*words, "--stylerig", "w.safetensors", "--inversion", "pie", "--compare", "stylerig_wplus")) == 0
    page = capsys.readouterr().out
    assert "stylerig_wplus: commanded" in page
    assert "Left out: stylerig_s. Trained weights" in page
    assert "inverted by PIE" in page
    assert page.count("## `stylerig_wplus` against the others") == 2  # codes and portraits
    assert "a stylerig is needed" in refused(capsys, *words, "--stylerig", str(human))
    assert "--stylerig FILE" in refused(capsys, "eval", "edits", "--methods", "stylerig_wplus")


def test_eval_edits_without_files_prints_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    words = ("eval", "edits", "--samples", "8", "--portraits", "0", "--controls", "0", "--rendered", "8", "--methods", "ours_feedforward")
    assert main(words) == 0
    page = capsys.readouterr().out
    assert page.startswith("# Evaluation of edits")
    assert "ours_feedforward: commanded" in page
    assert "rendered: commanded" in page
    assert "# Inverted portraits" not in page
    assert "Left out: stylerig_wplus, stylerig_s." in page
    assert list(Path().iterdir()) == []
    assert "A trial" not in page
    assert main((*words, "--trial")) == 0
    trial = capsys.readouterr().out
    assert "A trial, on people set aside" in trial
    rows = [[line for line in text.splitlines() if line.startswith("| ours")] for text in (page, trial)]
    assert rows[0]
    assert rows[0] != rows[1]  # other people


def test_eval_edits_refuses_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert "no method" in refused(capsys, "eval", "edits", "--methods", "ours,magic")
    assert "no method other in this run" in refused(capsys, "eval", "edits", "--compare", "other")
    assert "--samples" in refused(capsys, "eval", "edits", "--samples", "3")
    assert "NAME=FILE" in refused(capsys, "eval", "edits", "--rig", "full_s")
    assert "cannot name" in refused(capsys, "eval", "edits", "--rig", "ours=x.safetensors")
    assert "no checkpoint" in refused(capsys, "eval", "edits", "--samples", "8", "--codes", "none.safetensors")
    assert "8 or more people" in refused(capsys, "eval", "edits", "--rendered", "7")
    assert "100 labelled" in refused(capsys, "eval", "edits", "--samples", "8", "--triples", "5")


def test_eval_generator(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], blobs: PortraitSet) -> None:
    def some(count: int, size: int, seed: int, workers: int | None = None, first: int = 0) -> PortraitSet:
        index = (seed + first + torch.arange(count)) % len(blobs)
        return PortraitSet(blobs.pictures[index], blobs.labels[index], blobs.codes[index])

    monkeypatch.setattr("crossrig.evaluation.generator.unseen_set", some)
    words = ("eval", "generator", "--samples", "32", "--inversions", "8", "--steps", "1", "--tuning-steps", "1", "--outdir", "report")
    assert main((*words, "--json")) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    flat = json.loads(captured.out)
    wanted = ["precision", "recall", "frechet", "frechet_real_real", "frechet_jpeg10"]
    names = [f"samples.{name}" for name in wanted] + ["latent.ppl_w", "inversion.pivotal_yaw_correlation"]
    names += [f"latent.dci_{space}_{name}" for space in "zws" for name in ("disentanglement", "completeness", "informativeness")]
    names += [f"inversion.{method}_{name}" for method in ("encoder", "optimise", "pivotal") for name in ("l2", "perceptual", "seconds")]
    assert set(names) <= set(flat)
    assert all(isinstance(value, float) for value in flat.values())
    assert json.loads(Path("report", "generator.json").read_text()) == flat
    assert {path.name for path in Path("report").iterdir()} == set(FILES) - {"training.png"}
    page = Path("report", "generator.txt").read_text()
    assert "no FID" in page
    assert "samples.precision" in page
    assert "fewer than 10000" in page
    assert "generator.txt: exists already" in refused(capsys, *words)


def test_eval_generator_refuses_what_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    assert "32 or more samples" in refused(capsys, "eval", "generator", "--samples", "8")
    assert "8 or more inversions" in refused(capsys, "eval", "generator", "--inversions", "1")
    assert "--steps" in refused(capsys, "eval", "generator", "--steps", "0")
    assert "none.zip" in refused(capsys, "eval", "generator", "--training", "none.zip")
    assert "none.safetensors" in refused(capsys, "eval", "generator", "--samples", "32", "--network", "none.safetensors")


def test_sample(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("sample", "--seeds", "0,3-4", "--outdir", "people", "--domain", "toon")) == 0
    assert capsys.readouterr().out == "people/grid.png\n"
    assert sorted(path.name for path in Path("people").iterdir()) == ["grid.png", "seed0000.png", "seed0003.png", "seed0004.png"]
    with Image.open("people/grid.png") as grid:
        assert grid.size == (96, 32)
        assert "trainedAlgorithmicMedia" in grid.info["XML:com.adobe.xmp"]
    assert "exists already" in refused(capsys, "sample", "--seeds", "3", "--outdir", "people")
    assert main(("sample", "--seeds", "3", "--outdir", "again")) == 0
    assert Path("again/seed0003.png").read_bytes() != Path("people/seed0003.png").read_bytes()  # another domain


def test_sample_truncation_zero_is_one_face() -> None:
    assert main(("sample", "--seeds", "0-1", "--outdir", "mean", "--trunc", "0")) == 0
    assert np.array_equal(np.asarray(Image.open("mean/seed0000.png")), np.asarray(Image.open("mean/seed0001.png")))


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--seeds", "4-1"), "must rise"),
        (("--seeds", "a"), "no number or range"),
        (("--trunc", "9"), "--trunc"),
        (("--outdir", "file"), "is a file"),
    ],
)
def test_sample_refusals(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    Path("file").write_text("x")
    assert message in refused(capsys, "sample", *words)


def test_translate(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ("translate", str(photo), "-o", "out.png", "--from", "human", "--to", "toon", "--steps", "1")
    assert main((*words, "--sheet")) == 0
    captured = capsys.readouterr()
    assert captured.out == "out.png\nout-sheet.png\n"
    assert "Taken as a picture of the human domain." in captured.err
    assert "Edited" not in captured.err
    with Image.open("out.png") as image:
        assert image.size == (32, 32)
        assert "compositeWithTrainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
        toon = np.asarray(image.convert("RGB")).astype(int)
    with Image.open("out-sheet.png") as image:
        assert image.width > 3 * 192
        assert "compositeWithTrainedAlgorithmicMedia" in image.info["XML:com.adobe.xmp"]
    assert "exists already" in refused(capsys, *words)
    # a share of 0 is the inversion, a share of 1 the translation; a generator of one's own is as good as a shipped one
    assert main((*words, "--overwrite", "--blend", "4=0")) == 0
    human = np.asarray(Image.open("out.png").convert("RGB")).astype(int)
    assert np.abs(human - toon).max() > 5
    assert main((*words, "--overwrite", "--blend", "4")) == 0
    assert np.array_equal(np.asarray(Image.open("out.png").convert("RGB")), toon)
    own = "generator-mine.safetensors"
    Path(own).write_bytes(assets.require("generator-human").read_bytes())
    own_words = ("translate", str(photo), "-o", "own.png", "--from", own, "--to", "toon", "--steps", "1")
    capsys.readouterr()
    assert main(own_words) == 0
    assert "Taken as a picture of the mine domain." in capsys.readouterr().err
    assert np.array_equal(np.asarray(Image.open("own.png").convert("RGB")), toon)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--to", "animal"), 'no domain "animal"'),
        (("--to", "toon", "--from", "tone"), 'Did you mean "toon"'),
        (("--to", "toon", "--from", "toon"), "choose two domains"),
        (("--to", "toon", "--from", "human", "--blend", "64=1"), "no layers at 64 px"),
        (("--to", "toon", "--blend", "half"), "--blend half"),
        (("--to", "toon", "--steps", "0"), "--steps must be at least 1"),
        (("--to", "small.safetensors"), "not built alike"),
        (("--to", "toon", "-o", "out.gif"), "choose a name that ends so"),
        ((), "--to"),
    ],
)
def test_translate_refusals(photo: Path, capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    save_generator("small.safetensors", Generator(GeneratorConfig(resolution=8, z_dim=8, w_dim=8, channels=(8, 8))))
    assert message in refused(capsys, "translate", str(photo), "-o", "out.png", *words)


def test_translate_bad_pictures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _write_bad_pictures(tmp_path)
    for picture, message in (("missing.png", "no such file"), ("truncated.jpg", "damaged"), ("noface.png", "no face was found")):
        assert message in refused(capsys, "translate", picture, "-o", "out.png", "--from", "human", "--to", "toon", "--steps", "1")


def test_translate_within_one_domain_is_refused(
    photo: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("crossrig.session.EditSession._choose_domain", lambda session, target: ("toon", None))
    monkeypatch.setattr(domains_cli, "show_progress", lambda *step: None)
    assert "toon domain already" in refused(capsys, "translate", str(photo), "-o", "out.png", "--to", "toon", "--steps", "1")


def test_blend(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("blend", "human", "toon", "-o", "mixed.safetensors")) == 0
    assert capsys.readouterr().out == "mixed.safetensors\n"
    tensors, header = checkpoint.load("mixed.safetensors")
    human, toon = (checkpoint.load(assets.require(f"generator-{name}"))[0] for name in ("human", "toon"))
    for name, source in (("synthesis.b8.conv1.weight", human), ("synthesis.b16.conv0.weight", toon), ("synthesis.b32.torgb.bias", toon)):
        assert torch.equal(tensors[name], source[name])
    assert header["blended"]["shares"] == {"4": 0.0, "8": 0.0, "16": 1.0, "32": 1.0}
    assert header["blended"]["texture"] == checkpoint.sha256(assets.require("generator-toon"))
    assert "exists already" in refused(capsys, "blend", "human", "toon", "-o", "mixed.safetensors")
    words = ("blend", "human", "toon", "-o", "mixed.safetensors", "--overwrite", "--reverse", "--shares", "8=0.5,16=1")
    assert main(words) == 0
    tensors, header = checkpoint.load("mixed.safetensors")
    assert torch.equal(tensors["synthesis.b32.torgb.bias"], human["synthesis.b32.torgb.bias"])
    assert header["blended"]["shares"]["8"] == 0.5
    capsys.readouterr()
    assert main(("sample", "--network", "mixed.safetensors", "--seeds", "1")) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("human", "animal"), 'no domain "animal"'),
        (("human", "none.safetensors"), "no generator checkpoint"),
        (("human", "judge.safetensors"), "not a generator"),
        (("human", "toon", "--from-resolution", "64"), "no layers at 64 px"),
        (("human", "toon", "--from-resolution", "x"), "invalid int value"),
        (("human", "toon", "--shares", "8=2"), "between 0 and 1"),
        (("human", "toon", "--from-resolution", "0"), "no layers at 0 px"),
        (("human", "toon", "--shares", "8=1", "--from-resolution", "8"), "give one of them"),
        (("human", "toon", "--overwrite", "-o", "out.png"), "choose a name that ends so"),
    ],
)
def test_blend_refusals(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    Path("judge.safetensors").write_bytes(assets.require("judge").read_bytes())
    assert message in refused(capsys, "blend", "-o", "out.safetensors", *words)


def test_a_child_is_written_and_used_as_its_difference(photo: Path, capsys: pytest.CaptureFixture[str]) -> None:
    toon = str(assets.require("generator-toon"))
    assert main(("export", "generator", toon, "--format", "difference", "-o", "generator-small.safetensors")) == 0
    captured = capsys.readouterr()
    assert captured.out == "generator-small.safetensors\n"
    assert "generator-human.safetensors" in captured.err
    assert Path("generator-small.safetensors").stat().st_size < 0.5 * Path(toon).stat().st_size
    words = ("--seeds", "1", "--trunc", "1")
    assert main(("sample", "--network", "generator-small.safetensors", *words, "--outdir", "small")) == 0
    assert main(("sample", "--domain", "toon", *words, "--outdir", "whole")) == 0
    small, whole = (np.asarray(Image.open(f"{name}/seed0001.png").convert("RGB")).astype(int) for name in ("small", "whole"))
    assert np.abs(small - whole).max() <= 4
    capsys.readouterr()
    assert "choose a name that ends so" in refused(capsys, "export", "generator", toon, "--format", "difference", "-o", "x.pt")
    words = ("export", "generator", toon, "--format", "difference", "--parent", "animal", "-o", "x.safetensors")
    assert "no domain" in refused(capsys, *words)


def test_adapt(capsys: pytest.CaptureFixture[str]) -> None:
    folder = Path("heads")
    folder.mkdir()
    for index in range(4):
        Image.fromarray(np.full((40, 40, 3), 60 * index, np.uint8)).save(folder / f"{index}.png")
    words = ("adapt", "--images", "heads", "--name", "grey", "--aligned", "--batch", "2", "--discriminator-size", "32")
    never = ("--precision", "float32", "--least-yaw", "-1", "--least-expression", "-1", "--from", "toon", "--freeze", "b4,b8")
    assert main((*words, *never)) == 2
    assert "at least 16, better some hundreds; --fewest 4 tries it" in capsys.readouterr().err
    assert main((*words, *never, "--kimg", "0.004", "--fewest", "2")) == 0
    assert capsys.readouterr().out == "runs/grey/generator-grey.safetensors\n"
    header = checkpoint.load_header("runs/grey/generator-grey.safetensors")
    assert header["adapted"]["from"] == checkpoint.sha256(assets.require("generator-toon"))
    assert header["adapted"]["held"] == ["mapping", "affine", "b4", "b8"]
    # the child is a generator like any other
    assert main(("blend", "human", "runs/grey/generator-grey.safetensors", "-o", "mixed.safetensors")) == 0
    assert main(("sample", "--network", "runs/grey/generator-grey.safetensors", "--seeds", "1")) == 0


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ((), "--outdir is needed"),
        (("--name", "clay"), "--images is needed"),
        (("--images", "heads", "--name", "a/b"), "letters, digits"),
        (("--images", "heads", "--name", "toon"), "shipped domain"),
        (("--images", "nowhere", "--name", "clay"), "no folder or archive"),
        (("--images", "nowhere", "--name", "clay", "--freeze", "b64"), 'no layer "b64"'),
        (("--images", "nowhere", "--name", "clay", "--from", "animal"), 'no domain "animal"'),
        (("--images", "nowhere", "--name", "clay", "--freze", "b4"), 'Did you mean "--freeze"'),
    ],
)
def test_adapt_refusals(capsys: pytest.CaptureFixture[str], words: tuple[str, ...], message: str) -> None:
    assert message in refused(capsys, "adapt", *words)


def test_synth_refusals(capsys: pytest.CaptureFixture[str]) -> None:
    assert "count" in refused(capsys, "synth", "--count", "0", "--outdir", ".")
    assert "required" in refused(capsys, "synth", "--count", "3")


def test_train_options_come_from_the_recipe(capsys: pytest.CaptureFixture[str]) -> None:
    assert 'Did you mean "--kimg"?' in refused(capsys, "train", "encoder", "--kmg", "3")
    assert "--kimg must be a number" in refused(capsys, "train", "encoder", "--kimg", "many")
    Path("bad.toml").write_text("bacth = 3")
    assert 'Did you mean "batch"?' in refused(capsys, "train", "encoder", "--config", "bad.toml")
    assert "no checkpoint" in refused(capsys, "train", "encoder", "--generator", "none.safetensors")


def test_train_judge_is_the_judge(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    settings, _ = training.load_recipe("judge")
    seen = []
    monkeypatch.setattr(training, "load_recipe", lambda name: (settings, lambda config: seen.append(config) or Path("done")))
    assert main(("train", "judge", "--kimg", "1")) == 0
    assert capsys.readouterr().out == "done\n"
    assert seen[0].role == "judge"
    assert seen[0].kimg == 1.0
    assert str(seen[0].outdir) == "runs/judge"


def test_doctor(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(("doctor", "--json")) == 0
    printed = json.loads(capsys.readouterr().out)
    assert len(printed["assets"]["generator-human"]["sha256"]) == 64
    assert any("detector.safetensors" in problem for problem in printed["problems"]) == (assets.find("detector") is None)
    assert main(("doctor",)) == 0
    assert "torch 2." in capsys.readouterr().out


def test_synth_with_packs_needs_some(capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CROSSRIG_HOME", str(tmp_path / "home"))
    assert "crossrig assets add" in refused(capsys, "synth", "--count", "2", "--packs", "0.5", "--outdir", str(tmp_path / "people"))
    assert not (tmp_path / "people").exists()


def test_unknown_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert "invalid choice: 'edti'" in refused(capsys, "edti")
    assert "required" in refused(capsys)
    assert "no such folder" in refused(capsys, "assets", "add", "nowhere")
    assert "--quick" in refused(capsys, "eval")


@pytest.mark.parametrize(
    "command",
    [
        *("", "edit", "studio", "controls", "sample", "synth", "train", "train encoder", "eval", "eval edits", "eval generator"),
        *("translate", "blend", "adapt", "assets", "doctor", "demo"),
    ],
)
def test_help(capsys: pytest.CaptureFixture[str], command: str) -> None:
    with pytest.raises(SystemExit) as stopped:
        main((*command.split(), "--help"))
    assert stopped.value.code == 0
    assert "usage: crossrig" in capsys.readouterr().out


def test_as_a_process() -> None:
    """The status a shell sees, and that no traceback is shown."""
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    words = [sys.executable, "-m", "crossrig.cli", "edit", "none.png", "-o", "out.png"]
    done = subprocess.run(words, capture_output=True, text=True, env=environment, check=False)
    assert done.returncode == 2
    assert done.stderr == "crossrig: none.png: there is no such file.\n"
    assert done.stdout == ""


def test_settings_and_seeds() -> None:
    assert parse_settings(["smile=0.5", "age=+1", "smile=1e-1"]) == {"smile": 0.1, "age": 1.0}
    assert parse_seeds("0-2,7") == [0, 1, 2, 7]
    with pytest.raises(UserError):
        parse_seeds("1-99999999")
