"""Portraits: they agree with the renderer of the labels, show what the code says, and are reproducible."""

from __future__ import annotations

from dataclasses import replace

import cv2
import numpy as np
import pytest
import torch

from crossrig.data import portraits
from crossrig.data.geometry import EYE, HAIR, SKIN
from crossrig.data.people import Person, person, sample_code, sample_person
from crossrig.data.shader import (
    DEPTH_LAYERS,
    TAPS,
    crevices,
    disc_taps,
    lit_at,
    near_first,
    project_points,
    raster_cutouts,
    resolve,
    shadow_bounds,
)
from crossrig.data.skin_detail import noise_tile, skin_maps
from crossrig.face3d.model import FaceModel, rotation_matrix
from crossrig.render.camera import Camera
from crossrig.render.zbuffer import raster_kernel


@pytest.fixture(scope="module")
def someone() -> Person:
    return sample_person(2, 5)


def _visible(who: Person, samples: int) -> tuple[portraits.Scene, portraits.Visible]:
    head = portraits.head_surface(who)
    scene = portraits.assemble(who, head, portraits.accessories(who, head))
    return scene, portraits.look_at(scene, samples)


def test_portraits_are_pictures(someone: Person) -> None:
    image = portraits.render_portrait(someone, 64)
    assert image.shape == (64, 64, 3)
    assert image.dtype == np.uint8
    assert image.std() > 15


def test_the_same_person_twice_is_the_same_picture(someone: Person) -> None:
    again = person(someone.code, someone.detail_seed)
    assert np.array_equal(portraits.render_portrait(someone, 64), portraits.render_portrait(again, 64))


def test_the_detail_seed_changes_only_details(someone: Person) -> None:
    again, another = person(someone.code, someone.detail_seed + 1), person(-someone.code, someone.detail_seed)
    first, second, third = (portraits.render_portrait(who, 64).astype(float) for who in (someone, again, another))
    assert 0 < np.abs(first - second).mean() < 0.4 * np.abs(first - third).mean()


def test_the_head_agrees_with_the_face_model(someone: Person) -> None:
    """The fast NumPy path puts every vertex where the differentiable model puts it."""
    scene, _ = _visible(someone, 16)
    model = FaceModel.load()
    expected = model.vertices(someone.params())[0].numpy()
    assert np.abs(scene.vertices[: len(expected)] - expected).max() < 2e-5
    albedo = model.albedo(someone.params())[0].numpy()
    assert np.abs(portraits.skin_colours(someone) - albedo).max() < 2e-3


def test_rotations_agree_with_the_face_model() -> None:
    angles = np.array([0.2, -0.7, 0.15])
    ours = portraits.rotation_matrices(angles, np.ones(1, np.float32))[0]
    assert np.abs(ours - rotation_matrix(torch.from_numpy(angles)).numpy()).max() < 1e-6


def test_landmarks_lie_on_visible_skin() -> None:
    """Where the label says that the nose is, the picture shows skin at the same depth."""
    who = sample_person(2, 8)
    rotation = np.zeros(3, np.float32)
    blocks = {**who.blocks, "rotation": rotation}
    who = replace(who, blocks=blocks, glasses=None)
    scene, visible = _visible(who, 256)
    model = FaceModel.load()
    nose = model.landmark_points(model.vertices(who.params()))[0, 30].numpy()
    x, y, depth = Camera().project_array(nose[None])[0]
    row, column = int((1 - y) / 2 * 256), int((x + 1) / 2 * 256)
    assert scene.material[visible.triangle[row, column]] == SKIN
    assert visible.depth[row, column] == pytest.approx(depth, abs=0.003)


def test_people_have_eyes_skin_hair_and_backdrop() -> None:
    shares = []
    for index in range(6):
        scene, visible = _visible(sample_person(4, index), 128)
        seen = visible.triangle[visible.triangle >= 0]
        kinds = scene.material[seen]
        shares.append([(kinds == SKIN).mean(), (kinds == EYE).mean(), (kinds == HAIR).mean(), (visible.triangle < 0).mean()])
    skin, eyes, hair, behind = np.array(shares).mean(axis=0)
    assert skin > 0.15
    assert eyes > 0.0005
    assert hair > 0.05
    assert 0.2 < behind < 0.7


