from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

from crossrig import assets, checkpoint
from crossrig.errors import UserError
from crossrig.evaluation import controls
from crossrig.evaluation.controls import (
    ControlFigure,
    ControlTable,
    load_table,
    measure_controls,
    moved_block,
    named_controls,
    save_table,
    shipped_figures,
    tag,
    usual_range,
)
from crossrig.evaluation.instruments import Instruments, Subjects
from crossrig.face3d.controls import CONTROLS, apply
from crossrig.face3d.params import FaceParams
from crossrig.rig.editors import Editor

FEW = ("yaw", "moveX", "jawOpen", "smile", "gazeYaw", "tongueOut", "noseWidth", "skinTone", "light.azimuth", "light.strength")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(controls, "named_controls", lambda: [CONTROLS[name] for name in FEW])


def test_there_are_more_than_forty_and_their_ranges_are_allowed() -> None:
    chosen = named_controls()
    assert len(chosen) >= 40
    assert not any(control.name.startswith(("shape.", "albedo.")) for control in chosen)
    for control in chosen:
        low, high = usual_range(control)
        assert control.minimum <= low < high <= control.maximum
        assert (low <= 0.0 <= high) or control.name in ("light.strength", "light.contrast", "light.ambient")


def test_a_perfect_editor_obeys_every_control(few: None, tools: Instruments, subjects: Subjects, perfect: Editor) -> None:
    steps: list[int] = []
    figures = measure_controls(tools, perfect, subjects, 16, 30, lambda step, total: steps.append(step))
    assert tuple(figures) == FEW
    assert steps[-1] == len(FEW)
    for name, figure in figures.items():
        assert figure.obedience == pytest.approx(1.0, abs=1e-3), name
        assert figure.slope == pytest.approx(1.0, abs=1e-3), name
        assert figure.leak == pytest.approx(0.0, abs=1e-3), name
        assert figure.sideways == pytest.approx(0.0, abs=0.02), name
        assert not figure.weak
        assert figure.samples == 16


def test_a_lazy_one_is_weak(few: None, tools: Instruments, subjects: Subjects, perfect: Editor) -> None:
    def lazy(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        return perfect(styles, attribute, 0.2 * command)

    for figure in measure_controls(tools, lazy, subjects, 16, 10).values():
        assert figure.obedience == pytest.approx(1 - 0.64, abs=0.01)
        assert figure.weak


def test_what_happens_across_is_told_apart_from_leak(few: None, tools: Instruments, subjects: Subjects, perfect: Editor) -> None:
    def crooked(styles: torch.Tensor, attribute: str, command: torch.Tensor) -> torch.Tensor:
        moved = FaceParams.unpack(perfect(styles, attribute, command))
        if attribute == "pose":
            rotation = moved.rotation.clone()
            rotation[:, 2] += 0.2  # rolls whatever is asked
            moved = moved.replace(rotation=rotation)
        return moved.pack()

    figures = measure_controls(tools, crooked, subjects, 16, 10)
    assert figures["yaw"].obedience == pytest.approx(1.0, abs=1e-3)
    assert figures["yaw"].sideways > 0.2
    assert figures["yaw"].leak == pytest.approx(0.0, abs=1e-3)
    assert figures["smile"].sideways == pytest.approx(0.0, abs=0.02)


def test_every_control_moves_one_block(people: FaceParams) -> None:
    blocks = {name: moved_block(people, apply(people, {name: usual_range(CONTROLS[name])[1]})) for name in FEW}
    assert blocks["yaw"] == "rotation"
    assert blocks["moveX"] == "translation"
    assert blocks["skinTone"] == "albedo"
    with pytest.raises(UserError, match="changed nothing"):
        moved_block(people, people)


FIGURE = ControlFigure(0.55, 0.5, 0.6, 0.8, 0.1, 0.2, True, 64)


def test_tables_are_written_and_read(tmp_path: Path) -> None:
    table = ControlTable("a" * 64, "b" * 64, "ours", {"smile": FIGURE})
    save_table(tmp_path / "controls.json", table)
    assert load_table(tmp_path / "controls.json") == table
    for broken in ("nonsense", "{}", "[]", '{"figures": {"smile": {"obedience": "much"}}}'):
        (tmp_path / "broken.json").write_text(broken)
        with pytest.raises(UserError):
            load_table(tmp_path / "broken.json")
    with pytest.raises(UserError, match="eval edits"):
        load_table(tmp_path / "none.json")


def test_only_figures_of_this_very_rig_are_shown(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tmp_path))
    rig = tmp_path / "manipulation.safetensors"
    checkpoint.save(rig, {"x": torch.zeros(1)}, {"kind": "rig"})
    assert shipped_figures() == {}
    save_table(tmp_path / "controls.json", ControlTable("a", checkpoint.sha256(rig), "ours", {"smile": FIGURE}))
    assert shipped_figures() == {"smile": FIGURE}
    checkpoint.save(rig, {"x": torch.ones(1)}, {"kind": "rig"})
    assert shipped_figures() == {}
    assert tag(None) == "not measured"
    assert "weak" in tag(FIGURE)
    assert "weak" not in tag(ControlFigure(0.6, 0.5, 0.7, 1.0, 0.1, 0.2, True, 64))


def test_the_shipped_table_if_there_is_one_was_measured() -> None:
    path = assets.shipped_folder() / controls.FILE
    if path.exists():
        table = load_table(path)
        assert table.manipulation == checkpoint.sha256(assets.shipped_folder() / "manipulation.safetensors")
        assert len(table.figures) >= 40
        assert json.loads(path.read_text())["method"] == "ours_passes"  # what an edit does: M twice (session.Effort)
