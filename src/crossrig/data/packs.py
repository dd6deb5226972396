"""MakeHuman packs: hair, brows, lashes and clothes that hang on the hm08 base mesh, read from a folder that a person names.

A pack is a folder with `.mhclo` files (how each vertex hangs on the base mesh) beside the `.obj` meshes they name. Both come from
strangers, so sizes are limited before reading, every number is checked, and no file outside the named folder is ever opened.
Format: MakeHuman's clothes files (makehumancommunity.org/wiki/Documentation:MHCLO); Wavefront OBJ for the mesh.
"""

from __future__ import annotations

import json
import math
import os
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

from crossrig.data.geometry import CLOTH, HAIR, Floats, HeadSurface, HeadTemplate, Ints, Patch, mean_surface
from crossrig.errors import UserError

#: Environment variable naming the folder of a person's own settings.
HOME_VARIABLE: Final = "CROSSRIG_HOME"

BASE_VERTICES: Final = 19158  # of hm08

# Limits on what strangers send; the largest known pack items have a tenth of this.
MAX_MHCLO_BYTES: Final = 8 * 2**20
MAX_OBJ_BYTES: Final = 32 * 2**20
MAX_VERTICES: Final = 100_000
MAX_FACES: Final = 200_000
MAX_ITEMS: Final = 500
MAX_ENTRIES: Final = 20_000  # files and folders looked at
MAX_DEPTH: Final = 5

KINDS: Final = ("hair", "eyebrows", "eyelashes", "clothes")


@dataclass(frozen=True)
class PackItem:
    """One thing to wear. `kind` is one of KINDS, told from the name of a folder on the way to it, else "clothes"."""

    kind: str
    name: str
    mhclo: Path
    obj: Path


@dataclass(frozen=True)
class Pack:
    """A readable pack."""

    folder: Path
    items: tuple[PackItem, ...]

    def of_kind(self, kind: str) -> tuple[PackItem, ...]:
        return tuple(item for item in self.items if item.kind == kind)

    def summary(self) -> str:
        """One line: where it is and how much of what it holds."""
        counts = [f"{len(self.of_kind(kind))} {kind}" for kind in KINDS if self.of_kind(kind)]
        return f"{self.folder}: {', '.join(counts)}"


@dataclass(frozen=True, eq=False)
class Hanging:
    """How N vertices hang on the base mesh: position = sum of weights * base[corners] + scale * offset."""

    name: str
    obj_file: str
    corners: NDArray[np.int64]  # (N,3) base vertices
    weights: NDArray[np.float64]  # (N,3)
    offset: NDArray[np.float64]  # (N,3) decimetres
    scale_pairs: NDArray[np.int64]  # (3,2) base vertices whose distance along x, y, z scales the offset
    scale_lengths: NDArray[np.float64]  # (3,) decimetres for which the offset was made


@dataclass(frozen=True, eq=False)
class PackMesh:
    """Triangles with their own texture corners."""

    vertices: NDArray[np.float64]  # (N,3) decimetres
    faces: NDArray[np.int64]  # (F,3) into vertices
    uv: NDArray[np.float64]  # (T,2)
    uv_faces: NDArray[np.int64]  # (F,3) into uv, all 0 without texture coordinates


# --- reading -----------------------------------------------------------------------------------------------------------------


def _text(path: Path, limit: int) -> str:
    """The text of a file of at most `limit` bytes."""
    try:
        with path.open("rb") as file:
            blob = file.read(limit + 1)
    except OSError as error:
        raise UserError(f"{path} cannot be read ({error.strerror}): check that it exists and may be read.") from None
    if len(blob) > limit:
        raise UserError(f"{path} is larger than {limit // 2**20} MB, too large for a pack: remove it from the folder.")
    if b"\0" in blob:
        raise UserError(f"{path} is not a text file: is it damaged or something else under this name?")
    return blob.decode("utf-8", errors="replace")


def _numbers(words: list[str], where: str) -> list[float]:
    try:
        values = [float(word) for word in words]
    except ValueError:
        raise UserError(f"{where}: expected numbers, found '{' '.join(words)[:60]}'.") from None
    if not all(math.isfinite(value) and abs(value) < 1e6 for value in values):
        raise UserError(f"{where}: a number is infinite, not a number or absurdly large.")
    return values


