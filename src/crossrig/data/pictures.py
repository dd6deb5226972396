"""Reading a stranger's picture: anything an ordinary viewer opens becomes 8-bit sRGB, or a sentence says why not.

Nothing here trusts the file: sizes are checked in the header before pixels are decoded, decoders' complaints become
:class:`UserError`, and whatever was done to the picture on the way (turned, flattened, scaled down, first frame taken)
is returned as notes for the person.
"""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageCms, ImageOps, UnidentifiedImageError

from crossrig.errors import UserError

SMALLEST_SIDE = 32
"""Pixels; below this there is no face to recognise."""
LARGEST_SIDE = 4096
"""Pixels; larger pictures are scaled down to this."""
LARGEST_AREA = 120_000_000
"""Pixels in the header; beyond this a file is refused undecoded (about 0.5 GB of memory)."""
BACKDROP = 128
"""Grey level put behind transparent parts: neither hides dark hair nor bright skin."""

_READABLE = "PNG, JPEG, WebP, TIFF, BMP or GIF"


@dataclass(frozen=True)
class Picture:
    """A picture as the library uses it."""

    pixels: NDArray[np.uint8]
    """(H, W, 3) uint8, sRGB."""
    notes: tuple[str, ...] = ()
    """Sentences about what was done to it."""
    name: str = "picture"
    """What to call it in messages."""

    def with_note(self, note: str) -> Picture:
        return replace(self, notes=(*self.notes, note))


def read_picture(path: str | os.PathLike[str]) -> Picture:
    """Read an image file. Raises :class:`UserError` when it is missing, is no image, or cannot be used."""
    path = Path(path)
    name = str(path)
    if path.is_dir():
        raise UserError(f"{name}: is a folder; give one picture file.")
    try:
        content = path.read_bytes()
    except FileNotFoundError as error:
        raise UserError(f"{name}: there is no such file.") from error
    except OSError as error:
        raise UserError(f"{name}: cannot be read ({error.strerror or error}).") from error
    return decode_picture(content, name)


def decode_picture(content: bytes, name: str, largest_area: int = LARGEST_AREA) -> Picture:
    """Read the bytes of an image file, called ``name`` in messages, of at most ``largest_area`` pixels. Errors as :func:`read_picture`."""
    if not content:
        raise UserError(f"{name}: the file is empty.")
    with warnings.catch_warnings():
        # Pillow warns of odd tags, which do not matter here, and of large pictures, for which our own limit is checked.
        warnings.simplefilter("ignore")
        try:
            with Image.open(io.BytesIO(content)) as image:
                return _decode(image, name, largest_area)
        except UnidentifiedImageError as error:
            raise UserError(f"{name}: is not a picture that can be read; use {_READABLE}.") from error
        except Image.DecompressionBombError as error:
            raise UserError(_too_large(name, largest_area)) from error
        except (OSError, SyntaxError, ValueError, EOFError, IndexError, TypeError) as error:
            # Pillow's decoders raise all of these on damaged files.
            raise UserError(f"{name}: the picture is damaged or incomplete ({error}).") from error


def from_array(array: NDArray[np.generic], name: str = "the array") -> Picture:
    """Take pixels that are already in memory: (H, W), (H, W, 3) or (H, W, 4), uint8, sRGB."""
    if array.dtype != np.uint8:
        raise UserError(f"{name}: pixels must be uint8 between 0 and 255, not {array.dtype}.")
    if array.ndim == 2:
        array = np.repeat(array[..., None], 3, axis=2)
    if array.ndim != 3 or array.shape[2] not in (3, 4):
        raise UserError(f"{name}: must have the shape (height, width, 3), not {array.shape}.")
    _check_side(array.shape[1], array.shape[0], name)
    pixels = np.ascontiguousarray(array, dtype=np.uint8)
    if pixels.shape[2] == 4:
        pixels = np.asarray(_flatten(Image.fromarray(pixels, "RGBA")))
    return _shrink(Picture(pixels, (), name))


