from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from crossrig import checkpoint
from crossrig.errors import UserError

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**53), 2**53)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


def test_tensors_and_header_come_back(tmp_path: Path) -> None:
    tensors = {
        "a.weight": torch.randn(3, 4, 2, 2).contiguous(memory_format=torch.channels_last),
        "b": torch.arange(5, dtype=torch.int64),
        "half": torch.randn(7).half(),
        "scalar": torch.tensor(2.5),
    }
    tensors["view"] = tensors["b"][1:3]  # shares storage with b
    header = {"kind": "test", "config": {"channels": [1, 2], "lr": 1e-3}}
    checkpoint.save(tmp_path / "new folder" / "x.safetensors", tensors, header)
    loaded, read = checkpoint.load(tmp_path / "new folder" / "x.safetensors")
    assert read == header
    assert set(loaded) == set(tensors)
    for name, tensor in tensors.items():
        assert loaded[name].dtype == tensor.dtype
        assert torch.equal(loaded[name], tensor)
    assert checkpoint.load_header(tmp_path / "new folder" / "x.safetensors") == header


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(header=st.dictionaries(st.text(), JSON, max_size=4))
def test_any_json_header_survives(tmp_path: Path, header: dict[str, object]) -> None:
    path = tmp_path / "header.safetensors"
    checkpoint.save(path, {"x": torch.zeros(1)}, header)
    assert checkpoint.load_header(path) == header


def test_a_failed_save_leaves_the_old_file_and_nothing_else(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"x": torch.ones(2)}, {"step": 1})
    before = path.read_bytes()

    def half_written(tensors: object, target: str, metadata: object) -> None:
        Path(target).write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("safetensors.torch.save_file", half_written)
    with pytest.raises(OSError, match="disk full"):
        checkpoint.save(path, {"x": torch.zeros(2)}, {"step": 2})
    assert path.read_bytes() == before
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.safetensors"]


def test_a_header_json_cannot_hold_is_refused_before_writing(tmp_path: Path) -> None:
    with pytest.raises(TypeError):
        checkpoint.save(tmp_path / "x.safetensors", {}, {"object": object()})
    with pytest.raises(ValueError, match="JSON"):
        checkpoint.save(tmp_path / "x.safetensors", {}, {"loss": float("nan")})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("read", [checkpoint.load, checkpoint.load_header])
def test_files_that_are_not_ours(tmp_path: Path, read: object) -> None:
    assert callable(read)
    with pytest.raises(UserError, match="folder"):
        read(tmp_path)
    with pytest.raises(UserError, match="no checkpoint at"):
        read(tmp_path / "missing.safetensors")
    for content in (b"", b"hello", b"\xff" * 64, (2**62).to_bytes(8, "little") + b"{}"):
        (tmp_path / "bad").write_bytes(content)
        with pytest.raises(UserError, match="not a readable"):
            read(tmp_path / "bad")
    save_file({"x": torch.zeros(1)}, tmp_path / "foreign")
    with pytest.raises(UserError, match="not written by crossrig"):
        read(tmp_path / "foreign")
    for text in ("{", "[1]"):
        save_file({"x": torch.zeros(1)}, tmp_path / "header", metadata={"crossrig": text})
        with pytest.raises(UserError, match="JSON"):
            read(tmp_path / "header")


def test_truncated_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"x": torch.zeros(1000)}, {"step": 1})
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(UserError, match="not a readable"):
        checkpoint.load(path)


def test_sha256(tmp_path: Path) -> None:
    path = tmp_path / "bytes"
    path.write_bytes(b"abc" * 100_000)
    assert checkpoint.sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()
    with pytest.raises(UserError, match="no checkpoint at"):
        checkpoint.sha256(tmp_path / "missing")


def test_the_header_is_one_metadata_key(tmp_path: Path) -> None:
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, {"x": torch.zeros(1)}, {"b": 1, "a": 2})
    raw = path.read_bytes()
    length = int.from_bytes(raw[:8], "little")
    metadata = json.loads(raw[8 : 8 + length])["__metadata__"]
    assert metadata == {"crossrig": '{"a": 2, "b": 1}'}


def test_weights_of_few_bits_are_read_as_any_others(tmp_path: Path) -> None:
    path, tensors = tmp_path / "small.safetensors", {"weight": torch.randn(64, 64), "bias": torch.randn(64)}
    checkpoint.save(path, tensors, {"kind": "encoder"}, bits=8)
    assert path.stat().st_size < 1.5 * 64 * 64
    found, header = checkpoint.load(path)
    assert header == {"kind": "encoder"}
    torch.testing.assert_close(found["weight"], tensors["weight"], atol=0.03, rtol=0)
    assert torch.equal(found["bias"], tensors["bias"])
    checkpoint.save(path, {"weight": torch.zeros(2, 2)}, {"kind": "encoder", "quantised": 8})
    with pytest.raises(UserError, match="not a readable checkpoint"):
        checkpoint.load(path)
