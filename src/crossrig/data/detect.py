"""Finding faces in pictures: dlib's detector for photographs, a small network of ours for drawn ones and for where exactly heads lie.

A :class:`Face` is a framing (see ``data/align.py``): where the renderer's camera would have to look to show that head
as it shows the face model. dlib's boxes are turned into framings by a fixed rule measured on rendered people; our
network, which was trained on rendered people in many drawing styles, predicts framings directly.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, Literal

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from crossrig import assets
from crossrig.data.align import Framing
from crossrig.data.detector import HALF_RANGE, SIDES, STRIDE, DetectorNet, decode, load_detector
from crossrig.data.pictures import Picture
from crossrig.errors import UserError

Pixels = NDArray[np.uint8]

# A dlib box (brows to chin) as a framing, in box widths.
_DLIB_HALF = 0.84
_DLIB_UP = 0.0625
_DLIB_SMALL = 1000  # longer side, px, up to which the picture is doubled so that faces of 40 px are found
_DLIB_LARGE = 2000  # longer side, px, down to which larger pictures are reduced
_LEVELS = (96, 128, 192, 288, 432)  # longer side, px, of the pyramid levels the network looks at
_DLIB_THRESHOLD = -0.25  # margin; 0 is dlib's own threshold, clear faces reach 1 to 3
_SAME = 0.3  # overlap from which two finds are one head
_SIZES = math.sqrt(2.0)  # ratio of their sizes up to which a doubtful one counts
_FAINT, _SURE = 0.5, 0.6  # scores: below the first dlib itself would say no, from the second on it is never asked again


@dataclass(frozen=True)
class Face:
    """A face that was found."""

    framing: Framing
    score: float
    """In [0, 1]."""
    source: Literal["photograph", "drawing"]
    """The detector that found it."""


def detect_faces(picture: Pixels, network: DetectorNet | None = None) -> list[Face]:
    """All faces in a picture (H, W, 3) uint8, largest first.

    ``network`` is our detector for drawn faces; without one the shipped one is used, and without that only dlib.
    """
    if network is None:
        shipped = assets.find("detector")
        network = _shipped_network(shipped) if shipped else None
    return faces_of(dlib_faces(picture), network_faces(picture, network) if network is not None else None)


def faces_of(by_dlib: Sequence[Face], drawn: Sequence[Face] | None) -> list[Face]:
    """What dlib and our network (None: nobody asked it) found in one picture, taken together, largest first."""
    sure = [face for face in by_dlib if face.score >= _SURE]
    doubtful = [face for face in by_dlib if face.score < _SURE]
    if drawn is not None:
        # A picture in which dlib is sure of a face is a photograph, and ours sees heads in the leaves of a tree now and then: it is asked
        # only where the heads lie that dlib sees, which it says better.
        seen = [face for face in drawn if not sure or any(_confirms(other, face) for other in by_dlib)]
        found = [*seen, *sure]
    else:
        # nobody to ask: the best of the doubtful finds, and only where there is no sure one
        found = sure or sorted(doubtful, key=lambda face: -face.score)[:1]
    return sorted(_distinct(found), key=lambda face: -face.framing.half)


def choose_face(faces: Sequence[Face], picture: Picture) -> tuple[Face, list[str]]:
    """The largest face and notes for the person; :class:`UserError` when there is none."""
    if not faces:
        raise UserError(
            f"{picture.name}: no face was found; use a picture with one large, upright face that is turned to the viewer, "
            "or place five points on it by hand."
        )
    largest = max(faces, key=lambda face: face.framing.half)
    notes = [f"{len(faces)} faces were found; the largest is taken."] if len(faces) > 1 else []
    if largest.score < _FAINT:
        notes.append("It is not certain that this is a face; check the result.")
    return largest, notes


@cache
def _shipped_network(path: Path) -> DetectorNet:
    return load_detector(path)


@cache
def _dlib_detector() -> Any:
    import dlib

    return dlib.get_frontal_face_detector()


def dlib_faces(picture: Pixels) -> list[Face]:
    """What dlib finds in a picture (H, W, 3) uint8, sure or not."""
    longest = max(picture.shape[:2])
    scale = min(1.0, _DLIB_LARGE / longest)
    small = _scaled(picture, scale)
    boxes, scores, _ = _dlib_detector().run(small, 1 if longest <= _DLIB_SMALL else 0, _DLIB_THRESHOLD)
    faces = []
    for box, score in zip(boxes, scores, strict=True):
        width = (box.width() + box.height()) / 2 / scale
        centre = box.center()
        x, y = (centre.x + 0.5) / scale, (centre.y + 0.5) / scale - _DLIB_UP * width
        framing = Framing(x, y, _DLIB_HALF * width)
        faces.append(Face(framing, 1.0 - 0.5 * math.exp(-float(score)), "photograph"))
    return faces


def dlib_box(side: float) -> tuple[float, float, float, float]:
    """Left, top, right and bottom of the box that dlib would draw round the face in a picture of `side` px cut out by its framing."""
    width = side / 2 / _DLIB_HALF
    x, y = side / 2, side / 2 + _DLIB_UP * width
    return x - width / 2, y - width / 2, x + width / 2, y + width / 2


@torch.no_grad()
def network_faces(picture: Pixels, network: DetectorNet) -> list[Face]:
    """What our network finds in a picture (H, W, 3) uint8, surest first."""
    longest = max(picture.shape[:2])
    faces: list[Face] = []
    for level in _LEVELS:
        scale = level / longest
        if scale > 2.0 and level != _LEVELS[0]:
            continue
        small = _scaled(picture, scale)
        height, width = small.shape[:2]
        image = torch.from_numpy(np.ascontiguousarray(small)).permute(2, 0, 1)[None].float() / 127.5 - 1.0
        # a margin, so that heads which leave the picture are still centred on a cell
        margin = 4 * STRIDE
        pad = (margin, margin + -width % SIDES, margin, margin + -height % SIDES)
        image = F.pad(image, pad, mode="replicate")
        for x, y, half, score in decode(network(image)[0]):
            if HALF_RANGE[0] * 0.9 <= half <= HALF_RANGE[1] * 1.1:
                framing = Framing((x - margin) / scale, (y - margin) / scale, half / scale)
                faces.append(Face(framing, score, "drawing"))
    return _distinct(sorted(faces, key=lambda face: -face.score))


def _distinct(faces: Sequence[Face]) -> list[Face]:
    """Without those that overlap an earlier one."""
    kept: list[Face] = []
    for face in faces:
        if all(_overlap(face, other) <= _SAME for other in kept):
            kept.append(face)
    return kept


def _overlap(one: Face, other: Face) -> float:
    """Share of the smaller of two faces (the inner half of the square) that lies in the other: a find within a find is no new one."""
    a, b = one.framing, other.framing
    reach_a, reach_b = a.half / 2, b.half / 2
    across = min(a.x + reach_a, b.x + reach_b) - max(a.x - reach_a, b.x - reach_b)
    down = min(a.y + reach_a, b.y + reach_b) - max(a.y - reach_a, b.y - reach_b)
    if across <= 0 or down <= 0:
        return 0.0
    return across * down / (2 * min(reach_a, reach_b)) ** 2


def _confirms(by_dlib: Face, ours: Face) -> bool:
    """Whether a find of dlib's is that of ours. Both take a badge on a sleeve for a head, but not dlib surely, nor of one size."""
    small, large = sorted((by_dlib.framing.half, ours.framing.half))
    return _overlap(by_dlib, ours) > _SAME and (by_dlib.score >= _SURE or large < _SIZES * small)


def _scaled(picture: Pixels, scale: float) -> Pixels:
    if scale == 1.0:
        return np.ascontiguousarray(picture)
    height, width = picture.shape[:2]
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    method = cv2.INTER_AREA if scale < 1.0 else cv2.INTER_LINEAR
    return np.asarray(cv2.resize(picture, size, interpolation=method), dtype=np.uint8)
