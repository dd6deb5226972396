"""Data sets made in parts, on several machines, and put together to the very bytes that one machine would have written.

Portrait n of a stream depends on nothing but the stream and n (`synth.make_example`), so a part is simply a range of numbers.
"""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np

from crossrig.data.people import CODE_SIZE
from crossrig.data.style_names import STYLES, Style
from crossrig.data.synth import Example, archive_name, write_archive
from crossrig.errors import UserError
from crossrig.face3d.blocks import PACKED_SIZE

_NAME = re.compile(r"([a-z]+)-(\d{1,5})-seed(\d{1,18})(?:-relit(\d{1,3}))?(?:-from(\d{1,18}))?-(\d{1,18})\.zip")
_LARGEST_PORTRAIT = 1 << 23  # bytes of a PNG of 1024 pixels, with room to spare
_LABEL_BYTES = 32 * PACKED_SIZE  # of a portrait in dataset.json, likewise


@dataclass(frozen=True)
class Shard:
    """Part `number` (from 1) of `of` parts of a data set."""

    number: int
    of: int

    @classmethod
    def parse(cls, text: str) -> Shard:
        """`2/4`: the second of four. Raises UserError for anything else."""
        match = re.fullmatch(r"(\d{1,6})/(\d{1,6})", text.strip())
        if match is None or not 1 <= int(match[1]) <= int(match[2]):
            raise UserError(f"--shard {text}: write which part of how many, from 1/4 to 4/4 for four.")
        return cls(int(match[1]), int(match[2]))

    def numbers(self, count: int, first: int = 0) -> range:
        """Its portraits of first .. first+count-1; parts differ by one at most. Raises UserError for more parts than portraits."""
        if count < self.of:
            raise UserError(f"{count} portraits cannot be split into {self.of} shards: ask for fewer.")
        return range(first + count * (self.number - 1) // self.of, first + count * self.number // self.of)


@dataclass(frozen=True, order=True)
class _Part:
    """An archive, by what its name says."""

    style: Style
    size: int
    seed: int
    relit: int  # per cent
    first: int
    count: int
    path: Path

    @classmethod
    def of(cls, path: Path) -> _Part:
        match = _NAME.fullmatch(path.name)
        style = "" if match is None else "photo" if match[1] == "people" else match[1]
        if match is None or style not in STYLES:
            raise UserError(f"{path}: --join takes archives under the names that `crossrig synth` gave them; give it its name back.")
        return cls(cast(Style, style), int(match[2]), int(match[3]), int(match[4] or 0), int(match[5] or 0), int(match[6]), path)

    def examples(self) -> Iterator[list[Example]]:
        """Its portraits one by one. Raises UserError when the archive holds something else than its name says."""
        broken = UserError(f"{self.path} is damaged or no archive of `crossrig synth`: make this shard again.")
        try:
            with zipfile.ZipFile(self.path) as archive:
                listed = json.loads(_read(archive, "dataset.json", self.count * _LABEL_BYTES + 64))["labels"]
                codes = np.load(io.BytesIO(_read(archive, "codes.npy", self.count * CODE_SIZE * 4 + 4096)), allow_pickle=False)
                labels = [np.array(numbers, np.float32) for _, numbers in listed]
                if len(listed) != self.count or codes.shape != (self.count, CODE_SIZE) or any(len(x) != PACKED_SIZE for x in labels):
                    raise broken
                for (name, _), label, code in zip(listed, labels, codes.astype(np.float32), strict=True):
                    yield [Example(_read(archive, name, _LARGEST_PORTRAIT), label, code)]
        except FileNotFoundError:
            raise UserError(f"There is no archive {self.path}.") from None
        except (zipfile.BadZipFile, OSError, ValueError, TypeError, KeyError, RuntimeError, EOFError):
            raise broken from None


def _read(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    if archive.getinfo(name).file_size > most:
        raise ValueError(f"{name} is too large")
    return archive.read(name)


def join_shards(paths: Sequence[Path], outdir: Path, progress: bool = True) -> Path:
    """Put archives of consecutive ranges of one stream together, in any order given; returns the path of the whole in `outdir`.

    The whole is, byte for byte, what `synthesise` writes for the whole range. Raises UserError when the ranges leave a gap or overlap,
    when they are of different streams, sizes, styles or light, or when an archive is not what its name says.
    """
    parts = sorted(_Part.of(Path(path)) for path in paths)
    if len(parts) < 2:
        raise UserError("--join needs two archives or more.")
    whole, following = parts[0], parts[0].first
    for part in parts:
        if (part.style, part.size, part.seed, part.relit) != (whole.style, whole.size, whole.seed, whole.relit):
            raise UserError(f"{part.path} is of another stream, size, style or light than {whole.path}: join what belongs together.")
        if part.first != following:
            raise UserError(f"{part.path} begins with portrait {part.first}, but number {following} is next: name every shard once.")
        following += part.count
    count = following - whole.first
    path = outdir / archive_name(count, whole.size, whole.seed, whole.style, whole.first, whole.relit / 100)
    return write_archive(path, count, (chunk for part in parts for chunk in part.examples()), progress)