def test_light_from_the_left_brightens_the_left(someone: Person) -> None:
    means = []
    for azimuth in (-1.2, 1.2):
        key = replace(someone.lighting.lamps[0], azimuth=azimuth, elevation=0.1, colour=(1.0, 1.0, 1.0))
        lighting = replace(someone.lighting, lamps=(key,), above=(0.05, 0.05, 0.05), below=(0.05, 0.05, 0.05))
        blocks = {**someone.blocks, "rotation": np.zeros(3, np.float32), "translation": np.zeros(3, np.float32)}
        who = replace(someone, lighting=lighting, blocks=blocks)
        scene, visible = _visible(who, 96)
        linear = portraits.shade_scene(who, scene, visible)
        skin = (visible.triangle >= 0) & (scene.material[np.maximum(visible.triangle, 0)] == SKIN)
        left, right = linear[:, :48][skin[:, :48]].mean(), linear[:, 48:][skin[:, 48:]].mean()
        means.append(left / right)
    assert means[0] > 1.3
    assert means[1] < 1 / 1.3


def test_exposure_is_natural() -> None:
    """Visible skin is neither black nor burnt."""
    for index in range(8):
        who = sample_person(6, index)
        scene, visible = _visible(who, 64)
        linear = portraits.shade_scene(who, scene, visible)
        skin = (visible.triangle >= 0) & (scene.material[np.maximum(visible.triangle, 0)] == SKIN)
        grey = np.clip(linear[skin], 0, 1).mean()
        assert 0.015 < grey < 0.7, (index, grey)


def test_shading_is_finite_everywhere() -> None:
    for index in range(8):
        who = sample_person(9, index)
        scene, visible = _visible(who, 64)
        assert np.isfinite(portraits.shade_scene(who, scene, visible)).all()


def test_shading_a_block_at_once_hardly_changes_the_picture(someone: Person) -> None:
    scene, visible = _visible(someone, 192)
    shaded = [portraits.shade_scene(someone, scene, visible, merge).clip(0, 1) for merge in (False, True)]
    means = [image.reshape(96, 2, 96, 2, 3).mean((1, 3)) for image in shaded]
    assert 0 < np.abs(means[1] - means[0]).mean() < 0.003
    assert abs(float(means[1].mean() - means[0].mean())) < 0.001


def test_skin_has_no_weave() -> None:
    """Occlusion looks at other places in neighbouring pixels; what they find differently must not be seen every second pixel."""
    for number in range(3):
        who = sample_person(2, 5 + number)
        picture = portraits.render_portrait(who, 256).astype(float)[..., 1]
        scene, visible = _visible(who, 256)
        skin = np.where(visible.triangle >= 0, scene.material[np.maximum(visible.triangle, 0)], 255) == SKIN
        skin = cv2.erode(skin.astype(np.uint8), np.ones((9, 9), np.uint8)) > 0
        fine = picture - cv2.blur(picture, (3, 3))
        fine -= fine[skin].mean()
        for away in ((0, 2), (2, 0)):
            both = skin & np.roll(skin, away, (0, 1))
            assert (fine * np.roll(fine, away, (0, 1)))[both].mean() < 0.08 * (fine[both] ** 2).mean()


def test_points_are_projected_as_the_camera_does(someone: Person) -> None:
    points = portraits.head_surface(someone).vertices
    out = np.empty_like(points)
    camera = Camera()
    project_points(points, camera.distance, camera.focal, out)
    assert np.abs(out - camera.project_array(points)).max() < 2e-6


def test_shadow_maps_show_what_the_rasteriser_shows(someone: Person) -> None:
    scene, _ = _visible(someone, 16)
    towards = np.array([0.48, 0.36, 0.8])
    depth, axes = portraits.key_shadow(scene, towards)
    assert axes @ axes.T == pytest.approx(np.eye(3), abs=1e-6)
    assert axes[2] == pytest.approx(towards, abs=1e-6)
    seen = (scene.vertices @ axes.T).astype(np.float32)
    projected = np.stack([seen[:, 0] / 0.27, seen[:, 1] / 0.27, 1 - seen[:, 2]], axis=1)
    expected = np.full(depth.shape, np.inf, np.float32)
    raster_kernel(projected, scene.faces, expected, np.full(depth.shape, -1, np.int32), np.empty((0, 0, 3), np.float32))
    both = np.isfinite(depth) & np.isfinite(expected)
    assert (np.isfinite(depth) == np.isfinite(expected)).mean() > 0.995
    assert (np.abs(depth[both] - expected[both]) < 0.002).mean() > 0.98


