"""The files other programs keep networks in: torch's archive, torch's older stream, and a plain pickle.

All three give one inert value: dictionaries, lists, numbers, `StoredTensor`, `NumpyArray`, and `Record` for objects of
other programs. Arrays are fetched from the file when they are loaded, which must happen while it is open.
"""

from __future__ import annotations

import io
import mmap
import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import IO, cast

from crossrig.errors import UserError
from crossrig.pickles.arrays import ARRAY_CALLS, STORAGES, Storage, int64
from crossrig.pickles.restricted import Name, Record, printable, read_pickle

MOST_BYTES = 8 << 30
"""The largest file that is opened; a training state of a 1024 px network with its optimisers has 1.5 GiB."""
MOST_PICKLE_BYTES = 64 << 20
"""The largest pickle inside one of torch's archives, where the arrays lie outside of it."""
MOST_ENTRIES = 100_000

_TORCH_MAGIC = 0x1950A86A20F9469CFC6C
_ZIP_MAGIC = b"PK\x03\x04"
_PICKLE_MAGIC = b"\x80"


@contextmanager
def open_foreign(path: str | Path) -> Iterator[object]:
    """The value in a network file of another program; nothing in the file is executed.

    Raises UserError, naming the file, for what is no such file, is damaged, or asks for more than plain data. The body of
    the `with` statement loads and converts what it needs; UserErrors of it are taken to be about the file, too.
    """
    path = Path(path)
    try:
        mode, size = path.stat().st_mode, path.stat().st_size
        if not stat.S_ISREG(mode):
            raise UserError("it is no file; give the network file itself")
        file = open(path, "rb")  # noqa: SIM115  # closed below; only opening it may raise OSError here
    except OSError as error:
        raise UserError(f"{path}: it cannot be opened ({error.strerror}); check the path") from None
    except UserError as error:
        raise UserError(f"{path}: {error}") from None
    with file, ExitStack() as resources:
        try:
            yield _contents(file, size, resources)
        except UserError as error:
            raise UserError(f"{path}: {error}") from None


