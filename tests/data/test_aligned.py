"""A folder of anything becomes an aligned set, picture by picture."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig.data import aligned
from crossrig.data.align import Framing
from crossrig.data.aligned import INDEX, NO_FACE, SMALL, UNREADABLE, align_images
from crossrig.data.detect import Face
from crossrig.data.images import open_images
from crossrig.errors import UserError
from crossrig.face3d.params import FaceParams


def _straight(image: torch.Tensor) -> FaceParams:
    return FaceParams.neutral()


def _png(image: np.ndarray) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two usable pictures of unequal sizes, one without a face, one with a distant one, and things that are no pictures."""
    place = tmp_path / "pictures"
    (place / "deeper").mkdir(parents=True)
    noise = np.random.default_rng(0).integers(0, 200, (120, 160, 3), dtype=np.uint8)
    (place / "a.png").write_bytes(_png(noise))
    (place / "deeper" / "b.jpg").write_bytes(_png(noise[:90, :70]))
    (place / "faceless.png").write_bytes(_png(np.full((64, 64, 3), 250, np.uint8)))
    (place / "small.png").write_bytes(_png(np.full((64, 64, 3), 240, np.uint8)))
    (place / "broken.png").write_bytes(_png(noise)[:400])
    (place / "text.png").write_text("no picture")
    (place / "notes.txt").write_text("not even called one")
    (place / "dataset.json").write_text('{"labels": [["other.png", [1]]]}')  # somebody else's labels do not matter
    return place


@pytest.fixture
def looked_at(monkeypatch: pytest.MonkeyPatch) -> list[tuple[int, ...]]:
    """A detector that sees faces in noise, and the shapes of what it was shown."""
    shown: list[tuple[int, ...]] = []

    def detect(image: np.ndarray) -> list[Face]:
        shown.append(image.shape)
        if image.min() == 250:
            return []
        half = 3.0 if image.min() == 240 else min(image.shape[:2]) / 3
        return [Face(Framing(image.shape[1] / 2, image.shape[0] / 2, half), 1.0, "drawing")]

    monkeypatch.setattr(aligned, "detect_faces", detect)
    return shown


def test_faces_are_cut_out_and_the_rest_is_counted(folder: Path, tmp_path: Path, looked_at: list[tuple[int, ...]]) -> None:
    steps: list[tuple[int, int]] = []
    images = open_images(folder, labelled=False)
    found = align_images(images, tmp_path / "set", 32, _straight, progress=lambda *step: steps.append(step))
    assert found.pictures.shape == (2, 3, 32, 32)
    assert found.pictures.dtype == torch.uint8
    assert dict(found.left_out) == {UNREADABLE: 2, NO_FACE: 1, SMALL: 1}
    assert found.sentence == (
        "2 of 6 pictures have a face that can be used; 2 could not be read; 1 show a face that is too small; 1 show no face that was found."
    )
    assert steps == [(step, 6) for step in range(1, 7)]
    # the square round the middle, as the framing says: 80 of 120 pixels in the first
    middle = np.asarray(Image.open(folder / "a.png"))[20:100, 40:120]
    assert abs(float(found.pictures[0].float().mean()) - middle.mean()) < 1.0


def test_what_was_cut_out_is_not_looked_at_again(folder: Path, tmp_path: Path, looked_at: list[tuple[int, ...]]) -> None:
    images, place = open_images(folder, labelled=False), tmp_path / "set"
    first = align_images(images, place, 32, _straight)
    count = len(looked_at)
    assert count == 4
    again = align_images(images, place, 32, _straight)
    assert len(looked_at) == count
    assert torch.equal(first.pictures, again.pictures)
    assert again.left_out == first.left_out
    # killed while a line was being written: that picture alone is done again
    text = (place / INDEX).read_text()
    (place / INDEX).write_text(text[:-5])
    assert torch.equal(align_images(images, place, 32, _straight).pictures, first.pictures)
    assert len(looked_at) <= count + 1
    assert all(json.loads(line) for line in (place / INDEX).read_text().splitlines())
    # another size is another set
    assert align_images(images, place, 16, _straight).pictures.shape == (2, 3, 16, 16)


def test_heads_that_are_cut_out_already_need_no_detector(tmp_path: Path, looked_at: list[tuple[int, ...]]) -> None:
    path = tmp_path / "heads.zip"
    with zipfile.ZipFile(path, "w") as archive:
        for index in range(6):
            archive.writestr(f"img{index}.png", _png(np.full((40, 40, 3), 20 * index, np.uint8)))
    found = align_images(open_images(path, labelled=False), tmp_path / "set", 32, None)
    assert looked_at == []
    assert found.pictures[:, 0, 0, 0].tolist() == [0, 20, 40, 60, 80, 100]
    some = align_images(open_images(path, labelled=False), tmp_path / "some", 32, None, limit=3)
    assert len(some) == 3
    assert torch.equal(some.pictures, align_images(open_images(path, labelled=False), tmp_path / "more", 32, None, limit=3).pictures)


def test_batches_are_mirrored_where_asked(tmp_path: Path) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, 32).astype(np.uint8)[None, :, None], (32, 32, 3))
    folder = tmp_path / "heads"
    folder.mkdir()
    (folder / "a.png").write_bytes(_png(np.ascontiguousarray(ramp)))
    found = align_images(open_images(folder), tmp_path / "set", 32, None)
    images = found.batch(torch.tensor([0, 0]), torch.tensor([False, True]))
    assert float(images[0, 0, 0, 0]) == -1.0
    torch.testing.assert_close(images[1], images[0].flip(2))


def test_a_set_of_nothing_and_a_damaged_set(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aligned, "detect_faces", lambda image: [])
    images = open_images(folder, labelled=False)
    nothing = align_images(images, tmp_path / "set", 32, _straight)
    assert len(nothing) == 0
    assert nothing.left_out[NO_FACE] == 4
    align_images(images, tmp_path / "heads", 32, None)
    (tmp_path / "heads" / "000000.png").unlink()
    with pytest.raises(UserError, match="missing or damaged"):
        align_images(images, tmp_path / "heads", 32, None)
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="cannot be written"):
        align_images(images, tmp_path / "file", 32, None)
