"""How many faces are found, and how many that are none: `crossrig eval detector`.

`found.{set}.{method}`        share of the pictures whose head is found: some find's centre lies within 0.4 half sides of that of the
                              head's framing, and its size within a factor of 1.5
`false_finds.{set}.{method}`  finds per picture that are not the head, in pictures with one head, and in pictures without any

Methods: `ours`, what `crossrig edit` does (dlib where it is sure, otherwise our network); `network`, our network alone; `dlib` alone, as
`crossrig edit` would use it without the network.

Sets: unseen portraits of every style (DETECTOR_SEED), which fill their frames; the folders of drawings that are given, each with the
`framing.json` of tools/avatars; of both kinds every second picture smaller, in a larger one of plain colour. `faceless`: those pictures of
scikit-image in which nobody is; and the folders without a face that are given.
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from crossrig import assets
from crossrig.data.align import Framing
from crossrig.data.detect import Face, dlib_faces, faces_of, network_faces
from crossrig.data.detector import DetectorNet, load_detector
from crossrig.data.framings import framing_of, framing_of_folder
from crossrig.data.images import open_images
from crossrig.data.style_names import STYLES
from crossrig.evaluation.portraits import unseen_set
from crossrig.face3d.params import FaceParams

DETECTOR_SEED = 770_000_083
METHODS = ("ours", "network", "dlib")
Pixels = NDArray[np.uint8]
Progress = Callable[[str, int, int], None]

_SIDE = 256  # px of a picture that a head fills
_LARGE = 640  # px of one in which it is small
_CENTRE, _SIZE = 0.4, 1.5
_FACELESS = (
    "brick", "cat", "cell", "checkerboard", "clock", "coffee", "colorwheel", "grass", "gravel", "horse", "hubble_deep_field",
    "immunohistochemistry", "logo", "moon", "page", "retina", "rocket", "text",
)  # fmt: skip


@dataclass(frozen=True)
class Shown:
    """A picture (H, W, 3), and where its head is in it, in pixels; None: it shows none."""

    pixels: Pixels
    head: Framing | None


@dataclass(frozen=True)
class FindingRequest:
    """drawn: folders of drawings with a framing.json. without: folders or archives without faces. samples: pictures of each set."""

    detector: Path | None = None
    drawn: tuple[Path, ...] = ()
    without: tuple[Path, ...] = ()
    samples: int = 200
    workers: int | None = None


def evaluate_detector(request: FindingRequest, progress: Progress | None = None) -> dict[str, float]:
    """The figures. Raises UserError naming what is missing."""
    network = load_detector(request.detector or assets.require("detector"))
    tell = progress or (lambda what, step, steps: None)
    figures: dict[str, float] = {}
    for name, pictures in _sets(request):
        shown = list(pictures)
        finds: dict[str, list[list[Face]]] = {method: [] for method in METHODS}
        for number, picture in enumerate(shown, 1):
            for method, faces in find(picture.pixels, network).items():
                finds[method].append(faces)
            tell(name, number, len(shown))
        for method, found in finds.items():
            figures |= {f"{figure}.{name}.{method}": value for figure, value in counted(shown, found).items()}
    return figures


def find(pixels: Pixels, network: DetectorNet) -> dict[str, list[Face]]:
    """What every method finds in a picture."""
    by_dlib, drawn = dlib_faces(pixels), network_faces(pixels, network)
    return {"ours": faces_of(by_dlib, drawn), "network": drawn, "dlib": faces_of(by_dlib, None)}


def counted(shown: Sequence[Shown], finds: Sequence[Sequence[Face]]) -> dict[str, float]:
    """`found`, where there are heads, and `false_finds` of one method on one set."""
    heads = found = wrong = 0
    for picture, faces in zip(shown, finds, strict=True):
        right = [face for face in faces if picture.head is not None and is_there(face.framing, picture.head)]
        heads += picture.head is not None
        found += bool(right)
        wrong += len(faces) - len(right)
    figures = {"false_finds": wrong / len(shown)}
    return figures | ({"found": found / heads} if heads else {})


def is_there(found: Framing, head: Framing) -> bool:
    """Whether a find is this head."""
    near = math.hypot(found.x - head.x, found.y - head.y) < _CENTRE * head.half
    return near and abs(math.log(found.half / head.half)) < math.log(_SIZE)


def _sets(request: FindingRequest) -> Iterator[tuple[str, Iterator[Shown]]]:
    for style in STYLES:
        portraits = unseen_set(request.samples, _SIDE, DETECTOR_SEED, request.workers, style=style)
        labelled = zip(portraits.pictures, portraits.labels, strict=True)
        heads = [(picture.permute(1, 2, 0).numpy(), framing_of(FaceParams.unpack(label[None]))) for picture, label in labelled]
        yield style, _half_small(heads)
    for folder in request.drawn:
        framing = framing_of_folder(folder)
        drawings = islice(open_images(folder, labelled=False).read_all(_SIDE), request.samples)
        yield folder.name, _half_small([(pixels, framing) for pixels in drawings])
    yield "faceless", (Shown(pixels, None) for pixels in faceless())
    for path in request.without:
        yield path.stem, (Shown(pixels, None) for pixels in islice(open_images(path, labelled=False).read_all(), request.samples))


def faceless() -> Iterator[Pixels]:
    """Photographs, drawings and textures (H, W, 3) that come with scikit-image, with nobody in them."""
    from skimage import data

    for name in _FACELESS:
        pixels = np.asarray(getattr(data, name)())
        if pixels.dtype == np.bool_:
            pixels = 255 * pixels.astype(np.uint8)
        yield np.ascontiguousarray(pixels[..., :3] if pixels.ndim == 3 else np.repeat(pixels[..., None], 3, axis=2), dtype=np.uint8)


def _half_small(heads: Sequence[tuple[Pixels, Framing]]) -> Iterator[Shown]:
    """Pictures (S, S, 3) with framings as shares of the side: every first as it is, every second small in a larger picture."""
    random = np.random.default_rng(DETECTOR_SEED)
    for number, (pixels, share) in enumerate(heads):
        side = len(pixels)
        if number % 2 == 0:
            yield Shown(np.ascontiguousarray(pixels), Framing(share.x * side, share.y * side, share.half * side))
            continue
        extent = int(random.integers(_LARGE // 6, _LARGE // 2))
        canvas = np.empty((_LARGE, _LARGE, 3), np.uint8)
        canvas[:] = random.integers(0, 256, 3)
        top, left = (int(random.integers(0, _LARGE - extent)) for _ in range(2))
        canvas[top : top + extent, left : left + extent] = cv2.resize(pixels, (extent, extent), interpolation=cv2.INTER_AREA)
        yield Shown(canvas, Framing(left + share.x * extent, top + share.y * extent, share.half * extent))


def as_text(figures: dict[str, float]) -> str:
    """Markdown: a line for every set, what is found and the false finds of each method."""
    names = list(dict.fromkeys(key.split(".")[1] for key in figures))
    lines = [f"| | {' | '.join(f'{method}: found' for method in METHODS)} | {' | '.join(f'{method}: false' for method in METHODS)} |"]
    lines.append("|---" * (2 * len(METHODS) + 1) + "|")
    for name in names:
        cells = [figures.get(f"{figure}.{name}.{method}") for figure in ("found", "false_finds") for method in METHODS]
        lines.append(f"| {name} | {' | '.join('' if value is None else f'{value:.3f}' for value in cells)} |")
    return "\n".join(lines)


def as_json(figures: dict[str, float]) -> str:
    """One flat object."""
    return json.dumps({name: round(value, 5) for name, value in figures.items()}, indent=1)