def _decode(image: Image.Image, name: str, largest_area: int) -> Picture:
    width, height = image.size
    _check_side(width, height, name)
    notes: list[str] = []
    if image.format == "JPEG" and max(image.size) > 2 * LARGEST_SIDE:
        image.draft("RGB", (LARGEST_SIDE, LARGEST_SIDE))  # decodes at 1/2, 1/4 or 1/8 without the full-size pixels
        notes.append(f"The picture is {width} x {height}; it was scaled down.")
    if image.size[0] * image.size[1] > largest_area:
        raise UserError(_too_large(name, largest_area))
    # A JPEG with a second picture inside (format MPO: depth map, stereo) is not an animation.
    if image.format != "MPO" and getattr(image, "n_frames", 1) > 1:
        image.seek(0)
        notes.append("The picture is animated; only its first frame is used.")
    image.load()
    turned = ImageOps.exif_transpose(image)
    if turned.size != image.size or turned.tobytes() != image.tobytes():
        notes.append("The picture was turned as its EXIF orientation says.")
    pixels, colour_notes = _to_rgb(turned, image.info.get("icc_profile"))
    return _shrink(Picture(pixels, (*notes, *colour_notes), name))


def _to_rgb(image: Image.Image, profile: bytes | None) -> tuple[NDArray[np.uint8], list[str]]:
    """8-bit sRGB (H, W, 3) of an image of any mode, and notes."""
    if image.mode.startswith("I") or image.mode == "F":
        return _from_deep_grey(np.asarray(image)), ["The picture has more than 8 bits a pixel; it was reduced to 8."]
    notes: list[str] = []
    if image.mode == "P" or image.mode == "PA":
        image = image.convert("RGBA" if "transparency" in image.info or image.mode == "PA" else "RGB")
    elif image.mode == "LA" or "transparency" in image.info:
        image = image.convert("RGBA")
    if image.mode in ("RGBA", "RGBa", "La"):
        image = image.convert("RGBA")
        if np.asarray(image.getchannel("A")).min() < 255:
            notes.append("Transparent parts of the picture were filled with grey.")
        image = _flatten(image)
    if profile and image.mode in ("RGB", "CMYK"):
        try:
            source = ImageCms.ImageCmsProfile(io.BytesIO(profile))
            converted = ImageCms.profileToProfile(image, source, ImageCms.createProfile("sRGB"), outputMode="RGB")
            image = converted if converted is not None else image
        except (ImageCms.PyCMSError, OSError):
            notes.append("The picture's colour profile is damaged; its colours were taken as sRGB.")
    if image.mode == "CMYK":
        notes.append("The picture has print colours (CMYK) without a profile; its colours are approximate.")
    return np.array(image.convert("RGB"), dtype=np.uint8), notes


def _from_deep_grey(values: NDArray[np.generic]) -> NDArray[np.uint8]:
    """16-bit, 32-bit or floating grey values as 8-bit RGB; the range is taken from the type, then the values."""
    grey = np.nan_to_num(values.astype(np.float64))
    highest = float(grey.max(initial=0.0))
    if values.dtype.kind == "f":
        full = 1.0 if highest <= 1.0 else 255.0 if highest <= 255.0 else highest
    else:
        full = 255.0 if highest <= 255.0 and values.dtype.itemsize > 2 else 65535.0 if highest <= 65535.0 else highest
    levels = np.clip(np.rint(grey * (255.0 / full)), 0, 255).astype(np.uint8)
    return np.repeat(levels[..., None], 3, axis=2)


def _flatten(image: Image.Image) -> Image.Image:
    backdrop = Image.new("RGBA", image.size, (BACKDROP, BACKDROP, BACKDROP, 255))
    return Image.alpha_composite(backdrop, image).convert("RGB")


def _shrink(picture: Picture) -> Picture:
    height, width = picture.pixels.shape[:2]
    if max(width, height) <= LARGEST_SIDE:
        return picture
    scale = LARGEST_SIDE / max(width, height)
    size = (max(SMALLEST_SIDE, round(width * scale)), max(SMALLEST_SIDE, round(height * scale)))
    small = Image.fromarray(picture.pixels, "RGB").resize(size, Image.Resampling.LANCZOS, reducing_gap=2.0)
    notes = picture.notes
    if not any("scaled down" in note for note in notes):
        notes = (*notes, f"The picture is {width} x {height}; it was scaled down to {size[0]} x {size[1]}.")
    return Picture(np.array(small, dtype=np.uint8), notes, picture.name)


def _check_side(width: int, height: int, name: str) -> None:
    if min(width, height) < SMALLEST_SIDE:
        raise UserError(
            f"{name}: the picture is {width} x {height} pixels; each side must be at least {SMALLEST_SIDE}."
        )


def _too_large(name: str, largest_area: int) -> str:
    return f"{name}: the picture has more than {largest_area // 1_000_000} million pixels; scale it down first."
