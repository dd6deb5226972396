from __future__ import annotations

import pytest
import torch

from crossrig.errors import UserError
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.metrics.outside import face_mask, outside_change


def test_only_what_lies_outside_counts() -> None:
    before = torch.zeros(2, 3, 8, 8)
    face = torch.zeros(2, 1, 8, 8)
    face[:, :, 2:6, 2:6] = 1
    inside, outside = before.clone(), before.clone()
    inside[:, :, 2:6, 2:6] = 1.0
    outside[0, :, 0, 0] = 1.0  # one of 48 pixels, by half the range
    assert float(outside_change(before, inside, face).max()) == 0.0
    assert outside_change(before, outside, face).tolist() == pytest.approx([127.5 / 48, 0.0])
    assert float(outside_change(before, inside, torch.ones_like(face)).max()) == 0.0


def test_the_mask_is_the_rendered_face_and_a_little_more(tiny_model: FaceModel) -> None:
    from crossrig.render.face import render_face

    face = FaceParams.neutral(1)
    mask = face_mask(tiny_model, face, 64)
    bare = render_face(tiny_model, face, 64, regions=True).regions["face"]
    assert set(mask.unique().tolist()) == {0.0, 1.0}
    assert bool((mask >= bare).all())
    assert float(bare.sum()) < float(mask.sum()) < 64 * 64
    turned = face_mask(tiny_model, face.replace(translation=torch.tensor([[0.05, 0.0, 0.0]])), 64)
    assert not torch.equal(turned, mask)


def test_a_model_without_a_face_region_is_refused(tiny_model: FaceModel, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FaceModel, "regions", {})
    with pytest.raises(UserError, match="region"):
        face_mask(tiny_model, FaceParams.neutral(1), 16)
