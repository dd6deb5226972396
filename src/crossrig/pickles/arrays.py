"""Arrays of torch and numpy in a pickle, rebuilt by us from their bytes and never larger than what the file holds."""

from __future__ import annotations

import math
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TypeGuard

import numpy as np
import torch
from numpy.typing import NDArray

from crossrig.errors import UserError
from crossrig.pickles.restricted import Name, Record

MOST_AXES = 8

STORAGES: Mapping[Name, torch.dtype] = {
    Name("torch", "FloatStorage"): torch.float32,
    Name("torch", "DoubleStorage"): torch.float64,
    Name("torch", "HalfStorage"): torch.float16,
    Name("torch", "BFloat16Storage"): torch.bfloat16,
    Name("torch", "LongStorage"): torch.int64,
    Name("torch", "IntStorage"): torch.int32,
    Name("torch", "ShortStorage"): torch.int16,
    Name("torch", "CharStorage"): torch.int8,
    Name("torch", "ByteStorage"): torch.uint8,
    Name("torch", "BoolStorage"): torch.bool,
}
"""The storage classes of torch and what they hold."""

_NUMPY_TYPES = frozenset(("f2", "f4", "f8", "i1", "i2", "i4", "i8", "u1", "u2", "u4", "u8", "b1"))


@dataclass(eq=False)
class Storage:
    """`count` numbers of torch's memory; `fetch` gives their bytes once the file has been read that far."""

    dtype: torch.dtype
    count: int
    fetch: Callable[[], bytes | memoryview] | None = None

    @property
    def size(self) -> int:
        """Bytes."""
        return self.count * self.dtype.itemsize

    def numbers(self) -> torch.Tensor:
        """(count,) a copy of them; UserError when the file holds another amount."""
        data = b"" if self.fetch is None else self.fetch()
        if len(data) != self.size:
            raise UserError(f"it is cut short or damaged: an array of {self.size} bytes has {len(data)}")
        if not self.count:
            return torch.empty(0, dtype=self.dtype)
        return torch.frombuffer(bytearray(data), dtype=self.dtype)


