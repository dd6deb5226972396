"""Image collections for training: a folder of pictures, or a ZIP as `crossrig synth` and stylegan2-ada write them."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from crossrig.errors import UserError

EXTENSIONS: Final = (".png", ".jpg", ".jpeg", ".webp", ".bmp")

#: Largest entry of a ZIP that is read, bytes, and largest picture, pixels: files from strangers may claim anything.
_ENTRY_LIMIT: Final = 256 * 2**20
_PIXEL_LIMIT: Final = 64 * 10**6


@dataclass(frozen=True)
class ImageCollection:
    """Names of the pictures in `path` (a folder or a ZIP), in order, and their labels where the collection has them."""

    path: Path
    names: tuple[str, ...]
    labels: NDArray[np.float32] | None  # (N, L)

    def __len__(self) -> int:
        return len(self.names)

    def read(self, index: int, size: int | None = None) -> NDArray[np.uint8]:
        """Picture `index` as (H, W, 3) uint8 RGB; with `size`, its central square at size x size.

        Raises UserError when the picture cannot be decoded.
        """
        with self.opened() as content:
            return self._decoded(self.names[index], content, size)

    def read_all(self, size: int | None = None) -> Iterator[NDArray[np.uint8]]:
        """All pictures in order, opening a ZIP only once."""
        with self.opened() as content:
            for name in self.names:
                yield self._decoded(name, content, size)

    @contextmanager
    def opened(self) -> Iterator[Callable[[str], bytes]]:
        """A function that gives the bytes of the file called `name`, undecoded; it raises UserError when they cannot be read."""
        if self.path.is_dir():
            yield self._file
        else:
            with zipfile.ZipFile(self.path) as archive:
                yield lambda name: _read_entry(archive, name, self.path)

    def _file(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise UserError(f"{self.path / name} cannot be read ({error.strerror}).") from None

    def _decoded(self, name: str, content: Callable[[str], bytes], size: int | None) -> NDArray[np.uint8]:
        return fit_square(decode(content(name), f"{name} in {self.path}"), size)


def open_images(path: Path | str, labelled: bool = True) -> ImageCollection:
    """Open a folder (searched recursively) or a ZIP of pictures; `labelled` False: whatever labels there are do not matter.

    Raises UserError when there is nothing there, no picture in it, or labels that do not fit the pictures.
    """
    place = Path(path)
    if place.is_dir():
        names = sorted(str(file.relative_to(place)) for file in place.rglob("*") if _is_picture(file.name) and file.is_file())
        labels = _folder_labels(place) if labelled else None
    elif zipfile.is_zipfile(place):
        with zipfile.ZipFile(place) as archive:
            names = sorted(name for name in archive.namelist() if _is_picture(name))
            listed = labelled and "dataset.json" in archive.namelist()
            labels = _labels(_read_entry(archive, "dataset.json", place), place) if listed else None
    elif place.exists():
        raise UserError(f"{place} is neither a folder nor a ZIP: give a folder of pictures or an archive made with `crossrig synth`.")
    else:
        raise UserError(f"There is no folder or archive {place}.")
    if not names:
        raise UserError(f"{place} holds no pictures ({', '.join(EXTENSIONS)}).")
    return ImageCollection(place, tuple(names), _in_order(labels, names, place))


def decode(blob: bytes, name: str) -> NDArray[np.uint8]:
    """Encoded picture -> (H, W, 3) uint8 RGB; transparency is laid over mid grey. Raises UserError naming `name`."""
    try:
        with Image.open(io.BytesIO(blob)) as image:
            if image.width * image.height > _PIXEL_LIMIT:
                raise UserError(f"{name} is too large ({image.width} x {image.height} pixels): scale it down first.")
            if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
                layer = image.convert("RGBA")
                flat = Image.new("RGBA", layer.size, (128, 128, 128, 255))
                flat.alpha_composite(layer)
                return np.array(flat.convert("RGB"))
            return np.array(image.convert("RGB"))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise UserError(f"{name} cannot be decoded as a picture: {error}") from None


def fit_square(image: NDArray[np.uint8], size: int | None) -> NDArray[np.uint8]:
    """The central square of (H, W, 3), resized to size x size; unchanged for None."""
    if size is None:
        return image
    height, width = image.shape[:2]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    square = np.ascontiguousarray(image[top : top + side, left : left + side])
    if side == size:
        return square
    way = cv2.INTER_AREA if side > size else cv2.INTER_LANCZOS4
    return np.asarray(cv2.resize(square, (size, size), interpolation=way), dtype=np.uint8)


def _is_picture(name: str) -> bool:
    return name.lower().endswith(EXTENSIONS) and not Path(name).name.startswith(".")


def _read_entry(archive: zipfile.ZipFile, name: str, path: Path) -> bytes:
    try:
        if archive.getinfo(name).file_size > _ENTRY_LIMIT:
            raise UserError(f"{name} in {path} is larger than {_ENTRY_LIMIT // 2**20} MB: this is not a picture archive.")
        return archive.read(name)
    except (zipfile.BadZipFile, KeyError, NotImplementedError, RuntimeError, OSError, EOFError) as error:
        raise UserError(f"{name} in {path} cannot be read: {error}") from None


def _folder_labels(folder: Path) -> dict[str, Sequence[float]] | None:
    file = folder / "dataset.json"
    return _labels(file.read_bytes(), folder) if file.is_file() else None


def _labels(content: bytes, path: Path) -> dict[str, Sequence[float]] | None:
    try:
        rows = json.loads(content)["labels"]
        return None if rows is None else {str(name): vector for name, vector in rows}
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(f'dataset.json in {path} is not of the form {{"labels": [[name, numbers], ...]}}: {error}') from None


def _in_order(labels: dict[str, Sequence[float]] | None, names: Sequence[str], path: Path) -> NDArray[np.float32] | None:
    if labels is None:
        return None
    missing = next((name for name in names if name.replace("\\", "/") not in labels), None)
    if missing is not None:
        raise UserError(f"dataset.json in {path} has no label for {missing}.")
    try:
        table = np.array([labels[name.replace("\\", "/")] for name in names], dtype=np.float32)
    except (ValueError, TypeError):
        raise UserError(f"The labels in dataset.json in {path} are not vectors of one length.") from None
    return table