def _indices(words: list[str], where: str) -> list[int]:
    try:
        values = [int(word) for word in words]
    except ValueError:
        raise UserError(f"{where}: expected vertex numbers, found '{' '.join(words)[:60]}'.") from None
    if not all(0 <= value < BASE_VERTICES for value in values):
        raise UserError(f"{where}: the hm08 base mesh has vertices 0 to {BASE_VERTICES - 1}, found {values}.")
    return values


def parse_mhclo(text: str, source: str) -> Hanging:
    """Parse an `.mhclo` file. `source` names it in messages. Raises UserError for anything it does not understand."""
    name, obj_file, base = "", "", "hm08"
    pairs: list[list[int]] = [[0, 0], [0, 0], [0, 0]]
    lengths = [0.0, 0.0, 0.0]
    corners: list[list[int]] = []
    weights: list[list[float]] = []
    offsets: list[list[float]] = []
    hanging = False
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        where = f"{source}, line {number}"
        first = words[0]
        if hanging and first.lstrip("+-.").isdigit():
            if len(corners) >= MAX_VERTICES:
                raise UserError(f"{source} hangs more than {MAX_VERTICES} vertices, too many for a pack.")
            if len(words) == 1:
                corners.append(_indices(words, where) * 3)
                weights.append([1.0, 0.0, 0.0])
                offsets.append([0.0, 0.0, 0.0])
            elif len(words) in (6, 9):
                corners.append(_indices(words[:3], where))
                values = _numbers(words[3:], where)
                weights.append(values[:3])
                offsets.append(values[3:] or [0.0, 0.0, 0.0])
            else:
                raise UserError(f"{where}: expected one vertex number, or three with weights and an offset, found {len(words)} words.")
            continue
        if first == "verts":
            hanging = True
        elif first == "delete_verts":  # base vertices to hide; any other line may stand among the hanging ones
            hanging = False
        elif first == "name":
            name = " ".join(words[1:])[:80]
        elif first == "obj_file":
            obj_file = " ".join(words[1:])
        elif first == "basemesh":
            base = " ".join(words[1:])
        elif first in ("x_scale", "y_scale", "z_scale"):
            if len(words) != 4:
                raise UserError(f"{where}: expected two vertex numbers and a length after {first}.")
            axis = "xyz".index(first[0])
            pairs[axis] = _indices(words[1:3], where)
            lengths[axis] = _numbers(words[3:], where)[0]
            if lengths[axis] <= 1e-4:
                raise UserError(f"{where}: the length after {first} must be positive.")
    if base != "hm08":
        raise UserError(f"{source} is made for the base mesh '{base[:40]}'; only hm08 (MakeHuman 1.x) is supported.")
    if not obj_file:
        raise UserError(f"{source} names no obj_file: it is not a MakeHuman clothes file, or it is cut short.")
    if not corners:
        raise UserError(f"{source} has no vertices after 'verts': it is not a MakeHuman clothes file, or it is cut short.")
    used = np.abs(np.asarray(offsets)).max(axis=0) > 0.0
    if any(used[axis] and lengths[axis] == 0.0 for axis in range(3)):
        raise UserError(f"{source} has offsets but no x_scale, y_scale or z_scale line to size them by.")
    return Hanging(
        name, obj_file, np.asarray(corners, np.int64), np.asarray(weights, np.float64), np.asarray(offsets, np.float64),
        np.asarray(pairs, np.int64), np.asarray([length or 1.0 for length in lengths]),
    )  # fmt: skip


