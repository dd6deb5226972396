"""Files from strangers: opened only when they are files of a sensible size, and every complaint names the file."""

from __future__ import annotations

import json
import math
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from crossrig.errors import UserError
from crossrig.pickles.restricted import printable

MOST_BYTES = 2 << 30
"""The largest file that is opened; BFM 2019 with the whole head has some 300 MB."""
MOST_TEXT = 512 << 20
"""The largest file of text: numbers take several times their digits in memory."""
MOST_NUMBERS = 100_000_000
"""Numbers of one array; the shapes of FLAME are 6 million, those of BFM 2009, which are cut while they are read, 32 million."""


class _About(UserError):
    """A UserError that names its file already."""


@contextmanager
def about(path: Path) -> Iterator[None]:
    """UserErrors of the body, and what reading may raise, as UserErrors that begin with the file's name."""
    try:
        yield
    except _About:
        raise  # about another file that this one needs
    except UserError as error:
        raise _About(f"{path}: {error}") from None
    except OSError as error:
        reason = error.strerror or printable(str(error))
        raise _About(f"{path}: it cannot be read ({reason}); check the path, or get the file again") from None


def checked_size(path: Path, most: int = MOST_BYTES) -> int:
    """The size of a regular file; UserError when it is none, or larger than `most` bytes."""
    facts = path.stat()
    if not stat.S_ISREG(facts.st_mode):
        raise UserError("it is no file; give the file of the face model itself")
    if facts.st_size > most:
        raise UserError(f"it has {facts.st_size >> 20} MiB, and no such file has more than {most >> 20}")
    return facts.st_size


def read_json(path: Path) -> object:
    """The value of a file of JSON; UserError when it is none."""
    checked_size(path, MOST_TEXT)
    return json_value(path.read_bytes())


def json_value(data: bytes) -> object:
    """The value of JSON text; UserError when it is none."""
    try:
        value: object = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise UserError(f"it is no JSON, or damaged ({printable(str(error))})") from None
    return value


def read_npy(file: IO[bytes], size: int) -> NDArray[np.generic] | None:
    """The array of a .npy file or archive entry of `size` bytes, position at its start; None when it holds objects, which are a pickle:
    that is where the file then stands. UserError when it is damaged, or claims more numbers than it has bytes for."""
    start = file.tell()
    try:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, columns_first, dtype = read(file)
    except (ValueError, EOFError, SyntaxError, RecursionError, MemoryError, TypeError) as error:
        raise UserError(f"it has a damaged array ({printable(str(error))})") from None
    if dtype == np.dtype(object):
        return None
    count = math.prod(shape)
    if dtype.kind not in "fiub" or count > MOST_NUMBERS or count * dtype.itemsize != size - (file.tell() - start):
        raise UserError(f"it has an array of shape {shape} and type {printable(str(dtype))} that its bytes do not fit")
    data = file.read(count * dtype.itemsize)
    if len(data) != count * dtype.itemsize:
        raise UserError("it is cut short")
    array: NDArray[np.generic] = np.frombuffer(data, dtype).reshape(shape, order="F" if columns_first else "C")
    return array


def read_npz(path: Path, wanted: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """The wanted arrays of a .npz file, as far as it has them and they hold plain numbers."""
    found = {}
    size = checked_size(path)
    try:
        with zipfile.ZipFile(path) as archive:
            for entry in archive.infolist():
                name = entry.filename.removesuffix(".npy")
                if name not in wanted:
                    continue
                # deflate shrinks to a thousandth at best: what claims more is made to fill memory
                if entry.file_size > min(MOST_BYTES, 1100 * size):
                    raise UserError(f"its array {printable(name)} claims {entry.file_size >> 20} MiB, which no face model needs")
                with archive.open(entry) as file:
                    array = read_npy(file, entry.file_size)
                if array is None:
                    raise UserError(f"its array {printable(name)} holds Python objects instead of numbers; save it as plain numbers")
                found[name] = array
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, RuntimeError, ValueError, OverflowError, NotImplementedError) as error:
        raise UserError(f"it is a damaged archive ({printable(str(error))})") from None
    return found


def floats(value: NDArray[np.generic], what: str, axes: int) -> NDArray[np.float64]:
    """An array of numbers with this many axes, as float64; UserError otherwise."""
    if value.ndim != axes or value.dtype.kind not in "fiub" or 0 in value.shape or value.size > MOST_NUMBERS:
        raise UserError(f"its {what} has the shape {value.shape} and type {value.dtype}, which no such model has")
    return value.astype(np.float64)


def integers(value: NDArray[np.generic], what: str, axes: int) -> NDArray[np.int64]:
    """An array of whole numbers with this many axes, as int64; UserError otherwise."""
    numbers = floats(value, what, axes)
    if not np.isfinite(numbers).all() or (numbers % 1 != 0).any() or np.abs(numbers).max() > 2**52:
        raise UserError(f"its {what} are not whole numbers")
    return numbers.astype(np.int64)
