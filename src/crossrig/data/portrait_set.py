"""Portraits held in memory: pictures, labels and person codes of one or several `crossrig synth` archives."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from crossrig.errors import UserError


@dataclass(frozen=True)
class PortraitSet:
    """Pictures (N,3,R,R) uint8 sRGB, labels (N,213) packed `FaceParams`, codes (N,C) standard normal person codes."""

    pictures: Tensor
    labels: Tensor
    codes: Tensor

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, index: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(B,) indices -> images (B,3,R,R) float in [-1,1], labels (B,213), codes (B,C)."""
        images = self.pictures[index].float() / 127.5 - 1.0
        return images.contiguous(memory_format=torch.channels_last), self.labels[index], self.codes[index]


def _read_archive(path: Path, size: int, limit: int | None) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    with zipfile.ZipFile(path) as archive:
        try:
            labels = json.loads(archive.read("dataset.json"))["labels"]
            codes = np.load(io.BytesIO(archive.read("codes.npy")), allow_pickle=False)
        except KeyError as missing:
            raise UserError(f"{path} has no {missing}: make it with `crossrig synth`.") from None
        labels = labels[:limit]
        pictures = np.empty((len(labels), 3, size, size), np.uint8)  # the only copy: tens of thousands are gigabytes

        def decode(row: int) -> None:
            picture = cv2.imdecode(np.frombuffer(archive.read(labels[row][0]), np.uint8), cv2.IMREAD_COLOR)
            if picture is None:
                raise UserError(f"{path} holds a picture that cannot be decoded: make it again with `crossrig synth`.")
            if picture.shape[:2] != (size, size):
                picture = cv2.resize(picture, (size, size), interpolation=cv2.INTER_AREA)
            pictures[row] = picture[:, :, ::-1].transpose(2, 0, 1)

        with ThreadPoolExecutor(2) as pool:
            for _ in pool.map(decode, range(len(labels))):
                pass
    vectors = np.array([vector for _, vector in labels], dtype=np.float32)
    return pictures, vectors, codes[: len(labels)].astype(np.float32)


def load_portraits(archives: Sequence[Path], size: int, limit: int | None = None) -> PortraitSet:
    """Read archives of `crossrig synth` at `size` pixels (area down-sampling), at most `limit` portraits of each.

    Raises UserError when an archive is missing, is not a ZIP or lacks labels or codes.
    """
    parts = []
    for path in archives:
        if not Path(path).is_file():
            raise UserError(f"There is no portrait archive {path}: make one with `crossrig synth --outdir`.")
        if not zipfile.is_zipfile(path):
            raise UserError(f"{path} is not a ZIP archive: make one with `crossrig synth`.")
        parts.append(_read_archive(Path(path), size, limit))
    if not parts:
        raise UserError("No portrait archive was named: give at least one made with `crossrig synth`.")
    pictures, labels, codes = (column[0] if len(column) == 1 else np.concatenate(column) for column in zip(*parts, strict=True))
    return PortraitSet(torch.from_numpy(pictures), torch.from_numpy(labels), torch.from_numpy(codes))
