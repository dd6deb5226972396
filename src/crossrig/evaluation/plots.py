"""Two kinds of picture that an evaluation needs, drawn with Pillow: a table as a heat map, and commanded against judged."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Floats = NDArray[np.float64]

_PAPER, _INK, _GREY, _BLUE = (255, 255, 255), (32, 32, 32), (190, 190, 190), (33, 102, 172)
_FRAME = (230, 120, 20)
_SIDE = 300  # px of the square that holds the data
_LEFT, _RIGHT, _TOP, _BOTTOM = 96, 16, 28, 46


def heat_map(
    values: Floats, rows: Sequence[str], columns: Sequence[str], title: str, largest: float = 1.0, framed: NDArray[np.bool_] | None = None
) -> Pixels:
    """A table (R, C) as squares, white at 0, dark blue from `largest` on, each with its number, some of them framed (R, C). ValueError for
    other sizes."""
    if values.shape != (len(rows), len(columns)):
        raise ValueError(f"a table of {values.shape} cannot have {len(rows)} row and {len(columns)} column names")
    sheet, draw = _sheet(title)
    font = ImageFont.load_default(size=12)
    high, wide = _SIDE / max(len(rows), 1), _SIDE / max(len(columns), 1)
    for i, row in enumerate(rows):
        draw.text((_LEFT - 6, _TOP + (i + 0.5) * high), row, fill=_INK, font=font, anchor="rm")
        for j in range(len(columns)):
            share = min(max(float(values[i, j]) / largest, 0.0), 1.0) if np.isfinite(values[i, j]) else 0.0
            shade = tuple(round(paper + share * (blue - paper)) for paper, blue in zip(_PAPER, _BLUE, strict=True))
            corner = (_LEFT + j * wide, _TOP + i * high)
            frame = _FRAME if framed is not None and framed[i, j] else None
            draw.rectangle((*corner, corner[0] + wide - 2, corner[1] + high - 2), fill=shade, outline=frame, width=2)
            ink = _PAPER if share > 0.55 else _INK
            draw.text((corner[0] + wide / 2, corner[1] + high / 2), f"{values[i, j]:.2f}", fill=ink, font=font, anchor="mm")
    for j, column in enumerate(columns):
        draw.text((_LEFT + (j + 0.5) * wide, _TOP + _SIDE + 6), column, fill=_INK, font=font, anchor="mt")
    return np.array(sheet, dtype=np.uint8)


def scatter(x: Floats, y: Floats, title: str, x_label: str, y_label: str) -> Pixels:
    """Points (N,) against (N,) on equal axes that hold 99 % of them (the rest sits on the edge), with the diagonal y = x."""
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"a scatter plot needs as many x as y: got {x.shape} and {y.shape}")
    sheet, draw = _sheet(title)
    font = ImageFont.load_default(size=12)
    both = np.concatenate([x, y, np.zeros(1)])
    low, high = (float(edge) for edge in np.quantile(both, [0.005, 0.995]))
    margin = max(0.05 * (high - low), 1e-6)
    low, high = low - margin, high + margin

    def place(px: float, py: float) -> tuple[float, float]:
        across, up = (float(np.clip((value - low) / (high - low), 0.0, 1.0)) for value in (px, py))
        return _LEFT + across * _SIDE, _TOP + (1.0 - up) * _SIDE

    draw.rectangle((_LEFT, _TOP, _LEFT + _SIDE, _TOP + _SIDE), outline=_GREY)
    draw.line((place(low, 0.0), place(high, 0.0)), fill=_GREY)
    draw.line((place(0.0, low), place(0.0, high)), fill=_GREY)
    draw.line((place(low, low), place(high, high)), fill=_GREY, width=2)
    for px, py in zip(x.tolist(), y.tolist(), strict=True):
        column, row = place(px, py)
        draw.ellipse((column - 1.5, row - 1.5, column + 1.5, row + 1.5), fill=_BLUE)
    for value in (low, high):
        draw.text((place(value, low)[0], _TOP + _SIDE + 6), f"{value:.3g}", fill=_INK, font=font, anchor="mt")
        draw.text((_LEFT - 6, place(low, value)[1]), f"{value:.3g}", fill=_INK, font=font, anchor="rm")
    draw.text((_LEFT + _SIDE / 2, _TOP + _SIDE + 24), x_label, fill=_INK, font=font, anchor="mt")
    draw.text((_LEFT - 6, _TOP + _SIDE / 2), y_label, fill=_INK, font=font, anchor="rm")
    return np.array(sheet, dtype=np.uint8)


def beside(pictures: Sequence[Pixels], columns: int = 3) -> Pixels:
    """Pictures of one size in rows of `columns`, the last row filled with white."""
    if not pictures:
        raise ValueError("there is no picture to put beside another")
    blank = np.full_like(pictures[0], 255)
    padded = [*pictures, *[blank] * (-len(pictures) % columns)]
    rows = [np.concatenate(padded[start : start + columns], axis=1) for start in range(0, len(padded), columns)]
    return np.concatenate(rows, axis=0)


def _sheet(title: str) -> tuple[Image.Image, ImageDraw.ImageDraw]:
    sheet = Image.new("RGB", (_LEFT + _SIDE + _RIGHT, _TOP + _SIDE + _BOTTOM), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_LEFT + _SIDE / 2, 6), title, fill=_INK, font=ImageFont.load_default(size=14), anchor="mt")
    return sheet, draw
