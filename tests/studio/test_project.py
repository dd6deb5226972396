"""Projects on disk and as one zip: nothing that a stranger writes into one does harm."""

from __future__ import annotations

import io
import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from crossrig.errors import UserError
from crossrig.session import Memory
from crossrig.studio import project as projects
from crossrig.studio.history import History
from crossrig.studio.pictures import to_png
from crossrig.studio.project import FILES, FORMAT, HISTORY, INFO, MEMORY, PICTURE, Info, ProjectFolder

PIXELS = np.random.default_rng(1).integers(0, 256, (40, 48, 3), dtype=np.uint8)
STEP = b'{"number": 0, "label": "", "values": {}}'
KNOWN = Memory({"code": torch.arange(4.0)}, {"domain": "human"})


@pytest.fixture
def folder(tmp_path: Path) -> ProjectFolder:
    folder = ProjectFolder(tmp_path, "secret")
    folder.write_picture(Info(FORMAT, "me.png", "abc", ("A note.",)), to_png(PIXELS), KNOWN)
    history = History()
    history.add("Smile", {"smile": 0.5})
    history.add("Turn", {"smile": 0.5, "yaw": 3.0})
    history.undo()
    folder.write_history(history, {"smile": 0.75}, ("pose", "shape"))
    return folder


def rewritten(content: bytes, **changes: bytes | None) -> bytes:
    """The zip with members replaced, added, or (None) left out; `_` stands for `.` in names."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    for name, replacement in changes.items():
        if replacement is None:
            members.pop(name.replace("_", "."))
        else:
            members[name.replace("_", ".")] = replacement
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, member in members.items():
            archive.writestr(name, member)
    return stream.getvalue()


def test_what_was_written_is_read(folder: ProjectFolder) -> None:
    project = folder.read()
    assert project.info == Info(FORMAT, "me.png", "abc", ("A note.",))
    assert np.array_equal(project.picture.pixels, PIXELS)
    assert torch.equal(project.memory.tensors["code"], KNOWN.tensors["code"])
    assert project.memory.facts == KNOWN.facts
    assert [step.label for step in project.history.steps] == ["Original", "Smile", "Turn"]
    assert project.history.current.label == "Smile"
    assert project.values == {"smile": 0.75}
    assert project.locked == ("pose", "shape")


def test_the_secret_is_not_in_the_path(folder: ProjectFolder) -> None:
    assert "secret" not in str(folder.path.relative_to(folder.path.parent))
    assert ProjectFolder(folder.path.parent, "../../x").path.parent == folder.path.parent


def test_through_a_zip_and_back(folder: ProjectFolder, tmp_path: Path) -> None:
    other = ProjectFolder(tmp_path, "other")
    assert not other.exists()
    other.unzip(folder.zip())
    assert other.exists()
    assert other.read().history.steps == folder.read().history.steps


@pytest.mark.parametrize(
    ("changes", "sentence"),
    [
        ({"extra_txt": b"x"}, "and nothing else"),
        ({"../../escape_txt": b"x"}, "and nothing else"),
        ({"picture_png": None}, "and nothing else"),
        ({"picture_png": b"no picture"}, "not a picture"),
        ({"memory_safetensors": b"\x80\x04pickle"}, "not a readable checkpoint"),
        ({"project_json": b"{}"}, "lacks the field"),
        ({"project_json": json.dumps({"format": 9, "name": "x", "networks": "", "notes": []}).encode()}, "format 9"),
        ({"history_jsonl": b'{"position": 0, "last_number": 0, "values": {}}\n'}, "no steps"),
        ({"history_jsonl": b'{"position": 0, "last_number": 0, "values": {}, "locked": ["hair"]}\n' + STEP}, "must be pose or"),
        ({"history_jsonl": b'{"position": 5, "last_number": 0, "values": {}}\n' + STEP}, "no step 5"),
        ({"history_jsonl": b'{"position": 0, "last_number": 0, "values": {"smlie": 1}}\n' + STEP}, "smlie"),
        ({"history_jsonl": b'{"position": 0, "last_number": 0, "values": {"yaw": 400}}\n' + STEP}, "yaw"),
    ],
)
def test_other_zips_are_refused_and_leave_nothing(
    folder: ProjectFolder, tmp_path: Path, changes: dict[str, bytes | None], sentence: str
) -> None:
    other = ProjectFolder(tmp_path / "elsewhere", "other")
    with pytest.raises(UserError, match=sentence):
        other.unzip(rewritten(folder.zip(), **changes))
    assert not [path for path in tmp_path.rglob("*") if path.is_file() and folder.path not in path.parents]


def test_what_unpacks_to_too_much_is_refused(folder: ProjectFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(projects, "FILES", {**FILES, HISTORY: 1000})
    with pytest.raises(UserError, match=r"history\.jsonl in the project has more than 1 MB"):
        ProjectFolder(tmp_path, "other").unzip(rewritten(folder.zip(), history_jsonl=b"\n" * 100_000))


@given(st.data())
def test_damaged_zips_are_refused_with_a_sentence(data: st.DataObject) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in (PICTURE, MEMORY, HISTORY, INFO):
            archive.writestr(name, name.encode() * 20)
    content = bytearray(stream.getvalue())
    for _ in range(data.draw(st.integers(1, 6))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = projects._unzip(bytes(content))
    except UserError:
        return
    assert set(found) == set(FILES)


def test_a_project_that_was_cut_short_says_so(folder: ProjectFolder) -> None:
    (folder.path / MEMORY).unlink()
    with pytest.raises(UserError, match="no checkpoint"):
        folder.read()
    (folder.path / INFO).write_text("{")
    with pytest.raises(UserError, match="must be JSON"):
        folder.read()
