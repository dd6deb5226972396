from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from crossrig.cli import main
from crossrig.evaluation.attributes import FILES, control_r2, control_values, report_of
from crossrig.evaluation.controls import named_controls
from crossrig.face3d.controls import CONTROLS, apply
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import BLOCKS, FaceParams
from crossrig.metrics.r2 import block_r2
from crossrig.rig.units import Units


@pytest.fixture(scope="module")
def units(tiny_model: FaceModel) -> Units:
    return Units.of(tiny_model)


def test_reading_right_scores_one_and_reading_the_mean_nothing(units: Units, people: FaceParams) -> None:
    mean = FaceParams.unpack(people.pack().mean(0, keepdim=True).expand(len(people), -1))
    for block in BLOCKS:
        assert block_r2(units, block, people, people) == 1.0
        assert block_r2(units, block, mean, people) == pytest.approx(0.0, abs=1e-4)
    assert block_r2(units, "rotation", people, mean) is None  # nothing varies


@pytest.mark.parametrize("name", ["yaw", "smile", "jawOpen", "light.strength", "faceWidth", "gender", "skinTone"])
def test_a_control_reads_what_was_set(name: str, people: FaceParams) -> None:
    few = people[:4]
    step = 0.5 if CONTROLS[name].maximum <= 1 else 1.0
    control = CONTROLS[name]
    before, after = (control_values([control], apply(few, {name: value}))[name] for value in (0.25, 0.25 + step))
    torch.testing.assert_close(after - before, torch.full((4,), step), rtol=1e-3, atol=1e-3)


def test_the_side_of_the_light_goes_the_short_way_round() -> None:
    seen = torch.tensor([179.0, -179.0, 170.0, -170.0])
    assert control_r2(CONTROLS["light.azimuth"], -seen, seen) < 0.0
    near = torch.tensor([-179.0, 179.0, 172.0, -172.0])
    assert control_r2(CONTROLS["light.azimuth"], near, seen) > 0.9
    assert control_r2(CONTROLS["yaw"], seen, torch.ones(4)) == 0.0


def test_the_report_names_every_block_and_control(units: Units, people: FaceParams, tmp_path: Path) -> None:
    report = report_of(units, named_controls(), people, people, FaceParams.unpack(people.pack().roll(1, 0)), "a note")
    figures = json.loads(report.as_json())
    assert {f"{block}.{kind}" for block in BLOCKS for kind in ("r2", "r2_judge")} <= set(figures)
    assert figures["control.yaw.r2"] == 1.0
    assert figures["rotation.r2_judge"] < 0.0
    assert len([name for name in figures if name.startswith("control.")]) == len(named_controls())
    report.write(tmp_path, overwrite=False)
    assert all((tmp_path / name).stat().st_size > 100 for name in FILES)
    assert "| yaw | 1.00 |" in (tmp_path / "attributes.md").read_text()


def test_the_command_measures_t_and_refuses_to_replace(
    tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("CROSSRIG_ASSETS", str(tiny_assets))
    words = ["eval", "attributes", "--samples", "8", "--json", "--outdir", str(tmp_path)]
    assert main(words) == 0
    assert "expression.r2" in json.loads(capsys.readouterr().out)
    assert main(words) != 0
    assert "--overwrite" in capsys.readouterr().err
