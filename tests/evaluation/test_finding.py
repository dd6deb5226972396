"""Finds are counted as what they are; the whole evaluation runs on an untrained network."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossrig.cli import main
from crossrig.data.align import Framing
from crossrig.data.detect import Face
from crossrig.data.detector import DetectorNet, save_detector
from crossrig.evaluation import finding
from crossrig.evaluation.finding import Shown, counted, is_there


def test_what_counts_as_found() -> None:
    head = Framing(100, 100, 50)
    assert is_there(Framing(110, 90, 60), head)
    assert not is_there(Framing(122, 100, 50), head)
    assert not is_there(Framing(100, 100, 80), head)
    assert not is_there(Framing(100, 100, 30), head)


def test_heads_and_false_finds_are_counted() -> None:
    head, pixels = Framing(100, 100, 50), np.zeros((4, 4, 3), np.uint8)
    right, wrong = (Face(framing, 0.9, "drawing") for framing in (Framing(101, 99, 51), Framing(10, 10, 5)))
    shown = [Shown(pixels, head), Shown(pixels, head), Shown(pixels, None)]
    assert counted(shown, [[right, wrong], [wrong], []]) == {"found": 0.5, "false_finds": pytest.approx(2 / 3)}
    assert counted(shown[2:], [[wrong]]) == {"false_finds": 1.0}


def test_half_of_the_heads_are_small_and_lie_where_it_is_said() -> None:
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[28:36, 12:20] = 255  # around (16, 32)
    shown = list(finding._half_small([(pixels, Framing(0.25, 0.5, 0.4))] * 8))
    assert [len(picture.pixels) for picture in shown] == [64, 640] * 4
    for picture in shown:
        assert picture.head is not None
        rows, columns = np.nonzero((picture.pixels > 250).all(-1))
        assert math.hypot(columns.mean() + 0.5 - picture.head.x, rows.mean() + 0.5 - picture.head.y) < 2.5


def test_faceless_pictures_are_pictures() -> None:
    shown = list(finding.faceless())
    assert len(shown) == 18
    assert all(pixels.dtype == np.uint8 and pixels.shape[2] == 3 and pixels.std() > 5 for pixels in shown)


def test_every_set_has_its_figures(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    save_detector(tmp_path / "detector.safetensors", DetectorNet(8), {})
    drawn, without = tmp_path / "cartoons", tmp_path / "cups"
    for folder in (drawn, without):
        folder.mkdir()
        for number in range(2):
            Image.fromarray(np.full((40, 40, 3), 90 * number, np.uint8)).save(folder / f"{number}.png")
    (drawn / "framing.json").write_text('{"x": 0.5, "y": 0.5, "half": 0.4}')
    words = ["--detector", str(tmp_path / "detector.safetensors"), "--drawn", str(drawn), "--without", str(without), "--samples", "2"]
    assert main(["eval", "detector", *words, "--workers", "1", "--json"]) == 0
    figures = json.loads(capsys.readouterr().out)
    for name in ("photo", "statue", "sketch", "cartoons"):
        assert {f"{figure}.{name}.{method}" for figure in ("found", "false_finds") for method in finding.METHODS} <= figures.keys()
    assert "found.cups.ours" not in figures
    assert figures["false_finds.cups.dlib"] == 0.0
    assert "false_finds.faceless.ours" in figures
    assert "| cups |" in finding.as_text(figures)
