from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from crossrig.data.clothes import GARMENTS, Clothes, Drape, body_chart, chart_reaches, drape, make_clothes
from crossrig.data.fabric import PIECE_STRIDE
from crossrig.data.geometry import CLOTH, HeadSurface, HeadTemplate, Patch, mean_surface
from crossrig.data.portraits import studio
from crossrig.face3d.model import pose
from crossrig.face3d.normals import vertex_normals
from crossrig.render.camera import Camera
from crossrig.render.zbuffer import raster_kernel

REACHES = len(chart_reaches())


@pytest.fixture(scope="module")
def template() -> HeadTemplate:
    return studio().template


@pytest.fixture(scope="module")
def mean(template: HeadTemplate) -> HeadSurface:
    return mean_surface(template)


def person(seed: int) -> HeadSurface:
    stage = studio()
    shape = np.random.default_rng(seed).standard_normal(80).astype(np.float32)
    return HeadSurface.of(stage.template, (stage.mean + shape @ stage.shape_basis).reshape(-1, 3))


def seen(head: HeadSurface, patches: list[Patch], yaw: float, pitch: float, size: int = 160) -> np.ndarray:
    """(size, size) what a camera of a wider frame than the portraits' sees of a person far away, high up: 0 body, 1 cloth, -1 none."""
    vertices = [head.vertices, *(patch.vertices for patch in patches)]
    starts = np.cumsum([0, *(len(part) for part in vertices)])
    faces = [head.faces, *(patch.faces + np.int32(start) for patch, start in zip(patches, starts[1:-1], strict=True))]
    weight = np.concatenate([head.rotation_weight, *(patch.rotation_weight for patch in patches)])
    world = pose(
        torch.from_numpy(np.concatenate(vertices))[None], torch.deg2rad(torch.tensor([[pitch, yaw, 0.0]])),
        torch.tensor([[0.0, 0.025, -0.2]]), torch.from_numpy(weight),
    )[0].numpy()  # fmt: skip
    triangle = np.full((size, size), -1, np.int32)
    projected = Camera(half_height=0.19).project_array(np.ascontiguousarray(world))
    raster_kernel(
        projected, np.concatenate(faces), np.full((size, size), np.inf, np.float32), triangle, np.empty((0, 0, 3), np.float32)
    )  # fmt: skip
    return np.where(triangle < 0, -1, (triangle >= len(faces[0])).astype(int))


@pytest.mark.parametrize("garment", GARMENTS)
@pytest.mark.parametrize("opening", [0.0, 1.0])
def test_patches_are_well_formed(mean: HeadSurface, garment: str, opening: float) -> None:
    clothes = Clothes(garment, opening=opening, tie=opening == 0.0, width=0.02)
    patches = make_clothes(mean, clothes, np.random.default_rng(0))
    assert patches
    pieces = len(clothes.patterns())
    for patch in patches:
        assert patch.material == CLOTH
        for array in (patch.vertices, patch.uv, patch.colour):
            assert array.dtype == np.float32
            assert np.isfinite(array).all()
        assert patch.faces.min() >= 0
        assert patch.faces.max() < len(patch.vertices)
        assert 0.0 <= patch.rotation_weight.min() <= patch.rotation_weight.max() <= 1.0
        piece = np.floor(patch.uv[:, 0] / PIECE_STRIDE)
        assert np.ptp(piece) == 0.0
        assert 0 <= piece[0] < pieces
        assert np.abs(patch.vertices).max() < 0.6


@pytest.mark.parametrize("garment", [name for name in GARMENTS if name != "top"])
def test_no_body_and_no_gap_at_the_bottom_of_the_picture(garment: str) -> None:
    for seed, yaw, pitch in ((0, 0.0, 0.0), (1, 50.0, 20.0), (2, -60.0, -20.0)):
        head = person(seed)
        patches = make_clothes(head, Clothes(garment, opening=0.0, tie=True), np.random.default_rng(seed))
        bottom = seen(head, patches, yaw, pitch)[-20:]
        assert (bottom == 0).sum() <= 3, (seed, "skin shows through")
        assert (bottom[-1, 30:130] == 1).all(), (seed, "cloth ends above the edge of the picture")


