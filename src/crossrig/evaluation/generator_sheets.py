"""Pictures of an evaluation of a generator: what no figure says."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from crossrig.data.align import to_pixels
from crossrig.evaluation.inversions import METHODS, PIVOTAL, Inverted
from crossrig.gan.generator import Generator
from crossrig.metrics.neighbours import distances
from crossrig.sheets import Pixels, contact_sheet, grid

_COLUMNS = 8
_ROWS = 8  # of sheets with captions
_CELL = 128  # px


@torch.no_grad()
def walk(generator: Generator, w: Tensor, frames: int = 64) -> Tensor:
    """A closed walk through w (K, W) in `frames` equal steps, with the constant noise -> pictures (frames,3,R,R).

    Fine texture that keeps its place from frame to frame while the face moves is texture sticking.
    """
    places = torch.arange(frames) * (len(w) / frames)
    begin = places.long()
    path = torch.lerp(w[begin], w[(begin + 1) % len(w)], (places - begin)[:, None])
    parts = [generator.synthesise(generator.affine(part)).clamp(-1, 1) for part in torch.split(path, 32)]
    return torch.cat(parts)


def overview(images: Tensor) -> Pixels:
    """The first 64 pictures, eight a row."""
    return grid(images[: _COLUMNS * _COLUMNS], _COLUMNS)


def neighbour_sheet(
    queries: Tensor, query_features: Tensor, features: Tensor, show: Callable[[Tensor], Tensor], own: Tensor | None, words: tuple[str, str]
) -> Pixels:
    """Rows of a picture and the three nearest of a collection.

    queries (Q,3,R,R) in [-1,1] with features (Q,C); features (M,C) of the collection; show: numbers (n,) in it -> pictures (n,3,R,R) in
    [-1,1]. own: the numbers (Q,) of the queries in the collection, None where they are not part of it. words: captions of a query
    and of what is near it.
    """
    table = distances(query_features, features)
    if own is not None:
        table[torch.arange(len(own)), own] = torch.inf
    near = table.topk(min(3, table.shape[1]), dim=1, largest=False)
    rows = []
    for row in range(len(queries)):
        cells = [(words[0] if own is None else f"{words[0]} {int(own[row])}", to_pixels(queries[row]))]
        found = zip(near.values[row].tolist(), near.indices[row].tolist(), show(near.indices[row]), strict=True)
        rows.append(cells + [(f"{words[1]} {index}: {gap:.2f}", to_pixels(picture)) for gap, index, picture in found])
    return contact_sheet(rows, _CELL)


def inversion_sheet(inverted: Inverted, captions: Sequence[str] | None = None) -> Pixels:
    """A row for each of the first pictures: as given, by every method, and after the yaw command."""
    rows = []
    for index in range(min(_ROWS, len(inverted.images))):
        cells = [(captions[index] if captions else "portrait", to_pixels(inverted.images[index]))]
        cells += [(method, to_pixels(inverted.made[method][index])) for method in METHODS if method in inverted.made]
        if PIVOTAL in inverted.edited:
            cells.append((f"yaw {inverted.commanded[index]:+.0f}", to_pixels(inverted.edited[PIVOTAL][index])))
        rows.append(cells)
    return contact_sheet(rows, _CELL)
