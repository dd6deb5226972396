"""Work on disk: a folder for each session, and the same four files in one zip to carry away.

    project.json         what the picture is called, and the networks it was taken in with
    picture.png          the picture, decoded and encoded again
    memory.safetensors   what was found out about it (codes, tuned weights): reopening gives the same pixels, at once
    history.jsonl        the controls and every step of the history; rewritten in one step after each edit

The folder's name is the hash of the session's secret: nothing that a page sends becomes a path, and listing the folders reveals no session.
"""

from __future__ import annotations

import hashlib
import io
import json
import lzma
import zipfile
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from crossrig import checkpoint
from crossrig.data.pictures import Picture, decode_picture
from crossrig.errors import UserError
from crossrig.face3d.controls import check_value
from crossrig.files import replacing, write_text
from crossrig.session import Memory
from crossrig.studio import codec
from crossrig.studio.history import History, Step
from crossrig.studio.protocol import Attribute

FORMAT = 1
INFO, PICTURE, MEMORY, HISTORY = "project.json", "picture.png", "memory.safetensors", "history.jsonl"
#: Name -> most bytes that are read of it.
FILES: Mapping[str, int] = {INFO: 1 << 16, PICTURE: 64 << 20, MEMORY: 512 << 20, HISTORY: 64 << 20}
LARGEST_ZIP = 256 << 20


@dataclass(frozen=True)
class Square:
    """`data.align.Framing` as it is kept: pixels of the picture."""

    x: float
    y: float
    half: float


@dataclass(frozen=True)
class Info:
    """`project.json`"""

    format: int
    name: str
    networks: str
    """Fingerprint of the networks that the memory belongs to."""
    notes: tuple[str, ...]
    face: Square | None = None
    """Where the head was cut out, so that another version takes the same face."""


@dataclass(frozen=True)
class _Head:
    """First line of `history.jsonl`."""

    position: int
    """Number of the step shown."""
    last_number: int
    values: Mapping[str, float]
    """Controls as they are, which a drag may have moved on since that step."""
    locked: tuple[Attribute, ...] = ()


@dataclass(frozen=True)
class Project:
    """What a folder holds."""

    info: Info
    picture: Picture
    memory: Memory
    history: History
    values: dict[str, float]
    locked: tuple[Attribute, ...]


class ProjectFolder:
    """The folder of one session; made when something is first written."""

    def __init__(self, root: Path, secret: str) -> None:
        self.path = root / hashlib.sha256(secret.encode()).hexdigest()[:32]

    def exists(self) -> bool:
        """Whether a picture was kept here; the information is written last."""
        return (self.path / INFO).is_file()

    def write_picture(self, info: Info, png: bytes, memory: Memory) -> None:
        """Keep a picture and what was found out about it."""
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._write(PICTURE, png)
        checkpoint.save(self.path / MEMORY, memory.tensors, {"kind": "memory", "facts": memory.facts})
        write_text(self.path / INFO, json.dumps(codec.plain(info), ensure_ascii=False))

    def write_history(self, history: History, values: Mapping[str, float], locked: Sequence[Attribute] = ()) -> None:
        """Keep the edit."""
        head = _Head(history.current.number, history.last_number, values, tuple(locked))
        lines = [json.dumps(codec.plain(item), allow_nan=False) for item in (head, *history.steps)]
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        write_text(self.path / HISTORY, "\n".join(lines) + "\n")

    def read(self) -> Project:
        """Everything. Raises UserError when a file is missing or damaged."""
        info = codec.read(Info, codec.parse_json(self._read(INFO).decode("utf-8", "replace")), INFO)
        if info.format != FORMAT:
            raise UserError(f"The project has format {info.format}, and this version reads {FORMAT}; update crossrig.")
        picture = decode_picture(self._read(PICTURE), info.name)
        tensors, header = checkpoint.load(self.path / MEMORY)
        facts = header.get("facts")
        if not isinstance(facts, dict):
            raise UserError(f"{MEMORY} of the project is of another kind; open another copy of the project.")
        edit = _read_history(self._read(HISTORY) if (self.path / HISTORY).is_file() else b"")
        return Project(info, picture, Memory(tensors, facts), *edit)

    def zip(self) -> bytes:
        """The four files in one."""
        stream = io.BytesIO()
        with zipfile.ZipFile(stream, "w", zipfile.ZIP_STORED) as archive:
            for name in FILES:
                archive.writestr(name, self._read(name), zipfile.ZIP_DEFLATED if name == HISTORY else zipfile.ZIP_STORED)
        return stream.getvalue()

    def unzip(self, content: bytes) -> None:
        """Take the four files, and nothing else, of a zip. Raises UserError when it is no project; then the folder is as it was."""
        found = _unzip(content)
        for name in (PICTURE, MEMORY, HISTORY, INFO):
            self._write(name, found[name])
        try:
            self.read()
        except UserError:
            self.delete()
            raise

    def delete(self) -> None:
        """Forget the session."""
        for name in FILES:
            (self.path / name).unlink(missing_ok=True)

    def _write(self, name: str, content: bytes) -> None:
        self.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with replacing(self.path / name) as temporary:
            temporary.write_bytes(content)

    def _read(self, name: str) -> bytes:
        try:
            return (self.path / name).read_bytes()
        except OSError as error:
            raise UserError(f"{name} of the project cannot be read ({error.strerror or error}); take the picture anew.") from error


def _read_history(content: bytes) -> tuple[History, dict[str, float], tuple[Attribute, ...]]:
    lines = content.decode("utf-8", "replace").splitlines()
    if not lines:
        return History(), {}, ()
    head = codec.read(_Head, codec.parse_json(lines[0]), HISTORY)
    steps = [codec.read(Step, codec.parse_json(line), HISTORY) for line in lines[1:]]
    if not steps:
        raise UserError(f"{HISTORY} of the project has no steps; open another copy of the project.")
    for values in (head.values, *(step.values for step in steps)):
        for name, value in values.items():
            check_value(name, value)
    history = History(steps, 0, max(head.last_number, *(step.number for step in steps)))
    history.go_to(head.position)
    return history, dict(head.values), head.locked


def _unzip(content: bytes) -> dict[str, bytes]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            infos = archive.infolist()
            names = [info.filename for info in infos]
            if sorted(names) != sorted(FILES):
                raise UserError(f"This is no project of crossrig: a project holds {', '.join(FILES)} and nothing else.")
            return {info.filename: _read_member(archive, info) for info in infos}
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, NotImplementedError, RuntimeError, EOFError, OSError, ValueError) as error:
        raise UserError("This is no readable zip; choose a project that crossrig has written.") from error


def _read_member(archive: zipfile.ZipFile, info: zipfile.ZipInfo) -> bytes:
    # What the header says of the size may be a lie: the limit holds for what comes out.
    limit = FILES[info.filename]
    with archive.open(info) as member:
        content = member.read(limit + 1)
    if len(content) > limit:
        raise UserError(f"{info.filename} in the project has more than {limit >> 20 or 1} MB; this is no project of crossrig.")
    return content


def fingerprint(tensors: Iterable[tuple[str, bytes]]) -> str:
    """One text for many named pieces of content."""
    digest = hashlib.blake2b(digest_size=16)
    for name, content in tensors:
        digest.update(name.encode() + b"\0" + content)
    return digest.hexdigest()