def parse_obj(text: str, source: str) -> PackMesh:
    """Parse vertices, texture coordinates and faces (split into triangles) of a Wavefront OBJ file."""
    vertices: list[list[float]] = []
    uv: list[list[float]] = []
    faces: list[tuple[int, int, int]] = []
    uv_faces: list[tuple[int, int, int]] = []
    for number, line in enumerate(text.splitlines(), 1):
        words = line.split()
        if not words or words[0] not in ("v", "vt", "f"):
            continue
        where = f"{source}, line {number}"
        if words[0] == "f":
            corners = [_corner(word, len(vertices), len(uv), where) for word in words[1:]]
            if not 3 <= len(corners) <= 64:
                raise UserError(f"{where}: a face has {len(corners)} corners, expected 3 or 4.")
            for second in range(1, len(corners) - 1):
                faces.append((corners[0][0], corners[second][0], corners[second + 1][0]))
                uv_faces.append((corners[0][1], corners[second][1], corners[second + 1][1]))
        elif words[0] == "v":
            vertices.append(_numbers(words[1:4], where))
            if len(vertices[-1]) != 3:
                raise UserError(f"{where}: a vertex needs three numbers.")
        else:
            uv.append(_numbers(words[1:3], where))
            if len(uv[-1]) != 2:
                raise UserError(f"{where}: a texture coordinate needs two numbers.")
        if len(vertices) > MAX_VERTICES or len(uv) > 4 * MAX_VERTICES or len(faces) > MAX_FACES:
            raise UserError(f"{source} has more than {MAX_VERTICES} vertices or {MAX_FACES} triangles, too many for a pack.")
    if not faces:
        raise UserError(f"{source} has no faces: it is not a mesh, or it is cut short.")
    return PackMesh(
        np.asarray(vertices, np.float64), np.asarray(faces, np.int64), np.asarray(uv or [[0.0, 0.0]], np.float64),
        np.asarray(uv_faces, np.int64),
    )  # fmt: skip


def _corner(word: str, vertices: int, coordinates: int, where: str) -> tuple[int, int]:
    """`v`, `v/vt`, `v//vn` or `v/vt/vn`, counted from 1 or back from the end, as indices from 0 (texture 0 if absent)."""
    parts = word.split("/")
    try:
        vertex = int(parts[0])
        coordinate = int(parts[1]) if len(parts) > 1 and parts[1] else 0
    except ValueError:
        raise UserError(f"{where}: '{word[:40]}' is not a face corner.") from None
    vertex = vertex - 1 if vertex > 0 else vertices + vertex
    if not 0 <= vertex < vertices:
        raise UserError(f"{where}: face corner '{word[:40]}' names a vertex that does not exist.")
    if coordinate != 0:
        coordinate = coordinate - 1 if coordinate > 0 else coordinates + coordinate
        if not 0 <= coordinate < coordinates:
            raise UserError(f"{where}: face corner '{word[:40]}' names a texture coordinate that does not exist.")
    return vertex, coordinate


def _files(folder: Path) -> Iterator[Path]:
    """Regular `.mhclo` files below a folder, sorted, not through links, to a limited depth and number of entries."""
    seen = 0
    stack = [(folder, 0)]
    while stack:
        here, depth = stack.pop()
        try:
            entries = sorted(os.scandir(here), key=lambda entry: entry.name)
        except OSError as error:
            raise UserError(f"{here} cannot be listed ({error.strerror}): check that it may be read.") from None
        for entry in entries:
            seen += 1
            if seen > MAX_ENTRIES:
                raise UserError(f"{folder} holds more than {MAX_ENTRIES} files: name the folder of the pack itself.")
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH and not entry.name.startswith("."):
                    stack.append((Path(entry.path), depth + 1))
            elif entry.is_file(follow_symlinks=False) and entry.name.lower().endswith(".mhclo"):
                yield Path(entry.path)


def read_pack(folder: Path | str) -> Pack:
    """Find and check every item of a pack. Raises UserError when the folder is no pack or an item is broken."""
    root = Path(folder).expanduser()
    if not root.is_dir():
        raise UserError(f"{folder} is not a folder: name the folder that holds the .mhclo files.")
    root = root.resolve()
    items: list[PackItem] = []
    for path in sorted(_files(root)):
        if len(items) >= MAX_ITEMS:
            raise UserError(f"{root} holds more than {MAX_ITEMS} .mhclo files: name a smaller folder.")
        item = _item(root, path)
        load_item(item)
        items.append(item)
    if not items:
        raise UserError(f"{root} holds no .mhclo files: it is no MakeHuman pack. Name the folder that holds them.")
    return Pack(root, tuple(items))


def _item(root: Path, path: Path) -> PackItem:
    hanging = parse_mhclo(_text(path, MAX_MHCLO_BYTES), str(path))
    obj = (path.parent / hanging.obj_file).resolve()
    if not obj.is_relative_to(root):
        raise UserError(f"{path} names the mesh '{hanging.obj_file[:80]}' outside the pack: only files inside {root} are read.")
    if not obj.is_file():
        raise UserError(f"{path} names the mesh '{hanging.obj_file[:80]}', which is missing: put it beside the .mhclo file.")
    folders = [part.lower() for part in path.relative_to(root).parts[:-1]] + [root.name.lower()]
    kind = next((kind for kind in KINDS if any(part.startswith(kind) for part in folders)), "clothes")
    return PackItem(kind, path.stem, path, obj)


