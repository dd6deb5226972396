"""Pictures on their way to the page, and strangers' pictures on their way in."""

from __future__ import annotations

import cv2
import numpy as np
from numpy.typing import NDArray

from crossrig.data.pictures import Picture, decode_picture
from crossrig.errors import UserError

Pixels = NDArray[np.uint8]

LARGEST_UPLOAD = 32 << 20
"""Bytes of a file."""
LARGEST_AREA = 50_000_000
"""Pixels of a picture."""
WIDEST = 1280
"""Pixels of the longer side that a page gets to see; what is exported has all."""
THUMB = 96


def take_in(content: bytes, name: str) -> tuple[Picture, bytes]:
    """A stranger's file as a picture, and as a PNG made anew from its pixels. Raises UserError."""
    if len(content) > LARGEST_UPLOAD:
        raise UserError(f"The file has more than {LARGEST_UPLOAD >> 20} MB; save the picture smaller first.")
    picture = decode_picture(content, name, LARGEST_AREA)
    return picture, to_png(picture.pixels)


def to_png(pixels: Pixels) -> bytes:
    """(H, W, 3) as a file without loss."""
    return _encode(".png", pixels, [cv2.IMWRITE_PNG_COMPRESSION, 3])


def to_jpeg(pixels: Pixels, quality: int = 93) -> bytes:
    """(H, W, 3) as a JPEG with full colour resolution."""
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    return _encode(".jpg", pixels, options)


def fitted(pixels: Pixels, longest: int) -> Pixels:
    """The picture, smaller if its longer side has more pixels than that."""
    height, width = pixels.shape[:2]
    if max(height, width) <= longest:
        return pixels
    scale = longest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), dtype=np.uint8)


def _encode(ending: str, pixels: Pixels, options: list[int]) -> bytes:
    done, content = cv2.imencode(ending, cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), options)
    if not done:
        raise RuntimeError(f"a picture of shape {pixels.shape} could not be encoded as {ending}")
    return bytes(content)
