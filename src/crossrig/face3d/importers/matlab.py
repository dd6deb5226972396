"""MATLAB files of version 5, by scipy, once it is sure that they do not swell: nothing in them is executed, but they may be compressed."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import IO

import numpy as np
from numpy.typing import NDArray

from crossrig.errors import UserError
from crossrig.face3d.importers.limits import MOST_BYTES, MOST_NUMBERS, checked_size
from crossrig.pickles.restricted import printable

_HEADER = 128
_COMPRESSED = 15
_CHUNK = 1 << 20


def read_matlab(path: Path, wanted: tuple[str, ...]) -> dict[str, NDArray[np.generic]]:
    """The wanted variables, as far as the file has them. UserError when it is no MATLAB file of version 5, or damaged."""
    from scipy.io import loadmat, whosmat

    size = checked_size(path)
    with open(path, "rb") as file:
        if not file.read(_HEADER).startswith(b"MATLAB 5.0 MAT-file"):
            raise UserError("it is no MATLAB file of version 5; save it again with -v6 or -v7")
        if _unpacked(file, size) > MOST_BYTES:
            raise UserError(f"unpacked it would have more than {MOST_BYTES >> 20} MiB, which no face model needs")
    try:
        for name, shape, kind in whosmat(str(path)):
            if name in wanted and (kind in ("cell", "struct", "object", "function", "opaque", "char", "unknown")):
                raise UserError(f"its variable {printable(name)} is a {kind}, not an array of numbers")
            if name in wanted and np.prod([float(length) for length in shape]) > MOST_NUMBERS:
                raise UserError(f"its variable {printable(name)} has the shape {shape}, which no face model needs")
        found = loadmat(str(path), variable_names=wanted)
    except UserError:
        raise
    except Exception as error:  # scipy raises whatever damaged bytes lead to: ValueError, TypeError, KeyError, its own MatReadError ...
        raise UserError(f"it is cut short or damaged ({printable(str(error))})") from None
    return {name: value for name, value in found.items() if name in wanted and isinstance(value, np.ndarray)}


def _unpacked(file: IO[bytes], size: int) -> int:
    """Bytes that the elements of an open file, position after the header, have in memory; counting ends beyond the limit."""
    total = 0
    while file.tell() < size and total <= MOST_BYTES:
        tag = file.read(8)
        if len(tag) < 8:
            raise UserError("it is cut short")
        kind, length = struct.unpack("<II", tag)
        if length > size - file.tell():
            raise UserError("it is cut short")
        if kind != _COMPRESSED:
            total += length
            file.seek(length, 1)
            continue
        inflater, left = zlib.decompressobj(), length
        while left and total <= MOST_BYTES:
            data = file.read(min(_CHUNK, left))
            left -= len(data)
            try:
                while data and total <= MOST_BYTES:
                    total += len(inflater.decompress(data, _CHUNK))
                    data = inflater.unconsumed_tail
            except zlib.error as error:
                raise UserError(f"it is damaged ({error})") from None
    return total