def load_item(item: PackItem) -> tuple[Hanging, PackMesh]:
    """Read one item. Raises UserError when its two files do not belong together."""
    hanging = parse_mhclo(_text(item.mhclo, MAX_MHCLO_BYTES), str(item.mhclo))
    mesh = parse_obj(_text(item.obj, MAX_OBJ_BYTES), str(item.obj))
    if len(hanging.corners) != len(mesh.vertices):
        raise UserError(
            f"{item.mhclo} hangs {len(hanging.corners)} vertices but {item.obj.name} has {len(mesh.vertices)}: "
            "the two files do not belong together."
        )
    return hanging, mesh


# --- remembered packs --------------------------------------------------------------------------------------------------------


def home_folder() -> Path:
    """Where a person's own settings are kept."""
    own = os.environ.get(HOME_VARIABLE)
    return Path(own).expanduser() if own else Path.home() / ".local" / "share" / "crossrig"


def remembered_folders() -> list[Path]:
    """Folders that were added, whether or not they still exist."""
    path = home_folder() / "packs.json"
    if not path.exists():
        return []
    try:
        folders = json.loads(_text(path, MAX_MHCLO_BYTES))["packs"]
        if not isinstance(folders, list) or not all(isinstance(folder, str) for folder in folders):
            raise TypeError
    except (json.JSONDecodeError, KeyError, TypeError, RecursionError):
        raise UserError(f"{path} is damaged: delete it and add your packs again with `crossrig assets add FOLDER`.") from None
    return [Path(folder) for folder in folders]


def _remember(folders: list[Path]) -> None:
    path = home_folder() / "packs.json"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=path.parent, suffix=".tmp", delete=False, encoding="utf-8") as file:
            json.dump({"packs": [str(folder) for folder in folders]}, file, indent=2)
        os.replace(file.name, path)
    except OSError as error:
        raise UserError(f"{path} cannot be written ({error.strerror}): set {HOME_VARIABLE} to a folder of yours.") from None


def add_pack(folder: Path | str) -> Pack:
    """Check a pack and remember its folder. Adding it again changes nothing."""
    pack = read_pack(folder)
    folders = remembered_folders()
    if pack.folder not in folders:
        _remember([*folders, pack.folder])
    return pack


def add(folder: Path | str) -> str:
    """`add_pack` for the command line: the sentence to print."""
    return f"Added {add_pack(folder).summary()}."


def installed_packs() -> list[Pack]:
    """Remembered packs whose folders still exist, in the order they were added. Broken ones raise UserError."""
    return [read_pack(folder) for folder in remembered_folders() if folder.is_dir()]


# --- hanging on a head -------------------------------------------------------------------------------------------------------


@lru_cache(maxsize=64)
def _loaded(item: PackItem) -> tuple[Hanging, PackMesh]:
    return load_item(item)


def hang(hanging: Hanging, head: HeadSurface, base_vertex: NDArray[np.integer]) -> Floats:
    """Positions (N,3) in metres of an item's vertices on a person; NaN where the head lacks what they hang on.

    `base_vertex` (V,) is the base mesh's index of each vertex of the head, -1 for none (`FaceModel.base_vertex`).
    """
    own = np.full(BASE_VERTICES, -1, np.int64)
    known = np.flatnonzero(base_vertex >= 0)
    own[base_vertex[known]] = known
    points = np.concatenate([head.vertices.astype(np.float64), np.full((1, 3), np.nan)])  # index -1: not there
    placed = np.einsum("nc,ncx->nx", hanging.weights, points[own[hanging.corners]])
    ends = points[own[hanging.scale_pairs]]  # (3,2,3)
    scale = np.abs(np.diagonal(ends[:, 0] - ends[:, 1])) / hanging.scale_lengths  # metres per decimetre of offset
    unused = np.abs(hanging.offset).max(axis=0) == 0.0
    scale = np.where(unused | ~np.isfinite(scale), 0.1, scale)
    return np.asarray(placed + scale * hanging.offset, dtype=np.float32)


