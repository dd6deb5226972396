"""ICT-FaceKit, light (Li et al. 2020, MIT licence): a folder of OBJ files of one topology, centimetres.

`generic_neutral_mesh.obj`, `identity000.obj` ... (neutral plus one standard deviation), expressions by ARKit's names with _L and _R for
Left and Right, and `vertex_indices.json` with the landmarks ("idx_to_landmark_verts"). Which vertices are eyes, teeth ... its README says.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from crossrig.errors import UserError
from crossrig.face3d import parts
from crossrig.face3d.assets import triangulate
from crossrig.face3d.blocks import BLOCKS, EXPRESSION_UNITS
from crossrig.face3d.importers.foreign import MOST_TRIANGLES, MOST_VERTICES, Deformations, Floats, ForeignModel, Integers, Point
from crossrig.face3d.importers.landmark_files import numbered, read_landmarks
from crossrig.face3d.importers.limits import about, checked_size, read_json
from crossrig.face3d.importers.pickled import array_of
from crossrig.pickles.restricted import printable

CENTIMETRE = 1e-2
NEUTRAL = "generic_neutral_mesh.obj"
LICENCE = "the MIT licence of ICT-FaceKit (University of Southern California)"
_MOST_BYTES = 64 << 20
_VERTICES = 26_719
#: First vertex of every piece of the mesh and what it is; None: transparent films in front of the eyes, which are left out.
_PIECES: tuple[tuple[int, int | None], ...] = (
    (0, parts.SKIN),
    (11_248, parts.MOUTH_INSIDE),
    (13_294, parts.SKIN),  # sockets of the eyes
    (14_062, parts.TONGUE),  # and gums
    (17_039, parts.TEETH),
    (21_451, parts.EYE),
    (24_591, None),
    (25_351, parts.LASHES),
    (_VERTICES, None),
)


def read_ict(folder: Path, landmarks: Path | None) -> ForeignModel:
    """The model in a folder (`FaceXModel` of the repository); UserError names the file that is missing or damaged."""
    if not (folder / NEUTRAL).is_file():
        raise UserError(f"it has no {NEUTRAL}, so it is no folder of ICT-FaceKit; give its folder FaceXModel")
    with about(folder / NEUTRAL):
        neutral, quads, uv = _read_mesh(folder / NEUTRAL)
    faces, part, notes = _with_parts(triangulate_all(quads, neutral), len(neutral))
    identities = sorted(folder.glob("identity[0-9][0-9][0-9].obj"))
    if not identities:
        raise UserError("it has no identity000.obj, so it is no folder of ICT-FaceKit")
    shape = np.stack([_offset(file, neutral) for file in identities[: BLOCKS["shape"]]]) * CENTIMETRE
    basis, missing, used = _units(folder, neutral)
    if not used:
        raise UserError("it has none of the expressions by their names (jawOpen.obj ...), so it is no folder of ICT-FaceKit")
    if missing:
        notes.append(f"Units that the folder does not have move nothing: {', '.join(missing)}.")
    return ForeignModel(
        title="ICT-FaceKit",
        licence=LICENCE,
        mean=neutral * CENTIMETRE,
        faces=faces,
        shape=shape,
        shape_available=len(identities),
        expression=Deformations("units", EXPRESSION_UNITS, basis * CENTIMETRE, used),
        colours=None,
        landmarks=read_landmarks(landmarks, faces) if landmarks is not None else _landmarks(folder),
        part=part,
        uv=uv,
        notes=tuple(notes),
    )


def files_of(unit: str) -> tuple[str, ...]:
    """Names of the files, without ending, that make one of our units: one, or both sides of a unit that ICT splits."""
    for side in ("Left", "Right"):
        if unit.endswith(side) and unit not in ("jawLeft", "jawRight", "mouthLeft", "mouthRight"):
            return (f"{unit.removesuffix(side)}_{side[0]}",)
    return (f"{unit}_L", f"{unit}_R") if unit in ("browInnerUp", "cheekPuff") else (unit,)


def _units(folder: Path, neutral: Floats) -> tuple[Floats, list[str], int]:
    """(52, V, 3) at weight 1, the units without a file, and how many files were used."""
    basis = np.zeros((len(EXPRESSION_UNITS), *neutral.shape))
    missing, used = [], 0
    for row, unit in zip(basis, EXPRESSION_UNITS, strict=True):
        files = [folder / f"{name}.obj" for name in files_of(unit)]
        present = [file for file in files if file.is_file()]
        for file in present:
            row += _offset(file, neutral)
        used += len(present)
        if len(present) < len(files):
            missing.append(unit)
    return basis, missing, used


def _landmarks(folder: Path) -> dict[int, Point]:
    path = folder / "vertex_indices.json"
    if not path.is_file():
        raise UserError("it has no vertex_indices.json, which names the landmarks: get that file, or give them with --landmarks")
    with about(path):
        value = read_json(path)
        found = value.get("idx_to_landmark_verts") if isinstance(value, dict) else None
        return numbered(array_of(found, "idx_to_landmark_verts"))


def _with_parts(faces: Integers, count: int) -> tuple[Integers, NDArray[np.uint8], list[str]]:
    """The triangles that are drawn, what each is, and notes."""
    if count != _VERTICES:
        return faces, np.full(len(faces), parts.SKIN, np.uint8), ["The mesh is not that of the light model: all of it is taken for skin."]
    firsts = np.array([first for first, _ in _PIECES])
    piece = np.searchsorted(firsts, faces[:, 0], side="right") - 1
    kinds = np.array([255 if kind is None else kind for _, kind in _PIECES])[piece]
    return faces[kinds != 255], kinds[kinds != 255].astype(np.uint8), ["Films in front of the eyes are left out: they are transparent."]


def triangulate_all(polygons: Integers, vertices: Floats) -> Integers:
    """Polygons (Q, 4), triangles among them with a last corner of -1 -> triangles."""
    quads = polygons[polygons[:, 3] >= 0]
    return np.concatenate([triangulate(quads, vertices), polygons[polygons[:, 3] < 0][:, :3]])


def _offset(path: Path, neutral: Floats) -> Floats:
    with about(path):
        points = _points(_lines(path))
        if points.shape != neutral.shape:
            raise UserError(f"it has {len(points)} vertices, and {NEUTRAL} has {len(neutral)}")
    return points - neutral


def _lines(path: Path) -> list[bytes]:
    checked_size(path, _MOST_BYTES)
    return path.read_bytes().split(b"\n")


def _points(lines: list[bytes], kind: bytes = b"v ", least: int = 3) -> Floats:
    """The first numbers of all lines of a kind."""
    found = [line[len(kind) :] for line in lines if line.startswith(kind)]
    try:
        values = np.array(b" ".join(found).split(), dtype=np.float64)
        points = values.reshape(len(found), -1)[:, :least]
    except ValueError:
        raise UserError(f"it has a damaged line of kind {kind.decode().strip()}") from None
    if not 0 < len(points) <= 4 * MOST_VERTICES or points.shape[1] != least or not np.isfinite(points).all():
        raise UserError("it has no vertices, or not three finite numbers for each")
    return points


def _read_mesh(path: Path) -> tuple[Floats, Integers, Floats | None]:
    """Vertices (V, 3), polygons (Q, 4) with -1 for the last corner of triangles, and texture coordinates (V, 2): the first of several."""
    lines = _lines(path)
    vertices = _points(lines)
    textures = _points(lines, b"vt ", 2) if any(line.startswith(b"vt ") for line in lines) else None
    polygons: list[list[int]] = []
    uv = None if textures is None else np.full((len(vertices), 2), np.nan)
    for line in lines:
        if not line.startswith(b"f "):
            continue
        try:
            words = [word.split(b"/") for word in line[2:].split()]
            corners = [int(word[0]) - 1 for word in words]
            places = [int(word[1]) - 1 if len(word) > 1 and word[1] else -1 for word in words]
        except ValueError:
            raise UserError(f"it has a damaged line: {_shown(line)}") from None
        if not 3 <= len(corners) <= 4 or min(corners) < 0 or max(corners) >= len(vertices) or len(polygons) > MOST_TRIANGLES:
            raise UserError(f"it has a polygon that is neither a triangle nor a quad of its vertices: {_shown(line)}")
        polygons.append([*corners, -1] if len(corners) == 3 else corners)
        if uv is not None and textures is not None:
            for corner, place in zip(corners, places, strict=True):
                if 0 <= place < len(textures) and np.isnan(uv[corner, 0]):
                    uv[corner] = textures[place]
    if not polygons:
        raise UserError("it has no polygons")
    return vertices, np.asarray(polygons, dtype=np.int64), None if uv is None else np.nan_to_num(uv, nan=0.0)


def _shown(line: bytes) -> str:
    return printable(line.decode("latin1"), 60)