def test_small_pictures_get_fewer_and_wider_ribbons(someone: Person) -> None:
    style = replace(someone.hair, ribbons=1000)
    assert portraits.hair_for(style, 256) == style
    small = portraits.hair_for(style, 80)
    assert small.ribbons < 600
    assert small.width > style.width
    assert portraits.hair_for(style, 16).ribbons == portraits.hair_for(style, 80).ribbons


def test_developing_encodes_as_srgb(someone: Person) -> None:
    linear = np.broadcast_to(np.linspace(0, 1, 64, dtype=np.float32)[:, None, None], (64, 64, 3))
    plain = replace(someone.camera, noise=0.0, vignette=0.0, contrast=0.0, saturation=0.0)
    image = portraits.develop(replace(someone, camera=plain), linear)
    assert np.abs(image - portraits.encode(linear) * 255).max() <= 0.51


def test_cutouts_let_the_background_through() -> None:
    """Opacity is the share of samples that a strand covers, on average."""
    corners = np.array([[-1, -1, 1.0], [1, -1, 1.0], [1, 1, 1.0], [-1, 1, 1.0]], np.float32)
    faces = np.array([[0, 1, 2], [0, 2, 3]], np.int32)
    covered = []
    for opacity in (0.0, 0.4, 0.7, 1.0):
        attributes = np.zeros((4, 18), np.float32)
        attributes[:, 9:11] = np.array([[0, 0], [30, 0], [30, 30], [0, 30]])
        attributes[:, 12] = opacity
        depth = np.full((64, 64), np.inf, np.float32)
        triangle = np.full((64, 64), -1, np.int32)
        raster_cutouts(corners, faces, np.full(2, HAIR, np.uint8), attributes, depth, triangle, np.zeros((64, 64, 3), np.float32), 7)
        covered.append(float((triangle >= 0).mean()))
        assert set(np.unique(triangle)) <= {-1, 7, 8}
    assert covered[0] == 0
    assert covered[3] > 0.98
    assert 0.15 < covered[1] < covered[2] < 0.95


def test_triangles_are_ordered_from_near_to_far() -> None:
    rng = np.random.default_rng(1)
    points = np.concatenate([np.zeros((300, 2)), rng.uniform(1.2, 2.0, (300, 1))], axis=1).astype(np.float32)
    faces = rng.integers(300, size=(500, 3)).astype(np.int32)
    order = near_first(points, faces)
    assert np.array_equal(np.sort(order), np.arange(500))
    nearest = points[faces, 2].min(axis=1)[order]
    assert np.diff(nearest).min() > -np.ptp(nearest) / DEPTH_LAYERS - 1e-6
    assert len(near_first(points, faces[:0])) == 0


def test_cutouts_may_be_given_in_any_order() -> None:
    rng = np.random.default_rng(2)
    corners = np.concatenate([rng.uniform(-1, 1, (60, 2)), rng.uniform(1.2, 2.0, (60, 1))], axis=1).astype(np.float32)
    attributes = rng.uniform(0.3, 1.2, (60, 18)).astype(np.float32)
    faces = rng.integers(60, size=(40, 3)).astype(np.int32)
    depths = []
    for given in (faces, faces[::-1].copy()):
        depths.append(np.full((64, 64), np.inf, np.float32))
        triangle, weights = np.full((64, 64), -1, np.int32), np.zeros((64, 64, 3), np.float32)
        raster_cutouts(corners, given, np.full(40, HAIR, np.uint8), attributes, depths[-1], triangle, weights, 0)
        seen = triangle >= 0
        assert np.array_equal(seen, np.isfinite(depths[-1]))
        there = (corners[given[triangle[seen]], 2] * weights[seen]).sum(axis=1)
        assert np.abs(there - depths[-1][seen]).max() < 1e-5
    assert np.array_equal(*depths)


def test_backs_that_are_not_drawn_are_never_seen(someone: Person) -> None:
    for who in (someone, sample_person(7, 7)):
        scene, visible = _visible(who, 256)
        camera = Camera()
        projected = camera.project_array(scene.vertices).astype(np.float32)
        depth, triangle = np.full((256, 256), np.inf, np.float32), np.full((256, 256), -1, np.int32)
        raster_kernel(projected, scene.faces[: scene.opaque], depth, triangle, np.empty((0, 0, 3), np.float32))
        maps = skin_maps(portraits.studio().template)
        lids = np.zeros(len(scene.vertices), bool)
        lids[: len(maps.lids)] = maps.lids + maps.under_eye > 0.01
        missing = visible.depth > depth + 1e-4
        of_lids = lids[scene.faces[triangle[missing]]].any(axis=1)  # folds of these are left out on purpose
        assert missing.sum() - of_lids.sum() < 1e-4 * missing.size
    assert 0.4 < portraits.studio().closed / len(portraits.studio().drawn) < 1.0


