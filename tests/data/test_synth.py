"""Data sets: exact labels, the stylegan2-ada layout, the same bytes for any number of workers."""

from __future__ import annotations

import io
import json
import multiprocessing
import threading
import time
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from crossrig.data.people import CODE_SIZE, sample_code, sample_person
from crossrig.data.synth import archive_name, label_numbers, make_example, synthesise
from crossrig.errors import UserError
from crossrig.face3d.params import PACKED_SIZE, packed_slice


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return synthesise(18, 32, 5, tmp_path_factory.mktemp("one"), workers=1, progress=False)


def test_archive_has_pictures_labels_and_codes(archive: Path) -> None:
    with zipfile.ZipFile(archive) as content:
        assert content.testzip() is None
        labels = json.loads(content.read("dataset.json"))["labels"]
        codes = np.load(io.BytesIO(content.read("codes.npy")), allow_pickle=False)
        assert [name for name, _ in labels][:2] == ["00000/img00000000.png", "00000/img00000001.png"]
        assert len(labels) == 18
        assert codes.shape == (18, CODE_SIZE)
        assert all(info.compress_type == zipfile.ZIP_STORED for info in content.infolist())
        for number, (name, vector) in enumerate(labels):
            picture = Image.open(io.BytesIO(content.read(name)))
            assert picture.size == (32, 32)
            assert picture.mode == "RGB"
            expected = sample_person(5, number).params().pack()[0].numpy()
            assert len(vector) == PACKED_SIZE
            assert np.array_equal(np.array(vector, dtype=np.float32), expected)
            assert np.array_equal(codes[number], sample_code(5, number)[0])


def test_workers_do_not_change_a_byte(archive: Path, tmp_path: Path) -> None:
    other = synthesise(18, 32, 5, tmp_path, workers=2, progress=False)
    same = other.read_bytes() == archive.read_bytes()
    assert same, "the two archives differ"  # pytest would take minutes to explain how two archives differ


def test_nothing_is_overwritten(archive: Path) -> None:
    before = archive.read_bytes()
    with pytest.raises(UserError, match="exists already"):
        synthesise(18, 32, 5, archive.parent, workers=1, progress=False)
    same = archive.read_bytes() == before
    assert same, "the archive was changed"
    assert [file.name for file in archive.parent.iterdir()] == [archive.name]


def test_an_interrupted_run_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("crossrig.data.synth._chunks", fail)
    with pytest.raises(KeyboardInterrupt):
        synthesise(2, 32, 0, tmp_path, workers=1, progress=False)
    assert list(tmp_path.iterdir()) == []


def test_first_continues_a_stream(archive: Path, tmp_path: Path) -> None:
    later = synthesise(2, 32, 5, tmp_path, workers=1, first=3, progress=False)
    assert later.name == archive_name(2, 32, 5, "photo", 3)
    with zipfile.ZipFile(later) as ours, zipfile.ZipFile(archive) as whole:
        assert ours.read("00000/img00000000.png") == whole.read("00000/img00000003.png")


def test_toons_share_the_labels() -> None:
    photo, toon = (make_example(5, 1, 32, style) for style in ("photo", "toon"))
    assert np.array_equal(photo.label, toon.label)
    assert np.array_equal(photo.code, toon.code)
    assert photo.png != toon.png


def test_some_stand_in_the_light_of_the_next() -> None:
    light = packed_slice("illumination")
    lit = [make_example(5, index, 32, "photo", relit=0.5) for index in range(12)]
    plain = [make_example(5, index, 32, "photo") for index in range(13)]
    theirs = [np.array_equal(one.label[light], following.label[light]) for one, following in zip(lit, plain[1:], strict=True)]
    assert 2 < sum(theirs) < 10
    for one, own, changed in zip(lit, plain[:-1], theirs, strict=True):
        assert np.array_equal(one.code, own.code)
        assert np.array_equal(np.delete(one.label, light), np.delete(own.label, light))
        assert np.array_equal(one.label, own.label) != changed
        assert (one.png == own.png) != changed
    assert archive_name(3, 32, 5, "toon", 2, 0.5) == "toon-32-seed5-relit50-from2-3.zip"


@pytest.mark.parametrize(
    ("change", "message"),
    [({"relit": 1.5}, "somebody else's light"),
     ({"count": 0}, "count"), ({"size": 8}, "size"), ({"size": 33}, "even"), ({"seed": -1}, "seed"), ({"workers": 0}, "processes")],
)  # fmt: skip
def test_bad_requests_are_explained(change: dict[str, Any], message: str, tmp_path: Path) -> None:
    request = {"count": 1, "size": 32, "seed": 0, "workers": 1, **change}
    with pytest.raises(UserError, match=message):
        synthesise(outdir=tmp_path, progress=False, **request)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    with pytest.raises(UserError, match="folder"):
        synthesise(1, 32, 0, tmp_path / "file", workers=1, progress=False)


@given(st.floats(width=32, allow_nan=False, allow_infinity=False))
def test_labels_survive_json_exactly(value: float) -> None:
    vector = np.array([value], np.float32)
    assert np.array_equal(np.array(json.loads(json.dumps(label_numbers(vector))), dtype=np.float32), vector)


def test_a_worker_that_is_killed(tmp_path: Path) -> None:
    def kill() -> None:
        while not (children := multiprocessing.active_children()):
            time.sleep(0.05)
        children[0].kill()

    threading.Thread(target=kill, daemon=True).start()
    with pytest.raises(UserError, match="killed, as happens when memory runs out"):
        synthesise(5000, 32, 0, tmp_path, workers=2, progress=False)
    assert list(tmp_path.iterdir()) == []