@dataclass(frozen=True, eq=False)
class _Cards:
    """What about a hair mesh is the same on every head: its corners split by texture, and strands from root to tip."""

    source: NDArray[np.int64]  # (n,) vertex of the mesh behind each corner
    faces: Ints  # (F,3)
    uv: Floats  # (n,2) u across plus a whole number per card, v from root to tip
    rotation_weight: Floats  # (n,)


def _components(faces: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """Label (count,) of the connected part that each vertex belongs to (labels are the smallest vertex of the part)."""
    label = np.arange(count)
    while True:
        lowest = label[faces].min(axis=1)
        new = label.copy()
        for corner in range(3):
            np.minimum.at(new, faces[:, corner], lowest)
        new = new[new]
        if (new == label).all():
            return label
        label = new


def _strand_axis(
    points: Floats, unit: NDArray[np.float64], extent: NDArray[np.float64], away: NDArray[np.float64]
) -> tuple[int, bool]:
    """Texture axis along which the strands of a card run, and whether their roots are at its high end.

    Strands run along the axis over which the card is longer, in space and in the texture, and falls more steadily. The root is the end
    nearer to the scalp (`away` (n,) metres).
    """
    score = [0.0, 0.0]
    high_nearer = [False, False]
    height = points[:, 1] - points[:, 1].mean()
    for axis in (0, 1):
        high = unit[:, axis] > 0.5
        if not high.any() or high.all():
            continue
        length = float(np.linalg.norm(points[high].mean(axis=0) - points[~high].mean(axis=0)))
        place = unit[:, axis] - unit[:, axis].mean()
        steady = abs(float(place @ height)) / math.sqrt(float((place @ place) * (height @ height)) + 1e-18)
        score[axis] = length * (0.3 + steady) * math.sqrt(float(extent[axis]))
        high_nearer[axis] = bool(away[high].mean() < away[~high].mean())
    along = int(score[1] >= score[0])
    return along, high_nearer[along]


def _corners(
    hanging: Hanging, mesh: PackMesh, head: HeadSurface, base_vertex: NDArray[np.integer]
) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64]]:
    """The part of a mesh that hangs on a head, split by texture: points (n,3), corners (n,2) = (vertex, texture corner), faces (F,3)."""
    placed = hang(hanging, head, base_vertex)
    keep = np.isfinite(placed[mesh.faces]).all(axis=(1, 2))
    pairs = np.stack([mesh.faces[keep], mesh.uv_faces[keep]], axis=-1).reshape(-1, 2)
    corners, faces = np.unique(pairs, axis=0, return_inverse=True)
    return placed[corners[:, 0]], corners, faces.reshape(-1, 3).astype(np.int64)


def _prepare(hanging: Hanging, mesh: PackMesh, template: HeadTemplate, base_vertex: NDArray[np.integer]) -> _Cards:
    head = mean_surface(template)
    points, corners, faces = _corners(hanging, mesh, head, base_vertex)
    uv = mesh.uv[corners[:, 1]].copy()
    part = _components(faces, len(corners))
    scalp = head.vertices[np.asarray(template.regions["scalp"])]
    away = np.sqrt(np.asarray([((point - scalp) ** 2).sum(axis=1).min() for point in points])) if len(points) else np.zeros(0)
    out = np.zeros((len(corners), 2))
    for number, name in enumerate(np.unique(part)):
        of = np.flatnonzero(part == name)
        low, high = uv[of].min(axis=0), uv[of].max(axis=0)
        unit = (uv[of] - low) / np.maximum(high - low, 1e-6)
        along, root_high = _strand_axis(points[of], unit, high - low, away[of])
        v = 1.0 - unit[:, along] if root_high else unit[:, along]
        out[of, 0] = 0.001 + 0.998 * unit[:, 1 - along] + number
        out[of, 1] = v
    # hair goes where the nearest skin goes
    weight = np.ones(len(points), np.float32)
    low = points[:, 1] < -0.05
    if low.any():
        skin = head.vertices
        nearest = np.asarray([((skin - point) ** 2).sum(axis=1).argmin() for point in points[low]])
        weight[low] = template.rotation_weight[nearest]
    return _Cards(corners[:, 0], faces.astype(np.int32), out.astype(np.float32), weight)


