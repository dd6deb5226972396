from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from crossrig.data.portrait_set import load_portraits
from crossrig.errors import UserError


def _archive(path: Path, value: int, codes: bool = True) -> Path:
    with zipfile.ZipFile(path, "w") as file:
        picture = io.BytesIO()
        pixels = np.zeros((8, 8, 3), np.uint8)
        pixels[..., 0] = value  # red
        Image.fromarray(pixels).save(picture, "PNG")
        file.writestr("00000/img00000000.png", picture.getvalue())
        file.writestr("dataset.json", json.dumps({"labels": [["00000/img00000000.png", [float(value)] * 213]]}))
        if codes:
            array = io.BytesIO()
            np.save(array, np.full((1, 5), value, np.float32))
            file.writestr("codes.npy", array.getvalue())
    return path


def test_archives_are_joined_in_order_and_resized(tmp_path: Path) -> None:
    portraits = load_portraits([_archive(tmp_path / "a.zip", 10), _archive(tmp_path / "b.zip", 20)], size=4)
    assert portraits.pictures.shape == (2, 3, 4, 4)
    assert portraits.pictures[:, 0, 0, 0].tolist() == [10, 20]
    assert portraits.pictures[:, 1:].abs().sum() == 0  # channels are RGB
    images, labels, codes = portraits.batch(torch.tensor([1]))
    assert float(images[0, 0, 0, 0]) == pytest.approx(20 / 127.5 - 1)
    assert labels[0, 0] == 20
    assert codes[0, 0] == 20


@pytest.mark.parametrize("kind", ["missing", "not a zip", "no codes", "none named"])
def test_bad_archives_are_sentences(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.zip"
    if kind == "not a zip":
        path.write_bytes(b"hello")
    if kind == "no codes":
        _archive(path, 1, codes=False)
    with pytest.raises(UserError, match="crossrig synth"):
        load_portraits([] if kind == "none named" else [path], size=4)
