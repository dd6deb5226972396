"""Contact sheets: pictures in a grid, with captions when there is something to say."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from crossrig.data.metadata import DigitalSource, save_picture

Pixels = NDArray[np.uint8]

_GAP = 4
_PAPER = (255, 255, 255)
_INK = (32, 32, 32)


def grid(images: Tensor, columns: int) -> Pixels:
    """Images (N, 3, H, W) in [-1, 1] side by side without captions -> (rows*H, columns*W, 3) uint8."""
    count, _, height, width = images.shape
    rows = -(-count // columns)
    cells = ((images.detach().float() + 1.0) * 127.5).round().clamp(0, 255).permute(0, 2, 3, 1).cpu().numpy()
    sheet = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, cell in enumerate(cells.astype(np.uint8)):
        top, left = index // columns * height, index % columns * width
        sheet[top : top + height, left : left + width] = cell
    return sheet


def save_grid(path: str | os.PathLike[str], images: Tensor, columns: int) -> None:
    """Write images (N, 3, H, W) in [-1, 1] as one PNG of ``columns`` columns, replacing what was there."""
    save_picture(Path(path), grid(images, columns), DigitalSource.TRAINED, overwrite=True)


def contact_sheet(rows: Sequence[Sequence[tuple[str, Pixels]]], cell: int = 192, title: str = "") -> Pixels:
    """Rows of (caption, picture) -> one white sheet; every picture is fitted into a cell of ``cell`` pixels."""
    font = ImageFont.load_default(size=13)
    line = 18
    columns = max((len(row) for row in rows), default=0)
    top = line + _GAP if title else 0
    size = (columns * (cell + _GAP) + _GAP, top + len(rows) * (cell + line + _GAP) + _GAP)
    sheet = Image.new("RGB", size, _PAPER)
    draw = ImageDraw.Draw(sheet)
    if title:
        draw.text((_GAP, _GAP), title, fill=_INK, font=font)
    for row, cells in enumerate(rows):
        for column, (caption, pixels) in enumerate(cells):
            x, y = _GAP + column * (cell + _GAP), top + _GAP + row * (cell + line + _GAP)
            picture = Image.fromarray(np.ascontiguousarray(pixels))
            scale = cell / max(picture.size)
            fitted = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
            picture = picture.resize(fitted, Image.Resampling.LANCZOS)
            sheet.paste(picture, (x + (cell - fitted[0]) // 2, y + (cell - fitted[1]) // 2))
            draw.text((x + 2, y + cell), _shorten(caption, cell - 4, font), fill=_INK, font=font)
    return np.array(sheet, dtype=np.uint8)


def _shorten(text: str, width: int, font: ImageFont.FreeTypeFont | ImageFont.ImageFont) -> str:
    if font.getlength(text) <= width:
        return text
    while text and font.getlength(text + "...") > width:
        text = text[:-1]
    return text.rstrip() + "..."
