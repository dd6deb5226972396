"""Archives, streams and pickles of torch and numpy: their arrays come back, and damaged or swollen files are refused."""

from __future__ import annotations

import io
import os
import pickle
import zipfile
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from crossrig.errors import UserError
from crossrig.gan.importers.generators import networks_in
from crossrig.pickles import files as module
from crossrig.pickles.arrays import NumpyArray, StoredTensor
from crossrig.pickles.files import open_foreign, read_archive, read_stream

TENSORS = {
    "float": torch.randn(3, 4),
    "half": torch.randn(5).half(),
    "bfloat": torch.randn(5).bfloat16(),
    "double": torch.randn(2, 2).double(),
    "long": torch.arange(6).reshape(2, 3),
    "bool": torch.tensor([True, False]),
    "view": torch.randn(4, 6).t()[1:3],
    "scalar": torch.tensor(2.5),
    "empty": torch.zeros(0, 3),
}


def saved(value: object, archive: bool) -> bytes:
    file = io.BytesIO()
    torch.save(value, file, _use_new_zipfile_serialization=archive)
    return file.getvalue()


WRITERS: dict[str, Callable[[object], bytes]] = {
    "archive": lambda value: saved(value, True),
    "stream": lambda value: saved(value, False),
    "pickle 2": lambda value: pickle.dumps(value, 2),
    "pickle 5": lambda value: pickle.dumps(value, 5),
}


