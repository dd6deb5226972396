"""Contact sheets."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from PIL import Image

from crossrig.sheets import contact_sheet, grid, save_grid


def test_grid_puts_pictures_row_by_row() -> None:
    images = torch.linspace(-1, 1, 5)[:, None, None, None].expand(5, 3, 4, 6)
    sheet = grid(images, 3)
    assert sheet.shape == (8, 18, 3)
    assert sheet[0, 0, 0] == 0
    assert sheet[4, 7, 0] == 255
    assert sheet[4, 13, 0] == 0  # the empty last cell
    assert sheet[0, 6, 0] == 64


def test_save_grid_replaces(tmp_path: Path) -> None:
    save_grid(tmp_path / "a.png", torch.zeros(2, 3, 8, 8), 2)
    save_grid(tmp_path / "a.png", torch.ones(2, 3, 8, 8), 1)
    assert Image.open(tmp_path / "a.png").size == (8, 16)


def test_contact_sheet_fits_pictures_and_writes_captions() -> None:
    red = np.zeros((50, 100, 3), np.uint8)
    red[..., 0] = 255
    sheet = contact_sheet([[("wide", red), ("", red)], [("a caption that is much too long for so small a cell", red)]], cell=64)
    assert sheet.shape == (2 * (64 + 18 + 4) + 4, 2 * 68 + 4, 3)
    assert (sheet[4 + 32, 4 + 32] == [255, 0, 0]).all()
    assert (sheet[4 + 5, 4 + 32] == 255).all()  # paper above the wide picture
    caption, nothing = sheet[68:86, 4:68], sheet[68:86, 72:136]
    assert caption.min() < 100
    assert nothing.min() == 255


def test_an_empty_sheet_is_paper() -> None:
    assert (contact_sheet([]) == 255).all()