@pytest.mark.parametrize("samples", [64, 70, 46])
def test_crevices_are_where_something_stands_in_front(someone: Person, samples: int) -> None:
    """The fast kernel agrees with a plain loop over places and taps."""
    depth = _visible(someone, samples)[1].depth
    size, radius, reach, taps = samples // 2, 2.7 * samples / 64, 0.05, disc_taps()
    out, expected = np.empty((size, size), np.float32), np.ones((size, size), np.float32)
    crevices(depth, radius, reach, taps, out)
    for row, col in np.ndindex(size, size):
        here = depth[2 * row : 2 * row + 2, 2 * col : 2 * col + 2].min()
        if not np.isfinite(here):
            continue
        blocked = 0.0
        for x, y in taps[(row & 1) * 2 + (col & 1)]:
            there = row + round(float(np.float64(radius) * y)), col + round(float(np.float64(radius) * x))
            if min(there) >= 0 and max(there) < size:
                ahead = here - depth[2 * there[0], 2 * there[1]]
                blocked += np.clip((ahead - 0.0015) / 0.008, 0, 1) * max(1 - ahead / reach, 0) if np.isfinite(ahead) else 0.0
        expected[row, col] = 1 - 0.75 * min(blocked / (0.7 * TAPS), 1)
    assert np.abs(out - expected).max() < 1e-4
    assert out.min() < 0.7 < 0.99 < out.max()


def test_light_is_looked_up_at_every_tap() -> None:
    """Within the shadow map, where no place is tested, as at its edge; what bounds tell at once is what the taps say."""
    rng = np.random.default_rng(3)
    shadow_map = (1.0 + 0.012 * rng.random((24, 24))).astype(np.float32)
    bounds, taps, spread = shadow_bounds(shadow_map, 2.3), disc_taps(), 2.3
    for u, v, d in zip(rng.uniform(-2, 26, 300), rng.uniform(-2, 26, 300), rng.uniform(0.99, 1.03, 300), strict=True):
        pattern = int(rng.integers(4))
        seen = []
        for x, y in taps[pattern].astype(np.float64):
            col, row = int(u + spread * x), int(v + spread * y)
            inside = 0 <= col < 24 and 0 <= row < 24
            seen.append(np.clip(1 - (d - shadow_map[row, col] - 0.004) / 0.006, 0, 1) if inside else 1.0)
        assert lit_at(shadow_map, *bounds, u, v, d, spread, taps, pattern) == pytest.approx(np.mean(seen), abs=2e-4)


def test_resolve_averages_samples_over_the_backdrop() -> None:
    image = np.full((4, 4, 3), 0.5, np.float32)
    covered = np.full((4, 4), -1, np.int32)
    covered[:2, :2] = 0
    covered[2, 0] = 0
    out = np.empty((2, 2, 3), np.float32)
    resolve(image, covered, np.full((2, 2, 3), 0.1, np.float32), 2, out)
    assert out[:, :, 0] == pytest.approx(np.array([[0.5, 0.1], [0.2, 0.1]]))


def test_taps_cover_the_disc() -> None:
    taps = disc_taps().reshape(-1, 2)
    assert np.abs(taps.mean(axis=0)).max() < 0.1
    assert np.linalg.norm(taps, axis=1).max() <= 1.0


def test_noise_tile_is_seamless() -> None:
    tile = noise_tile()
    inside = np.abs(np.diff(tile, axis=0)).mean()
    assert np.abs(tile[0] - tile[-1]).mean() < 1.5 * inside


def test_skin_maps_lie_where_they_say() -> None:
    template = portraits.studio().template
    maps = skin_maps(template)
    assert maps.lips[template.regions["lips"]].mean() > 0.5
    highest = template.mean[np.argmax(maps.forehead)]
    assert highest[1] > template.mean[template.regions["eyes"]][:, 1].max()


def test_samples_are_reproducible_across_calls() -> None:
    code, detail = sample_code(1, 1)
    assert person(code, detail).rng(3).random() == person(code, detail).rng(3).random()
