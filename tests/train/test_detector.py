"""The detector's recipe: scenes whose labels are true, and a network that learns from them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig.data.align import Framing
from crossrig.data.detector import STRIDE, DetectorNet, decode, load_detector
from crossrig.data.framings import framing_of
from crossrig.data.portrait_set import PortraitSet
from crossrig.errors import UserError
from crossrig.face3d.params import FaceParams
from crossrig.train import detector
from crossrig.train.detector import (
    DetectorTraining,
    Head,
    Scene,
    drawn_heads,
    loss,
    make_heads,
    make_scene,
    recolour,
    redraw,
    targets,
)


@pytest.fixture(scope="module")
def portraits() -> PortraitSet:
    """40 cartoons of a face, 64 px, on plain backgrounds, each with its head somewhere near the middle."""
    random = np.random.default_rng(4)
    rows, columns = np.mgrid[0:64, 0:64] + 0.5
    pictures, labels = [], []
    for _ in range(40):
        translation = torch.tensor(random.normal(0, [0.01, 0.01, 0.1], 3), dtype=torch.float32)
        params = FaceParams.neutral().replace(translation=translation[None])
        frame = framing_of(params)
        x, y, half = frame.x * 64, frame.y * 64, frame.half * 64
        picture = np.empty((64, 64, 3))
        picture[:] = random.uniform(60, 200, 3)
        for dx, dy, radius, colour in ((0, 0, 0.6, 230), (-0.2, -0.1, 0.09, 20), (0.2, -0.1, 0.09, 20), (0, 0.25, 0.12, 60)):
            picture[np.hypot(columns - x - dx * half, rows - y - dy * half) < radius * half] = colour
        pictures.append(picture.astype(np.uint8).transpose(2, 0, 1))
        labels.append(params.pack()[0])
    return PortraitSet(torch.from_numpy(np.stack(pictures)), torch.stack(labels), torch.zeros(40, 4))


def test_every_style_gives_a_picture(portraits: PortraitSet) -> None:
    pixels = np.ascontiguousarray(portraits.pictures[0].permute(1, 2, 0).numpy())
    random = np.random.default_rng(0)
    drawn = [redraw(pixels, random) for _ in range(60)]
    assert all(picture.shape == pixels.shape and picture.dtype == np.uint8 for picture in drawn)
    assert len({picture.tobytes() for picture in drawn}) > 10


def test_heads_are_pasted_where_the_label_says() -> None:
    """A portrait that is black but for a white dot at the head's origin: the dot must be where the scene says."""
    pixels = np.zeros((64, 64, 3), np.uint8)
    pixels[38:42, 22:26] = 255
    head = Head(pixels, Framing(24 / 64, 40 / 64, 0.4))
    random = np.random.default_rng(2)
    for wished in (Framing(50, 70, 30), Framing(100, 30, 60), Framing(20, 20, 20)):
        canvas = np.zeros((128, 128, 3), np.uint8)
        detector._paste(canvas, head, wished, random, alone=False)
        rows, columns = np.nonzero(canvas[..., 0] > 70)  # tilting blurs the dot a little
        assert columns.mean() + 0.5 == pytest.approx(wished.x, abs=1.2)
        assert rows.mean() + 0.5 == pytest.approx(wished.y, abs=1.2)


def test_scenes_depend_on_the_seed_alone(portraits: PortraitSet) -> None:
    heads = make_heads(portraits, 0)
    one, two = (make_scene(heads, np.random.default_rng(7)) for _ in range(2))
    assert np.array_equal(one.pixels, two.pixels)
    assert one.heads == two.heads


def test_decode_inverts_targets() -> None:
    truth = (Framing(30.0, 50.0, 25.0), Framing(90.5, 97.0, 40.0))
    heat, geometry, _ = targets([Scene(np.zeros((128, 128, 3), np.uint8), truth)])
    output = torch.cat([torch.logit(heat[:, None].clamp(0.01, 0.99)), geometry], dim=1)
    found = sorted(decode(output[0]))
    assert len(found) == 2
    for (x, y, half, score), head in zip(found, truth, strict=True):
        assert (x, y, half) == pytest.approx((head.x, head.y, head.half), rel=1e-4)
        assert score == pytest.approx(0.99, abs=1e-3)


