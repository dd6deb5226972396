"""Pickles of chumpy and scipy, read by the machine of `pickles.restricted`, which runs nothing of what a file says.

FLAME's file is a dictionary whose values are arrays of numpy, `chumpy.Ch` around one, and sparse matrices of scipy. Each becomes a record
that only holds its state; `array_of` makes an array of it.
"""

from __future__ import annotations

import mmap
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from crossrig.errors import UserError
from crossrig.face3d.importers.limits import MOST_NUMBERS, checked_size
from crossrig.pickles.arrays import NumpyArray, NumpyType, StoredTensor, elements, is_sizes, numpy_type
from crossrig.pickles.files import read_stream
from crossrig.pickles.restricted import Name, Record

Array = NDArray[np.generic]
WHAT = "face model"


def read_pickled(path: Path) -> object:
    """The value of a pickle: dictionaries, lists, numbers, text and what `array_of` takes. UserError for anything else."""
    checked_size(path)
    with open(path, "rb") as file:
        return pickle_at(file)


def pickle_at(file: IO[bytes]) -> object:
    """The value of the pickle at the position of an open file, of protocol 2 or later."""
    start = file.tell()
    if file.read(1) != b"\x80":
        raise UserError("it is no pickle of protocol 2 or later; load and save it again with Python 3")
    # mapped, not read: a length that a damaged file claims can then cost no memory
    with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        mapped.seek(start)
        return read_stream(cast(IO[bytes], mapped), _CALLS, WHAT)


def array_of(value: object, what: str) -> Array:
    """The numbers of an array, a chumpy object or a sparse matrix; UserError when it is none of them, or damaged."""
    try:
        return _array(value, 0)
    except UserError as error:
        raise UserError(f"its {what}: {error}") from None
    except (ValueError, IndexError, OverflowError) as error:
        raise UserError(f"its {what} is damaged ({error})") from None


def unwrapped(value: object) -> object:
    """The one object of a numpy array of objects without axes, as `numpy.save` makes of a dictionary; any other value itself."""
    if isinstance(value, _Objects) and isinstance(value.state, list) and len(value.state) == 1:
        return value.state[0]
    return value


def _array(value: object, depth: int) -> Array:
    if isinstance(value, np.ndarray):
        return value
    if isinstance(value, NumpyArray):
        return value.array()
    if isinstance(value, StoredTensor):
        tensor = value.load()
        numbers: Array = (tensor.float() if tensor.is_floating_point() else tensor).numpy()
        return numbers
    if isinstance(value, list):
        return _plain(value)
    state = value.state if isinstance(value, Record) else None
    if not isinstance(value, Record) or not isinstance(state, dict) or depth > 3:
        raise UserError("it is no array")
    if value.kind == "Ch":
        return _array(state.get("x"), depth + 1)
    if value.kind == "Select":
        picked: Array = _array(state.get("a"), depth + 1).ravel()[_array(state.get("idxs"), depth + 1).astype(np.int64)]
        shape = state.get("preferred_shape", picked.shape)
        return picked.reshape(shape) if is_sizes(shape) else picked
    if value.kind in ("csc", "csr"):
        return _dense(value.kind, state, depth)
    raise UserError(f"it is a {value.kind}, not an array")


def _plain(value: list[object]) -> Array:
    """Nested lists of numbers, as JSON has them."""
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError, RecursionError):
        raise UserError("it is no list of numbers") from None
    return array


def _dense(kind: str, state: Mapping[object, object], depth: int) -> Array:
    """A compressed sparse matrix of scipy, by columns or rows, as a dense one."""
    shape = state.get("_shape", state.get("shape"))
    if not is_sizes(shape) or len(shape) != 2 or elements(shape) > MOST_NUMBERS:
        raise UserError("it is a sparse matrix of no sensible size")
    starts, inner, data = (_array(state.get(name), depth + 1) for name in ("indptr", "indices", "data"))
    lines, across = shape if kind == "csr" else shape[::-1]
    ends = starts.astype(np.int64)
    counts = ends[1:] - ends[:-1]
    if starts.shape != (lines + 1,) or (counts < 0).any() or counts.sum() != len(data) or data.shape != inner.shape:
        raise UserError("it is a damaged sparse matrix")
    if len(inner) and (inner.min() < 0 or inner.max() >= across):
        raise UserError("it is a damaged sparse matrix")
    dense = np.zeros((lines, across))
    np.add.at(dense, (np.repeat(np.arange(lines), counts), inner.astype(np.int64)), data.astype(np.float64))
    return dense if kind == "csr" else dense.T


