from __future__ import annotations

import numpy as np
import pytest

from crossrig.data.accessories import Earrings, Glasses, anchors, make_earrings, make_glasses
from crossrig.data.geometry import GLASS, METAL, SKIN, HeadSurface, mean_surface
from crossrig.data.portraits import studio
from crossrig.face3d.normals import vertex_normals


@pytest.fixture(scope="module")
def mean() -> HeadSurface:
    return mean_surface(studio().template)


def person(seed: int) -> HeadSurface:
    stage = studio()
    shape = np.random.default_rng(seed).standard_normal(80).astype(np.float32)
    return HeadSurface.of(stage.template, (stage.mean + shape @ stage.shape_basis).reshape(-1, 3))


def test_anchors_are_on_their_sides(mean: HeadSurface) -> None:
    places = anchors(mean.template)
    for index, side in enumerate((-1.0, 1.0)):
        root, lobe = mean.vertices[places.ear_root[index]], mean.vertices[places.lobe[index]]
        assert root[0] * side > 0.05
        assert lobe[0] * side > 0.05
        assert root[1] - lobe[1] > 0.025
        assert (mean.vertices[places.temple[index], 0] * side > 0.03).all()


@pytest.mark.parametrize("seed", range(4))
def test_lenses_stand_before_the_eyes(seed: int) -> None:
    head = person(seed)
    lenses = [patch for patch in make_glasses(head, Glasses(darkness=0.9)) if patch.opacity[0] < 1.0]
    assert len(lenses) == 2
    for lens, name in zip(lenses, ("right", "left"), strict=True):
        assert lens.material == GLASS
        eye = np.array([head.landmark(f"eye_{name}_{index}") for index in range(6)])
        low, high = lens.vertices.min(axis=0), lens.vertices.max(axis=0)
        assert (low[:2] < eye.min(axis=0)[:2]).all()
        assert (high[:2] > eye.max(axis=0)[:2]).all()
        assert lens.vertices[-1, 2] > eye[:, 2].max() + 0.003
        normals = vertex_normals(lens.vertices, lens.faces)
        assert (normals[:, 2] > 0.5).all()


@pytest.mark.parametrize("seed", range(4))
def test_arms_reach_the_ears_outside_the_head(seed: int) -> None:
    head = person(seed)
    places = anchors(head.template)
    patches = make_glasses(head, Glasses())
    for index, side in ((1, -1.0), (3, 1.0)):  # rim, arm, rim, arm, bridge
        arm = patches[index]
        root = head.vertices[places.ear_root[(index - 1) // 2]]
        assert np.linalg.norm(arm.vertices - root, axis=1).min() < 0.02
        middle = arm.vertices[(arm.vertices[:, 2] > root[2] + 0.02)]
        skin = head.vertices[places.temple[(index - 1) // 2]]
        for point in middle:
            near = skin[np.abs(skin[:, 2] - point[2]) < 0.006]
            if len(near):
                assert point[0] * side > (near[:, 0] * side).min()


def test_clear_glasses_have_no_lenses_and_metal_ones_are_metal(mean: HeadSurface) -> None:
    clear = make_glasses(mean, Glasses(darkness=0.0))
    assert len(clear) == 5
    assert all(patch.material == GLASS and (patch.opacity == 1.0).all() for patch in clear)
    assert all(patch.material == METAL for patch in make_glasses(mean, Glasses(metal=True)))
    assert len(make_glasses(mean, Glasses(darkness=1.0))) == 7


@pytest.mark.parametrize("part", [0, 1, 2, 3, 4, 5, 6])
def test_tubes_face_outwards(mean: HeadSurface, part: int) -> None:
    glasses = make_glasses(mean, Glasses(lift=0.0, taper=0.0, squareness=0.0))
    _, hoop, drop, *_ = make_earrings(mean, Earrings(hoop=0.015, drop=0.02))
    tube, around = [*glasses, hoop, drop][part], 6
    rings = tube.vertices.reshape(-1, around, 3)
    normals = vertex_normals(tube.vertices, tube.faces).reshape(-1, around, 3)
    assert ((normals * (rings - rings.mean(axis=1, keepdims=True))).sum(axis=2) > 0).mean() > 0.85


@pytest.mark.parametrize("seed", range(3))
def test_earrings_hang_from_the_lobes(seed: int) -> None:
    head = person(seed)
    places = anchors(head.template)
    patches = make_earrings(head, Earrings(hoop=0.015, drop=0.02))
    assert len(patches) == 6
    skin = np.unique(head.faces[head.template.face_part == SKIN])
    for index, patch in enumerate(patches):
        lobe = head.vertices[places.lobe[index // 3]]
        assert patch.material == METAL
        assert np.linalg.norm(patch.vertices - lobe, axis=1).min() < 0.008
        assert patch.vertices[:, 1].min() > head.vertices[skin, 1].min()
        assert (patch.rotation_weight == 1.0).all()


def test_beads_face_outwards(mean: HeadSurface) -> None:
    bead = make_earrings(mean, Earrings(bead=0.004))[0]
    outwards = bead.vertices - bead.vertices.mean(axis=0)
    assert ((vertex_normals(bead.vertices, bead.faces) * outwards).sum(axis=1) >= 0).all()
    np.testing.assert_allclose(np.linalg.norm(outwards, axis=1), 0.004, atol=2e-4)


def test_rims_that_stay_below_all_brows_stand_on_the_nose(mean: HeadSurface) -> None:
    low = make_glasses(mean, Glasses(height=0.004))
    lens_height = max(float(patch.vertices[:, 1].max()) for patch in (low[0], low[2]))  # the rims
    brows = np.array([mean.landmark(f"brow_{name}_{index}") for name in ("right", "left") for index in range(5)])
    assert lens_height < brows[:, 1].min()
    assert all(np.isfinite(patch.vertices).all() for patch in low)