def _contents(file: IO[bytes], size: int, resources: ExitStack) -> object:
    if size > MOST_BYTES:
        raise UserError(f"it has {size >> 30} GiB, and no network file has more than {MOST_BYTES >> 30}")
    start = file.read(len(_ZIP_MAGIC))
    file.seek(0)
    if start == _ZIP_MAGIC:
        with _damage_named():
            archive = resources.enter_context(zipfile.ZipFile(file))
        return read_archive(archive, size)
    if start.startswith(_PICKLE_MAGIC):
        # mapped, not read: a length that a damaged file claims can then cost no memory
        mapped = resources.enter_context(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
        return read_stream(cast(IO[bytes], mapped))  # it has the read, readline and tell of a file
    raise UserError("it is neither a pickle nor a file of torch.save; give a .pkl of NVIDIA's or a .pt of rosinality's")


@contextmanager
def _damage_named() -> Iterator[None]:
    """Whatever zipfile says about a damaged archive, as UserError."""
    try:
        yield
    except (zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError, RuntimeError, ValueError, OverflowError) as error:
        raise UserError(f"it is a damaged archive ({printable(str(error))})") from None


# -- torch.save, archive (torch 1.6 and later) ---------------------------------------------------------------------


def _entry(archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> bytes:
    with _damage_named():
        return archive.read(entry)


def read_archive(archive: zipfile.ZipFile, size: int) -> object:
    """The value of an archive of torch.save, `size` bytes long; its arrays are read when they are loaded."""
    entries = archive.infolist()
    if len(entries) > MOST_ENTRIES:
        raise UserError(f"it is an archive of more than {MOST_ENTRIES} entries, which no network needs")
    if any(entry.compress_type != zipfile.ZIP_STORED or entry.flag_bits & 1 for entry in entries):
        raise UserError("it is a compressed or encrypted archive, which torch.save never writes")
    if sum(entry.file_size for entry in entries) > size:
        raise UserError("it is an archive whose entries claim more bytes than the file has")
    by_name = {entry.filename: entry for entry in entries}
    pickles = [name for name in by_name if name.endswith("/data.pkl") and name.count("/") == 1]
    if len(pickles) != 1:
        raise UserError("it is an archive without a data.pkl, so not written by torch.save")
    root = pickles[0].removesuffix("data.pkl")
    order = by_name.get(f"{root}byteorder")
    if order is not None and order.file_size < 16 and _entry(archive, order) != b"little":
        raise UserError("it was written on a big-endian computer, which is not supported")
    if by_name[pickles[0]].file_size > MOST_PICKLE_BYTES:
        raise UserError(f"its data.pkl has more than {MOST_PICKLE_BYTES >> 20} MiB, which no network needs")

    def persistent(identity: object) -> object:
        dtype_name, key, count = _storage_identity(identity, 5)
        entry = by_name.get(f"{root}data/{key}")
        if entry is None:
            raise UserError("it is damaged: an array of it is missing")
        return Storage(STORAGES[dtype_name], count, partial(_entry, archive, entry))

    return read_pickle(io.BytesIO(_entry(archive, by_name[pickles[0]])), _PLAIN_CALLS, persistent)


# -- a plain pickle, or torch.save before 1.6 ----------------------------------------------------------------------


def read_stream(file: IO[bytes], more: _Calls | None = None, what: str = "network") -> object:
    """The value of a plain pickle, or of the older format of torch.save, which begins with a pickled magic number.

    more: names a file may use beside those of networks. what: as in `read_pickle`.
    """
    first = read_pickle(file, {**_PLAIN_CALLS, **_OBJECT_CALLS, **(more or {})}, what=what)
    if first != _TORCH_MAGIC:
        return first
    return _read_torch_stream(file)


def _read_torch_stream(file: IO[bytes]) -> object:
    """The rest of a stream of torch.save: version, facts, value, keys of the storages, storages."""
    storages: dict[str, Storage] = {}

    def persistent(identity: object) -> object:
        dtype_name, key, count = _storage_identity(identity, 6)
        known = storages.setdefault(key, Storage(STORAGES[dtype_name], count))
        if (known.dtype, known.count) != (STORAGES[dtype_name], count):
            raise UserError("it is damaged: it describes one array in two ways")
        return known

    def read(calls: _Calls) -> object:
        return read_pickle(file, calls, persistent)

    version, facts = read({}), read({})
    if not isinstance(version, int) or not isinstance(facts, dict) or facts.get("little_endian") is not True:
        raise UserError("it was written by another version of torch.save, or on a big-endian computer; save it again")
    value = read(_PLAIN_CALLS)
    keys = read({})
    if not isinstance(keys, list) or not all(isinstance(key, str) and key in storages for key in keys):
        raise UserError("it is damaged: its list of arrays does not fit its contents")
    if set(keys) != set(storages) or len(keys) != len(storages):
        raise UserError("it is damaged: its list of arrays does not fit its contents")
    for key in keys:
        storage = storages[key]
        if int64(file.read(8)) != storage.count:
            raise UserError("it is damaged: an array has another length than its description")
        data = file.read(storage.size)
        if len(data) != storage.size:
            raise UserError("it is cut short: the numbers of its arrays are missing")
        storage.fetch = partial(bytes, data)
    return value


def _storage_identity(identity: object, length: int) -> tuple[Name, str, int]:
    """("storage", class, key, device, count[, view]) -> class, key, count."""
    if not isinstance(identity, tuple) or len(identity) != length or identity[0] != "storage":
        raise UserError("it refers to data in a way that torch does not")
    dtype_name, key, count = identity[1], identity[2], identity[4]
    if not isinstance(dtype_name, Name) or dtype_name not in STORAGES:
        raise UserError("it has an array of something else than plain numbers")
    if not isinstance(key, str) or not isinstance(count, int) or not 0 <= count < 1 << 40:
        raise UserError("it has a damaged array")
    if length == 6 and identity[5] is not None:
        raise UserError("its arrays overlap, which files of torch before 0.4 do; load and save it with a newer torch")
    return dtype_name, key, count


# -- what the names of other programs build ------------------------------------------------------------------------

_Calls = Mapping[Name, Callable[[tuple[object, ...]], object]]


def _dictionary(arguments: tuple[object, ...]) -> object:
    """An ordered or easy dictionary, whose items follow."""
    if arguments:
        raise UserError("it makes a dictionary in a way that network files do not")
    return {}


def _set(arguments: tuple[object, ...]) -> object:
    """set([...]) of plain keys."""
    values = arguments[0] if len(arguments) == 1 else None
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise UserError("it makes a set in a way that network files do not")
    return set(values)


def _record(kind: str) -> Callable[[tuple[object, ...]], object]:
    def make(arguments: tuple[object, ...]) -> object:
        if arguments:
            raise UserError(f"it makes a {kind} in a way that network files do not")
        return Record(kind)

    return make


def _persistent_object(arguments: tuple[object, ...]) -> object:
    """torch_utils.persistence._reconstruct_persistent_obj(meta): class name and state; the source code is dropped."""
    meta = arguments[0] if len(arguments) == 1 else None
    if not isinstance(meta, dict) or meta.get("type") != "class" or not isinstance(meta.get("class_name"), str):
        raise UserError("it has a damaged object of NVIDIA's")
    return Record(meta["class_name"], meta.get("state"))


def _storage_from_bytes(arguments: tuple[object, ...]) -> object:
    """torch.storage._load_from_bytes(data): a storage in a stream of torch.save of its own."""
    data = arguments[0] if len(arguments) == 1 else None
    if not isinstance(data, bytes):
        raise UserError("it has a damaged array")
    file = io.BytesIO(data)
    storage = _read_torch_stream(file) if read_pickle(file, {}) == _TORCH_MAGIC else None
    if not isinstance(storage, Storage):
        raise UserError("it has a damaged array")
    return storage


_PLAIN_CALLS: _Calls = {
    **ARRAY_CALLS,
    Name("collections", "OrderedDict"): _dictionary,
    Name("builtins", "set"): _set,
    Name("__builtin__", "set"): _set,
    Name("argparse", "Namespace"): _record("argparse.Namespace"),
}
"""Names in files of torch.save."""

_OBJECT_CALLS: _Calls = {
    Name("torch_utils.persistence", "_reconstruct_persistent_obj"): _persistent_object,
    Name("torch.storage", "_load_from_bytes"): _storage_from_bytes,
    Name("dnnlib.util", "EasyDict"): _dictionary,
    Name("dnnlib.tflib.network", "Network"): _record("Network"),
}
"""Further names in NVIDIA's pickles. A storage inside a storage is not among those, so nothing here calls itself."""
