from __future__ import annotations

import importlib.util

import numpy as np
import pytest
import torch

from crossrig.data.people import person, sample_code
from crossrig.data.portraits import render_portrait
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.metrics.bootstrap import Resampling
from crossrig.metrics.identity import model_folder
from crossrig.metrics.points import INSIDE, PointFinder, answer_of_points
from crossrig.rig.losses import PointLoss


def test_without_the_package_there_is_no_finder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    assert PointFinder.installed() is None


def test_points_are_compared_inside_the_face_and_where_there_are_any() -> None:
    torch.manual_seed(0)
    commanded = torch.randn(5, 68, 2)
    moved = 0.5 * commanded
    moved[:, :17] = 9.0
    moved[3] = torch.nan
    answer, found = answer_of_points(commanded, moved)
    assert found.tolist() == [True, True, True, False, True]
    assert answer.r2(Resampling(5, 10)).value == pytest.approx(0.75)
    assert answer.slope(Resampling(5, 10)).value == pytest.approx(0.5)


@pytest.mark.skipif(model_folder() is None, reason="face_recognition_models is not installed")
def test_dlib_finds_the_points_where_our_landmarks_are() -> None:
    finder = PointFinder.installed()
    assert finder is not None
    someone = [person(*sample_code(770, index)) for index in (2, 6, 7, 10)]
    pictures = np.stack([render_portrait(shown, 128).transpose(2, 0, 1) for shown in someone])
    found = finder.find(torch.from_numpy(pictures).float() / 127.5 - 1.0)
    blocks = {name: torch.from_numpy(np.stack([shown.blocks[name] for shown in someone])).float() for name in someone[0].blocks}
    ours = PointLoss.landmarks(FaceModel.load()).points(FaceParams(**blocks))
    assert found.shape == (4, 68, 2)
    apart = (found - ours)[:, INSIDE].norm(dim=-1).median(1).values  # of a picture whose sides are 2
    assert float(apart.max()) < 0.08
    nobody = finder.find(torch.zeros(1, 3, 64, 64))
    assert bool(nobody.isnan().all())
