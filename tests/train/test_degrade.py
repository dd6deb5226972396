from __future__ import annotations

import pytest
import torch

from crossrig.data.portrait_set import PortraitSet
from crossrig.face3d.model import FaceModel
from crossrig.face3d.params import FaceParams
from crossrig.render.camera import Camera
from crossrig.render.face import render_face
from crossrig.rig.losses import PointLoss
from crossrig.train.degrade import (
    Degradation,
    damage,
    degrade,
    jpeg_like,
    reframe,
    reframe_labels,
    relight,
    relight_labels,
)


@pytest.fixture
def random() -> torch.Generator:
    return torch.Generator().manual_seed(2)


def test_labels_follow_zoom_and_shift(tiny_model: FaceModel, people: FaceParams, random: torch.Generator) -> None:
    landmarks = PointLoss.landmarks(tiny_model)
    zoom = torch.exp(0.08 * torch.randn(64, generator=random))
    shift = 0.1 * torch.randn(64, 2, generator=random)
    before, after = landmarks.points(people), landmarks.points(reframe_labels(people, zoom, shift, Camera()))
    wanted = before * zoom[:, None, None] + shift[:, None]
    # What is left is perspective: the depth of the face at another distance. It is far below a pixel of 96.
    assert float((after - wanted).norm(dim=-1).mean()) < 0.004
    unturned = reframe_labels(people, zoom, shift, Camera()).replace(rotation=people.rotation)
    assert float((after - wanted).norm(dim=-1).mean()) < 0.7 * float((landmarks.points(unturned) - wanted).norm(dim=-1).mean())


def test_pictures_follow_zoom_and_shift() -> None:
    image = torch.full((1, 3, 64, 64), -1.0)
    image[:, :, 16, 40] = 1.0  # a dot at ndc (0.265625, 0.484375)
    moved = reframe(image, torch.tensor([1.25]), torch.tensor([[0.1, -0.2]]))
    row, column = divmod(int(moved[0, 0].argmax()), 64)
    x, y = (2 * column + 1) / 64 - 1, 1 - (2 * row + 1) / 64
    assert x == pytest.approx(1.25 * 0.265625 + 0.1, abs=0.02)
    assert y == pytest.approx(1.25 * 0.484375 - 0.2, abs=0.02)


def test_relit_pictures_are_those_of_relit_labels(tiny_model: FaceModel, people: FaceParams, random: torch.Generator) -> None:
    few = people[:4].replace(illumination=people.illumination[:4] * 0.5)
    gain = torch.exp(0.15 * torch.randn(4, 3, generator=random))
    found = relight(render_face(tiny_model, few, 32).image, gain)
    wanted = render_face(tiny_model, relight_labels(few, gain), 32).image
    different = (found - wanted).abs() > 0.02
    assert float(different.float().mean()) < 0.01  # only what was clipped at white


def test_jpeg_keeps_flat_pictures_and_loses_detail(random: torch.Generator) -> None:
    flat = torch.full((1, 3, 16, 16), 0.25)
    assert float((jpeg_like(flat, 0.01) - flat).abs().max()) < 0.01
    noise = 0.02 * torch.randn(1, 3, 16, 16, generator=random)
    assert float(jpeg_like(noise, 0.2).std()) < 0.5 * float(noise.std())


def test_damage_hurts_but_stays_a_picture(blobs: PortraitSet, random: torch.Generator) -> None:
    images = blobs.batch(torch.arange(32))[0]
    kept = images.clone()
    hurt = damage(images, Degradation(), random)
    assert torch.equal(images, kept)
    assert hurt.shape == images.shape
    assert float(hurt.min()) >= -1
    assert float(hurt.max()) <= 1
    changed = (hurt - images).abs().amax((1, 2, 3)) > 0.02
    assert float(changed.float().mean()) > 0.5


def test_no_strength_changes_nothing(blobs: PortraitSet, people: FaceParams, random: torch.Generator) -> None:
    images = blobs.batch(torch.arange(4))[0]
    none = Degradation(zoom=0, shift=0, exposure=0, white_balance=0, share=0, covered=0)
    found, labels = degrade(images, people[:4], none, random)
    torch.testing.assert_close(found, images.contiguous(), atol=1e-4, rtol=0)
    torch.testing.assert_close(labels.pack(), people[:4].pack())