def _tangents(points: Floats, faces: Ints, uv: Floats) -> Floats:
    """Unit direction (n,3) in which v grows on the surface."""
    a, b, c = (points[faces[:, corner]] for corner in range(3))
    ta, tb, tc = (uv[faces[:, corner]] for corner in range(3))
    d1, d2 = tb - ta, tc - ta
    area = d1[:, 0] * d2[:, 1] - d1[:, 1] * d2[:, 0]
    along = ((c - a) * d1[:, :1] - (b - a) * d2[:, :1]) * np.sign(area)[:, None]
    total = np.zeros_like(points)
    for corner in range(3):
        np.add.at(total, faces[:, corner], along)
    return np.asarray(total / (np.linalg.norm(total, axis=1, keepdims=True) + 1e-12), np.float32)


class PackHair:
    """Hair of a pack on heads of one face model: what all heads share is worked out once.

    `base_vertex` (V,) as in `hang`. Raises UserError when nothing of the item hangs on this face model.
    """

    def __init__(self, item: PackItem, template: HeadTemplate, base_vertex: NDArray[np.integer]) -> None:
        self.item = item
        self._base_vertex = np.asarray(base_vertex)
        self._hanging, mesh = _loaded(item)
        self._cards = _prepare(self._hanging, mesh, template, self._base_vertex)
        if not len(self._cards.faces):
            raise UserError(f"{item.mhclo} hangs on parts of the body that the head model does not have.")

    def on(self, head: HeadSurface, colour: tuple[float, float, float]) -> list[Patch]:
        """Patches (material HAIR) on a person, in one linear RGB colour."""
        cards = self._cards
        points = hang(self._hanging, head, self._base_vertex)[cards.source]
        count = len(points)
        shade = np.empty((count, 3), np.float32)
        shade[:] = colour
        # strands thin out towards the tips of a card
        opacity = np.clip(1.25 - 0.75 * cards.uv[:, 1] ** 3, 0.0, 1.0).astype(np.float32)
        return [
            Patch(
                vertices=points, faces=cards.faces, uv=cards.uv, colour=shade, tangent=_tangents(points, cards.faces, cards.uv),
                rotation_weight=cards.rotation_weight, material=HAIR, opacity=opacity,
            )
        ]


_CHIN: Final = -0.12  # metres below the middle of the head: what ends above it is a hat


class PackClothes:
    """Clothes of a pack on heads of one face model; what hangs below the shoulders the model does not have and the frame does not show.

    `base_vertex` (V,) as in `hang`. Raises UserError when nothing of the item hangs on this face model.
    """

    def __init__(self, item: PackItem, template: HeadTemplate, base_vertex: NDArray[np.integer]) -> None:
        self.item = item
        self._base_vertex = np.asarray(base_vertex)
        self._hanging, mesh = _loaded(item)
        head = mean_surface(template)
        points, corners, faces = _corners(self._hanging, mesh, head, self._base_vertex)
        if not len(faces):
            raise UserError(f"{item.mhclo} hangs on parts of the body that the head model does not have.")
        self._source, self._faces = corners[:, 0], faces.astype(np.int32)
        self._uv = mesh.uv[corners[:, 1]].astype(np.float32)
        self.covers_shoulders = bool(points[:, 1].min() < _CHIN)
        # cloth goes where the nearest skin goes
        nearest = [((head.vertices - point) ** 2).sum(axis=1).argmin() for point in points]
        self._rotation_weight = template.rotation_weight[np.asarray(nearest)].astype(np.float32)

    def on(self, head: HeadSurface, colour: tuple[float, float, float]) -> list[Patch]:
        """Patches (material CLOTH) on a person, in one linear RGB colour."""
        points = hang(self._hanging, head, self._base_vertex)[self._source]
        shade = np.empty((len(points), 3), np.float32)
        shade[:] = colour
        return [
            Patch(
                vertices=points, faces=self._faces, uv=self._uv, colour=shade, tangent=_tangents(points, self._faces, self._uv),
                rotation_weight=self._rotation_weight, material=CLOTH, opacity=np.ones(len(points), np.float32),
            )
        ]


def load_hair(
    item: PackItem, head: HeadSurface, base_vertex: NDArray[np.integer], colour: tuple[float, float, float]
) -> list[Patch]:
    """Hair of a pack on one head; keep a `PackHair` instead to dress many."""
    return PackHair(item, head.template, base_vertex).on(head, colour)
