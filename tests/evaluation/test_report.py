from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from crossrig.errors import UserError
from crossrig.evaluation import report
from crossrig.evaluation.controls import ControlFigure
from crossrig.evaluation.edits import Evaluation, Sizes, evaluate_subjects
from crossrig.evaluation.instruments import Instruments, Subjects
from crossrig.face3d.params import ATTRIBUTES
from crossrig.rig.editors import Editor

CONTROLS = {"smile": ControlFigure(0.9, 0.85, 0.95, 1.0, 0.1, 0.2, True, 64), "pout": ControlFigure(0.3, 0.2, 0.4, 0.5, 0.1, 0.2, True, 64)}


@pytest.fixture
def evaluation(tools: Instruments, subjects: Subjects, perfect: Editor) -> Evaluation:
    sizes = Sizes(codes=64, portraits=0, anchors=8, targets=3, timed=2, draws=20)
    editors = {"ours": perfect, "lazy": lambda styles, attribute, command: perfect(styles, attribute, 0.3 * command)}
    return evaluate_subjects(tools, editors, subjects, sizes, "", lambda *_: None)


def test_the_page_says_what_was_measured(evaluation: Evaluation) -> None:
    page = report.markdown(evaluation, ["ours", "lazy"], CONTROLS, ["A sentence about the run."])
    assert "A sentence about the run." in page
    rows = [line for line in page.splitlines() if line.startswith("| `")]
    assert len(rows) == len(report.GOALS)
    assert all("reached" in row for row in rows)
    assert any(line.startswith("| lazy | 0.51 (0.5") for line in page.splitlines())  # 1 - 0.7^2, with its interval
    for method in ("ours", "lazy"):
        assert f"{method}: commanded" in page  # the full matrix
    assert "2 controls, 1 of them weak." in page
    assert "| weak |" in next(line for line in page.splitlines() if line.startswith("| pout"))
    assert "Inverted" not in page
    assert "## `ours` against the others" in page


def test_a_missed_goal_is_called_missed(evaluation: Evaluation) -> None:
    figures = {name: value for name, value in evaluation.figures.items() if not name.endswith(".ours")}
    lazy = {name.removesuffix(".lazy") + ".ours": value for name, value in figures.items() if name.endswith(".lazy")}
    page = report.markdown(Evaluation(figures | lazy, {}, {}), ["ours", "lazy"], {}, [])
    row = next(line for line in page.splitlines() if line.startswith("| `obedience.pose.ours"))
    assert "missed" in row


def test_pictures_and_pages_are_written_once(evaluation: Evaluation, tmp_path: Path) -> None:
    report.check_folder(tmp_path, ["ours", "lazy"], False)
    report.write_pictures(tmp_path, evaluation, False)
    report.write_page(tmp_path, "page\n", "{}")
    assert {path.name for path in tmp_path.iterdir()} == {"leak.png", "scatter-ours.png", "scatter-lazy.png", "edits.md", "edits.json"}
    with Image.open(tmp_path / "scatter-ours.png") as picture:
        assert picture.width > 3 * 300  # a panel for each attribute and one for yaw
        assert picture.height > 2 * 300
    with pytest.raises(UserError, match="--overwrite"):
        report.check_folder(tmp_path, ["ours"], False)
    report.check_folder(tmp_path, ["ours"], True)
    assert set(report.file_names(["ours"])) >= {"controls.json", "leak.png", "edits.json"}
    assert report.leak_picture(evaluation.figures, "ours").shape[2] == 3
    assert len(ATTRIBUTES) == 5