def test_the_body_reaches_the_bottom_beside_a_top() -> None:
    head = person(3)
    picture = seen(head, make_clothes(head, Clothes("top", width=0.02), np.random.default_rng(0)), 0.0, 0.0)
    assert (picture[-1, 30:130] >= 0).all()
    assert (picture[-30:] == 0).any()
    assert (picture[-30:] == 1).any()


def test_cloth_lies_outside_the_skin(template: HeadTemplate) -> None:
    chart = body_chart(template)
    for seed in range(3):
        head = person(seed)
        skin = np.einsum("akcx,akc->akx", head.vertices[chart.corners], chart.weights) + chart.beyond
        cloth = drape(head, 0.8, np.full(skin.shape[:2], 0.003, np.float32))
        clearance = ((cloth.points - skin) * cloth.normals).sum(axis=-1)
        assert np.quantile(clearance, 0.01) > 0.0
        assert np.median(clearance) < 0.02


def test_surfaces_face_outwards(mean: HeadSurface) -> None:
    for garment in ("tee", "turtleneck", "hoodie"):
        sheet = make_clothes(mean, Clothes(garment), np.random.default_rng(0))[0]
        normals = vertex_normals(sheet.vertices, sheet.faces)
        outwards = sheet.vertices - np.array([0.0, -0.25, -0.03])
        assert ((normals * outwards).sum(axis=1) > 0).mean() > 0.97, garment


def test_garments_without_folds_are_symmetric(mean: HeadSurface) -> None:
    for patch in make_clothes(mean, Clothes("tee", folds=0.0), np.random.default_rng(0)):
        mirrored = patch.vertices * np.array([-1.0, 1.0, 1.0], np.float32)
        distance = np.linalg.norm(patch.vertices[None, ::7] - mirrored[:, None], axis=2).min(axis=0)
        assert distance.max() < 0.004


@pytest.mark.parametrize("garment", GARMENTS)
def test_small_changes_move_cloth_a_little(mean: HeadSurface, garment: str) -> None:
    clothes = Clothes(garment, depth=0.02, width=0.02, point=0.5, opening=0.3)
    before = make_clothes(mean, clothes, np.random.default_rng(0))
    for name, step in (("depth", 0.001), ("width", 0.001), ("point", 0.01), ("rim", 0.001), ("looseness", 0.01), ("leaf", 0.01)):
        after = make_clothes(mean, replace(clothes, **{name: getattr(clothes, name) + step}), np.random.default_rng(0))
        assert len(before) == len(after)
        for old, new in zip(before, after, strict=True):
            assert np.linalg.norm(old.vertices - new.vertices, axis=1).max() < 0.02, (name,)


def test_the_neckline_goes_down(mean: HeadSurface) -> None:
    high, low = (make_clothes(mean, Clothes("tee", depth=depth, folds=0.0), np.random.default_rng(0))[1] for depth in (0.0, 0.05))
    front = np.abs(high.vertices[:, 0]) < 0.01
    front &= high.vertices[:, 2] > 0.0
    assert (high.vertices[front, 1] - low.vertices[front, 1]).min() > 0.03


def test_the_same_seed_gives_the_same_cloth(mean: HeadSurface) -> None:
    one, two, other = (make_clothes(mean, Clothes(folds=1.0), np.random.default_rng(seed))[0].vertices for seed in (1, 1, 2))
    np.testing.assert_array_equal(one, two)
    assert 0.0 < np.abs(one - other).max() < 0.02


def test_looseness_zero_follows_the_skin_more_closely(mean: HeadSurface) -> None:
    def distance(cloth: Drape) -> float:
        chart = body_chart(mean.template)
        skin = np.einsum("akcx,akc->akx", mean.vertices[chart.corners], chart.weights) + chart.beyond
        return float(np.linalg.norm(cloth.points - skin, axis=-1)[:, : REACHES // 2].mean())

    none = np.zeros((len(body_chart(mean.template).corners), REACHES), np.float32)
    assert distance(drape(mean, 0.0, none)) < distance(drape(mean, 1.0, none))


def test_unknown_garment_is_an_error() -> None:
    with pytest.raises(ValueError, match="toga"):
        Clothes("toga")
