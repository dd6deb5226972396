"""The demo's pictures and its sheet (tiny untrained networks)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig import assets
from crossrig.demo import EDITS, for_face, make_sheet, subjects
from crossrig.face3d.controls import check_value
from crossrig.face3d.params import EXPRESSION_UNITS, FaceParams
from crossrig.session import Effort, Networks


def test_subjects_are_a_photograph_and_two_drawings() -> None:
    assert [subject.caption for subject in subjects()] == ["photograph", "drawing", "avatar"]
    assert all(subject.picture.pixels.shape == (512, 512, 3) for subject in subjects())
    credits_file = Path(make_sheet.__globals__["__file__"]).parent / "examples" / "CREDITS.md"
    assert all(name in credits_file.read_text() for name in ("drawn.png", "avatar.png"))


def test_edits_are_within_their_ranges() -> None:
    for controls in EDITS.values():
        for name, value in controls.items():
            check_value(name, value)


@pytest.mark.parametrize(("own", "asked", "expected"), [(10.0, 20.0, 30.0), (-50.0, -20.0, -60.0)])
def test_turns_are_counted_from_the_pose_of_the_picture(own: float, asked: float, expected: float) -> None:
    params = FaceParams.neutral().replace(rotation=torch.deg2rad(torch.tensor([[3.0, own, 5.0]])))
    caption = next(caption for caption, values in EDITS.items() if values.get("yaw") == asked)
    assert for_face(caption, params) == (caption, pytest.approx({"yaw": expected}))


@pytest.mark.parametrize(("weight", "caption"), [(0.1, "smile"), (0.95, "no smile")])
def test_who_smiles_already_is_asked_to_stop(weight: float, caption: str) -> None:
    expression = torch.zeros(1, len(EXPRESSION_UNITS))
    expression[0, [EXPRESSION_UNITS.index("mouthSmileLeft"), EXPRESSION_UNITS.index("mouthSmileRight")]] = weight
    found, values = for_face("smile", FaceParams.neutral().replace(expression=expression))
    assert found == caption
    assert abs(values["smile"] - weight) > 0.5


def test_sheet_and_pictures_are_written(tiny_assets: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(assets.FOLDER_VARIABLE, str(tiny_assets))
    networks = Networks.shipped("auto")
    path = make_sheet(tmp_path, networks=networks, effort=Effort(1, 1, 0, 1))
    assert path == tmp_path / "sheet.png"
    with Image.open(path) as sheet:
        assert sheet.width > (2 + len(EDITS)) * 192
        assert sheet.height > 7 * 192  # three pictures, their models, and the photograph in the other domain
        below = np.asarray(sheet.convert("RGB"))[6 * 220 + 10 : 7 * 220 - 30]
    assert (below[:, 200:] < 255).any(axis=(0, 2)).mean() > 0.8
    for caption in ("photograph", "drawing", "avatar"):
        assert len(list(tmp_path.glob(f"{caption}-*.png"))) == len(EDITS)
    with Image.open(tmp_path / "photograph-smile.png") as edited:
        assert edited.size == (512, 512)
