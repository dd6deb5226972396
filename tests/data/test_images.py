"""Folders and ZIPs of pictures, good and bad."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from crossrig.data.images import fit_square, open_images
from crossrig.errors import UserError


def _png(colour: tuple[int, ...], size: tuple[int, int] = (6, 4), mode: str = "RGB") -> bytes:
    buffer = io.BytesIO()
    Image.new(mode, size, colour).save(buffer, "PNG")
    return buffer.getvalue()


def _zip(path: Path, entries: dict[str, bytes]) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return path


def test_a_folder_is_read_in_order(tmp_path: Path) -> None:
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "1.png").write_bytes(_png((0, 0, 255)))
    (tmp_path / "a.png").write_bytes(_png((255, 0, 0)))
    (tmp_path / "notes.txt").write_text("no picture")
    images = open_images(tmp_path)
    assert len(images) == 2
    assert images.labels is None
    assert images.read(0)[0, 0].tolist() == [255, 0, 0]
    assert [picture[0, 0].tolist() for picture in images.read_all(4)] == [[255, 0, 0], [0, 0, 255]]


def test_a_zip_is_read_with_its_labels(tmp_path: Path) -> None:
    labels = {"labels": [["00000/b.png", [3, 4]], ["00000/a.png", [1, 2]]]}
    pictures = {"00000/a.png": _png((9, 9, 9)), "00000/b.png": _png((8, 8, 8))}
    path = _zip(tmp_path / "x.zip", {**pictures, "dataset.json": json.dumps(labels).encode()})
    images = open_images(path)
    assert images.names == ("00000/a.png", "00000/b.png")
    assert images.labels is not None
    assert images.labels.tolist() == [[1, 2], [3, 4]]
    assert images.read(1, 2).shape == (2, 2, 3)


@pytest.mark.parametrize("content", [b"[]", b"{", b'{"labels": [["a.png"]]}', b'{"labels": []}', b'{"labels": [["a.png", "x"]]}'])
def test_broken_labels_are_explained(tmp_path: Path, content: bytes) -> None:
    path = _zip(tmp_path / "x.zip", {"a.png": _png((1, 2, 3)), "dataset.json": content})
    with pytest.raises(UserError, match=r"dataset\.json"):
        open_images(path)


def test_nothing_there_is_explained(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no folder or archive"):
        open_images(tmp_path / "missing")
    with pytest.raises(UserError, match="no pictures"):
        open_images(tmp_path)
    (tmp_path / "x.txt").write_text("text")
    with pytest.raises(UserError, match="neither"):
        open_images(tmp_path / "x.txt")


def test_damaged_pictures_are_named(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(_png((1, 2, 3), (64, 64))[:60])
    with pytest.raises(UserError, match=r"bad\.png"):
        open_images(tmp_path).read(0)


def test_transparency_becomes_grey(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(_png((255, 0, 0, 0), mode="RGBA"))
    assert open_images(tmp_path).read(0)[0, 0].tolist() == [128, 128, 128]


def test_fit_square_takes_the_middle() -> None:
    image = np.zeros((4, 8, 3), np.uint8)
    image[:, 2:6] = 200
    assert (fit_square(image, 4) == 200).all()
    assert fit_square(image, 8).shape == (8, 8, 3)
    assert fit_square(image, None) is image