def test_loss_is_least_at_the_truth() -> None:
    heat, geometry, counts = targets([Scene(np.zeros((128, 128, 3), np.uint8), (Framing(60, 60, 30),))])
    perfect = torch.cat([torch.where(heat >= 1, 9.0, -9.0)[:, None], geometry], dim=1)
    wrong = perfect.roll(3, dims=2)
    assert float(sum(loss(perfect, heat, geometry, counts))) < 0.01
    assert float(sum(loss(wrong, heat, geometry, counts))) > 5


def test_empty_scenes_have_a_finite_loss() -> None:
    heat, geometry, counts = targets([Scene(np.zeros((64, 64, 3), np.uint8), ())], side=64)
    parts = loss(torch.zeros(1, 4, 64 // STRIDE, 64 // STRIDE), heat, geometry, counts)
    assert all(bool(torch.isfinite(part)) for part in parts)


def test_train_learns_resumes_and_saves(tmp_path: Path, portraits: PortraitSet) -> None:
    config = DetectorTraining(outdir=tmp_path, steps=4, batch=4, width=8, checkpoint_seconds=0.0)
    path = detector.train(config, portraits)
    network = load_detector(path)
    assert network.width == 8
    assert detector.train(config, portraits) == path  # nothing left to do
    with pytest.raises(UserError, match="too few"):
        detector.train(config, PortraitSet(portraits.pictures[:3], portraits.labels[:3], portraits.codes[:3]))


def test_drawings_lie_where_their_folder_says(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"no framing\.json"):
        drawn_heads(tmp_path, None, 0)
    (tmp_path / "framing.json").write_text('{"x": 0.4, "y": 0.6, "half": 0.3}')
    for number in range(3):
        Image.fromarray(np.full((40, 40, 3), (250, 40, 40), np.uint8)).save(tmp_path / f"{number}.png")
    heads = drawn_heads(tmp_path, 2, 0)
    assert [head.framing for head in heads] == [Framing(0.4, 0.6, 0.3)] * 2
    assert heads[0].mirrored().framing == Framing(0.6, 0.6, 0.3)
    (tmp_path / "framing.json").write_text('{"x": 0.4, "y": "low"}')
    with pytest.raises(UserError, match=r"no framing\.json"):
        drawn_heads(tmp_path, None, 0)


def test_things_are_seen_and_are_no_heads(portraits: PortraitSet) -> None:
    heads, things = make_heads(portraits, 0), [[np.full((128, 128, 3), (1, 2, 3), np.uint8)], [np.zeros((40, 90, 3), np.uint8)]]
    plain, cluttered = ([make_scene(heads, np.random.default_rng(seed), shown) for seed in range(40)] for shown in ((), things))
    assert any(not np.array_equal(one.pixels, other.pixels) for one, other in zip(plain, cluttered, strict=True))
    assert 0.5 < np.mean([len(scene.heads) > 0 for scene in cluttered]) < 0.95


def test_other_colours_are_the_same_drawing() -> None:
    pixels = np.zeros((16, 16, 3), np.uint8)
    pixels[4:12, 4:12] = (200, 60, 60)
    random = np.random.default_rng(0)
    drawn = [recolour(pixels, random) for _ in range(40)]
    assert len({picture[8, 8].tobytes() for picture in drawn}) > 8
    assert all((picture[0] == 0).all() for picture in drawn)


def test_network_can_overfit_a_few_scenes(portraits: PortraitSet) -> None:
    torch.manual_seed(0)
    heads = make_heads(portraits, 0)
    random = np.random.default_rng(3)
    scenes = [make_scene(heads, random) for _ in range(6)]
    network = DetectorNet(8)
    optimiser = torch.optim.Adam(network.parameters(), lr=4e-3)
    images, truth = detector.to_batch(scenes), targets(scenes)
    first = last = 0.0
    for _ in range(40):
        total = torch.stack(loss(network(images), *truth)).sum()
        optimiser.zero_grad()
        total.backward()
        optimiser.step()
        last = float(total.detach())
        first = first or last
    assert last < first / 3