@dataclass(eq=False)
class StoredTensor:
    """A tensor of a file: which numbers of which storage."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    stride: tuple[int, ...]

    def load(self) -> torch.Tensor:
        """The tensor, contiguous, with its own memory."""
        return self.storage.numbers().as_strided(self.shape, self.stride, self.offset).clone(memory_format=torch.contiguous_format)


class NumpyType(Record):
    """A number type of numpy in little-endian order, by its code such as "f4"."""

    @property
    def size(self) -> int:
        """Bytes of a number."""
        return np.dtype(self.kind).itemsize

    def build(self, state: object) -> None:
        _, order, *parts, _, _, _ = state if isinstance(state, tuple) and len(state) == 8 else (None,) * 8
        if order not in ("<", "|", "=") or parts != [None, None, None]:  # sub-arrays, names, fields
            raise UserError("it has a numpy array of numbers that are not plain little-endian ones")


class NumpyArray(Record):
    """A numpy array; `load` gives it as a tensor."""

    def build(self, state: object) -> None:
        _, shape, kind, columns_first, data = state if isinstance(state, tuple) and len(state) == 5 else (None,) * 5
        if isinstance(data, str):  # bytes of Python 2
            data = encoded((data, "latin1"))
        if not is_sizes(shape) or not isinstance(kind, NumpyType) or not isinstance(data, bytes) or columns_first not in (False, True):
            raise UserError("it has a damaged numpy array")
        if elements(shape) * kind.size != len(data):
            raise UserError(f"it has a numpy array of shape {shape} with {len(data)} bytes, which does not fit")
        self.kind, self.state = kind.kind, (shape, columns_first, data)

    def load(self) -> torch.Tensor:
        """The array as a contiguous tensor with its own memory; UserError when the file did not give its contents."""
        array = self.array()
        if array.dtype in (np.uint16, np.uint32, np.uint64):
            raise UserError(f"it has weights of type {array.dtype}, which no network has")
        return torch.from_numpy(np.array(array, order="C"))

    def array(self) -> NDArray[np.generic]:
        """The array as numpy has it, read-only; UserError when the file did not give its contents."""
        if not isinstance(self.state, tuple):
            raise UserError("it has a numpy array without contents")
        shape, columns_first, data = self.state
        return np.frombuffer(data, f"<{self.kind}").reshape(shape, order="F" if columns_first else "C")


def is_sizes(value: object) -> TypeGuard[tuple[int, ...]]:
    """Whether `value` is the shape or the strides of an array: few axes, each an int from zero to what memory can hold."""
    return (
        isinstance(value, tuple)
        and len(value) <= MOST_AXES
        and all(isinstance(size, int) and 0 <= size < 1 << 40 for size in value)
    )


def elements(shape: tuple[int, ...]) -> int:
    """How many numbers an array of this shape has."""
    return math.prod(shape)


# -- what the names of torch and numpy build ----------------------------------------------------------------------------


def rebuild_tensor(arguments: tuple[object, ...]) -> StoredTensor:
    """torch._utils._rebuild_tensor_v2(storage, offset, size, stride, requires_grad, hooks, ...)."""
    storage, offset, shape, stride, *_ = arguments if len(arguments) >= 4 else (None,) * 4
    if not isinstance(storage, Storage) or not isinstance(offset, int) or not is_sizes(shape) or not is_sizes(stride):
        raise UserError("it has a damaged tensor")
    if len(shape) != len(stride) or offset < 0:
        raise UserError("it has a damaged tensor")
    last = offset + sum((size - 1) * step for size, step in zip(shape, stride, strict=True))
    count = elements(shape)
    # a small storage can be spread over a huge tensor by strides of zero: no network has such a weight
    if count > storage.count or (count and last >= storage.count):
        raise UserError(f"it has a tensor of shape {shape} on {storage.count} numbers, which does not fit")
    return StoredTensor(storage, offset, shape, stride)


def rebuild_parameter(arguments: tuple[object, ...]) -> StoredTensor:
    """torch._utils._rebuild_parameter(tensor, requires_grad, hooks) and its variant with a state."""
    if not arguments or not isinstance(arguments[0], StoredTensor):
        raise UserError("it has a damaged parameter")
    return arguments[0]


def numpy_type(arguments: tuple[object, ...]) -> NumpyType:
    """numpy.dtype(code, align, copy)."""
    code = arguments[0] if arguments else None
    if not isinstance(code, str) or code not in _NUMPY_TYPES:
        raise UserError("it has a numpy array of something else than plain numbers")
    return NumpyType(code)


def numpy_array(arguments: tuple[object, ...]) -> NumpyArray:
    """numpy.core.multiarray._reconstruct(ndarray, (0,), b"b"): an array whose contents follow."""
    if not arguments or arguments[0] != Name("numpy", "ndarray"):
        raise UserError("it has an array of a class that is not numpy's own")
    return NumpyArray("array")


def numpy_scalar(arguments: tuple[object, ...]) -> float | int:
    """numpy.core.multiarray.scalar(dtype, bytes) as a number of Python."""
    kind, data = arguments if len(arguments) == 2 else (None, None)
    if not isinstance(kind, NumpyType) or not isinstance(data, bytes) or len(data) != kind.size:
        raise UserError("it has a damaged number")
    number: float | int = np.frombuffer(data, f"<{kind.kind}")[0].item()
    return number


def encoded(arguments: tuple[object, ...]) -> bytes:
    """_codecs.encode(text, "latin1"), which is how older pickles hold bytes."""
    text, encoding = arguments if len(arguments) == 2 else (None, None)
    if not isinstance(text, str) or encoding != "latin1":
        raise UserError("it has damaged bytes")
    try:
        return text.encode("latin1")
    except UnicodeEncodeError:
        raise UserError("it has damaged bytes") from None


def not_called(arguments: tuple[object, ...]) -> object:
    """For names that only stand for a type."""
    raise UserError("it calls the type of an array; nothing of it was run")


ARRAY_CALLS: Mapping[Name, Callable[[tuple[object, ...]], object]] = {
    **dict.fromkeys(STORAGES, not_called),
    Name("numpy", "ndarray"): not_called,
    Name("torch._utils", "_rebuild_tensor_v2"): rebuild_tensor,
    Name("torch._utils", "_rebuild_parameter"): rebuild_parameter,
    Name("torch._utils", "_rebuild_parameter_with_state"): rebuild_parameter,
    Name("numpy", "dtype"): numpy_type,
    Name("numpy.core.multiarray", "_reconstruct"): numpy_array,
    Name("numpy._core.multiarray", "_reconstruct"): numpy_array,
    Name("numpy.core.multiarray", "scalar"): numpy_scalar,
    Name("numpy._core.multiarray", "scalar"): numpy_scalar,
    Name("_codecs", "encode"): encoded,
}
"""Names of torch and numpy that a file may use for its arrays."""


def int64(data: bytes) -> int:
    """The little-endian number of eight bytes; UserError when there are fewer."""
    if len(data) != 8:
        raise UserError("it is cut short")
    (number,) = struct.unpack("<q", data)
    return int(number)