@pytest.mark.parametrize("writer", WRITERS)
def test_tensors_come_back(tmp_path: Path, writer: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(WRITERS[writer]({**TENSORS, "parameter": torch.nn.Parameter(TENSORS["float"])}))
    with open_foreign(path) as value:
        assert isinstance(value, dict)
        for name, tensor in (TENSORS | {"parameter": TENSORS["float"]}).items():
            loaded = value[name].load()
            assert loaded.dtype == tensor.dtype
            assert torch.equal(loaded, tensor), name
            assert loaded.is_contiguous()


@pytest.mark.parametrize("protocol", [2, 4])
def test_numpy_comes_back(protocol: int) -> None:
    arrays = [np.arange(6, dtype=np.float32).reshape(2, 3), np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.float64(2.5), np.int32(3)]
    first, second, real, whole = read_stream(io.BytesIO(pickle.dumps(arrays, protocol)))  # type: ignore[misc]
    assert (real, whole) == (2.5, 3)
    for array, loaded in zip(arrays, (first, second), strict=False):
        assert isinstance(loaded, NumpyArray)
        assert np.array_equal(loaded.load().numpy(), array)


class Call:
    def __init__(self, function: object, *arguments: object) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> tuple[object, ...]:
        return self.function, self.arguments


@pytest.mark.parametrize("writer", WRITERS)
def test_code_is_refused_by_name(tmp_path: Path, writer: str) -> None:
    trace, path = tmp_path / "ran", tmp_path / "evil.pt"
    path.write_bytes(WRITERS[writer]({"g_ema": TENSORS, "args": Call(os.system, f"touch {trace}")}))
    with pytest.raises(UserError, match=r"evil\.pt: it asks for posix\.system"), open_foreign(path):
        pass
    assert not trace.exists()


def test_code_inside_the_bytes_of_an_array_is_refused(tmp_path: Path) -> None:
    """The bytes of an array in a plain pickle are a stream of torch.save, whose pickles are read as strictly."""
    trace = tmp_path / "ran"
    stream = saved(Call(os.system, f"touch {trace}"), False)
    for inner in (stream, pickle.dumps(Call(os.system, f"touch {trace}"))):
        data = pickle.dumps(Call(torch.storage._load_from_bytes, inner))
        with pytest.raises(UserError, match=r"asks for posix\.system"):
            read_stream(io.BytesIO(data))
    nested = stream
    for _ in range(3):  # and no array is nested in another
        nested = saved(Call(torch.storage._load_from_bytes, nested), False)
    with pytest.raises(UserError, match=r"asks for torch\.storage\._load_from_bytes"):
        read_stream(io.BytesIO(pickle.dumps(Call(torch.storage._load_from_bytes, nested))))
    assert not trace.exists()


# -- tensors larger than their numbers ------------------------------------------------------------------------------


class Rebuild:
    """Pickles as a tensor with any size and strides."""

    def __init__(self, *arguments: object) -> None:
        self.arguments = (torch.zeros(4).untyped_storage(), *arguments)

    def __reduce__(self) -> tuple[object, ...]:
        storage = torch.storage.TypedStorage(wrap_storage=self.arguments[0], dtype=torch.float32, _internal=True)
        return torch._utils._rebuild_tensor_v2, (storage, *self.arguments[1:], False, {})


@pytest.mark.parametrize(
    "arguments",
    [
        (0, (1 << 30, 1 << 30), (0, 0)), (0, (1 << 62,), (0,)), (2, (4,), (1,)), (0, (2, 2), (2, 2)), (-1, (4,), (1,)), (0, (4,), (-1,)),
        (0, (4, 1), (1,)), (0, [4], [1]), (0, (2.0,), (1,)), (0, (1,) * 9, (1,) * 9), (5, (1,), (0,)),
    ],
)  # fmt: skip
def test_tensors_that_do_not_fit_their_numbers(arguments: tuple[object, ...]) -> None:
    with pytest.raises(UserError, match=r"damaged tensor|does not fit"):
        read_stream(io.BytesIO(pickle.dumps(Rebuild(*arguments))))


def test_a_fitting_one() -> None:
    value = read_stream(io.BytesIO(pickle.dumps(Rebuild(1, (3,), (1,)))))
    assert isinstance(value, StoredTensor)
    assert torch.equal(value.load(), torch.zeros(3))


# -- archives that are not what they say ----------------------------------------------------------------------------


def archived(entries: dict[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in entries.items():
            archive.writestr(name, data)
    return file.getvalue()


def entries_of(data: bytes) -> dict[str, bytes]:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def load_all(path: Path) -> None:
    with open_foreign(path) as value:
        assert isinstance(value, dict)
        for entry in value.values():
            entry.load()


def refusal(path: Path, data: bytes) -> str:
    path.write_bytes(data)
    with pytest.raises(UserError) as caught:
        load_all(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    assert "\n" not in message
    return message


def test_archives_that_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.pt"
    entries = entries_of(saved({"a": torch.arange(4.0)}, True))
    good = archived(entries)
    with_other = {name: b"big" if name.endswith("byteorder") else data for name, data in entries.items()}
    short = {name: data[:8] if name.endswith("data/0") else data for name, data in entries.items()}
    path.write_bytes(good)
    with open_foreign(path) as value:
        assert torch.equal(value["a"].load(), torch.arange(4.0))  # type: ignore[index]
    assert "compressed" in refusal(path, archived(entries, zipfile.ZIP_DEFLATED))
    assert "big-endian" in refusal(path, archived(with_other))
    assert "has 8" in refusal(path, archived(short))
    assert "is missing" in refusal(path, archived({name: data for name, data in entries.items() if not name.endswith("data/0")}))
    assert "without a data.pkl" in refusal(path, archived({"a.txt": b"hello"}))
    assert "damaged archive" in refusal(path, good[:-30])
    position = good.index(torch.arange(4.0).numpy().tobytes())
    assert "damaged archive (Bad CRC-32" in refusal(path, good[:position] + b"\xff" + good[position + 1 :])
    # a central directory that lists one entry many times makes a small file claim much
    first = good.index(b"PK\x01\x02")
    length = good.index(b"PK\x01\x02", first + 1) - first
    end = good.index(b"PK\x05\x06")
    copies = good[first : first + length] * 500
    trailer = bytearray(good[end:])
    trailer[8:12] = (500).to_bytes(2, "little") * 2
    trailer[12:16] = len(copies).to_bytes(4, "little")
    monkeypatch.setattr(module, "MOST_ENTRIES", 499)
    assert "more than 499 entries" in refusal(path, good[:first] + copies + bytes(trailer))
    monkeypatch.setattr(module, "MOST_ENTRIES", 1000)
    assert "claim more bytes" in refusal(path, good[:first] + copies + bytes(trailer))
    monkeypatch.setattr(module, "MOST_BYTES", 10)
    assert "no network file has more" in refusal(path, good)
    monkeypatch.setattr(module, "MOST_PICKLE_BYTES", 10)
    monkeypatch.setattr(module, "MOST_BYTES", 1 << 20)
    assert "data.pkl has more than" in refusal(path, good)


def test_streams_that_are_cut_short(tmp_path: Path) -> None:
    data = saved({"a": torch.arange(100.0)}, False)
    for length in (1, 20, len(data) // 2, len(data) - 1):
        assert "cut short" in refusal(tmp_path / "x.pt", data[:length])
    swollen = data.replace((100).to_bytes(8, "little"), (99).to_bytes(8, "little"))
    assert "another length" in refusal(tmp_path / "x.pt", swollen)


def test_what_is_no_file(tmp_path: Path) -> None:
    for path, words in ((tmp_path, "is no file"), (tmp_path / "none.pkl", "No such file"), (Path("/dev/zero"), "is no file")):
        with pytest.raises(UserError, match=words), open_foreign(path):
            pass
    for data in (b"", b"hello", b"\x89PNG\r\n"):
        assert "neither a pickle nor" in refusal(tmp_path / "x", data)


# -- any file -------------------------------------------------------------------------------------------------------


SEEDS = [write({"g_ema": {"a": torch.zeros(2), "n": 1.5}, "args": [1, None, ("x",)]}) for write in WRITERS.values()]
SEEDS.append(pickle.dumps([np.zeros(2), np.float32(1.0), {"b", "c"}], 2))

edits = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 4), st.binary(max_size=4) | st.just(b"ccanary\nsing\nX\x01\x00\x00\x00a\x85R")),
    min_size=1,
    max_size=4,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300, deadline=None)
@given(st.sampled_from(SEEDS), edits)
def test_mutated_files_end_as_data_or_refusal(canary: list[str], data: bytes, changes: list[tuple[int, int, bytes]]) -> None:
    for position, removed, inserted in changes:
        position %= len(data) + 1
        data = data[:position] + inserted + data[position + removed :]
    with suppress(UserError):
        if data.startswith(b"PK"):
            with module._damage_named(), zipfile.ZipFile(io.BytesIO(data)) as archive:
                value = read_archive(archive, len(data))
        else:
            value = read_stream(io.BytesIO(data))
        networks_in(value)
    assert canary == []