class _Objects(NumpyArray):
    """A numpy array, or one of objects, whose state is then the list of them."""

    def build(self, state: object) -> None:
        if isinstance(state, tuple) and len(state) == 5 and isinstance(state[2], _ObjectType) and isinstance(state[4], list):
            self.state = state[4]
        else:
            super().build(state)


class _ObjectType(NumpyType):
    """The type of numpy's arrays of objects."""

    def build(self, state: object) -> None:
        """Its flags say nothing that matters here."""


def _type(arguments: tuple[object, ...]) -> NumpyType:
    return _ObjectType("O") if arguments[:1] in (("O8",), ("O",)) else numpy_type(arguments)


def _objects(arguments: tuple[object, ...]) -> NumpyArray:
    if not arguments or arguments[0] != Name("numpy", "ndarray"):
        raise UserError("it has an array of a class that is not numpy's own")
    return _Objects("array")


def _from_buffer(arguments: tuple[object, ...]) -> NumpyArray:
    """numpy.core.numeric._frombuffer(data, type, shape, order[, axes]): what protocol 5 makes of an array."""
    data, kind, shape, order, axes = (*arguments, None, None)[:5] if len(arguments) in (4, 5) else (None,) * 5
    array = _Transposed("array")
    array.build((1, shape, kind, order == "F", bytes(data) if isinstance(data, bytes | bytearray) else None))
    if order == "K" and isinstance(axes, tuple):
        array.axes = axes
    return array


class _Transposed(NumpyArray):
    """A numpy array whose axes lie in another order in the file."""

    axes: tuple[object, ...] | None = None

    def array(self) -> Array:
        found = super().array()
        if self.axes is None:
            return found
        if sorted(map(str, self.axes)) != sorted(map(str, range(found.ndim))):
            raise UserError("it has a damaged numpy array")
        return found.transpose([int(str(axis)) for axis in self.axes])


def _record(kind: str) -> Callable[[tuple[object, ...]], object]:
    return lambda arguments: Record(kind)


def _reconstructed(arguments: tuple[object, ...]) -> object:
    """copy_reg._reconstructor(class, object, None): an empty object of a class that is in the table."""
    if not arguments or not isinstance(arguments[0], Name):
        raise UserError("it makes an object in a way that no face model does")
    return _RECORDS.get(arguments[0], _refused)(())


def _refused(arguments: tuple[object, ...]) -> object:
    raise UserError("it makes an object in a way that no face model does")


def _no_bytes(arguments: tuple[object, ...]) -> bytes:
    """bytes(), which is how Python 3 writes an empty array's contents for Python 2."""
    if arguments:
        raise UserError("it makes bytes in a way that no face model does")
    return b""


_RECORDS: Mapping[Name, Callable[[tuple[object, ...]], object]] = {
    Name("chumpy.ch", "Ch"): _record("Ch"),
    Name("chumpy", "Ch"): _record("Ch"),
    Name("chumpy.reordering", "Select"): _record("Select"),
    **{
        Name(f"scipy.sparse.{module}{kind}", f"{kind}_{form}"): _record(kind)
        for kind in ("csc", "csr")
        for module in ("", "_")
        for form in ("matrix", "array")
    },
}

_CALLS: Mapping[Name, Callable[[tuple[object, ...]], object]] = {
    **_RECORDS,
    Name("copy_reg", "_reconstructor"): _reconstructed,
    Name("copyreg", "_reconstructor"): _reconstructed,
    Name("__builtin__", "object"): _refused,
    Name("builtins", "object"): _refused,
    Name("__builtin__", "bytes"): _no_bytes,
    Name("builtins", "bytes"): _no_bytes,
    Name("numpy", "dtype"): _type,
    Name("numpy.core.multiarray", "_reconstruct"): _objects,
    Name("numpy._core.multiarray", "_reconstruct"): _objects,
    Name("numpy.core.numeric", "_frombuffer"): _from_buffer,
    Name("numpy._core.numeric", "_frombuffer"): _from_buffer,
}
"""Names that files of face models use beside those of networks."""
