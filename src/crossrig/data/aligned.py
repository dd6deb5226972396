"""A stranger's pictures as an aligned set: one head each, cut out as the renderer's camera frames it, kept in a folder.

What is done to a picture is what an edit does to it (`session.py`): it is read with distrust, its largest face is found and its framing
refined by the reconstruction network. A picture that cannot be read or shows no face is counted and left out. The folder is written
picture by picture, so that an interruption costs one of them.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from crossrig.data.align import Pixels, crop, refine
from crossrig.data.detect import detect_faces
from crossrig.data.images import ImageCollection, fit_square
from crossrig.data.pictures import decode_picture
from crossrig.errors import UserError
from crossrig.face3d.params import FaceParams
from crossrig.files import replacing, write_text

INDEX = "aligned.jsonl"
#: Why a picture was left out, as sentences say it.
REASONS = UNREADABLE, NO_FACE, SMALL = "could not be read", "show no face that was found", "show a face that is too small"


@dataclass(frozen=True)
class AlignedSet:
    """Heads cut out of pictures."""

    pictures: Tensor
    """(N, 3, R, R) uint8 sRGB, in the order of the collection; N may be 0."""
    left_out: Counter[str]
    """Reason -> how many pictures."""

    def __len__(self) -> int:
        return len(self.pictures)

    def batch(self, index: Tensor, mirrored: Tensor | None = None) -> Tensor:
        """(B,) indices -> pictures (B, 3, R, R) float in [-1, 1]; those where `mirrored` (B,) is true are flipped left to right."""
        images = self.pictures[index].float() / 127.5 - 1.0
        if mirrored is not None:
            images = torch.where(mirrored[:, None, None, None], images.flip(3), images)
        return images.contiguous(memory_format=torch.channels_last)

    @property
    def sentence(self) -> str:
        """What came of the collection, for the person."""
        total = len(self) + sum(self.left_out.values())
        text = f"{len(self)} of {total} pictures have a face that can be used"
        return text + "".join(f"; {count} {reason}" for reason, count in sorted(self.left_out.items())) + "."


def head_of(image: Pixels, size: int, reconstruct: Callable[[Tensor], FaceParams]) -> tuple[Pixels | None, str]:
    """The largest head in a picture (H, W, 3) as (size, size, 3), or None and why there is none."""
    faces = detect_faces(image)
    if not faces:
        return None, NO_FACE
    framing = refine(image, faces[0].framing, reconstruct, size)
    cut = crop(image, framing, size)
    return (cut.image, "") if cut.side >= size // 2 else (None, SMALL)


def align_images(
    images: ImageCollection, folder: Path, size: int, reconstruct: Callable[[Tensor], FaceParams] | None,
    limit: int | None = None, progress: Callable[[int, int], None] | None = None,
) -> AlignedSet:  # fmt: skip
    """The heads in `images` at size x size, found anew or, as far as they are there already, read from `folder`.

    `reconstruct`: (1, 3, size, size) in [-1, 1] -> FaceParams; None: the pictures are heads already, their central squares are taken.
    `limit`: of more pictures than this, so many are chosen at random, always the same. `progress(done, total)` is called after every
    picture. Pictures are told apart by their names: remove `folder` after changing some. Raises UserError when it cannot be written.
    """
    names = _chosen(images.names, limit)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        known = _read_index(folder / INDEX, {"source": str(images.path), "size": size, "cut_out": reconstruct is None})
        with images.opened() as content, (folder / INDEX).open("a", encoding="utf-8") as index:
            for done, name in enumerate(names):
                if name not in known:
                    head, outcome = _head(content, name, size, reconstruct)
                    if head is not None:
                        outcome = f"{len(known):06d}.png"
                        _write_png(folder / outcome, head)
                    known[name] = outcome
                    index.write(json.dumps([name, outcome]) + "\n")
                    index.flush()
                if progress is not None:
                    progress(done + 1, len(names))
    except OSError as error:
        raise UserError(f"{folder}: cannot be written ({error.strerror or error}); choose another --outdir.") from error
    found = [known[name] for name in names]
    heads = [_read_png(folder / outcome) for outcome in found if outcome not in REASONS]
    stack = np.stack(heads) if heads else np.zeros((0, 3, size, size), np.uint8)
    return AlignedSet(torch.from_numpy(stack), Counter(outcome for outcome in found if outcome in REASONS))


def _head(
    content: Callable[[str], bytes], name: str, size: int, reconstruct: Callable[[Tensor], FaceParams] | None
) -> tuple[Pixels | None, str]:
    try:
        image = decode_picture(content(name), name).pixels
    except UserError:
        return None, UNREADABLE
    return (fit_square(image, size), "") if reconstruct is None else head_of(image, size, reconstruct)


def _chosen(names: tuple[str, ...], limit: int | None) -> list[str]:
    if limit is None or len(names) <= limit:
        return list(names)
    return [names[index] for index in sorted(np.random.default_rng(0).permutation(len(names))[:limit])]


def _read_index(path: Path, facts: dict[str, object]) -> dict[str, str]:
    """Name -> its file, or why there is none, of an index made under the same `facts`; any other is begun anew."""
    lines = []
    if path.is_file():
        text = path.read_text(encoding="utf-8")
        lines = text[: text.rfind("\n") + 1].splitlines()  # a line without an end was being written when the process died
    try:
        begun, *rows = [json.loads(line) for line in lines]
        known = dict(rows)
    except ValueError:  # nothing yet, or nothing of ours
        begun, known = None, {}
    if begun != facts:
        lines, known = [json.dumps(facts)], {}
    write_text(path, "".join(f"{line}\n" for line in lines))
    return known


def _write_png(path: Path, pixels: Pixels) -> None:
    done, png = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1]))
    if not done:
        raise RuntimeError(f"{path.name} could not be encoded as PNG")
    with replacing(path) as temporary:
        temporary.write_bytes(png.tobytes())


def _read_png(path: Path) -> NDArray[np.uint8]:
    """(3, R, R)"""
    image = cv2.imread(str(path), cv2.IMREAD_COLOR)
    if image is None:
        raise UserError(f"{path} is missing or damaged; remove {path.parent} and give the same command again.")
    return np.ascontiguousarray(image[:, :, ::-1].transpose(2, 0, 1))
